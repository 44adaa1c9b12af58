/**
 * A preset on a model's grid: whether it fits, and the heads of all its groups.
 *
 * @typedef {import("./grid.js").Grid} Grid
 * @typedef {import("./presets.js").Preset} Preset
 * @typedef {{model: string, layers: number, heads: number}} Size  what is compared of a preset, a study and a grid
 */

import { format, strengthsOf } from "./heads.js";
import { unknownFields } from "./presets.js";

const MOST_CELLS = 4_096;

/**
 * Why a preset cannot be used on a grid; "" where it can, or where the grid is not known.
 * @param {Size} preset
 * @param {Size|null} grid
 */
export function refusal(preset, grid) {
  if (!grid || (preset.layers === grid.layers && preset.heads === grid.heads)) return "";
  return `for ${preset.model} (${preset.layers} layers x ${preset.heads} heads); `
    + `this model is ${grid.model} (${grid.layers} layers x ${grid.heads} heads)`;
}

/**
 * What to say of a preset on a grid of its size but of another model, and of fields that are not known; "" for nothing.
 * @param {Preset} preset
 * @param {Grid|null} grid
 */
export function warning(preset, grid) {
  const said = [];
  if (grid && preset.model !== grid.model)
    said.push(`made for ${preset.model}; on ${grid.model} its heads may mean something else`);
  const unknown = unknownFields(preset);
  if (unknown.length)
    said.push(`it has what this version does not know and leaves out (${unknown.join(", ")}): the picture may be another one`);
  return said.join("; ");
}

/**
 * A grid of a preset's size whose layers are all of one kind; null where it is too large to be drawn.
 * @param {Size} preset
 * @returns {Grid|null}
 */
export const plainGrid = ({ model, layers, heads }) =>
  (layers * heads <= MOST_CELLS ? { model, layers, heads, segments: [{ kind: "", letter: null, count: layers }] } : null);

/**
 * The heads of all groups as one text, in canonical form on `grid` (or, where the grid is not known, on one of the preset's size). A head
 * that two groups give different strengths has none of its own.
 * @param {Preset} preset
 * @param {Grid|null} grid
 * @throws {import("./heads.js").HeadTextError} where a group does not fit the grid
 */
export function unionText(preset, grid) {
  const { groups } = preset;
  const on = grid ?? (groups.length > 1 ? plainGrid(preset) : null);
  if (!on) return groups.map((group) => group.heads).join(", ");
  /** @type {(number|null)[]} */
  const every = [];
  for (const text of new Set(groups.map((group) => group.heads)))
    strengthsOf(text, on).forEach((strength, key) => (every[key] = (key in every ? every[key] : strength) === strength ? strength : null));
  return format(new Map(every.map((strength, key) => /** @type {const} */ ([key, strength])).filter(Boolean)), on);
}
