/** The studies on disk, and the heads that each round of a hunt had reached. */

import { ask } from "./ask.js";

/** @typedef {{title: string, about: string, heads: string}} Round */

/**
 * @param {ComfyApi} api
 * @returns {Promise<{id: string, changed: number}[]>} newest first
 */
export async function listStudies(api) {
  const list = await ask(api, "/headhunter/studies");
  return Array.isArray(list) ? list.filter((study) => typeof study?.id === "string") : [];
}

/**
 * The heads that a hunt has chosen, round by round.
 * @param {ComfyApi} api
 * @param {string} id
 * @returns {Promise<{grid: {model: string, layers: number, heads: number}|null, settings: string, rounds: Round[]}>}
 *   no rounds where it is an atlas, or before the first one
 * @throws {Error} where the study cannot be read; says why
 */
export async function readRounds(api, id) {
  const study = await ask(api, `/headhunter/studies/${encodeURIComponent(id)}`);
  const report = isObject(study.report) ? study.report : {};
  const { grid, settings } = report;
  /** @type {Round[]} */
  const rounds = [];
  const heads = texts(report.start?.heads);
  for (const round of Array.isArray(report.rounds) ? report.rounds : []) {
    heads.push(...texts(round?.chosen));
    rounds.push({
      title: `Round ${Number(round?.round)}`,
      about: [`${heads.length} heads`, gain(round?.gain), round?.helped === false ? "did not help" : ""].filter(Boolean).join(" · "),
      heads: heads.join(", "),
    });
  }
  if (isObject(report.signed) && typeof report.signed.heads === "string")
    rounds.push({ title: "Signed strengths", about: gain(report.signed.gain), heads: report.signed.heads });
  const group = isObject(settings?.group) ? settings.group : {};
  const used = [["scale", group.scale], ["strength", group.strength]].filter(([, value]) => typeof value === "number");
  return {
    grid: isObject(grid) && typeof grid.model === "string" ? grid : null,
    settings: used.map(([name, value]) => `${name} ${value}`).join(", "),
    rounds,
  };
}

/** @param {any} measured */
function gain(measured) {
  const mean = measured?.mean;
  return typeof mean === "number" ? `gain ${mean > 0 ? "+" : ""}${Number(mean.toPrecision(3))}` : "";
}

/**
 * @param {any} list
 * @returns {string[]}
 */
const texts = (list) => (Array.isArray(list) ? list.filter((text) => typeof text === "string") : []);
/** @param {any} value */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
