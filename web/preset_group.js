/**
 * One group of a preset, read as strictly as headhunter/guidance.py checks it. Pure.
 *
 * @typedef {{heads: string, scale: number, strength: number, window: [number, number], rescale: number, tokens: string,
 *   perturbation: string, temperature: number, mix: string, end_scale: number, method: string, limit: number}} Group
 */

import { reasonOf } from "./errors.js";
import { parseItems } from "./heads.js";

const RANGES = { scale: [-20, 100], strength: [0, 1], rescale: [0, 1], temperature: [0.01, 100], end_scale: [0, 10], limit: [0, 100] };
/** @type {Record<string, string[]>} */
const CHOICES = {
  tokens: ["all", "image"], mix: ["add", "orthogonal", "apg", "frequency"],
  perturbation: ["identity", "uniform", "mean_query", "temperature", "self_and_text", "shuffle", "zero"],
  method: ["extra pass", "in attention"],
};
/** @type {Omit<Group, "heads">} */
export const DEFAULTS = {
  scale: 3, strength: 0.5, window: [0, 1], rescale: 0, tokens: "all", perturbation: "identity", temperature: 2, mix: "add", end_scale: 1,
  method: "extra pass", limit: 0,
};

/** A preset that cannot be read or used; names the field and what is allowed. */
export class PresetError extends Error {}

/**
 * @param {any} value
 * @param {string} where
 * @param {number} layers
 * @param {number} heads
 * @returns {Group}
 */
export function readGroup(value, where, layers, heads) {
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

/**
 * A group as it is written: without what says nothing, which older readers do not know.
 * @param {Partial<Group> & {heads: string}} group
 */
export function groupText(group) {
  const { temperature, end_scale, method, limit, ...rest } = { ...DEFAULTS, ...group };
  return {
    ...rest,
    ...(rest.perturbation === "temperature" && { temperature }),
    ...(end_scale !== DEFAULTS.end_scale && { end_scale }),
    ...(method !== DEFAULTS.method && { method }),
    ...(limit !== DEFAULTS.limit && method !== DEFAULTS.method && { limit }), // it belongs to in attention
  };
}

/** @param {any} value */
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
/** @param {any} value */
export const shown = (value) => {
  const text = value === undefined ? "missing" : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)} …` : text;
};
