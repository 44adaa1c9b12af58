/** The newest picture that a node's run has made: of the nodes after it, the first that show one. */

import { linkOf } from "./graph.js";

const MOST_NODES = 500;

/**
 * @param {ComfyNode} node
 * @param {ComfyApp} app
 * @param {ComfyApi} api
 * @returns {string} its address; "" where there is none
 */
export function lastPicture(node, app, api) {
  const seen = new Set([node]);
  for (const each of seen) {
    if (seen.size > MOST_NODES) break;
    const image = picturesAt(each, app)?.at(-1);
    if (image && typeof image.filename === "string") {
      const { filename, subfolder = "", type = "output" } = image;
      return api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`);
    }
    for (const output of each.outputs ?? [])
      for (const id of output.links ?? []) {
        const link = linkOf(each.graph, id);
        const next = link && each.graph?.getNodeById(link.target_id);
        if (next) seen.add(next);
      }
  }
  return "";
}

/**
 * @param {ComfyNode} node
 * @param {ComfyApp} app
 * @returns {any[]|undefined}
 */
function picturesAt({ id, graph }, app) {
  const inside = graph?.rootGraph && graph.rootGraph !== graph;
  const images = app.nodeOutputs?.[inside ? `${graph.id}:${id}` : String(id)]?.images;
  return Array.isArray(images) ? images : undefined;
}
