/** A section of a list: a heading or a fold, and its rows. */

import { make } from "./make.js";
import { moreAt, rowOf } from "./row.js";

/**
 * @param {import("./panel.js").Section} section
 * @param {string} id for its heading
 * @param {(text: string|null) => void} peek as in `rowOf`
 */
export function sectionOf({ title, items, folded = false }, id, peek) {
  const group = make("div");
  group.setAttribute("role", "group");
  if (folded) group.append(foldOf(group, title));
  else if (title) {
    const line = make("h4", "", title);
    line.id = id;
    group.setAttribute("aria-labelledby", id);
    group.append(line);
  }
  group.append(...items.map((item) => rowOf(item, peek)));
  return group;
}

/**
 * @param {HTMLElement} group
 * @param {string} title
 */
function foldOf(group, title) {
  const fold = make("div", "hh-menu-fold"), button = make("button");
  button.type = "button";
  button.tabIndex = -1;
  button.setAttribute("role", "menuitem");
  button.setAttribute("aria-expanded", "false");
  button.append(make("span", "", title));
  const toggle = () => button.setAttribute("aria-expanded", String(!group.classList.toggle("hh-folded")));
  group.classList.add("hh-folded");
  button.addEventListener("click", toggle);
  moreAt.set(button, toggle);
  fold.append(button);
  return fold;
}
