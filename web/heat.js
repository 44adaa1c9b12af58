/**
 * What a study's scores say about the cells of a grid, as colours and marks.
 *
 * @typedef {object} Heat  keys as in a HeadSet
 * @property {number} round the last round
 * @property {boolean} added the scores are against the set that each round began with; else against the unguided pictures
 * @property {boolean} both whether there are scores of either kind
 * @property {Map<number, number>} scores
 * @property {Map<number, number>} previews numbers of pictures
 * @property {Map<number, number>} chosen the round that each was chosen in
 * @property {number} limit the largest score, up or down
 * @property {number|null} baseline
 * @property {string[]} scorers
 */

import { keysOf } from "./heads.js";

/**
 * @param {any} study as the server gives its heat (headhunter/heat.py); null before that
 * @param {import("./grid.js").Grid} grid
 * @param {boolean} added what each head adds to the set before, where that is known
 * @returns {Heat|null} null where it says nothing about this grid
 */
export function readHeat(study, grid, added) {
  if (!study?.rounds?.length || (study.grid && study.grid.model !== grid.model)) return null;
  const last = study.rounds.at(-1).round;
  /** @type {Heat} */
  const heat = { round: last, added: false, both: false, scores: new Map(), previews: new Map(), chosen: new Map(), limit: 0,
    baseline: study.baseline, scorers: study.scorers };
  for (const { round, chosen, heads } of study.rounds) {
    const picked = new Set(chosen.flatMap((/** @type {string} */ text) => keysOf(text, grid)));
    picked.forEach((key) => heat.chosen.set(key, round));
    // Of a head that was tried at both signs the better one comes last, and so stays.
    const worst = (/** @type {any} */ [, [score]]) => score ?? -Infinity;
    const ordered = Object.entries(heads).sort((a, b) => (worst(a) < worst(b) ? -1 : Number(worst(a) > worst(b))));
    for (const [text, [against, , preview, more]] of ordered) {
      const keys = keysOf(text, grid);
      const adds = typeof more === "number";
      const score = added && adds ? more : against;
      if (adds && round === last) Object.assign(heat, { added, both: true });
      for (const key of keys) {
        if (preview !== null) heat.previews.set(key, preview);
        if (score === null || keys.length > 1 || (round !== last && !picked.has(key))) continue;
        heat.scores.set(key, score);
        heat.limit = Math.max(heat.limit, Math.abs(score));
      }
    }
  }
  return heat;
}
