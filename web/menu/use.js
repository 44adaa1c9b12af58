/** The heads that a hunt has found, into a SoftPAG node: the selected one, the connected one, or a new one in the MODEL wire. */

import { linkOf } from "../frontend/graph.js";
import { inputIndex, isDriven } from "../frontend/nodes.js";
import { asOneStep } from "../frontend/page.js";
import { readGroup } from "../preset_group.js";
import { fieldsOf, writeFields } from "./apply.js";
import { SOFT_PAG } from "./choose.js";
import { addNode, fedBy, graphOf, placeUnder, sourceOf, targetsOf } from "./insert.js";

/**
 * @typedef {import("../server/library.js").Found} Found
 * @typedef {import("./session.js").Context} Context
 */

const HUNTING = ["HeadHunterSearch", "HeadHunterAtlas", "HeadHunterCompare"];

/**
 * Writes heads, strengths, scale, method and perturbation, as one step of undo.
 * @param {Context} context of the node that they are used at
 * @param {Found} found
 * @param {ComfyNode[]} [selected] nodes in the graph
 * @returns {{node: ComfyNode, made: boolean, driven: string[]}} `driven`: the fields that come by wire, which stay as they are
 * @throws {Error} where nothing was written
 */
export function useFound({ node, app, grid }, found, selected = []) {
  if (!grid) throw new Error("the model is not known yet");
  const group = readGroup({ ...found.group, heads: found.heads }, "the hunt's group", grid.layers, grid.heads);
  return asOneStep(app, () => {
    const there = isSoftPag(node) ? node : onlyOne(selected, node) ?? connected(node);
    const target = there ?? insert(node);
    freeHeads(target, node);
    if (isDriven(target, "heads")) throw new Error("the heads of the SoftPAG node come by wire: change them there");
    return { node: target, made: !there, driven: writeFields(app, target, { heads: group.heads, ...fieldsOf(group) }) };
  });
}

/**
 * The one SoftPAG node that is selected.
 * @param {ComfyNode[]} selected
 * @param {ComfyNode} node
 */
function onlyOne(selected, node) {
  const chosen = selected.filter((each) => isSoftPag(each) && each.graph === node.graph);
  return chosen.length === 1 ? chosen[0] : null;
}

/**
 * The SoftPAG node that this one's heads go to, or else one on the same model's wire.
 * @param {ComfyNode} node
 */
function connected(node) {
  const own = node.outputs.flatMap((_, slot) => fedBy(node, slot));
  const feed = linkOf(node.graph, node.inputs?.[inputIndex(node, "model")]?.link);
  const origin = feed ? node.graph?.getNodeById(feed.origin_id) : null;
  const beside = origin && feed ? fedBy(origin, feed.origin_slot) : [];
  return own.find(isSoftPag) ?? beside.find(isSoftPag) ?? null;
}

/**
 * A new SoftPAG node: what this node's model feeds besides hunts is fed by it.
 * @param {ComfyNode} node
 */
function insert(node) {
  const graph = graphOf(node);
  const model = inputIndex(node, "model");
  const feed = linkOf(graph, node.inputs?.[model]?.link);
  const origin = feed ? graph.getNodeById(feed.origin_id) : null;
  const follow = origin && feed ? targetsOf(origin, feed.origin_slot, (to) => !HUNTING.includes(to.comfyClass)) : [];
  const connect = sourceOf(node, model);
  const made = addNode(graph, SOFT_PAG, (added) => placeUnder(graph, added, node));
  connect(made, inputIndex(made, "model"));
  for (const each of follow) each(made, 0);
  return made;
}

/**
 * Takes away the wire that brings the hunt's own heads: they are written in its place.
 * @param {ComfyNode} target
 * @param {ComfyNode} from
 */
function freeHeads(target, from) {
  const slot = inputIndex(target, "heads");
  const wire = linkOf(target.graph, target.inputs?.[slot]?.link);
  if (wire && String(wire.origin_id) === String(from.id)) target.disconnectInput(slot);
}

/** @param {ComfyNode} node */
const isSoftPag = (node) => node.comfyClass === SOFT_PAG;
