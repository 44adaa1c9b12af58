/** Puts presets of several groups into the graph as new nodes, in the MODEL wire. */

import { SUBGRAPH_INPUT, SUBGRAPH_OUTPUT, linkOf } from "../frontend/graph.js";
import { inputIndex } from "../frontend/nodes.js";
import { asOneStep } from "../frontend/page.js";
import { fieldsOf, textFor, writeFields, writeGroup } from "./apply.js";

/** @typedef {import("./session.js").Context} Context */

const MODEL = "model";
const SPACE = 60;

/**
 * Writes the first group into a SoftPAG node and each of the others into a new node after it, in the MODEL wire.
 * @param {Context} context
 * @param {import("../presets.js").Group[]} groups
 * @returns {string[]} as `writeGroup`
 */
export function writeChain(context, groups) {
  const { node, app } = context;
  const texts = groups.map(({ heads }) => textFor(context, heads)); // what is wrong shows before anything changes
  return asOneStep(app, () => {
    const driven = writeGroup(context, groups[0]);
    const graph = graphOf(node);
    const follow = targetsOf(node, 0);
    let last = node;
    groups.slice(1).forEach((group, index) => {
      const made = addNode(graph, node.type, (added) => placeUnder(graph, added, last));
      writeFields(app, made, { heads: texts[index + 1], ...fieldsOf(group) });
      last.connect(0, made, inputIndex(made, MODEL));
      last = made;
    });
    for (const connect of follow) connect(last, 0);
    return driven;
  });
}

/**
 * Puts an Apply Head Preset node with the preset's text where a SoftPAG node is.
 * @param {Context} context
 * @param {string} text
 */
export function replaceByPreset(context, text) {
  const { node, app } = context;
  asOneStep(app, () => {
    const graph = graphOf(node);
    const follow = targetsOf(node, 0), feed = sourceOf(node, inputIndex(node, MODEL));
    graph.remove(node); // first: ComfyUI takes a snapshot there, which must be of the graph as it was
    const made = addNode(graph, "HeadHunterPreset", () => [...node.pos]);
    writeFields(app, made, { preset_json: text });
    feed(made, inputIndex(made, MODEL));
    for (const connect of follow) connect(made, 0);
  });
}

/**
 * @param {ComfyNode} node
 * @returns {ComfyGraph}
 */
export function graphOf({ graph }) {
  if (!graph) throw new Error("The node is no longer in the workflow.");
  return graph;
}

/**
 * A new node.
 * @param {ComfyGraph} graph
 * @param {string} type
 * @param {(made: ComfyNode) => number[]} place where it goes
 */
export function addNode(graph, type, place) {
  const made = window.LiteGraph?.createNode(type);
  if (!made) throw new Error(`ComfyUI has no node ${type}.`);
  graph.add(made);
  made.pos = place(made);
  return made;
}

/**
 * A free place for a new node under another.
 * @param {ComfyGraph} graph
 * @param {ComfyNode} made
 * @param {ComfyNode} above
 */
export function placeUnder(graph, made, above) {
  const x = above.pos[0];
  let y = above.pos[1] + above.size[1] + SPACE;
  const others = (graph._nodes ?? []).filter((node) => node !== made).sort((a, b) => a.pos[1] - b.pos[1]);
  for (const { pos, size } of others) {
    const beside = pos[0] >= x + made.size[0] || pos[0] + size[0] <= x;
    if (!beside && pos[1] < y + made.size[1] + SPACE && pos[1] + size[1] + SPACE > y) y = pos[1] + size[1] + SPACE;
  }
  return [x, y];
}

/** @typedef {(other: ComfyNode, slot: number) => void} Connect connects another node's input or output */

/**
 * What an output feeds, as functions that connect another node's output there.
 * @param {ComfyNode} node
 * @param {number} slot
 * @param {(to: ComfyNode) => boolean} [wanted] which nodes; by default all
 * @returns {Connect[]}
 */
export function targetsOf(node, slot, wanted = () => true) {
  const graph = graphOf(node);
  return linksOf(node, slot).flatMap(({ target_id: to, target_slot: input }) => {
    if (to === SUBGRAPH_OUTPUT) return [(other, output) => graph.outputs?.[input].connect(other.outputs[output], other)];
    const there = graph.getNodeById(to);
    return there && wanted(there) ? [(other, output) => other.connect(output, graph.getNodeById(to), input)] : [];
  });
}

/**
 * The nodes that an output feeds.
 * @param {ComfyNode} node
 * @param {number} slot
 * @returns {ComfyNode[]}
 */
export const fedBy = (node, slot) => linksOf(node, slot).flatMap((link) => node.graph?.getNodeById(link.target_id) ?? []);

/**
 * @param {ComfyNode} node
 * @param {number} slot
 */
const linksOf = (node, slot) => [...(node.outputs[slot].links ?? [])].flatMap((id) => linkOf(node.graph, id) ?? []);

/**
 * What feeds an input, as a function that connects it to another node's input; nothing where nothing does.
 * @param {ComfyNode} node
 * @param {number} slot
 * @returns {Connect}
 */
export function sourceOf(node, slot) {
  const graph = graphOf(node);
  const link = linkOf(graph, node.inputs?.[slot]?.link);
  if (!link) return () => {};
  const { origin_id: from, origin_slot: output } = link;
  if (from === SUBGRAPH_INPUT) return (other, input) => graph.inputs?.[output].connect(other.inputs?.[input], other);
  return (other, input) => graph.getNodeById(from)?.connect(output, other, input);
}
