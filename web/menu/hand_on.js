/** A preset handed on: as a file, as a picture card, as text. */

import { reasonOf } from "../errors.js";
import { fileName, formatPreset } from "../presets.js";
import { pictureFor } from "../server/preset_pictures.js";
import { cardOf } from "./picture_card.js";

/**
 * @typedef {import("../presets.js").Preset} Preset
 * @typedef {import("./session.js").Session} Session
 */

const KEEP_URL_MS = 10_000; // for the browser to begin its download

/**
 * @param {Session} session
 * @param {Preset} preset
 * @param {string|null} file of a preset that has a picture; null where it has none
 * @returns {import("./panel.js").Item[]}
 */
export const handOn = (session, preset, file) => [
  { label: "Export as a file", choose: () => download(session, new Blob([formatPreset(preset)], { type: "application/json" }), fileName(preset.name)) },
  { label: "Export as a picture card", detail: "a PNG that carries the preset: drop it on a grid", choose: () => exportCard(session, preset, file) },
  { label: "Copy as text", choose: () => copyText(session, preset) },
];

/**
 * @param {Session} session
 * @param {Preset} preset
 * @param {string|null} file
 */
async function exportCard(session, preset, file) {
  try {
    const picture = file === null ? null : await pictureFor(session.context.api, file);
    download(session, await cardOf(preset, picture), fileName(preset.name).replace(/json$/, "png"));
  } catch (error) {
    session.tell("error", "No card was made", reasonOf(error));
  }
}

/**
 * @param {Session} session
 * @param {Preset} preset
 */
async function copyText(session, preset) {
  try {
    await navigator.clipboard.writeText(formatPreset(preset));
    session.tell("success", "Copied", `"${preset.name}" is in the clipboard`);
  } catch (error) {
    session.tell("error", "Not copied", `this page may not write to the clipboard: ${reasonOf(error)}`);
  }
}

/**
 * @param {Session} session
 * @param {Blob} blob
 * @param {string} name
 */
function download(session, blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.hidden = true;
  session.panel.element.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), KEEP_URL_MS);
}
