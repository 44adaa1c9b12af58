/** Files dropped on a grid: presets and picture cards are imported, workflows and other pictures are ComfyUI's. */

import { loadMenu } from "./menu_loader.js";

/**
 * @param {File[]} files
 * @param {import("../menu/session.js").Context} context
 */
export async function drop(files, context) {
  const menu = await loadMenu();
  const own = await Promise.all(files.map(async (file) =>
    (/\.png$/i.test(file.name) ? Boolean(menu?.readCard(await file.arrayBuffer())) : !isWorkflow(await file.text()))));
  if (menu && own.every(Boolean)) return menu.importDropped(files, context);
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
