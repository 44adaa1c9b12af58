/** The heads of a preset node before it has run: of its text, or of the shipped preset that is chosen. */

import { inputIndex, textAt } from "./graph.js";
import { parsePreset, refusal, unionText } from "./presets.js";
import { shippedNow } from "./shipped.js";

/**
 * @param {object} node
 * @param {import("./heads.js").Grid|null} grid
 * @returns {{heads: string, refused: string}|null} the head text of all its groups, or why they do not fit the grid;
 *   null where only a run can tell
 */
export function presetText(node, grid) {
  try {
    const preset = presetAt(node);
    if (!preset) return null;
    const refused = refusal(preset, grid);
    return { heads: refused ? "" : unionText(preset, grid), refused };
  } catch {
    return null;
  }
}

function presetAt(node) {
  const text = valueOf(node, "preset_json"), choice = valueOf(node, "preset");
  if (text === null) return null;
  return text.trim() ? parsePreset(text) : shippedNow()?.find(({ id }) => id === choice)?.preset ?? null;
}

/** A widget's text, or what a wire brings there; null where it cannot be told. */
function valueOf(node, name) {
  const slot = inputIndex(node, name);
  if (slot >= 0 && node.inputs[slot].link != null) return textAt(node, slot);
  return String(node.widgets?.find((widget) => widget.name === name)?.value ?? "");
}
