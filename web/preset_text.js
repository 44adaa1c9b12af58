/** The heads of a preset node before it has run: of its text, or of the shipped preset that is chosen. */

import { inputIndex, textAt } from "./graph.js";
import { parsePreset, refusal, strip, unionText } from "./presets.js";
import { shippedNow } from "./shipped.js";

/**
 * @param {object} node
 * @param {import("./heads.js").Grid|null} grid
 * @returns {{heads: string, refused: string}|null} the head text of all its groups, or why they do not fit the grid;
 *   null where only a run can tell
 */
export function presetText(node, grid) {
  const source = sourceOf(node);
  const known = last.get(node);
  // It is asked for at every drawing: the same text is read once.
  if (known && known.source === source && known.grid === grid) return known.answer;
  const answer = read(source, grid);
  last.set(node, { source, grid, answer });
  return answer;
}

/** Of each node: what was read last. */
const last = new WeakMap();

function read(source, grid) {
  try {
    const preset = typeof source === "string" ? parsePreset(source) : source;
    if (!preset) return null;
    const refused = refusal(preset, grid);
    return { heads: refused ? "" : unionText(preset, grid), refused };
  } catch {
    return null;
  }
}

/** A preset's text, a shipped preset, or null. */
function sourceOf(node) {
  const text = valueOf(node, "preset_json"), choice = valueOf(node, "preset");
  if (text === null) return null;
  return strip(text) ? text : shippedNow()?.find(({ id }) => id === choice)?.preset ?? null;
}

/** A widget's text, or what a wire brings there; null where it cannot be told. */
function valueOf(node, name) {
  const slot = inputIndex(node, name);
  if (slot >= 0 && node.inputs[slot].link != null) return textAt(node, slot);
  return String(node.widgets?.find((widget) => widget.name === name)?.value ?? "");
}
