/** Writes presets into nodes: every stored field of a group, one undo step each time. */

import { format, parse } from "./heads.js";
import { unionText } from "./presets.js";

const MODEL = "model";
const SUBGRAPH_INPUT = -10;
const SUBGRAPH_OUTPUT = -20;
const SPACE = 60;

/** What a group stores, as the widgets name it. */
const fieldsOf = (group) => ({
  scale: group.scale,
  strength: group.strength,
  start_percent: group.window[0],
  end_percent: group.window[1],
  rescale: group.rescale,
  tokens: group.tokens,
  perturbation: group.perturbation,
  temperature: group.temperature,
  mix: group.mix,
});

/** Runs a change as one undo step. */
export function asOneStep(app, change) {
  app.canvas?.emitBeforeChange?.();
  try {
    return change();
  } finally {
    app.canvas?.emitAfterChange?.();
  }
}

export const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);

/** Whether a wire brings a widget's value. */
export const isDriven = (node, name) => node.inputs?.some((input) => input.widget?.name === name && input.link != null) ?? false;

/** The group that a node's widgets say; fields that it does not have are left out. */
export function groupAt(node, heads) {
  const value = (name) => widgetOf(node, name)?.value;
  const group = { heads };
  for (const name of ["scale", "strength", "rescale", "tokens", "perturbation", "temperature", "mix"])
    if (value(name) !== undefined) group[name] = value(name);
  if (value("start_percent") !== undefined) group.window = [value("start_percent"), value("end_percent")];
  return group;
}

/**
 * Writes one group into a node that has its fields.
 * @returns {string[]} the fields that come by wire, which stay as they are
 * @throws {Error} where nothing was written
 */
export function writeGroup(context, group) {
  const { node, app, grid } = context;
  const text = grid ? format(parse(group.heads, grid), grid) : group.heads;
  return asOneStep(app, () => {
    if (!context.setHeads(text)) throw new Error("The heads come by wire: change them there.");
    return writeFields(app, node, fieldsOf(group));
  });
}

function writeFields(app, node, fields) {
  const driven = [];
  for (const [name, value] of Object.entries(fields)) {
    const widget = widgetOf(node, name);
    if (!widget) continue;
    if (isDriven(node, name)) driven.push(name);
    else write(app, node, widget, value);
  }
  return driven;
}

function write(app, node, widget, value) {
  if (widget.value === value) return;
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
  if (widget.value !== value) widget.value = value; // ComfyUI's own callback rounds to the step
  node.setDirtyCanvas?.(true, true);
}

/** Writes the heads of all groups, where a node has heads alone. */
export function writeHeads(context, preset) {
  if (!context.setHeads(unionText(preset, context.grid))) throw new Error("The heads come by wire: change them there.");
}

/** Writes a preset's text into an Apply Head Preset node; `shipped` is its name in the list, "" where it is not there. */
export function writePreset({ node, app }, text, shipped) {
  const choice = widgetOf(node, "preset");
  const names = choice?.options?.values;
  const name = Array.isArray(names) && names.includes(shipped) ? shipped : "none";
  return asOneStep(app, () => writeFields(app, node, { preset: name, preset_json: text }));
}

/**
 * Writes the first group into a SoftPAG node and the others into new ones after it, in the MODEL wire.
 * @returns {string[]} as `writeGroup`
 */
export function writeChain(context, groups) {
  const { node, app, grid } = context;
  const texts = groups.map(({ heads }) => (grid ? format(parse(heads, grid), grid) : heads)); // what is wrong shows before anything changes
  return asOneStep(app, () => {
    const driven = writeGroup(context, groups[0]);
    const { graph } = node;
    const follow = targetsOf(node, 0);
    let last = node;
    groups.slice(1).forEach((group, index) => {
      const made = add(graph, node.type, last);
      writeFields(app, made, { heads: texts[index + 1], ...fieldsOf(group) });
      last.connect(0, made, slotOf(made, MODEL));
      last = made;
    });
    for (const connect of follow) connect(last, 0);
    return driven;
  });
}

/** Puts an Apply Head Preset node with the preset's text where a SoftPAG node is. */
export function replaceByPreset(context, text) {
  const { node, app } = context;
  asOneStep(app, () => {
    const { graph } = node;
    const follow = targetsOf(node, 0), feed = sourceOf(node, slotOf(node, MODEL));
    graph.remove(node); // first: ComfyUI takes a snapshot there, which must be of the graph as it was
    const made = add(graph, "HeadHunterPreset", null, [...node.pos]);
    writeFields(app, made, { preset_json: text });
    feed(made, slotOf(made, MODEL));
    for (const connect of follow) connect(made, 0);
  });
}

const slotOf = (node, name) => node.inputs.findIndex((input) => input.name === name);
const linkOf = (graph, id) => graph.getLink?.(id) ?? graph.links?.get?.(id) ?? graph.links?.[id] ?? null;

/** A new node in a free place: under `above`, or at a position. */
function add(graph, type, above, position = null) {
  const made = window.LiteGraph.createNode(type);
  graph.add(made);
  made.pos = position ?? freePlace(graph, made, above);
  return made;
}

function freePlace(graph, made, above) {
  const x = above.pos[0];
  let y = above.pos[1] + above.size[1] + SPACE;
  const others = (graph._nodes ?? []).filter((node) => node !== made).sort((one, other) => one.pos[1] - other.pos[1]);
  for (const { pos, size } of others) {
    const beside = pos[0] >= x + made.size[0] || pos[0] + size[0] <= x;
    if (!beside && pos[1] < y + made.size[1] + SPACE && pos[1] + size[1] + SPACE > y) y = pos[1] + size[1] + SPACE;
  }
  return [x, y];
}

/** What an output feeds, as functions that connect another node's output there. */
function targetsOf(node, slot) {
  const { graph } = node;
  return [...(node.outputs[slot].links ?? [])].map((id) => {
    const link = linkOf(graph, id);
    const { target_id: to, target_slot: input } = link;
    if (to === SUBGRAPH_OUTPUT) return (other, output) => graph.outputs[input].connect(other.outputs[output], other);
    return (other, output) => other.connect(output, graph.getNodeById(to), input);
  });
}

/** What feeds an input, as a function that connects it to another node's input; nothing where nothing does. */
function sourceOf(node, slot) {
  const { graph } = node;
  const link = linkOf(graph, node.inputs[slot]?.link);
  if (!link) return () => {};
  const { origin_id: from, origin_slot: output } = link;
  if (from === SUBGRAPH_INPUT) return (other, input) => graph.inputs[output].connect(other.inputs[input], other);
  return (other, input) => graph.getNodeById(from).connect(output, other, input);
}
