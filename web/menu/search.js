/** The search in a list: items that hold every word stay; what is folded away is looked through too. */

import { make } from "./make.js";

/**
 * @param {HTMLElement} body the list's; its rows carry the words to be found in `data-words`
 * @param {() => void} down the down arrow key
 * @returns {HTMLInputElement}
 */
export function searchBox(body, down) {
  const box = Object.assign(make("input", "hh-menu-search"), { type: "search", placeholder: "Search: style, name, head, note", autocomplete: "off" });
  box.setAttribute("aria-label", "Search the list");
  box.addEventListener("input", () => filter(body, box.value));
  box.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "Enter") event.preventDefault(), down();
    else if (event.key === "Escape" && box.value) {
      event.stopPropagation();
      box.value = "";
      filter(body, "");
    }
  });
  return box;
}

/**
 * @param {HTMLElement} body
 * @param {string} text
 */
function filter(body, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  body.classList.toggle("hh-searching", words.length > 0);
  for (const row of rowsOf(body)) row.hidden = !words.every((word) => (row.dataset.words ?? "").includes(word));
  for (const group of body.querySelectorAll('[role="group"]'))
    if (group instanceof HTMLElement) group.hidden = words.length > 0 && rowsOf(group).every((row) => row.hidden);
}

/**
 * @param {HTMLElement} element
 * @returns {HTMLElement[]}
 */
const rowsOf = (element) => [...element.querySelectorAll(".hh-menu-row")].filter((row) => row instanceof HTMLElement);
