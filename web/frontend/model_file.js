/** The model file that feeds a node's MODEL input: through LoRAs, patches, reroutes and subgraphs, up to a loader. */

import { upstream } from "./graph.js";

/** @typedef {{name: string, folder: string, listed: boolean}} ModelFile  `folder`: "" where the widget's name does not tell it */

/** @type {Record<string, string>} */
const FOLDERS = { ckpt_name: "checkpoints", unet_name: "diffusion_models" };
const FILE = /\.(safetensors|sft|gguf|ckpt|pt|pth|bin)$/i;

/**
 * @param {ComfyNode} node
 * @param {Set<ComfyNode>} [seen]
 * @returns {ModelFile|null} null where there is none, or where only a run can tell
 */
export function modelFile(node, seen = new Set()) {
  if (seen.has(node)) return null;
  seen.add(node);
  const inputs = (node.inputs ?? []).map((input, slot) => ({ type: input.type, slot }));
  const models = inputs.filter(({ type }) => type === "MODEL");
  for (const { slot } of models.length ? models : inputs.filter(({ type }) => type === "*")) {
    const from = upstream(node, slot);
    if (from) return from.input === undefined ? fileOf(from.node) ?? modelFile(from.node, seen) : null;
  }
  return node.isVirtualNode && !inputs.length ? virtualFile(node, seen) : null;
}

/**
 * Get nodes of other packs have no inputs; they still answer for their first input.
 * @param {ComfyNode} node
 * @param {Set<ComfyNode>} seen
 */
function virtualFile(node, seen) {
  const from = upstream(node, 0);
  return from?.slot === undefined ? null : fileOf(from.node) ?? modelFile(from.node, seen);
}

/**
 * @param {ComfyNode} node
 * @returns {ModelFile|null}
 */
function fileOf(node) {
  const feeds = node.inputs?.some((input) => input.type === "MODEL");
  const files = feeds ? [] : (node.widgets ?? []).filter(({ value }) => typeof value === "string" && FILE.test(value));
  const widget = files.find(({ name }) => name in FOLDERS) ?? files.find(({ name }) => /model|unet|gguf/i.test(name)) ?? files[0];
  if (!widget) return null;
  const values = widget.options?.values;
  const gguf = /\.gguf$/i.test(widget.value);
  return {
    name: widget.value,
    folder: gguf ? "" : FOLDERS[widget.name] ?? "",
    listed: !Array.isArray(values) || values.includes(widget.value),
  };
}
