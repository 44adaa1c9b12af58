/** The menu's modules, loaded when somebody first wants them. */

/** @typedef {typeof import("../menu/menu.js")} MenuModule */

/** @type {{now: MenuModule|null}} `now`: null before they are loaded, or where they cannot be */
export const menu = { now: null };

export async function loadMenu() {
  menu.now ??= await import("../menu/menu.js").catch(() => null);
  return menu.now;
}
