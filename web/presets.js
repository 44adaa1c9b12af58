/**
 * Preset text, read as strictly as headhunter/presets.py reads it, within the same limits. Pure; the table of cases in
 * tests/data/preset_cases.json drives both.
 *
 * @typedef {import("./preset_group.js").Group} Group
 * @typedef {{name: string, model: string, layers: number, heads: number, groups: Group[], checkpoint: string, style: string,
 *   source: string, note: string, study: object|null, data: any}} Preset  `data`: as it was read, unknown fields and all
 * @typedef {import("./grid.js").Grid} Grid
 */

import { reasonOf } from "./errors.js";
import { format, parse } from "./heads.js";
import { LimitError, checkValues, count, longer, strip } from "./limits.js";
import { DEFAULTS, PresetError, groupText, isObject, readGroup, shown } from "./preset_group.js";

export { PresetError };
export const FORMAT = "headhunter-preset/1";
const MAX_LENGTH = 2 ** 18;
const MAX_GROUPS = 64;
const MAX_HEAD_TEXT = 100_000; // characters, in all groups together
const MAX_FILE_NAME = 200; // bytes; most disks hold 255
const MAX_SIDE = 4096;
const TEXT_LIMITS = { name: 200, model: 100, checkpoint: 1000, style: 2000, source: 2000, note: 20000 };
const SOURCE = "HeadHunter for ComfyUI";

/**
 * A preset's JSON text.
 * @param {string} text
 * @returns {Preset}
 * @throws {PresetError} naming the field and what is allowed
 */
export function parsePreset(text) {
  if (longer(text, MAX_LENGTH)) throw new PresetError(`over ${MAX_LENGTH} characters, the most that is read`);
  let data;
  try {
    data = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw new PresetError(`not JSON: ${reasonOf(error)}`);
  }
  try {
    checkValues(data);
  } catch (error) {
    if (error instanceof LimitError) throw new PresetError(error.message);
    throw error;
  }
  if (!isObject(data)) throw new PresetError("not a preset: it should be a JSON object");
  if (data.format !== FORMAT) throw new PresetError(`format is ${shown(data.format)}; this version reads "${FORMAT}"`);
  const texts = /** @type {Record<keyof typeof TEXT_LIMITS, string>} */ (
    Object.fromEntries(Object.entries(TEXT_LIMITS).map(([name, limit]) => [name, readText(data, name, limit)])));
  for (const name of /** @type {const} */ (["name", "model"])) if (!strip(texts[name])) throw new PresetError(`${name} is missing or empty`);
  const { layers, heads } = readSize(data.grid);
  if (!Array.isArray(data.groups) || data.groups.length < 1 || data.groups.length > MAX_GROUPS)
    throw new PresetError(`groups should be a list of 1 to ${MAX_GROUPS} groups`);
  const total = data.groups.reduce(sizeOfHeads, 0);
  if (total > MAX_HEAD_TEXT)
    throw new PresetError(`its groups have ${total} characters of head text; at most ${MAX_HEAD_TEXT} are read`);
  const study = data.study ?? null;
  if (study !== null && !isObject(study)) throw new PresetError("study should be an object");
  const groups = data.groups.map((/** @type {any} */ group, /** @type {number} */ index) => readGroup(group, `groups[${index}]`, layers, heads));
  return { ...texts, layers, heads, groups, study, data };
}

/**
 * A preset file's bytes: UTF-8, at most 256 kB.
 * @param {string} name
 * @param {ArrayBuffer} bytes
 * @throws {PresetError} naming the file and the field
 */
export function readPreset(name, bytes) {
  if (bytes.byteLength > MAX_LENGTH) throw new PresetError(`${name}: over ${MAX_LENGTH} bytes, the most that is read`);
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new PresetError(`${name}: not UTF-8 text`);
  }
  try {
    return parsePreset(text);
  } catch (error) {
    throw new PresetError(`${name}: ${reasonOf(error)}`);
  }
}

/**
 * A preset's JSON text, with the fields that this version does not know as they were read.
 * @param {Preset} preset
 */
export function formatPreset(preset) {
  return JSON.stringify(preset.data, null, 2) + "\n";
}

/**
 * A preset of one group on a grid, its heads in canonical form.
 * @param {Partial<Group> & {heads: string}} group
 * @param {Grid} grid
 * @param {{name: string, style?: string, note?: string}} about
 * @throws {PresetError|import("./heads.js").HeadTextError} where it cannot be saved
 */
export function presetOf(group, grid, { name, style = "", note = "" }) {
  if (!strip(name)) throw new PresetError("a preset needs a name");
  const heads = format(parse(group.heads, grid), grid);
  if (!heads) throw new PresetError("there are no heads to save");
  return parsePreset(JSON.stringify({
    format: FORMAT,
    name: strip(name),
    model: grid.model,
    grid: { layers: grid.layers, heads: grid.heads },
    checkpoint: "",
    groups: [groupText({ ...group, heads })],
    style: strip(style),
    source: SOURCE,
    note,
  }));
}

/**
 * The same preset under another name.
 * @param {Preset} preset
 * @param {string} name
 */
export const renamed = (preset, name) => parsePreset(JSON.stringify({ ...preset.data, name: strip(name) }));

/**
 * Names of the groups' fields that this version does not know, at most 10, cut where they are long.
 * @param {Preset} preset
 * @returns {string[]}
 */
export function unknownFields(preset) {
  const names = preset.data.groups.flatMap((/** @type {object} */ group) =>
    Object.keys(group).filter((name) => name !== "heads" && !Object.hasOwn(DEFAULTS, name)).sort());
  return [...new Set(names.map((/** @type {string} */ name) => [...name].slice(0, 40).join("")))].slice(0, 10);
}

/**
 * A preset's file name, as headhunter/presets.py makes it.
 * @param {string} name
 * @throws {PresetError} where nothing is left of the name
 */
export function fileName(name) {
  const plain = [...name.replace(/[^\p{L}\p{N}_\-. ]+/gu, "_")];
  while (" ._".includes(plain.at(-1) ?? "x")) plain.pop();
  let stem = "", bytes = 0;
  for (const character of plain.slice(plain.findIndex((letter) => !" ._".includes(letter))).slice(0, 100)) {
    bytes += new TextEncoder().encode(character).length;
    if (bytes > MAX_FILE_NAME) break;
    stem += character;
  }
  if (!stem) throw new PresetError(`"${name.slice(0, 100)}" has no letters or digits to name a file by`);
  return (RESERVED.test(stem.split(".")[0]) ? `${stem}_` : stem) + ".json";
}

const RESERVED = /^(con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *$/i;

/**
 * @param {number} sum
 * @param {any} group
 */
const sizeOfHeads = (sum, group) => sum + (typeof group?.heads === "string" ? count(group.heads) : 0);

/**
 * @param {any} data
 * @param {string} name
 * @param {number} limit
 */
function readText(data, name, limit) {
  const value = data[name] === undefined ? "" : data[name];
  if (typeof value !== "string") throw new PresetError(`${name} should be text`);
  if (longer(value, limit)) throw new PresetError(`${name} has ${count(value)} characters; at most ${limit} are read`);
  return value;
}

/**
 * @param {any} value
 * @returns {{layers: number, heads: number}}
 */
function readSize(value) {
  const isSide = (/** @type {any} */ side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE;
  if (isObject(value) && isSide(value.layers) && isSide(value.heads)) return value;
  throw new PresetError(`grid should be {"layers": n, "heads": m}, each from 1 to ${MAX_SIDE}`);
}
