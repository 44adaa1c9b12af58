/** The grid's picture: one pass of drawing on a canvas. */

import { number } from "../heads.js";
import { drawLabels } from "./labels.js";
import { keyAt } from "./layout.js";
import { ramp } from "./ramp.js";
import { drawTile } from "./tiles.js";

const LOW = 10; // pixels of a row; in less, layers are told apart by bands
const BAND = 4; // layers
const FONT = "px system-ui, sans-serif"; // a size goes before it

/**
 * @typedef {CanvasRenderingContext2D} Context
 * @typedef {[x: number, y: number, width: number, height: number]} Box
 * @typedef {import("./layout.js").Layout} Layout
 * @typedef {import("./layout.js").Cell} Cell
 * @typedef {import("../heat.js").Heat} Heat
 */

/**
 * @typedef {object} Scene
 * @property {import("../heads.js").HeadSet} heads
 * @property {number} strength the node's own, 0..1, for heads without one
 * @property {import("../heat.js").Heat|null} heat
 * @property {import("./tiles.js").Tiles|null} tiles pictures in the cells
 * @property {boolean} pool the heads are a pool: with heat, cells are coloured by score, not as chosen
 * @property {Set<number>} candidate heads being tried
 * @property {Set<number>|null} result heads of the last result, marked by a dot
 * @property {Cell|null} cursor
 * @property {boolean} focused
 * @property {{from: Cell, to: Cell}|null} rectangle
 * @property {boolean} faded the text cannot be read
 *
 * @typedef {object} Colours as CSS
 * @property {string} text
 * @property {string} accent heads that are chosen
 * @property {string} away those with a negative strength
 * @property {boolean} dark whether the ground is
 */

/**
 * @param {Context} context scaled to CSS pixels
 * @param {Layout} layout
 * @param {Scene} scene
 * @param {Colours} colours
 */
export function draw(context, layout, scene, colours) {
  const { width, height } = layout;
  context.clearRect(0, 0, width, height);
  drawLabels(context, layout, scene.cursor, colours.text);
  const cell = cellBox(layout);
  drawEmpty(context, layout, cell, colours);
  if (scene.tiles) for (let key = 0; key < layout.grid.layers * layout.grid.heads; key++) drawTile(context, scene.tiles, key, cell(key));
  context.globalAlpha = scene.faded ? 0.6 : 1;
  if (scene.heat) drawHeat(context, scene.heat, cell, colours, Boolean(scene.tiles));
  drawHeads(context, cell, scene, colours);
  context.globalAlpha = 1;
  if (scene.heat) drawChosen(context, scene.heat, cell, colours);
  for (const key of scene.result ?? []) drawDot(context, cell(key), colours);
  for (const key of scene.candidate) outline(context, cell(key), "#f5c542", 1.5, 1.5);
  if (scene.rectangle) drawRectangle(context, layout, scene.rectangle, colours);
  if (!scene.cursor || !scene.focused) return;
  const at = keyAt(layout.grid, scene.cursor);
  outline(context, cell(at), colours.text, 1.5, scene.heat?.chosen.has(at) ? 3.5 : 1.5);
}

/**
 * @param {Layout} layout
 * @returns {(key: number) => Box} a cell without its gap
 */
function cellBox(layout) {
  const { grid, cellWidth, cellHeight } = layout;
  const gap = Math.min(cellWidth, cellHeight) > 9 ? 1.5 : 1;
  return (key) => [layout.x(key % grid.heads), layout.y(Math.floor(key / grid.heads)), cellWidth - gap, cellHeight - gap];
}

/**
 * @param {Context} context
 * @param {Layout} layout
 * @param {(key: number) => Box} cell
 * @param {Colours} colours
 */
function drawEmpty(context, layout, cell, colours) {
  const { layers, heads } = layout.grid;
  const bands = layout.cellHeight < LOW ? [0, 1] : [0];
  context.fillStyle = colours.text;
  for (const band of bands) {
    context.beginPath();
    for (let key = 0; key < layers * heads; key++)
      if (bands.length < 2 || (Math.floor(key / heads / BAND) & 1) === band) context.rect(...cell(key));
    context.globalAlpha = (colours.dark ? 0.07 : 0.1) + 0.06 * band;
    context.fill();
  }
  context.globalAlpha = 1;
}

/**
 * @param {Context} context
 * @param {(key: number) => Box} cell
 * @param {Scene} scene
 * @param {Colours} colours
 */
function drawHeads(context, cell, scene, colours) {
  const scored = scene.pool && scene.heat?.scores.size ? scene.heat.scores : null;
  for (const [key, own] of scene.heads) {
    const box = cell(key);
    if (scored) {
      if (!scored.has(key)) drawDot(context, box, colours, 0.35);
      continue;
    }
    const [x, y, width, height] = box;
    const strength = own ?? scene.strength;
    const alpha = context.globalAlpha;
    context.fillStyle = strength < 0 ? colours.away : colours.accent;
    if (scene.tiles) {
      // The picture stays: a frame, and the strength as a bar at its foot.
      outline(context, box, context.fillStyle, 2);
      context.fillRect(x, y + height - 4, Math.max(2, width * Math.abs(strength)), 4);
    } else {
      context.globalAlpha = alpha * 0.4;
      context.fillRect(x, y, width, height);
      context.globalAlpha = alpha;
      const filled = Math.max(1, height * Math.min(1, Math.abs(strength)));
      context.fillRect(x, strength < 0 ? y : y + height - filled, width, filled);
      outline(context, box, own === null ? context.fillStyle : colours.text, 1);
    }
    if (own !== null) drawNumber(context, box, own);
  }
}

/**
 * @param {Context} context
 * @param {Box} box
 * @param {number} value
 */
function drawNumber(context, [x, y, width, height], value) {
  const size = Math.min(10, height - 2);
  if (size >= 7) print(context, [x, y, width, height], number(value).replace(/^(-?)0\./, "$1."), size);
}

/**
 * White on a dark edge: to be read on any colour. Smaller where it is too wide; nothing where that is too small.
 * @param {Context} context
 * @param {Box} box
 * @param {string} text
 * @param {number} size
 */
function print(context, [x, y, width, height], text, size) {
  context.font = `600 ${size}${FONT}`;
  const fitting = Math.floor(size * Math.min(1, width / context.measureText(text).width) * 2) / 2;
  if (fitting < 7) return;
  context.font = `600 ${fitting}${FONT}`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineWidth = 2.5;
  context.strokeStyle = "rgba(0,0,0,.55)";
  context.strokeText(text, x + width / 2, y + height / 2 + 0.5);
  context.fillStyle = "#fff";
  context.fillText(text, x + width / 2, y + height / 2 + 0.5);
}

/**
 * @param {Context} context
 * @param {Heat} heat
 * @param {(key: number) => Box} cell
 * @param {Colours} colours
 * @param {boolean} framed around pictures, in place of whole cells
 */
function drawHeat(context, heat, cell, colours, framed) {
  for (const [key, score] of heat.scores) {
    const colour = ramp(heat.limit ? score / heat.limit : 0, colours.dark);
    if (framed) {
      outline(context, cell(key), colour, 2);
      continue;
    }
    context.fillStyle = colour;
    context.fillRect(...cell(key));
  }
}

/**
 * @param {Context} context
 * @param {Heat} heat
 * @param {(key: number) => Box} cell
 * @param {Colours} colours
 */
function drawChosen(context, heat, cell, colours) {
  for (const [key, round] of heat.chosen) {
    // Around the cell: on FLUX's low ones, a line inside would hide the colour. The number may stand out a little.
    const box = cell(key);
    outline(context, box, colours.text, 1.5, 1.5);
    print(context, box, String(round), Math.min(10, Math.max(8, box[3])));
  }
}

/**
 * @param {Context} context
 * @param {Box} box
 * @param {Colours} colours
 * @param {number} [alpha]
 */
function drawDot(context, [x, y, width, height], colours, alpha = 1) {
  context.beginPath();
  context.arc(x + width / 2, y + height / 2, Math.max(1, Math.min(width, height) / 5), 0, 7);
  context.fillStyle = colours.text;
  context.globalAlpha *= alpha;
  context.fill();
  context.globalAlpha /= alpha;
}

/**
 * @param {Context} context
 * @param {Layout} layout
 * @param {{from: Cell, to: Cell}} rectangle
 * @param {Colours} colours
 */
function drawRectangle(context, layout, { from, to }, colours) {
  const [top, bottom] = [Math.min(from.layer, to.layer), Math.max(from.layer, to.layer)];
  const [left, right] = [Math.min(from.head, to.head), Math.max(from.head, to.head)];
  const x = layout.x(left), y = layout.y(top);
  context.setLineDash([4, 3]);
  outline(context, [x, y, layout.x(right) + layout.cellWidth - x, layout.y(bottom) + layout.cellHeight - y], colours.text, 1.5);
  context.setLineDash([]);
}

/**
 * @param {Context} context
 * @param {Box} box
 * @param {string|CanvasGradient|CanvasPattern} colour
 * @param {number} line
 * @param {number} [outside]
 */
function outline(context, [x, y, width, height], colour, line, outside = 0) {
  context.strokeStyle = colour;
  context.lineWidth = line;
  const inset = line / 2 - outside;
  context.strokeRect(x + inset, y + inset, Math.max(0, width - 2 * inset), Math.max(0, height - 2 * inset));
}
