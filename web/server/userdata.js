/** The user's own presets, in ComfyUI's userdata under headhunter/presets: files that anyone may have written. */

import { reasonOf } from "../errors.js";
import { PresetError, fileName, formatPreset, readPreset } from "../presets.js";

export const FOLDER = "headhunter/presets";
const MOST = 500;
const AT_ONCE = 6;

/**
 * @typedef {{file: string, preset: import("../presets.js").Preset|null, error: string, pictured: number|null}} Own  a preset file of the
 *   user's; `error` says why it cannot be read; `pictured`: when its picture was changed, null where it has none
 */

/**
 * All preset files, by name.
 * @param {ComfyApi} api
 * @returns {Promise<Own[]>}
 */
export async function listOwn(api) {
  const all = await files(api);
  const pictures = new Map(all.filter(({ path }) => /\.jpg$/i.test(path)).map(({ path, modified }) => [path, modified ?? 0]));
  const paths = all.map(({ path }) => path).filter(isPreset).sort((a, b) => a.localeCompare(b)).slice(0, MOST);
  /** @type {Own[]} */
  const presets = [];
  for (let index = 0; index < paths.length; index += AT_ONCE)
    presets.push(...(await Promise.all(paths.slice(index, index + AT_ONCE).map((file) => readOwn(api, file)))));
  for (const own of presets) own.pictured = pictures.get(own.file.replace(/\.json$/i, ".jpg")) ?? null;
  return presets;
}

/** @param {string} path */
const isPreset = (path) => /\.json$/i.test(path);

/**
 * The files there. A folder that is not there yet is not asked for: browsers complain of every 404.
 * @param {ComfyApi} api
 */
async function files(api) {
  const all = await api.fetchApi("/v2/userdata?path=");
  const known = all.ok ? await all.json() : null; // an older ComfyUI cannot tell
  if (Array.isArray(known) && !known.some((entry) => entry?.path === FOLDER)) return [];
  const list = await api.listUserDataFullInfo(FOLDER);
  return list.map(({ path, modified }) => ({ path: String(path), modified }));
}

/**
 * @param {ComfyApi} api
 * @param {string} file
 * @returns {Promise<Own>}
 */
async function readOwn(api, file) {
  try {
    const response = await api.getUserData(`${FOLDER}/${file}`);
    if (!response.ok) return { file, preset: null, error: `${file}: the server says ${response.status}`, pictured: null };
    return { file, preset: readPreset(file, await response.arrayBuffer()), error: "", pictured: null };
  } catch (error) {
    return { file, preset: null, error: reasonOf(error), pictured: null };
  }
}

/**
 * Whether there is a file of this name: one that is not there is not asked for, as browsers complain of every 404.
 * @param {ComfyApi} api
 * @param {string} file
 */
export const isThere = async (api, file) => (await files(api)).some(({ path }) => path === file);

/**
 * The file that a preset of this name has or would get, with what is in it now; null where it is free.
 * @param {ComfyApi} api
 * @param {string} name
 */
export async function taken(api, name) {
  const file = fileName(name);
  const there = (await files(api)).find(({ path }) => path.toLowerCase() === file.toLowerCase())?.path; // some disks ignore case
  return there === undefined ? null : readOwn(api, there);
}

/**
 * Writes a preset; a file of that name is replaced only where `replace` is true.
 * @param {ComfyApi} api
 * @param {import("../presets.js").Preset} preset
 * @param {boolean} replace
 * @returns {Promise<string>} the file
 */
export async function store(api, preset, replace) {
  const file = fileName(preset.name);
  const options = { overwrite: replace, stringify: false, throwOnError: false, full_info: false };
  const response = await api.storeUserData(`${FOLDER}/${file}`, formatPreset(preset), options);
  if (response.status === 409) throw new PresetError(`there is a preset file ${file} already`);
  if (!response.ok) throw new PresetError(`${file} could not be written: the server says ${response.status}`);
  return file;
}

/**
 * @param {ComfyApi} api
 * @param {string} file
 */
export async function remove(api, file) {
  const response = await api.deleteUserData(`${FOLDER}/${file}`);
  if (!response.ok && response.status !== 404) throw new PresetError(`${file} could not be deleted: the server says ${response.status}`);
}
