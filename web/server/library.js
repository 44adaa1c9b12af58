/** The studies on disk with what each is about, for lists that people choose from. */

import { ask } from "./ask.js";

/**
 * @typedef {{heads: string, group: any}} Found  what a hunt has found: canonical head text, and its group's settings as they are in the report
 *
 * @typedef {object} About
 * @property {string} id
 * @property {number} changed in seconds
 * @property {string} kind hunt, atlas, comparison, or ""
 * @property {string} goal the scorers' names; "" where there are none
 * @property {{model: string, layers: number, heads: number}|null} grid
 * @property {number|null} gain
 * @property {number} rounds
 * @property {Found|null} found
 * @property {string[]} prompts
 * @property {number} images how many pictures of it can be shown
 * @property {string} error why it cannot be read; "" where it can
 */

/**
 * @param {ComfyApi} api
 * @returns {Promise<About[]>} newest first
 */
export async function library(api) {
  const list = await ask(api, "/headhunter/library");
  return Array.isArray(list) ? list.filter((study) => typeof study?.id === "string").map(read) : [];
}

/**
 * @param {any} study
 * @returns {About}
 */
function read({ id, changed, kind, goal, grid, gain, rounds, found, prompts, images, error }) {
  return {
    id,
    changed: Number(changed),
    kind: String(kind ?? ""),
    goal: (Array.isArray(goal) ? goal : []).join(" + "),
    grid: grid && typeof grid.model === "string" ? grid : null,
    gain: typeof gain === "number" ? gain : null,
    rounds: Number(rounds ?? 0),
    found: typeof found?.heads === "string" ? found : null,
    prompts: (Array.isArray(prompts) ? prompts : []).map(String),
    images: Number(images ?? 0),
    error: String(error ?? ""),
  };
}

/**
 * What to call a study: its goal, or its kind and name where it has none.
 * @param {About} study
 */
export const titleOf = ({ id, kind, goal }) => goal || (kind && kind !== "hunt" ? `${kind[0].toUpperCase()}${kind.slice(1)} ${id}` : id);

/**
 * A study's time for a list: `12 Nov, 14:03`.
 * @param {number} seconds
 */
export const dateOf = (seconds) =>
  new Date(seconds * 1000).toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

/**
 * `+0.125`, `−0.01`.
 * @param {number} value
 */
export const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Number(Math.abs(value).toPrecision(3));
