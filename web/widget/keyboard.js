/** The keyboard on the canvas. */

import { paint, tidy } from "./cells.js";
import { keyAt } from "./layout.js";

/**
 * @typedef {import("./gestures.js").Target} Target
 * @typedef {import("../heads.js").HeadSet} HeadSet
 */

/** @type {Record<string, [down: number, right: number]>} */
const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

/**
 * Arrow keys move the cursor. Space and Enter add or remove its head; 1 to 9 set that head's strength to 0.1 to 0.9, 0 to 1;
 * minus changes the strength's sign; n goes back to the node's strength; Delete removes the head. Escape leaves the grid.
 * @param {HTMLElement} element
 * @param {Target} target
 * @param {() => void} endWheel
 */
export function keyboard(element, target, endWheel) {
  element.addEventListener("keydown", (event) => {
    endWheel(); // also before the shortcuts of others, such as undo
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape") element.blur();
    else if (event.key in MOVES) moveBy(...MOVES[event.key]);
    else {
      const edit = editFor(event.key);
      if (!edit) return;
      const heads = target.heads(), cell = target.cursor(), grid = target.grid();
      if (heads && cell && grid) {
        edit(heads, keyAt(grid, cell));
        target.write(heads);
      }
    }
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
    const cell = target.cursor();
    const step = (/** @type {number} */ value, /** @type {number} */ by, /** @type {number} */ count) => Math.min(count - 1, Math.max(0, value + by));
    target.move(cell ? { layer: step(cell.layer, down, grid.layers), head: step(cell.head, right, grid.heads) } : { layer: 0, head: 0 });
  }

  /**
   * @param {string} key
   * @returns {((heads: HeadSet, at: number) => void)|null}
   */
  function editFor(key) {
    if (key === " " || key === "Enter") return (heads, at) => paint(heads, [at], !heads.has(at));
    if (/^[0-9]$/.test(key)) return (heads, at) => heads.set(at, key === "0" ? 1 : Number(key) / 10);
    if (key === "-") return (heads, at) => heads.set(at, tidy(-(heads.get(at) ?? target.strength())));
    if (key === "n") return (heads, at) => heads.has(at) && heads.set(at, null);
    if (key === "Delete" || key === "Backspace") return (heads, at) => heads.delete(at);
    return null;
  }
}
