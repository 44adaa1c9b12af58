/** The preset of an Apply Head Preset node before it has run: its text, or the shipped preset that is chosen. */

import { textOf } from "./frontend/graph.js";
import { refusal, unionText } from "./fit.js";
import { parsePreset } from "./presets.js";
import { shipped } from "./server/shipped.js";

/**
 * @param {ComfyNode} node
 * @returns {import("./presets.js").Preset|null} null where only a run can tell, or where it is not to be read
 */
export function presetAt(node) {
  const text = textOf(node, "preset_json"), choice = textOf(node, "preset");
  if (text === null) return null;
  try {
    return text.trim() ? parsePreset(text) : shipped.now?.find(({ id }) => id === choice)?.preset ?? null;
  } catch {
    return null;
  }
}

/**
 * @param {ComfyNode} node
 * @param {import("./grid.js").Grid|null} grid
 * @returns {{heads: string, refused: string}|null} the head text of all its groups, or why they do not fit the grid;
 *   null where only a run can tell
 */
export function presetText(node, grid) {
  const preset = presetAt(node);
  if (!preset) return null;
  const refused = refusal(preset, grid);
  try {
    return { heads: refused ? "" : unionText(preset, grid), refused };
  } catch {
    return null;
  }
}
