/** The presets that ship with the pack, read from the server once for the page, when they are first wanted. */

import { parsePreset } from "./presets.js";

const RETRY_MS = 15_000;

/** @typedef {{id: string, preset: import("./presets.js").Preset}} Shipped  `id`: as the combo of Apply Head Preset names it */

let asked = null;
let found = null;

/**
 * @returns {Promise<Shipped[]>}
 * @throws {Error} where the server does not give them; it is asked again after a while
 */
export function loadShipped(api) {
  asked ??= ask(api).catch((error) => {
    setTimeout(() => (asked = null), RETRY_MS);
    throw error;
  });
  return asked;
}

/** What has been loaded; null before that. @returns {Shipped[]|null} */
export const shippedNow = () => found;

/** Loads them in the background, for what can do without. */
export const wantShipped = (api) => void loadShipped(api).catch(() => {});

async function ask(api) {
  const response = await api.fetchApi("/headhunter/presets");
  if (!response.ok) throw new Error(`the server says ${response.status}`);
  const list = await response.json();
  return (found = list.map(({ id, text }) => ({ id: String(id), preset: parsePreset(String(text)) })));
}
