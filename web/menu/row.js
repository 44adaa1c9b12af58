/** One item of a list as a row: its picture, its words, its star, and the button for what else can be done. */

import { make } from "./make.js";

/** @typedef {import("./panel.js").Item} Item */

/** @type {WeakMap<Element, () => void>} what else can be done at an item's button */
export const moreAt = new WeakMap();

/**
 * @param {Item} item
 * @param {(text: string|null) => void} peek shows heads on the grid while the item is looked at
 */
export function rowOf(item, peek) {
  const row = make("div", "hh-menu-row");
  row.dataset.words = `${item.label} ${item.detail ?? ""} ${item.words ?? ""}`.toLowerCase();
  const button = rowButton(item);
  if (item.picture) button.prepend(pictureOf(item.picture));
  const { heads } = item;
  for (const name of ["pointerenter", "focus"]) button.addEventListener(name, () => peek(heads ?? null));
  button.addEventListener("pointerleave", () => peek(null));
  row.append(button);
  if (item.star) row.append(starOf(item.label, item.star));
  if (item.more) row.append(dotsOf(item));
  return row;
}

/** @param {Item} item */
function rowButton(item) {
  const button = make("button");
  button.type = "button";
  button.tabIndex = -1;
  button.setAttribute("role", "menuitem");
  const words = make("div");
  words.append(make("span", "", item.label + (item.opens ? " ▸" : "")));
  const detail = item.refused || item.detail;
  if (detail) words.append(make("small", "", detail));
  button.append(words);
  button.title = [item.label, detail].filter(Boolean).join("\n");
  button.dataset.key = item.key ?? "";
  if (item.refused) button.setAttribute("aria-disabled", "true");
  if (item.opens || item.more) button.setAttribute("aria-haspopup", "menu");
  button.addEventListener("click", () => !item.refused && item.choose?.());
  const more = item.more ?? (item.opens && !item.refused ? item.choose : undefined);
  if (more) moreAt.set(button, more);
  return button;
}

/** @param {() => Promise<string>} load gives the picture's address */
function pictureOf(load) {
  const image = make("img");
  image.alt = "";
  load().then((url) => (image.src = url), () => image.remove());
  return image;
}

/**
 * @param {string} label
 * @param {{on: boolean, set: (on: boolean) => void}} star
 */
function starOf(label, star) {
  const made = make("button", "hh-star");
  made.type = "button";
  made.tabIndex = -1;
  const show = (/** @type {boolean} */ on) => {
    made.textContent = on ? "★" : "☆";
    made.setAttribute("aria-pressed", String(on));
  };
  made.setAttribute("aria-label", `${label}: star`);
  made.addEventListener("click", () => {
    const on = made.getAttribute("aria-pressed") !== "true";
    star.set(on);
    show(on);
  });
  show(star.on);
  return made;
}

/** @param {Item} item */
function dotsOf(item) {
  const dots = make("button", "", "⋯");
  dots.type = "button";
  dots.tabIndex = -1;
  dots.title = item.moreTitle ?? "Rename, update, export, delete";
  dots.setAttribute("aria-label", `${item.label}: more`);
  dots.addEventListener("click", () => item.more?.());
  return dots;
}
