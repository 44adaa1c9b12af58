/** JSON files dropped on a grid: presets are imported, workflows are ComfyUI's. */

import { loadMenu } from "./menu_loader.js";

/**
 * @param {File[]} files
 * @param {import("../menu/session.js").Context} context
 */
export async function drop(files, context) {
  const texts = await Promise.all(files.map((file) => file.text()));
  const menu = await loadMenu();
  if (menu && !texts.some(isWorkflow)) return menu.importDropped(files, context);
  for (const file of files) context.app.handleFile(file);
}

/**
 * Whether a JSON text is a workflow, which ComfyUI opens wherever it is dropped.
 * @param {string} text
 */
function isWorkflow(text) {
  try {
    const data = JSON.parse(text);
    return Array.isArray(data.nodes) || Object.values(data).some((node) => node?.class_type);
  } catch {
    return false;
  }
}
