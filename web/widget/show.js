/** Shows a grid as it is now: the words around the picture, and the picture. */

import { keysOf } from "../heads.js";
import { foundIn, heatOn, previewUrl, progressOf } from "../server/hunts.js";
import { draw } from "./drawing.js";
import { isCell, keyAt, layoutOf } from "./layout.js";
import { menu } from "./menu_loader.js";
import { coloursOf } from "./palette.js";
import { showPreview, showWords } from "./words.js";

const LEAST = 60; // pixels; in less there is nothing to see

/**
 * @param {import("./grid_widget.js").HeadGrid} view
 * @param {number} ratio device pixels for a CSS pixel
 * @returns {import("./layout.js").Layout|null} where the cells lie; null where none are drawn
 */
export function show(view, ratio) {
  const { heads, parts, hover, cursor, strength } = view;
  const { canvas } = parts;
  const { grid, chosenByHand, before, presets, file, refused, waiting, models, misfit, study } = heads.seen;
  const { text } = heads;
  const read = heads.read(text);
  const known = grid && study ? heatOn(study, grid, view.added) : null;
  const scored = Boolean(view.kind.pool && known?.scores.size);
  view.showsScores = scored && !view.editsPool;
  const heat = scored && view.editsPool ? null : known;
  const colours = coloursOf(canvas);
  const progress = progressOf(study);
  showWords(parts, {
    grid, heads: read.heads, strength, heat, progress, dark: colours.dark, hover, cursor,
    locked: grid ? heads.lock(text) : "", wrong: Boolean(read.error || misfit), fixed: heads.field === null,
    chosenByHand, before, presets, file, refused, waiting, models,
    choose: (model) => view.choose(model),
    tidy: heads.canTidy() ? () => heads.tidy() : null,
    scored, showsScores: view.showsScores, usable: Boolean(grid && !progress && foundIn(study)),
    clearable: heads.canClear, selection: view.selection,
    presetNames: (cell) => (grid && menu.now?.presetNames(grid, cell)) || [],
  });
  const layout = fit(canvas, grid, ratio);
  const picture = grid && isCell(hover) ? heat?.previews.get(keyAt(grid, hover)) : undefined;
  showPreview(parts.preview, layout, hover, picture === undefined ? "" : previewUrl(view.api, study, picture));
  const context = layout && canvas.getContext("2d");
  if (!grid || !layout || !context) return null;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  draw(context, layout, {
    heads: read.heads,
    strength,
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
