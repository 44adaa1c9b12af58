/**
 * Undo makes all nodes anew, but Nodes 2.0 keeps showing the elements of the old ones: a new node's element then takes the
 * place of its predecessor's.
 */

import { isNodes2 } from "../frontend/page.js";

/** @type {Map<HTMLElement, ComfyNode>} elements of removed nodes that are still in the page */
const left = new Map();

/**
 * @param {HTMLElement} root
 * @param {ComfyNode} node
 */
export const leave = (root, node) => void left.set(root, node);

/** @param {HTMLElement} root */
export const comeBack = (root) => void left.delete(root);

/**
 * Puts an element that is not in the page where that of a removed node with the same id is.
 * @param {HTMLElement} root
 * @param {ComfyNode} node
 * @param {ComfyApp} app
 */
export function takePlace(root, node, app) {
  if (node.graph !== app.canvas?.graph || node.graph?.getNodeById(node.id) !== node) return;
  for (const [old, { id }] of left) {
    if (!old.isConnected) left.delete(old);
    else if (isNodes2() && String(id) === String(node.id)) old.replaceWith(root);
  }
}
