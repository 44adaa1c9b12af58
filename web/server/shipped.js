/** The presets that ship with the pack. */

import { parsePreset } from "../presets.js";
import { Once, ask } from "./ask.js";

/** @typedef {{id: string, preset: import("../presets.js").Preset}} Shipped  `id`: as the combo of Apply Head Preset names it */

/** @type {Once<Shipped[]>} */
export const shipped = new Once(async (api) => {
  const list = await ask(api, "/headhunter/presets");
  return list.map((/** @type {any} */ { id, text }) => ({ id: String(id), preset: parsePreset(String(text)) }));
});
