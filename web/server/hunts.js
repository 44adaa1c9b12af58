/**
 * Hunts as seen from the page: live events, and each study's scores from the server. Widgets are never touched.
 *
 * An event names the last candidate alone, so the scores come from the study's own route, at most every 1.5 s while
 * events arrive. Which study belongs to which node survives a reload in this browser's memory; a study that is named in
 * the workflow does not need it.
 */

import { readHeat } from "../heat.js";
import { Memory } from "../memory.js";
import { listStudies } from "./studies.js";

/**
 * @typedef {object} Progress of a running hunt, as its event tells it
 * @property {string} node
 * @property {string} study
 * @property {number} round 0 while the unguided pictures are made
 * @property {number} rounds
 * @property {string} candidate head text
 * @property {number} done pictures
 * @property {number} total
 * @property {number|null} seconds_left
 *
 * @typedef {object} Study what the page holds of a study
 * @property {any} heat as the server gave it last
 * @property {Progress|null} progress null while it is not known to run
 * @property {number} version grows whenever something new can be drawn
 * @property {boolean} loading
 * @property {number} loaded when it was loaded last, in milliseconds of the page
 * @property {number} took how long that took
 * @property {boolean} again load once more when this loading is done
 */

const EVENT = "headhunter.progress";
const PAUSE_MS = 1500;

/** @type {Map<string, Study>} */
const studies = new Map();
/** @type {Map<string, string>} workflow and execution id -> study, of runs seen since the page was opened */
const running = new Map();
/** @type {{api: ComfyApi, workflow: () => string}|null} */
let host = null;

const remembered = new Memory("headhunter.studies", 100, (data) => (typeof data === "string" ? data : null));

/**
 * Listens to the server; call once.
 * @param {ComfyApi} api
 * @param {() => string} workflow gives the open workflow's id
 */
export function listen(api, workflow) {
  host = { api, workflow };
  api.addEventListener(EVENT, ({ detail }) => onProgress(detail));
  for (const name of ["execution_success", "execution_error", "execution_interrupted"])
    api.addEventListener(name, onEnd);
}

/** @param {Progress} progress */
function onProgress(progress) {
  const where = place(progress.node);
  if (running.get(where) !== progress.study) remembered.set(where, progress.study);
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

/**
 * @param {string} name
 * @returns {Study}
 */
function entry(name) {
  const study = studies.get(name)
    ?? { heat: null, progress: null, version: 0, loading: false, loaded: 0, took: 0, again: false };
  studies.set(name, study);
  return study;
}

/**
 * Loads a study's scores, unless they were loaded a moment ago.
 * @param {string} name
 * @param {boolean} [now] however short the pause
 */
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
    const response = await host?.api.fetchApi(`/headhunter/studies/${encodeURIComponent(name)}/heat`);
    if (response?.ok) study.heat = await response.json();
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
 * node's last output, or the study remembered for it; "" where there is none.
 * @param {string[]} ids the node's, as the server names it
 * @param {string|undefined} shown of the last output
 * @param {string} named in the widget
 */
export function studyOf(ids, shown, named) {
  const places = ids.map(place);
  const seen = places.map((where) => running.get(where)).find(Boolean);
  const name = named.trim() || seen || shown || places.map((where) => remembered.get(where)).find(Boolean) || "";
  if (name && !studies.has(name)) look(name);
  return name;
}

/**
 * Loads a study that may not exist: it is looked up in the server's list, since browsers complain of every 404.
 * @param {string} name
 */
async function look(name) {
  entry(name);
  try {
    const list = host ? await listStudies(host.api) : [];
    if (list.some(({ id }) => id === name)) load(name, true);
  } catch {
    studies.delete(name);
  }
}

/**
 * Changes whenever something new can be drawn for a study.
 * @param {string} name
 */
export const versionOf = (name) => studies.get(name)?.version ?? 0;

/**
 * The live progress of a study; null while it is not known to run.
 * @param {string} name
 */
export const progressOf = (name) => studies.get(name)?.progress ?? null;

/**
 * What a study says about the cells of a grid; null where it says nothing.
 * @param {string} name
 * @param {import("../grid.js").Grid} grid
 * @param {boolean} [added] as in `readHeat`
 */
export const heatOn = (name, grid, added = false) => readHeat(studies.get(name)?.heat, grid, added);

/**
 * What a hunt has found so far; null where it has nothing yet.
 * @param {string} name
 * @returns {import("./library.js").Found|null}
 */
export const foundIn = (name) => studies.get(name)?.heat?.found ?? null;

/**
 * The address of a preview picture.
 * @param {ComfyApi} api
 * @param {string} study
 * @param {number} number
 */
export function previewUrl(api, study, number) {
  return api.apiURL(`/headhunter/studies/${encodeURIComponent(study)}/preview/${number}`);
}

/** @param {string} id */
const place = (id) => `${host?.workflow()}/${id}`;
