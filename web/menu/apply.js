/** Writes presets into a node's widgets, and reads a group back from them. */

import { isDriven, widgetOf, writeWidget } from "../frontend/nodes.js";
import { asOneStep } from "../frontend/page.js";
import { canonical } from "../heads.js";
import { unionText } from "../fit.js";

/**
 * @typedef {import("../presets.js").Group} Group
 * @typedef {import("./session.js").Context} Context
 */

const BY_WIRE = "The heads come by wire: change them there.";

/** What a group stores under the name of a widget; its window is two widgets. */
const SAME = /** @type {const} */ (["scale", "strength", "rescale", "tokens", "perturbation", "temperature", "mix", "end_scale", "method", "limit"]);

/**
 * What a group stores besides its heads, as the widgets name it.
 * @param {Group} group
 * @returns {Record<string, unknown>}
 */
export const fieldsOf = (group) => ({
  ...Object.fromEntries(SAME.map((name) => [name, group[name]])),
  start_percent: group.window[0],
  end_percent: group.window[1],
});

/**
 * The group in a node's widgets; fields without a widget are left out.
 * @param {ComfyNode} node
 * @param {string} heads
 * @returns {Partial<Group> & {heads: string}}
 */
export function groupAt(node, heads) {
  const value = (/** @type {string} */ name) => widgetOf(node, name)?.value;
  const group = { heads, ...Object.fromEntries(SAME.map((name) => [name, value(name)]).filter(([, stored]) => stored !== undefined)) };
  return value("start_percent") === undefined ? group : { ...group, window: [value("start_percent"), value("end_percent")] };
}

/**
 * A group's heads as a node is given them: canonical where the grid is known.
 * @param {Context} context
 * @param {string} text
 */
export const textFor = ({ grid }, text) => (grid ? canonical(text, grid) : text);

/**
 * Writes a head text into the node.
 * @param {Context} context
 * @param {string} text
 * @throws {Error} where the heads come by wire
 */
export function writeText(context, text) {
  if (!context.setHeads(textFor(context, text))) throw new Error(BY_WIRE);
}

/**
 * Writes one group into a node that has its fields.
 * @param {Context} context
 * @param {Group} group
 * @returns {string[]} the fields that come by wire, which stay as they are
 * @throws {Error} where nothing was written
 */
export function writeGroup(context, group) {
  return asOneStep(context.app, () => {
    writeText(context, group.heads);
    return writeFields(context.app, context.node, fieldsOf(group));
  });
}

/**
 * Writes the heads of all groups, where a node has heads alone.
 * @param {Context} context
 * @param {import("../presets.js").Preset} preset
 */
export const writeHeads = (context, preset) => writeText(context, unionText(preset, context.grid));

/**
 * Writes a preset's text into an Apply Head Preset node.
 * @param {Context} context
 * @param {string} text
 * @param {string} shipped its name in the list, "" where it is not there
 */
export function writePreset({ node, app }, text, shipped) {
  const names = widgetOf(node, "preset")?.options?.values;
  const name = Array.isArray(names) && names.includes(shipped) ? shipped : "none";
  return asOneStep(app, () => writeFields(app, node, { preset: name, preset_json: text }));
}

/**
 * @param {ComfyApp} app
 * @param {ComfyNode} node
 * @param {Record<string, unknown>} fields
 * @returns {string[]} the fields that come by wire, which stay as they are
 */
export function writeFields(app, node, fields) {
  const driven = [];
  for (const [name, value] of Object.entries(fields)) {
    const widget = widgetOf(node, name);
    if (!widget) continue;
    if (isDriven(node, name)) driven.push(name);
    else writeWidget(app, node, widget, value);
  }
  return driven;
}
