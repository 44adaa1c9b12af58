/** Preset files of the user's machine: imported, dropped, exported. */

import { reasonOf } from "../errors.js";
import { PresetError, fileName, formatPreset, readPreset } from "../presets.js";
import { store, taken } from "../server/userdata.js";

/**
 * @typedef {import("../presets.js").Preset} Preset
 * @typedef {import("./session.js").Session} Session
 */

const KEEP_URL_MS = 10_000; // for the browser to begin its download

/**
 * Lets the user pick files, and keeps the presets in them.
 * @param {Session} session
 */
export function importFiles(session) {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", accept: ".json,application/json", multiple: true, hidden: true });
  session.panel.element.append(input);
  input.addEventListener("cancel", () => input.remove());
  input.addEventListener("change", async () => {
    const files = [...(input.files ?? [])];
    input.remove();
    const imported = await keepFiles(session, files);
    if (!imported) return;
    session.tell("success", "Imported", imported.said.join("\n"));
    if (session.panel.isOpen) session.home("import");
  });
  input.click();
}

/**
 * Keeps the presets of files among the user's own. Where a file cannot be read, none is kept, and the user is told why.
 * @param {Session} session
 * @param {File[]} files
 * @returns {Promise<{presets: Preset[], said: string[]}|null>} `said`: what became of each, in words
 */
export async function keepFiles(session, files) {
  try {
    const presets = [];
    for (const file of files) presets.push(readPreset(file.name, await file.arrayBuffer()));
    if (!presets.length) throw new PresetError("no file");
    const said = [];
    for (const preset of presets) said.push(await keep(session.context.api, preset));
    return { presets, said };
  } catch (error) {
    session.tell("error", "Not imported", reasonOf(error));
    return null;
  }
}

/**
 * Stores an imported preset among the user's own, never over another.
 * @param {ComfyApi} api
 * @param {Preset} preset
 * @returns {Promise<string>} what became of it, in words
 */
async function keep(api, preset) {
  try {
    const there = await taken(api, preset.name);
    if (!there) {
      await store(api, preset, false);
      return `"${preset.name}" is now among your presets`;
    }
    if (there.preset && JSON.stringify(there.preset.data) === JSON.stringify(preset.data)) return `"${preset.name}" was among your presets already`;
    return `"${preset.name}" is not kept: another preset of yours has the file ${there.file}`;
  } catch (error) {
    return `"${preset.name}" is not kept: ${reasonOf(error)}`;
  }
}

/**
 * @param {Session} session
 * @param {Preset} preset
 */
export function exportFile(session, preset) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([formatPreset(preset)], { type: "application/json" }));
  link.download = fileName(preset.name);
  link.hidden = true;
  session.panel.element.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_URL_MS);
}
