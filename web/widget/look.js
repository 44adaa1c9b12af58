/**
 * What a node and the graph around it say, apart from the heads in its own text: which grid, whether the heads come from
 * elsewhere, which study. It takes a while to find out and seldom changes.
 */

import { executionIds, shownBy, textOf } from "../frontend/graph.js";
import { modelFile } from "../frontend/model_file.js";
import { isDriven, widgetOf } from "../frontend/nodes.js";
import { readGrid } from "../grid.js";
import { plainGrid, refusal } from "../fit.js";
import { presetAt, presetText } from "../node_preset.js";
import { gridOf } from "../server/file_grid.js";
import { studyOf, versionOf } from "../server/hunts.js";
import { models } from "../server/models.js";
import { shipped } from "../server/shipped.js";

/** The property that holds a model chosen by hand; a widget more would move every saved `widgets_values`. */
export const CHOICE = "headhunter_grid";

/**
 * @typedef {object} Kind which node it is
 * @property {string|null} field the text widget with the heads; null on a preset node
 * @property {boolean} [hunts] shows a study's scores
 * @property {boolean} [pool] the heads are those that a hunt tries
 *
 * @typedef {object} Look
 * @property {import("../grid.js").Grid|null} grid
 * @property {boolean} chosenByHand
 * @property {boolean} before the grid is the last one known: no model is connected now
 * @property {string} presets the model whose grid a preset node draws, since its own is not known; "" where it is
 * @property {import("../frontend/model_file.js").ModelFile|null} file
 * @property {string} refused why the file's grid is not known, in the server's words
 * @property {boolean} wrongFile no run will tell a grid: the file is not there, or of another kind of model
 * @property {boolean} waiting the server has not answered yet which grid it is
 * @property {import("../server/models.js").Model[]} models to choose from
 * @property {string|null} elsewhere the heads where they come by wire or from a preset; null where they are the node's own text
 * @property {string} misfit why the node's preset does not fit the grid
 * @property {string} result the last run's heads, "" where it gave none
 * @property {string} study
 * @property {number} version of the study's scores
 */

/** @type {Look} before anything is known */
export const UNSEEN = { grid: null, chosenByHand: false, before: false, presets: "", file: null, refused: "", wrongFile: false, waiting: true, models: [], elsewhere: null, misfit: "",
  result: "", study: "", version: 0 };

/**
 * @param {ComfyNode} node
 * @param {Kind} kind
 * @param {ComfyApp} app
 * @param {ComfyApi} api
 * @returns {Look}
 */
export function look(node, kind, app, api) {
  const ran = shownBy(node, app);
  const found = modelOf(node, ran?.grid, api);
  const model = kind.field === null && !found.grid && !found.waiting ? { ...found, ...ownGrid(node) } : { ...found, presets: "" };
  const preset = kind.field === null ? presetOf(node, model.grid, ran, api) : null;
  const named = String((kind.hunts && widgetOf(node, "study")?.value) || "");
  const study = kind.hunts ? studyOf(executionIds(node), ran?.study, named) : "";
  return {
    ...model,
    before: false,
    elsewhere: kind.field === null ? preset?.heads ?? "" : isDriven(node, kind.field) ? textOf(node, kind.field) ?? ran?.heads ?? "" : null,
    misfit: preset?.refused ?? "",
    result: typeof ran?.result === "string" ? ran.result : "",
    study,
    version: versionOf(study),
  };
}

/**
 * What is seen now; where the model was taken away, with the grid that was there before.
 * @param {Look} seen
 * @param {Look} before
 * @returns {Look}
 */
export function kept(seen, before) {
  const gone = !seen.grid && !seen.waiting && !seen.file;
  return gone && before.grid && !before.chosenByHand && !before.presets ? { ...seen, grid: before.grid, before: true } : seen;
}

/**
 * The grid of a preset node's own preset: the model's that it names, or a plain one of its size.
 * @param {ComfyNode} node
 * @returns {{grid: import("../grid.js").Grid|null, presets: string}}
 */
function ownGrid(node) {
  const preset = presetAt(node);
  if (!preset) return { grid: null, presets: "" };
  const known = models.now?.find(({ grid }) => grid.model === preset.model && !refusal(preset, grid))?.grid;
  return { grid: known ?? plainGrid(preset), presets: preset.model };
}

/**
 * The model's grid: its file's; else, where no file is in sight, the last run's; else the choice by hand.
 * @param {ComfyNode} node
 * @param {unknown} told by the last run
 * @param {ComfyApi} api
 */
function modelOf(node, told, api) {
  const file = modelFile(node);
  const answer = file ? gridOf(api, file) : null;
  const known = answer?.grid ?? (file ? null : readGrid(told));
  const choice = node.properties?.[CHOICE];
  if (!known) models.want(api);
  const chosen = known ? null : models.now?.find(({ grid }) => grid.model === choice)?.grid ?? null;
  const asking = answer === undefined || Boolean(choice && !models.now && !models.error);
  return {
    file,
    grid: known ?? chosen,
    chosenByHand: Boolean(chosen),
    refused: answer?.error ?? "",
    wrongFile: Boolean(answer?.wrong),
    waiting: !known && !chosen && asking,
    models: models.now ?? [],
  };
}

/**
 * The heads of a preset node. What its last run had counts only where the preset comes by wire: otherwise the node itself
 * says what is chosen.
 * @param {ComfyNode} node
 * @param {import("../grid.js").Grid|null} grid
 * @param {{heads?: any}|null} ran
 * @param {ComfyApi} api
 */
function presetOf(node, grid, ran, api) {
  shipped.want(api);
  const wired = isDriven(node, "preset") || isDriven(node, "preset_json");
  return presetText(node, grid) ?? { heads: wired ? String(ran?.heads ?? "") : "", refused: "" };
}
