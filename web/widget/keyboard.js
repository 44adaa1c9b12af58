/** The keyboard on the canvas. */

import { editFor } from "./edits.js";
import { isCell } from "./layout.js";
import { reach } from "./reach.js";

/** @typedef {import("./gestures.js").Target} Target */

/** @type {Record<string, [down: number, right: number]>} */
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * Arrow keys move the cursor; other keys change the heads that the line under the grid names, and the selection with them
 * (edits.js). Comma and full stop show other prompts' pictures. Escape ends the selection, then leaves the grid.
 * @param {HTMLElement} element
 * @param {Target} target
 * @param {() => void} endWheel
 */
export function keyboard(element, target, endWheel) {
  element.addEventListener("keydown", (event) => {
    endWheel(); // also before the shortcuts of others, such as undo
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") {
      if (target.selection()) target.select(null);
      else element.blur();
    } else if (event.key === "," || event.key === ".") target.step(event.key === "," ? -1 : 1);
    else if (event.key in MOVES) moveBy(...MOVES[event.key]);
    else if (!pressed(event.key, target)) return;
    event.preventDefault();
    event.stopPropagation();
  });

  /**
   * @param {number} down
   * @param {number} right
   */
  function moveBy(down, right) {
    const grid = target.grid();
    if (!grid) return;
    const cell = target.pointed();
    const step = (/** @type {number} */ value, /** @type {number} */ by, /** @type {number} */ count) => Math.min(count - 1, Math.max(0, value + by));
    target.move(isCell(cell) ? { layer: step(cell.layer, down, grid.layers), head: step(cell.head, right, grid.heads) } : { layer: 0, head: 0 });
  }
}

/**
 * Does what a key does to the heads that it reaches.
 * @param {string} key
 * @param {Target} target
 * @returns {boolean} false where the key does nothing here
 */
export function pressed(key, target) {
  const edit = editFor(key);
  if (!edit) return false;
  const heads = target.heads(), spot = target.pointed(), grid = target.grid();
  if (heads && spot && grid) {
    edit(heads, reach(grid, spot, target.selection()), target.strength());
    target.write(heads);
  }
  return true;
}
