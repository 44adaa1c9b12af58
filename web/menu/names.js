/** Which presets hold a head, for the line under the grid. */

import { keysOf } from "../heads.js";
import { refusal, unionText } from "../fit.js";
import { shipped } from "../server/shipped.js";

/**
 * @typedef {import("../grid.js").Grid} Grid
 * @typedef {import("../presets.js").Preset} Preset
 */

/** @type {{grid: Grid|null, shipped: unknown, own: unknown, byHead: Map<number, string[]>}} the index, and what it was made of */
const index = { grid: null, shipped: null, own: null, byHead: new Map() };

/** @type {Preset[]} what was read of the user's own last */
let own = [];

/** @param {Preset[]} presets */
export const setOwn = (presets) => void (own = presets);

/**
 * Names of the presets that hold a head: of those for the grid's model, among all that have been read; the fewest heads first.
 * @param {Grid} grid
 * @param {{layer: number, head: number}} cell
 * @returns {string[]}
 */
export function presetNames(grid, { layer, head }) {
  if (index.grid !== grid || index.shipped !== shipped.now || index.own !== own) {
    const byHead = indexOf(grid, [...own, ...(shipped.now ?? []).map(({ preset }) => preset)]);
    Object.assign(index, { grid, shipped: shipped.now, own, byHead });
  }
  return index.byHead.get(layer * grid.heads + head) ?? [];
}

/**
 * @param {Grid} grid
 * @param {Preset[]} presets
 */
function indexOf(grid, presets) {
  /** @type {Map<number, string[]>} */
  const byHead = new Map();
  for (const preset of presets.sort((a, b) => length(a) - length(b))) {
    if (preset.model !== grid.model || refusal(preset, grid)) continue;
    for (const key of headsOf(preset, grid)) byHead.set(key, [...(byHead.get(key) ?? []), preset.name]);
  }
  return byHead;
}

/** @param {Preset} preset */
const length = (preset) => preset.groups.reduce((sum, { heads }) => sum + heads.length, 0);

/**
 * @param {Preset} preset
 * @param {Grid} grid
 */
function headsOf(preset, grid) {
  try {
    return keysOf(unionText(preset, grid), grid);
  } catch {
    return []; // layers that this model does not have: it holds no head here
  }
}
