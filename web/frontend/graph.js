/** The graph around a node: what feeds an input (through subgraphs and virtual nodes), execution ids, last outputs. */

import { inputIndex, widgetOf } from "./nodes.js";

/** The ids that stand for a subgraph's own inputs and outputs in its links. */
export const SUBGRAPH_INPUT = -10;
export const SUBGRAPH_OUTPUT = -20;

/**
 * @typedef {object} Source what feeds an input
 * @property {ComfyNode} node
 * @property {number} [slot] the output there
 * @property {number} [input] in place of `slot` where a subgraph's own input is not connected outside: that input
 */

/**
 * The link with an id; `links` is a Map in newer frontends, an object in older ones.
 * @param {ComfyGraph|null|undefined} graph
 * @param {number|null|undefined} id
 * @returns {ComfyLink|null}
 */
export function linkOf(graph, id) {
  if (id == null) return null;
  return graph?.getLink?.(id) ?? graph?.links?.get?.(id) ?? graph?.links?.[id] ?? null;
}

/**
 * Every graph of a workflow: the root, then the subgraph definitions.
 * @param {ComfyGraph} graph
 */
function graphsOf(graph) {
  const root = graph.rootGraph ?? graph;
  return [root, ...(root.subgraphs?.values?.() ?? [])];
}

/**
 * The nodes that stand for a subgraph, in any graph of its workflow.
 * @param {ComfyGraph} subgraph
 */
function instancesOf(subgraph) {
  return graphsOf(subgraph).flatMap((graph) => (graph._nodes ?? []).filter((node) => node.subgraph === subgraph));
}

/**
 * What feeds an input; null where nothing does.
 * @param {ComfyNode} node
 * @param {number} slot
 * @returns {Source|null}
 */
export function upstream(node, slot) {
  const wire = linkOf(node.graph, node.inputs?.[slot]?.link);
  // Get nodes of other packs bring a link from afar.
  const link = wire ?? (node.isVirtualNode && !node.subgraph ? node.getInputLink?.(slot) : null);
  return link && node.graph ? source(node.graph, link) : null;
}

/**
 * @param {ComfyGraph} graph
 * @param {ComfyLink} link
 * @returns {Source|null}
 */
function source(graph, link) {
  if (Number(link.origin_id) === SUBGRAPH_INPUT) {
    const outer = instancesOf(graph)[0];
    if (!outer) return null;
    return outer.inputs?.[link.origin_slot]?.link == null
      ? { node: outer, input: link.origin_slot }
      : upstream(outer, link.origin_slot);
  }
  const node = graph.getNodeById(link.origin_id);
  if (!node?.subgraph) return node ? { node, slot: link.origin_slot } : null;
  const inner = linkOf(node.subgraph, node.subgraph.outputs?.[link.origin_slot]?.linkIds?.[0]);
  return inner ? source(node.subgraph, inner) : null;
}

/**
 * A widget's text, or the text that a wire brings there; null where only a run can tell.
 * @param {ComfyNode} node
 * @param {string} name
 * @returns {string|null}
 */
export function textOf(node, name) {
  const slot = inputIndex(node, name);
  return node.inputs?.[slot]?.link != null ? textAt(node, slot) : String(widgetOf(node, name)?.value ?? "");
}

/**
 * The text that a wire brings to an input, where it can be told before a run: a primitive's or a promoted widget's.
 * @param {ComfyNode} node
 * @param {number} slot
 * @returns {string|null}
 */
function textAt(node, slot) {
  const from = upstream(node, slot);
  if (!from) return null;
  const widgets = from.node.widgets ?? [];
  const name = from.input === undefined ? null : from.node.inputs?.[from.input]?.name;
  const feeding = from.input === undefined
    ? widgets.filter((widget) => typeof widget.value === "string" && widget.name !== "control_after_generate")
    : widgets.filter((widget) => widget.name === name);
  return feeding.length === 1 && typeof feeding[0].value === "string" ? feeding[0].value : null;
}

/**
 * Ids of a node as the server names it: "7", or "3:7" for each place where its subgraph stands.
 * @param {ComfyNode} node
 * @returns {string[]}
 */
export function executionIds(node) {
  const graph = node.graph;
  if (!graph || !graph.rootGraph || graph.rootGraph === graph) return [String(node.id)];
  return instancesOf(graph).flatMap((outer) => executionIds(outer).map((id) => `${id}:${node.id}`));
}

/**
 * What the node's last run told its grid (`ui.headhunter`, see nodes/shown.py), null before a run.
 * @param {ComfyNode} node
 * @param {ComfyApp} app
 * @returns {{grid?: any, heads?: any, result?: any, study?: any}|null}
 */
export function shownBy(node, app) {
  const graph = node.graph;
  const inside = graph?.rootGraph && graph.rootGraph !== graph;
  return app.nodeOutputs?.[inside ? `${graph.id}:${node.id}` : String(node.id)]?.headhunter?.[0] ?? null;
}
