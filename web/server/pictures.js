/** The pictures of a study by head, and the sheet of all of them on one prompt; loaded when somebody first looks. */

import { keysOf } from "../heads.js";
import { ask } from "./ask.js";

/**
 * @typedef {object} HeadPictures what a study has of one head
 * @property {string} set all the heads of its pictures, as text
 * @property {number|null} score against the unguided pictures
 * @property {number} tile its place on the sheet
 * @property {Map<number, number>} pictures pair -> number
 *
 * @typedef {object} Pictures
 * @property {string} id the study's
 * @property {string} goal
 * @property {string[]} prompts
 * @property {Map<number, number>} unguided pair -> number
 * @property {Map<number, HeadPictures>} heads by `layer * grid.heads + head`
 * @property {number} tile pixels
 * @property {number} columns
 *
 * @typedef {{data: any, version: number, sheets: Map<number, HTMLImageElement>, loading: boolean, asked: number, read: Pictures|null, grid: object|null}} Entry
 */

const PAUSE_MS = 2_000;

/** @type {Map<string, Entry>} */
const studies = new Map();
/** grows whenever something new can be drawn */
export const drawn = { version: 0 };

/**
 * What a study shows of a grid; null before it is loaded, or where it is of another model.
 * @param {ComfyApi} api
 * @param {string} id
 * @param {import("../grid.js").Grid} grid
 * @param {number} [version] of the study: another one is loaded anew
 * @returns {Pictures|null}
 */
export function picturesOf(api, id, grid, version = 0) {
  const entry = studies.get(id)
    ?? { data: null, version: -1, sheets: new Map(), loading: false, asked: -PAUSE_MS, read: null, grid: null };
  studies.set(id, entry);
  if (entry.version !== version && !entry.loading && performance.now() - entry.asked > PAUSE_MS) load(api, id, entry, version);
  if (!entry.data) return null;
  if (!entry.read || entry.grid !== grid) Object.assign(entry, { read: read(entry.data, grid), grid });
  return entry.read;
}

/**
 * @param {ComfyApi} api
 * @param {string} id
 * @param {Entry} entry
 * @param {number} version
 */
async function load(api, id, entry, version) {
  Object.assign(entry, { loading: true, asked: performance.now() });
  try {
    entry.data = await ask(api, `/headhunter/studies/${encodeURIComponent(id)}/pictures`);
    Object.assign(entry, { version, read: null });
    entry.sheets.clear();
    drawn.version++;
  } catch {
    // asked again after a pause
  }
  entry.loading = false;
}

/**
 * @param {any} data
 * @param {import("../grid.js").Grid} grid
 * @returns {Pictures|null}
 */
function read(data, grid) {
  if (data.grid && (data.grid.model !== grid.model || data.grid.layers !== grid.layers || data.grid.heads !== grid.heads)) return null;
  /** @type {Map<number, HeadPictures>} */
  const heads = new Map();
  const numbers = (/** @type {object} */ pairs) => new Map(Object.entries(pairs).map(([pair, number]) => [Number(pair), Number(number)]));
  data.heads.forEach((/** @type {any} */ { head, set, score, pictures }, /** @type {number} */ tile) => {
    for (const key of keysOf(head, grid)) heads.set(key, { set, score, tile, pictures: numbers(pictures) });
  });
  const { id, goal, prompts, unguided, tile, columns } = data;
  return { id, goal: goal.join(" + "), prompts, unguided: numbers(unguided), heads, tile, columns };
}

/**
 * The sheet of all heads on a pair; null until it has arrived.
 * @param {ComfyApi} api
 * @param {Pictures} pictures
 * @param {number} pair
 * @returns {HTMLImageElement|null}
 */
export function sheetOf(api, { id }, pair) {
  const sheets = studies.get(id)?.sheets;
  if (!sheets) return null;
  let image = sheets.get(pair);
  if (!image) {
    image = new Image();
    image.addEventListener("load", () => drawn.version++);
    image.src = api.apiURL(`/headhunter/studies/${encodeURIComponent(id)}/sheet/${pair}?${studies.get(id)?.version}`);
    sheets.set(pair, image);
  }
  return image.complete && image.naturalWidth ? image : null;
}
