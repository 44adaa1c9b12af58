/** The graph around a node: what feeds an input (through subgraphs and virtual nodes), execution ids, last outputs. */

const SUBGRAPH_INPUT = -10;

/** The link with an id; `links` is a Map in newer frontends, an object in older ones. */
function linkOf(graph, id) {
  return graph?.getLink?.(id) ?? graph?.links?.get?.(id) ?? graph?.links?.[id] ?? null;
}

/** Every graph of a workflow: the root, then the subgraph definitions. */
function graphsOf(graph) {
  const root = graph.rootGraph ?? graph;
  return [root, ...(root.subgraphs?.values?.() ?? [])];
}

/** The nodes that stand for a subgraph, in any graph of its workflow. */
function instancesOf(subgraph) {
  return graphsOf(subgraph).flatMap((graph) => (graph._nodes ?? []).filter((node) => node.subgraph === subgraph));
}

/**
 * What feeds an input: the node and its output slot; or, where a subgraph's own input is not connected outside,
 * the subgraph node and `input`, the slot there. Null where nothing does.
 * @returns {{node: object, slot?: number, input?: number}|null}
 */
export function upstream(node, slot) {
  const wire = linkOf(node.graph, node.inputs?.[slot]?.link);
  // Get nodes of other packs bring a link from afar.
  const link = wire ?? (node.isVirtualNode && !node.subgraph ? node.getInputLink?.(slot) : null);
  return link ? source(node.graph, link) : null;
}

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

/** The index of an input by its name, -1 where there is none. */
export function inputIndex(node, name) {
  return node.inputs?.findIndex((input) => input.name === name || input.widget?.name === name) ?? -1;
}

/** The text that a wire brings to an input, where it can be told before a run: a primitive's or a promoted widget's. */
export function textAt(node, slot) {
  const from = upstream(node, slot);
  if (!from) return null;
  const widgets = from.node.widgets ?? [];
  const name = from.node.inputs?.[from.input]?.name;
  const found = from.input === undefined
    ? widgets.filter((widget) => typeof widget.value === "string" && widget.name !== "control_after_generate")
    : widgets.filter((widget) => widget.name === name);
  return found.length === 1 && typeof found[0].value === "string" ? found[0].value : null;
}

/** Ids of a node as the server names it: "7", or "3:7" for each place where its subgraph stands. */
export function executionIds(node) {
  const graph = node.graph;
  if (!graph || !graph.rootGraph || graph.rootGraph === graph) return [String(node.id)];
  return instancesOf(graph).flatMap((outer) => executionIds(outer).map((id) => `${id}:${node.id}`));
}

/** What the node's last run told its grid (`ui.headhunter`, see nodes/shown.py), null before a run. */
export function shownBy(node, app) {
  const graph = node.graph;
  const inside = graph?.rootGraph && graph.rootGraph !== graph;
  return app.nodeOutputs?.[inside ? `${graph.id}:${node.id}` : String(node.id)]?.headhunter?.[0] ?? null;
}
