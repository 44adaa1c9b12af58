/** Preset files and picture cards of the user's machine: imported and dropped. */

import { reasonOf } from "../errors.js";
import { PresetError, readPreset } from "../presets.js";
import { storePicture } from "../server/preset_pictures.js";
import { store, taken } from "../server/userdata.js";
import { pictureOn, readCard } from "./picture_card.js";

/**
 * @typedef {import("../presets.js").Preset} Preset
 * @typedef {import("./session.js").Session} Session
 */

/**
 * Lets the user pick files, and keeps the presets in them.
 * @param {Session} session
 */
export function importFiles(session) {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", accept: ".json,.png,application/json,image/png", multiple: true, hidden: true });
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
    const read = [];
    for (const file of files) read.push(await readFile(file));
    if (!read.length) throw new PresetError("no file");
    const said = [];
    for (const { preset, picture } of read) said.push(await keep(session.context.api, preset, picture));
    return { presets: read.map(({ preset }) => preset), said };
  } catch (error) {
    session.tell("error", "Not imported", reasonOf(error));
    return null;
  }
}

/**
 * A preset file, or a picture card with one in it.
 * @param {File} file
 * @returns {Promise<{preset: Preset, picture: Blob|null}>}
 */
async function readFile(file) {
  const bytes = await file.arrayBuffer();
  if (!/\.png$/i.test(file.name)) return { preset: readPreset(file.name, bytes), picture: null };
  const card = readCard(bytes);
  if (!card) throw new PresetError(`${file.name}: no preset is in this picture`);
  const text = new TextEncoder().encode(card.text);
  return { preset: readPreset(file.name, text.buffer), picture: await pictureOn(file, bytes) };
}

/**
 * Stores an imported preset among the user's own, never over another.
 * @param {ComfyApi} api
 * @param {Preset} preset
 * @param {Blob|null} picture
 * @returns {Promise<string>} what became of it, in words
 */
async function keep(api, preset, picture) {
  try {
    const there = await taken(api, preset.name);
    if (!there) {
      const file = await store(api, preset, false);
      if (picture) await storePicture(api, file, picture);
      return `"${preset.name}" is now among your presets`;
    }
    if (there.preset && JSON.stringify(there.preset.data) === JSON.stringify(preset.data)) return `"${preset.name}" was among your presets already`;
    return `"${preset.name}" is not kept: another preset of yours has the file ${there.file}`;
  } catch (error) {
    return `"${preset.name}" is not kept: ${reasonOf(error)}`;
  }
}
