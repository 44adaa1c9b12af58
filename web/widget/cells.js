/** What gestures are made of: the cells that they reach, and what they do to a head set. */

/**
 * @typedef {import("../grid.js").Grid} Grid
 * @typedef {import("../heads.js").HeadSet} HeadSet
 * @typedef {import("./layout.js").Spot} Spot
 * @typedef {import("./layout.js").Cell} Cell
 */

/**
 * The cells that a spot stands for: itself, a layer, a head in every layer, or all.
 * @param {Grid} grid
 * @param {Spot} spot
 */
export function cellsOf(grid, { layer, head }) {
  const keys = [];
  for (let row = layer ?? 0; row <= (layer ?? grid.layers - 1); row++)
    for (let column = head ?? 0; column <= (head ?? grid.heads - 1); column++) keys.push(row * grid.heads + column);
  return keys;
}

/**
 * @param {Grid} grid
 * @param {Cell} from
 * @param {Cell} to
 */
export function cellsBetween(grid, from, to) {
  const keys = [];
  for (let row = Math.min(from.layer, to.layer); row <= Math.max(from.layer, to.layer); row++)
    for (let column = Math.min(from.head, to.head); column <= Math.max(from.head, to.head); column++)
      keys.push(row * grid.heads + column);
  return keys;
}

/**
 * Adds or removes heads; those that were in the set keep their own strength.
 * @param {HeadSet} heads
 * @param {number[]} keys
 * @param {boolean} add
 */
export function paint(heads, keys, add) {
  for (const key of keys) {
    if (!add) heads.delete(key);
    else if (!heads.has(key)) heads.set(key, null);
  }
}

/**
 * The spots on the way: a fast stroke skips none.
 * @param {Spot} from
 * @param {Spot} to
 * @returns {Generator<Spot>}
 */
export function* line(from, to) {
  const between = (/** @type {number|null} */ a, /** @type {number|null} */ b, /** @type {number} */ part) =>
    (a === null || b === null ? null : Math.round(a + (b - a) * part));
  const steps = Math.max(Math.abs((to.layer ?? 0) - (from.layer ?? 0)), Math.abs((to.head ?? 0) - (from.head ?? 0)), 1);
  for (let i = 0; i <= steps; i++)
    yield { layer: between(from.layer, to.layer, i / steps), head: between(from.head, to.head, i / steps) };
}

/**
 * A strength within its range, without the noise of adding decimals.
 * @param {number} strength
 */
export const tidy = (strength) => Math.round(Math.min(1, Math.max(-1, strength)) * 1000) / 1000 || 0;
