/**
 * Preset text, read as strictly as headhunter/presets.py reads it, within the same limits. Pure; the table of cases in
 * tests/data/preset_cases.json drives both.
 *
 * @typedef {{heads: string, scale: number, strength: number, window: [number, number], rescale: number, tokens: string,
 *   perturbation: string, temperature: number, mix: string}} Group
 * @typedef {{name: string, model: string, layers: number, heads: number, groups: Group[], checkpoint: string, style: string,
 *   source: string, note: string, study: object|null, data: object}} Preset  `data`: as it was read, unknown fields and all
 */

import { format, parse } from "./heads.js";

export const FORMAT = "headhunter-preset/1";
const MAX_LENGTH = 2 ** 18;
const MAX_GROUPS = 64;
const MAX_HEAD_TEXT = 100_000; // characters, in all groups together
const MAX_DEPTH = 64;
const MAX_FILE_NAME = 200; // bytes; most disks hold 255
const MAX_SIDE = 4096;
const MOST_CELLS = 4_096;
const TEXT_LIMITS = { name: 200, model: 100, checkpoint: 1000, style: 2000, source: 2000, note: 20000 };
const RANGES = { scale: [-20, 100], strength: [0, 1], rescale: [0, 1], temperature: [0.01, 100] };
const CHOICES = {
  tokens: ["all", "image"],
  perturbation: ["identity", "uniform", "mean_query", "temperature"],
  mix: ["add", "orthogonal"],
};
const DEFAULTS = {
  scale: 3, strength: 0.5, window: [0, 1], rescale: 0, tokens: "all", perturbation: "identity", temperature: 2, mix: "add",
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
    throw new PresetError(`not JSON: ${error.message}`);
  }
  checkValues(data);
  if (!isObject(data)) throw new PresetError("not a preset: it should be a JSON object");
  if (data.format !== FORMAT) throw new PresetError(`format is ${shown(data.format)}; this version reads "${FORMAT}"`);
  const texts = Object.fromEntries(Object.entries(TEXT_LIMITS).map(([name, limit]) => [name, readText(data, name, limit)]));
  for (const name of ["name", "model"]) if (!strip(texts[name])) throw new PresetError(`${name} is missing or empty`);
  const { layers, heads } = readGrid(data.grid);
  if (!Array.isArray(data.groups) || data.groups.length < 1 || data.groups.length > MAX_GROUPS)
    throw new PresetError(`groups should be a list of 1 to ${MAX_GROUPS} groups`);
  const total = data.groups.reduce((sum, group) => sum + (typeof group?.heads === "string" ? count(group.heads) : 0), 0);
  if (total > MAX_HEAD_TEXT)
    throw new PresetError(`its groups have ${total} characters of head text; at most ${MAX_HEAD_TEXT} are read`);
  const study = data.study ?? null;
  if (study !== null && !isObject(study)) throw new PresetError("study should be an object");
  const groups = data.groups.map((group, index) => readGroup(group, `groups[${index}]`, layers, heads));
  return { ...texts, layers, heads, groups, study, data };
}

/**
 * A preset file's bytes: UTF-8, at most 256 kB.
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
    throw new PresetError(`${name}: ${error.message}`);
  }
}

/** A preset's JSON text, with the fields that this version does not know as they were read. */
export function formatPreset(preset) {
  return JSON.stringify(preset.data, null, 2) + "\n";
}

/**
 * A preset of one group on a grid, its heads in canonical form.
 * @param {Partial<Group>} group
 * @param {import("./heads.js").Grid} grid
 * @throws {PresetError|import("./heads.js").HeadTextError} where it cannot be saved
 */
export function presetOf(group, grid, { name, style = "", note = "" }) {
  if (!strip(name)) throw new PresetError("a preset needs a name");
  const heads = format(parse(group.heads, grid), grid);
  if (!heads) throw new PresetError("there are no heads to save");
  const { temperature, ...rest } = { ...DEFAULTS, ...group, heads };
  return parsePreset(JSON.stringify({
    format: FORMAT,
    name: strip(name),
    model: grid.model,
    grid: { layers: grid.layers, heads: grid.heads },
    checkpoint: "",
    groups: [rest.perturbation === "temperature" ? { ...rest, temperature } : rest],
    style: strip(style),
    source: SOURCE,
    note,
  }));
}

/** The same preset under another name. */
export const renamed = (preset, name) => parsePreset(JSON.stringify({ ...preset.data, name: strip(name) }));

/** Why a preset cannot be used on a grid; "" where it can, or where the grid is not known. */
export function refusal(preset, grid) {
  if (!grid || (preset.layers === grid.layers && preset.heads === grid.heads)) return "";
  return `for ${preset.model} (${preset.layers} layers x ${preset.heads} heads); `
    + `this model is ${grid.model} (${grid.layers} layers x ${grid.heads} heads)`;
}

/** What to say of a preset on a grid of its size but of another model, and of fields that are not known; "" for nothing. */
export function warning(preset, grid) {
  const said = [];
  if (grid && preset.model !== grid.model)
    said.push(`made for ${preset.model}; on ${grid.model} its heads may mean something else`);
  const names = unknown(preset);
  if (names.length)
    said.push(`it has what this version does not know and leaves out (${names.join(", ")}): the picture may be another one`);
  return said.join("; ");
}

/** Names of the groups' fields that this version does not know, at most 10, cut where they are long. */
export function unknown(preset) {
  const names = preset.data.groups.flatMap((group) =>
    Object.keys(group).filter((name) => name !== "heads" && !Object.hasOwn(DEFAULTS, name)).sort());
  return [...new Set(names.map((name) => [...name].slice(0, 40).join("")))].slice(0, 10);
}

/**
 * The heads of all groups as one text, in canonical form on `grid` (or, where that is not known, on the preset's own). A head
 * that two groups give different strengths has none of its own.
 * @throws {import("./heads.js").HeadTextError} where a group does not fit the grid
 */
export function unionText(preset, grid) {
  const size = preset.layers * preset.heads;
  const own = size <= MOST_CELLS ? { ...preset, kinds: Array(preset.layers).fill("joint") } : null;
  if (!grid && (!own || preset.groups.length === 1)) return preset.groups.map(({ heads }) => heads).join(", ");
  const every = new Map();
  for (const { heads } of preset.groups)
    for (const [head, strength] of parse(heads, grid ?? own))
      every.set(head, (every.has(head) ? every.get(head) : strength) === strength ? strength : null);
  return format(every, grid ?? own);
}

/**
 * A preset's file name, as headhunter/presets.py makes it.
 * @throws {PresetError} where nothing is left of the name
 */
export function fileName(name) {
  const plain = [...name.replace(/[^\p{L}\p{N}_\-. ]+/gu, "_")];
  while (" ._".includes(plain.at(-1) ?? "x")) plain.pop();
  let stem = "", bytes = 0;
  for (const character of plain.slice(plain.findIndex((one) => !" ._".includes(one))).slice(0, 100)) {
    bytes += new TextEncoder().encode(character).length;
    if (bytes > MAX_FILE_NAME) break;
    stem += character;
  }
  if (!stem) throw new PresetError(`"${name.slice(0, 100)}" has no letters or digits to name a file by`);
  return (RESERVED.test(stem.split(".")[0]) ? `${stem}_` : stem) + ".json";
}

const RESERVED = /^(con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3]) *$/i;

/** Limits of JSON that hold in either language: its depth, its numbers, characters that a file can hold. */
function checkValues(data) {
  let level = [data];
  for (let depth = 0; level.length; depth++) {
    if (depth > MAX_DEPTH) throw new PresetError(`nested deeper than ${MAX_DEPTH} levels, the most that is read`);
    const next = [];
    for (const value of level) {
      if (typeof value === "number") checkNumber(value);
      else if (typeof value === "string") checkCharacters(value);
      else if (Array.isArray(value)) for (const item of value) next.push(item);
      else if (value !== null && typeof value === "object")
        for (const name of Object.keys(value)) {
          checkCharacters(name);
          next.push(value[name]);
        }
    }
    level = next;
  }
}

function checkNumber(value) {
  if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return;
  throw new PresetError(`${value} is a larger number than every reader keeps; at most ${Number.MAX_SAFE_INTEGER} is read`);
}

function checkCharacters(text) {
  const half = /\p{Cs}/u.exec(text);
  if (half) throw new PresetError(`it has half a character (\\u${half[0].charCodeAt(0).toString(16)}), which no file can hold`);
}

/** Without white space at its ends, as either language sees it. */
export function strip(text) {
  let start = 0, end = text.length;
  while (start < end && WHITE.test(text[start])) start++;
  while (end > start && WHITE.test(text[end - 1])) end--;
  return text.slice(start, end);
}
const WHITE = /[\s\x1c-\x1f\x85]/;

function readText(data, name, limit) {
  const value = data[name] === undefined ? "" : data[name];
  if (typeof value !== "string") throw new PresetError(`${name} should be text`);
  if (longer(value, limit)) throw new PresetError(`${name} has ${count(value)} characters; at most ${limit} are read`);
  return value;
}

function readGrid(value) {
  const isSide = (side) => Number.isInteger(side) && side >= 1 && side <= MAX_SIDE;
  if (isObject(value) && isSide(value.layers) && isSide(value.heads)) return value;
  throw new PresetError(`grid should be {"layers": n, "heads": m}, each from 1 to ${MAX_SIDE}`);
}

function readGroup(value, where, layers, heads) {
  if (!isObject(value)) throw new PresetError(`${where} should be an object`);
  if (value.heads === undefined) throw new PresetError(`${where}.heads is missing`);
  const group = { heads: value.heads };
  for (const name of Object.keys(DEFAULTS)) group[name] = value[name] === undefined ? DEFAULTS[name] : value[name];
  const { window } = group;
  if (!Array.isArray(window)) throw new PresetError(`${where}.window should be a list of a start and an end from 0 to 1`);
  for (const [name, [low, high]] of Object.entries(RANGES))
    if (typeof group[name] !== "number" || !(group[name] >= low && group[name] <= high))
      throw new PresetError(`${where}: ${name} is ${shown(group[name])}; it must be a number from ${low} to ${high}`);
  for (const [name, allowed] of Object.entries(CHOICES))
    if (!allowed.includes(group[name]))
      throw new PresetError(`${where}: ${name} is ${shown(group[name])}; it must be one of ${allowed.join(", ")}`);
  if (typeof group.heads !== "string")
    throw new PresetError(`${where}: heads is ${shown(group.heads)}; it must be head text, such as L11H15`);
  const [start, end] = window;
  if (window.length !== 2 || typeof start !== "number" || typeof end !== "number" || !(0 <= start && start <= end && end <= 1))
    throw new PresetError(`${where}: the window is ${shown(window)}; it must be a start and an end from 0 to 1, the start first`);
  try {
    checkBounds(group.heads, layers, heads);
  } catch (error) {
    throw new PresetError(`${where}.heads: ${error.message}`);
  }
  return group;
}

/** Every item must be one, and lie inside the preset's grid; which layers are double or single the model alone knows. */
function checkBounds(text, layers, heads) {
  // `parse` reads every item before it asks for the grid: what stops there is an item, and its bounds are looked at here.
  const items = [];
  const grid = { get layers() { throw items; }, get heads() { throw items; }, get kinds() { throw items; } };
  try {
    parse(text, grid);
  } catch (error) {
    if (error !== items) throw error;
  }
  text.split(/\r\n|\r|\n/).forEach((line, index) => {
    for (const match of line.split("#", 1)[0].matchAll(WORD)) {
      const [, first, last, head, headEnd] = BOUNDS.exec(match[0]) ?? [];
      const outside = (has) => { // its column is counted where it is wanted alone: counting takes as long as the line
        const column = count(line.slice(0, match.index)) + 1;
        return new PresetError(`"${match[0]}" (line ${index + 1}, column ${column}): the preset's grid has ${has}`);
      };
      if (Number(last ?? first ?? 0) >= layers) throw outside(`layers 0 to ${layers - 1}`);
      if (Number(headEnd ?? head ?? 0) >= heads) throw outside(`heads 0 to ${heads - 1}`);
    }
  });
}

const WORD = /(?:[^\s\x1c-\x1f\x85,]|\ufeff)+/gu;
const BOUNDS = /^[LDS]([0-9]+)(?:-([0-9]+))?(?:H(?:\*|([0-9]+)(?:-([0-9]+))?))?/i;

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** In characters, as Python counts them. */
const count = (text) => [...text].length;
const longer = (text, limit) => text.length > limit && count(text) > limit;
const shown = (value) => {
  const text = value === undefined ? "missing" : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)} …` : text;
};
