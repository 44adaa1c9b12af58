/**
 * Hunts as seen from the page: live events, and each study's scores from the server. Widgets are never touched.
 *
 * An event names the last candidate alone, so the scores come from the study's own route, at most every 1.5 s while
 * events arrive. Which study belongs to which node survives a reload in this browser (localStorage); a study that is named
 * in the workflow needs not even that.
 */

import { parse } from "./heads.js";

const EVENT = "headhunter.progress";
const MEMORY = "headhunter.studies";
const MOST_REMEMBERED = 100;
const PAUSE_MS = 1500;

/** study -> {heat, progress, version, loading, loaded, took, again} */
const studies = new Map();
/** workflow and execution id -> study, of runs seen since the page was opened */
const running = new Map();
const scores = new Map();
let host = null;

/** Listens to the server; call once. `workflow()` gives the open workflow's id. */
export function listen(api, workflow) {
  host = { api, workflow };
  api.addEventListener(EVENT, ({ detail }) => onProgress(detail));
  for (const name of ["execution_success", "execution_error", "execution_interrupted"])
    api.addEventListener(name, onEnd);
}

function onProgress(progress) {
  const where = place(progress.node);
  if (running.get(where) !== progress.study) remember(where, progress.study);
  running.set(where, progress.study);
  const study = entry(progress.study);
  study.progress = progress;
  study.version++;
  load(progress.study);
}

function onEnd() {
  for (const [name, study] of studies) {
    if (!study.progress) continue;
    study.progress = null;
    study.version++;
    load(name, true);
  }
}

function entry(name) {
  if (!studies.has(name)) studies.set(name, { heat: null, progress: null, version: 0, loading: false, loaded: 0, took: 0 });
  return studies.get(name);
}

async function load(name, now = false) {
  const study = entry(name);
  const pause = Math.max(PAUSE_MS, 5 * study.took);
  if (study.loading) {
    study.again ||= now;
    return;
  }
  if (!now && performance.now() - study.loaded < pause) return;
  study.loading = true;
  const begun = performance.now();
  try {
    const response = await host.api.fetchApi(`/headhunter/studies/${encodeURIComponent(name)}/heat`);
    if (response.ok) study.heat = await response.json();
  } catch {
    // The server is gone for a moment: the next event asks again.
  }
  study.loaded = performance.now();
  study.took = study.loaded - begun;
  study.loading = false;
  study.version++;
  if (study.again) {
    study.again = false;
    load(name, true);
  }
}

/**
 * The study to show at a node, loaded when it is first asked for: that of its `study` widget, of the run seen last, of the
 * node's last output, or the one remembered for it. "" where there is none.
 */
export function studyOf(ids, shown, named) {
  const places = ids.map(place);
  const seen = places.map((where) => running.get(where)).find(Boolean);
  const name = named.trim() || seen || shown || places.map((where) => memory()[where]).find(Boolean) || "";
  if (name && !studies.has(name)) look(name);
  return name;
}

/** Loads a study that may not exist: it is looked up in the server's list, since a missing one is no error. */
async function look(name) {
  entry(name);
  try {
    const list = await (await host.api.fetchApi("/headhunter/studies")).json();
    if (list.some(({ id }) => id === name)) load(name, true);
  } catch {
    studies.delete(name);
  }
}

/** Changes whenever something new can be drawn for a study. */
export const versionOf = (name) => studies.get(name)?.version ?? 0;

/** The live progress of a study (DESIGN 5b), null while none is known to run. */
export const progressOf = (name) => studies.get(name)?.progress ?? null;

/**
 * What a study says about the cells of a grid; null where it says nothing.
 * @returns {{round: number, scores: Map<number, number>, previews: Map<number, number>, chosen: Map<number, number>,
 *   limit: number, baseline: number|null, scorers: string[]}|null} keys as in a HeadSet; `chosen`: the round each was chosen in;
 *   `limit`: the largest score there, up or down
 */
export function heatOn(name, grid) {
  const heat = studies.get(name)?.heat;
  if (!heat?.rounds?.length || (heat.grid && heat.grid.model !== grid.model)) return null;
  const found = { round: 0, scores: new Map(), previews: new Map(), chosen: new Map(), limit: 0,
    baseline: heat.baseline, scorers: heat.scorers };
  const last = heat.rounds.at(-1);
  found.round = last.round;
  for (const { round, chosen, heads } of heat.rounds) {
    const picked = new Set(chosen.flatMap((text) => keys(text, grid)));
    picked.forEach((key) => found.chosen.set(key, round));
    for (const [text, [score, , preview]] of Object.entries(heads)) {
      const where = keys(text, grid);
      for (const key of where) {
        if (preview !== null) found.previews.set(key, preview);
        if (score === null || where.length > 1 || (round !== last.round && !picked.has(key))) continue;
        found.scores.set(key, score);
        found.limit = Math.max(found.limit, Math.abs(score));
      }
    }
  }
  if (found.scores.size) scores.set(grid.model, found.scores);
  return found;
}

/** The last score seen for a cell in any study of the same model, for grids that show no heat themselves. */
export const lastScore = (grid, key) => scores.get(grid.model)?.get(key) ?? null;

/** The address of a preview picture. */
export function previewUrl(api, study, number) {
  return api.apiURL(`/headhunter/studies/${encodeURIComponent(study)}/preview/${number}`);
}

function keys(text, grid) {
  try {
    return [...parse(text, grid).keys()];
  } catch {
    return [];
  }
}

const place = (id) => `${host.workflow()}/${id}`;

function memory() {
  try {
    return JSON.parse(localStorage.getItem(MEMORY) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

function remember(where, study) {
  const entries = Object.entries({ ...memory(), [where]: study }).slice(-MOST_REMEMBERED);
  try {
    localStorage.setItem(MEMORY, JSON.stringify(Object.fromEntries(entries)));
  } catch {
    // Full or forbidden: the colours then come back with the next event.
  }
}
