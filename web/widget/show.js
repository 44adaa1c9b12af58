/** Shows a grid as it is now: the words around the picture, and the picture. */

import { keysOf } from "../heads.js";
import { foundIn, heatOn, progressOf } from "../server/hunts.js";
import { draw } from "./drawing.js";
import { isCell, keyAt, layoutOf } from "./layout.js";
import { menu } from "./menu_loader.js";
import { coloursOf } from "./palette.js";
import { shownPictures, studyShown } from "./shown_pictures.js";
import { showWords } from "./words.js";

const LEAST = 60; // pixels; in less there is nothing to see

/**
 * @param {import("./grid_widget.js").HeadGrid} view
 * @param {number} ratio device pixels for a CSS pixel
 * @returns {import("./layout.js").Layout|null} where the cells lie; null where none are drawn
 */
export function show(view, ratio) {
  const { heads, parts, hover, cursor, strength } = view;
  const { canvas } = parts;
  const { grid, chosenByHand, before, presets, file, refused, wrongFile, waiting, models, misfit, study } = heads.seen;
  const { text } = heads;
  const read = heads.read(text);
  const known = grid && study ? heatOn(study, grid, view.added) : null;
  const scored = Boolean(view.kind.pool && known?.scores.size);
  view.showsScores = scored && !view.editsPool;
  const heat = scored && view.editsPool ? null : known;
  const colours = coloursOf(canvas);
  const progress = progressOf(study);
  const { id, picked } = studyShown(view);
  const pictures = shownPictures(view, view.layout);
  showWords(parts, {
    pictures, picked: picked ? id : "",
    grid, heads: read.heads, strength, heat, progress, dark: colours.dark, hover, cursor,
    locked: grid ? heads.lock(text) : "", wrong: Boolean(read.error || misfit), fixed: heads.field === null,
    chosenByHand, before, presets, file, refused, wrongFile, waiting, models,
    choose: (model) => view.choose(model),
    tidy: heads.canTidy() ? () => heads.tidy() : null,
    scored, showsScores: view.showsScores, usable: Boolean(grid && !progress && foundIn(study)),
    clearable: heads.canClear, selection: view.selection,
    presetNames: (cell) => (grid && menu.now?.presetNames(grid, cell)) || [],
  });
  const layout = fit(canvas, grid, ratio);
  showCard(view, layout, pictures);
  const context = layout && canvas.getContext("2d");
  if (!grid || !layout || !context) return null;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  draw(context, layout, {
    heads: read.heads,
    strength,
    tiles: shownPictures(view, layout)?.inCells ?? null,
    heat: heat?.scores.size || heat?.chosen.size ? heat : null,
    pool: Boolean(view.kind.pool),
    candidate: new Set(progress?.candidate ? keysOf(progress.candidate, grid) : []),
    result: new Set(keysOf(heads.seen.result, grid)),
    cursor: isCell(hover) ? hover : cursor,
    focused: isCell(hover) || document.activeElement === canvas,
    rectangle: view.rectangle ?? view.selection,
    faded: Boolean(read.error),
  }, colours);
  return layout;
}

/**
 * The card of the cell that the line under the grid names.
 * @param {import("./grid_widget.js").HeadGrid} view
 * @param {import("./layout.js").Layout|null} layout
 * @param {import("./shown_pictures.js").ShownPictures|null} pictures
 */
function showCard(view, layout, pictures) {
  const cell = view.hover ?? view.card.held ?? (document.activeElement === view.parts.canvas ? view.cursor : null);
  if (!layout || !pictures || !isCell(cell) || view.rectangle) return view.card.hide();
  const { grid } = layout;
  view.card.show({
    root: view.parts.root, api: view.api, grid, cell, key: keyAt(grid, cell), ...pictures, heads: view.heads.read(view.heads.text).heads,
  });
}

/**
 * Gives the canvas as many pixels as it is shown with.
 * @param {HTMLCanvasElement} canvas
 * @param {import("../grid.js").Grid|null} grid
 * @param {number} ratio
 */
function fit(canvas, grid, ratio) {
  const width = canvas.clientWidth, height = canvas.clientHeight;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  return grid && width > LEAST && height > LEAST ? layoutOf(grid, width, height) : null;
}
