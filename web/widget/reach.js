/** What a change of strength reaches: the spot that the line under the grid names, and the whole selection where it lies in that. */

import { cellsBetween, cellsOf } from "./cells.js";
import { isCell } from "./layout.js";

/**
 * @typedef {import("../grid.js").Grid} Grid
 * @typedef {import("../heads.js").HeadSet} HeadSet
 * @typedef {import("./layout.js").Spot} Spot
 * @typedef {import("./layout.js").Cell} Cell
 * @typedef {{from: Cell, to: Cell}} Rectangle
 */

/**
 * @param {Grid} grid
 * @param {Spot} spot
 * @param {Rectangle|null} selection
 * @returns {number[]} keys as in a HeadSet
 */
export const reach = (grid, spot, selection) =>
  (selection && isCell(spot) && holds(selection, spot) ? cellsBetween(grid, selection.from, selection.to) : cellsOf(grid, spot));

/**
 * @param {Rectangle} selection
 * @param {Cell} cell
 */
export const holds = ({ from, to }, { layer, head }) =>
  between(layer, from.layer, to.layer) && between(head, from.head, to.head);

/**
 * The cells from one spot to another, whole layers or heads where they are labels, as a rectangle.
 * @param {Grid} grid
 * @param {Spot} from
 * @param {Spot} to
 * @returns {Rectangle}
 */
export const rectangleOf = (grid, from, to) => ({
  from: { layer: from.layer ?? 0, head: from.head ?? 0 },
  to: { layer: to.layer ?? grid.layers - 1, head: to.head ?? grid.heads - 1 },
});

/**
 * Of several cells those that are in the set are changed; all of them where none is.
 * @param {HeadSet} heads
 * @param {number[]} keys
 */
export function changed(heads, keys) {
  const there = keys.filter((key) => heads.has(key));
  return there.length ? there : keys;
}

/**
 * @param {number} value
 * @param {number} one
 * @param {number} other
 */
const between = (value, one, other) => value >= Math.min(one, other) && value <= Math.max(one, other);
