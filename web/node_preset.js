/** The preset of an Apply Head Preset node before it has run: its text, or the shipped preset that is chosen. */

import { textOf } from "./frontend/graph.js";
import { refusal, unionText } from "./fit.js";
import { strip } from "./limits.js";
import { parsePreset } from "./presets.js";
import { shipped } from "./server/shipped.js";

/**
 * @param {ComfyNode} node
 * @returns {import("./presets.js").Preset|null} null where only a run can tell, or where it is not to be read
 */
export function presetAt(node) {
  const text = textOf(node, "preset_json"), choice = textOf(node, "preset");
  if (text === null) return null;
  return strip(text) ? parsed(node, text) : shipped.now?.find(({ id }) => id === choice)?.preset ?? null;
}

/**
 * The text is asked for at every drawing, and read once.
 * @param {ComfyNode} node
 * @param {string} text
 */
function parsed(node, text) {
  const known = read.get(node);
  if (known?.text === text) return known.preset;
  let preset = null;
  try {
    preset = parsePreset(text);
  } catch {
    // said where the node runs
  }
  read.set(node, { text, preset });
  return preset;
}

/** @type {WeakMap<ComfyNode, {text: string, preset: import("./presets.js").Preset|null}>} */
const read = new WeakMap();
/** @type {WeakMap<ComfyNode, {preset: object, grid: object|null, answer: {heads: string, refused: string}|null}>} */
const union = new WeakMap();

/**
 * @param {ComfyNode} node
 * @param {import("./grid.js").Grid|null} grid
 * @returns {{heads: string, refused: string}|null} the head text of all its groups, or why they do not fit the grid;
 *   null where only a run can tell
 */
export function presetText(node, grid) {
  const preset = presetAt(node);
  if (!preset) return null;
  const known = union.get(node);
  if (known?.preset === preset && known.grid === grid) return known.answer;
  const answer = textOn(preset, grid);
  union.set(node, { preset, grid, answer });
  return answer;
}

/**
 * @param {import("./presets.js").Preset} preset
 * @param {import("./grid.js").Grid|null} grid
 */
function textOn(preset, grid) {
  const refused = refusal(preset, grid);
  try {
    return { heads: refused ? "" : unionText(preset, grid), refused };
  } catch {
    return null;
  }
}
