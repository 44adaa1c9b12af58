/**
 * Preset text, read as strictly as headhunter/presets.py reads it, within the same limits. Pure; the table of cases in
 * tests/data/preset_cases.json drives both.
 *
 * @typedef {{heads: string, scale: number, strength: number, window: [number, number], rescale: number, tokens: string,
 *   perturbation: string, temperature: number, mix: string, end_scale: number, method: string, limit: number}} Group
 * @typedef {{name: string, model: string, layers: number, heads: number, groups: Group[], checkpoint: string, style: string,
 *   source: string, note: string, study: object|null, data: any}} Preset  `data`: as it was read, unknown fields and all
 * @typedef {import("./grid.js").Grid} Grid
 */

import { reasonOf } from "./errors.js";
import { format, parse, parseItems } from "./heads.js";
import { LimitError, checkValues, count, longer, strip } from "./limits.js";

export const FORMAT = "headhunter-preset/1";
const MAX_LENGTH = 2 ** 18;
const MAX_GROUPS = 64;
const MAX_HEAD_TEXT = 100_000; // characters, in all groups together
const MAX_FILE_NAME = 200; // bytes; most disks hold 255
const MAX_SIDE = 4096;
const TEXT_LIMITS = { name: 200, model: 100, checkpoint: 1000, style: 2000, source: 2000, note: 20000 };
const RANGES = { scale: [-20, 100], strength: [0, 1], rescale: [0, 1], temperature: [0.01, 100], end_scale: [0, 10], limit: [0, 100] };
/** @type {Record<string, string[]>} */
const CHOICES = {
  tokens: ["all", "image"], mix: ["add", "orthogonal", "apg", "frequency"],
  perturbation: ["identity", "uniform", "mean_query", "temperature", "self_and_text", "shuffle", "zero"],
  method: ["extra pass", "in attention"],
};
/** @type {Omit<Group, "heads">} */
const DEFAULTS = {
  scale: 3, strength: 0.5, window: [0, 1], rescale: 0, tokens: "all", perturbation: "identity", temperature: 2, mix: "add", end_scale: 1,
  method: "extra pass", limit: 0,
};
const SOURCE = "HeadHunter for ComfyUI";

/** A preset that cannot be read or used; names the field and what is allowed. */
export class PresetError extends Error {}

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
  const { temperature, end_scale, method, limit, ...rest } = { ...DEFAULTS, ...group, heads };
  const telling = {
    ...(rest.perturbation === "temperature" && { temperature }), ...(end_scale !== 1 && { end_scale }),
    ...(method !== DEFAULTS.method && { method }), ...(limit && { limit }),
  };
  return parsePreset(JSON.stringify({
    format: FORMAT,
    name: strip(name),
    model: grid.model,
    grid: { layers: grid.layers, heads: grid.heads },
    checkpoint: "",
    groups: [{ ...rest, ...telling }],
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

/**
 * @param {any} value
 * @param {string} where
 * @param {number} layers
 * @param {number} heads
 * @returns {Group}
 */
function readGroup(value, where, layers, heads) {
  if (!isObject(value)) throw new PresetError(`${where} should be an object`);
  if (value.heads === undefined) throw new PresetError(`${where}.heads is missing`);
  /** @type {any} */
  const group = { heads: value.heads };
  for (const [name, usual] of Object.entries(DEFAULTS)) group[name] = value[name] === undefined ? usual : value[name];
  const { window } = group;
  if (!Array.isArray(window)) throw new PresetError(`${where}.window should be a list of a start and an end from 0 to 1`);
  for (const [name, [low, high]] of Object.entries(RANGES))
    if (typeof group[name] !== "number" || !(group[name] >= low && group[name] <= high))
      throw new PresetError(`${where}: ${name} is ${shown(group[name])}; it must be a number from ${low} to ${high}`);
  for (const [name, allowed] of Object.entries(CHOICES))
    if (!allowed.includes(group[name]))
      throw new PresetError(`${where}: ${name} is ${shown(group[name])}; it must be one of ${allowed.join(", ")}`);
  for (const [name, alone] of Object.entries({ rescale: 0, mix: "add" }))
    if (group.method === "in attention" && group[name] !== alone)
      throw new PresetError(`${where}: ${name} belongs to the method extra pass; with in attention set it to ${alone}`);
  if (typeof group.heads !== "string")
    throw new PresetError(`${where}: heads is ${shown(group.heads)}; it must be head text, such as L11H15`);
  const [start, end] = window;
  if (window.length !== 2 || typeof start !== "number" || typeof end !== "number" || !(0 <= start && start <= end && end <= 1))
    throw new PresetError(`${where}: the window is ${shown(window)}; it must be a start and an end from 0 to 1, the start first`);
  try {
    checkBounds(group.heads, layers, heads);
  } catch (error) {
    throw new PresetError(`${where}.heads: ${reasonOf(error)}`);
  }
  return group;
}

/**
 * Every item must lie inside the preset's grid; which layers a letter numbers the model alone knows.
 * @param {string} text
 * @param {number} layers
 * @param {number} heads
 */
function checkBounds(text, layers, heads) {
  for (const item of parseItems(text)) {
    if (item.letter && item.layers[1] >= layers) throw item.error(`the preset's grid has layers 0 to ${layers - 1}`);
    if (item.heads && item.heads[1] >= heads) throw item.error(`the preset's grid has heads 0 to ${heads - 1}`);
  }
}

/** @param {any} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** @param {any} value */
const shown = (value) => {
  const text = value === undefined ? "missing" : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)} …` : text;
};
