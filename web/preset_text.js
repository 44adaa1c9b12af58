/** The heads of a preset node before it has run, from its own text. */

import { parsePreset, unionText } from "./presets.js";

/**
 * @param {object} node
 * @param {import("./heads.js").Grid|null} grid
 * @returns {string|null} the head text of all its groups; null where only a run can tell
 */
export function presetText(node, grid) {
  const text = node.widgets?.find((widget) => widget.name === "preset_json")?.value;
  if (typeof text !== "string" || !text.trim()) return null;
  try {
    return unionText(parsePreset(text), grid);
  } catch {
    return null;
  }
}
