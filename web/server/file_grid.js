/**
 * The grid of a model file: the server reads the file's header.
 *
 * A file whose header does not tell (GGUF, .ckpt) is known once its model has run: the run's grid is kept in this browser
 * under the file's name, size and time of change.
 */

import { readGrid } from "../grid.js";
import { Memory } from "../memory.js";

/** @typedef {import("../frontend/model_file.js").ModelFile} ModelFile */
/** @typedef {{grid: import("../grid.js").Grid|null, error: string, key: string|null, wrong: boolean}} Answer  `key`: what the file is
 *   remembered by; `wrong`: no run will tell a grid, since the file is not there or of another kind of model */

const RETRY_MS = 15_000;

const remembered = new Memory("headhunter.grids", 200, readGrid);

/** @type {Map<string, {answer: Answer|undefined}>} */
const asked = new Map();

/**
 * The grid of a file; undefined until the server has answered.
 * @param {ComfyApi} api
 * @param {ModelFile} file
 * @returns {Answer|undefined}
 */
export function gridOf(api, file) {
  if (!file.listed) return { grid: null, error: `ComfyUI lists no file ${file.name}`, key: null, wrong: true };
  const place = `${file.folder}/${file.name}`;
  const { answer } = asked.get(place) ?? begin(api, file, place);
  return answer && !answer.grid && answer.key ? { ...answer, grid: remembered.get(answer.key) } : answer;
}

/**
 * @param {ComfyApi} api
 * @param {ModelFile} file
 * @param {string} place
 */
function begin(api, file, place) {
  /** @type {{answer: Answer|undefined}} */
  const entry = { answer: undefined };
  asked.set(place, entry);
  ask(api, file).then(
    (answer) => (entry.answer = answer),
    () => setTimeout(() => asked.delete(place), RETRY_MS),
  );
  return entry;
}

/**
 * @param {ComfyApi} api
 * @param {ModelFile} file
 * @returns {Promise<Answer>}
 */
async function ask(api, file) {
  const response = await api.fetchApi(`/headhunter/grid?${new URLSearchParams({ folder: file.folder, name: file.name })}`);
  const body = await response.json();
  if (!response.ok || !body.bytes) return { grid: null, error: String(body.error ?? response.status), key: null, wrong: response.status === 400 };
  return { grid: readGrid(body), error: String(body.error ?? ""), key: `${body.name}|${body.bytes}|${body.changed}`, wrong: body.wrong === true };
}

/**
 * Keeps the grid that a run told, for a file whose header does not tell it.
 * @param {Answer|undefined} answer of that file
 * @param {unknown} told
 */
export function remember(answer, told) {
  const grid = readGrid(told);
  if (grid && answer?.key && !answer.grid) remembered.set(answer.key, grid);
}
