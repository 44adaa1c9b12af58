/** The grid's picture: where each cell lies, and one pass of canvas drawing. Lengths in CSS pixels. Pure but for the canvas. */

import { number } from "./heads.js";

const TOP = 15;
const LEFT = 30;
const KIND = 11;
const EDGE = 3;
const BLOCK_GAP = 7;
const FONT = "px system-ui, sans-serif";

/** How high the drawing must at least be to be read. */
export function minHeight(grid) {
  const row = grid.layers <= 30 ? 10 : grid.layers <= 40 ? 9 : 7.5;
  return Math.ceil(TOP + grid.layers * row + EDGE + (isSplit(grid) ? BLOCK_GAP : 0));
}

const doublesOf = (grid) => grid.kinds.filter((kind) => kind === "double").length;
const isSplit = (grid) => grid.kinds.some((kind) => kind !== grid.kinds[0]);

/**
 * Where things lie on a canvas of this size.
 * @param {import("./heads.js").Grid} grid
 */
export function layoutOf(grid, width, height) {
  const split = isSplit(grid);
  const left = LEFT + (split ? KIND : 0);
  const doubles = split ? doublesOf(grid) : grid.layers;
  const cellWidth = (width - left - EDGE) / grid.heads;
  const cellHeight = (height - TOP - EDGE - (split ? BLOCK_GAP : 0)) / grid.layers;
  const gap = split ? BLOCK_GAP : 0;
  return {
    grid, width, height, left, top: TOP, cellWidth, cellHeight, split, doubles,
    x: (head) => left + head * cellWidth,
    y: (layer) => TOP + layer * cellHeight + (layer >= doubles ? gap : 0),
    /** The layer at y, and the head at x; the nearest one where it is outside. */
    row: (y) => clamp(Math.floor((y - TOP - (y >= TOP + doubles * cellHeight + gap / 2 ? gap : 0)) / cellHeight), grid.layers),
    column: (x) => clamp(Math.floor((x - left) / cellWidth), grid.heads),
  };
}

const clamp = (value, count) => Math.min(Math.max(value, 0), count - 1);

/** What lies at a point: {layer, head} for a cell, head null on a layer's label, layer null on a head's; both in the corner. */
export function spotAt(layout, x, y) {
  if (x < 0 || y < 0 || x > layout.width || y > layout.height) return null;
  return { layer: y < layout.top ? null : layout.row(y), head: x < layout.left ? null : layout.column(x) };
}

/**
 * @typedef {object} Scene
 * @property {import("./heads.js").HeadSet} heads
 * @property {number} strength the node's own, 0..1, for heads without one
 * @property {object|null} heat as heat.js gives it
 * @property {boolean} pool the heads are a pool: with heat, cells are coloured by score, not as chosen
 * @property {Set<number>} candidate heads being tried
 * @property {Set<number>|null} result heads of the last result, marked by a dot
 * @property {{layer: number, head: number}|null} cursor
 * @property {boolean} focused
 * @property {{from: object, to: object}|null} rectangle
 * @property {boolean} faded nothing can be changed here
 */

/** Draws a scene. `colours`: text, back, accent, error as CSS colours, and dark: whether back is. */
export function draw(context, layout, scene, colours) {
  const { width, height } = layout;
  context.clearRect(0, 0, width, height);
  drawLabels(context, layout, scene, colours);
  const cell = cellBox(layout);
  drawEmpty(context, layout, cell, colours);
  context.globalAlpha = scene.faded ? 0.6 : 1;
  if (scene.heat) drawHeat(context, layout, cell, scene, colours);
  drawHeads(context, layout, cell, scene, colours);
  context.globalAlpha = 1;
  if (scene.heat) drawChosen(context, layout, cell, scene, colours);
  for (const key of scene.result ?? []) drawDot(context, cell(key), colours);
  for (const key of scene.candidate) outline(context, cell(key), "#f5c542", 1.5, 1.5);
  if (scene.rectangle) drawRectangle(context, layout, scene.rectangle, colours);
  if (!scene.cursor || !scene.focused) return;
  const at = keyOf(layout.grid, scene.cursor);
  outline(context, cell(at), colours.text, 1.5, scene.heat?.chosen.has(at) ? 3.5 : 1.5);
}

const keyOf = (grid, { layer, head }) => layer * grid.heads + head;

/** key -> [x, y, width, height] of a cell without its gap. */
function cellBox(layout) {
  const { grid, cellWidth, cellHeight } = layout;
  const gap = Math.min(cellWidth, cellHeight) > 9 ? 1.5 : 1;
  return (key) => [layout.x(key % grid.heads), layout.y(Math.floor(key / grid.heads)), cellWidth - gap, cellHeight - gap];
}

function drawLabels(context, layout, scene, colours) {
  const { grid, cellWidth, cellHeight, split, doubles } = layout;
  context.fillStyle = colours.text;
  context.font = 9 + FONT;
  context.textBaseline = "middle";
  const label = (text, x, y, near) => {
    context.globalAlpha = near ? 1 : 0.6;
    context.fillText(text, x, y);
  };
  context.textAlign = "center";
  const columns = stepFor(24 / cellWidth);
  for (let head = 0; head < grid.heads; head += columns)
    label(`H${head}`, Math.max(layout.x(head) + cellWidth / 2, layout.left + 6), layout.top / 2, scene.cursor?.head === head);
  context.textAlign = "right";
  const rows = stepFor(11 / cellHeight);
  const blocks = split ? [["double", 0, doubles], ["single", doubles, grid.layers]] : [["", 0, grid.layers]];
  for (const [, from, to] of blocks)
    for (let layer = from; layer < to; layer += rows)
      label(`L${layer}`, layout.left - 5, layout.y(layer) + cellHeight / 2, scene.cursor?.layer === layer);
  context.textAlign = "center";
  for (const [kind, from, to] of split ? blocks : []) {
    context.save();
    context.translate(6, (layout.y(from) + layout.y(to - 1) + cellHeight) / 2);
    context.rotate(-Math.PI / 2);
    label(kind, 0, 0, false);
    context.restore();
  }
  context.globalAlpha = 1;
}

/** The smallest of 1, 2, 4, 8, ... that leaves labels enough room. */
const stepFor = (needed) => 2 ** Math.max(0, Math.ceil(Math.log2(needed)));

function drawEmpty(context, layout, cell, colours) {
  context.beginPath();
  for (let key = 0; key < layout.grid.layers * layout.grid.heads; key++) context.rect(...cell(key));
  context.fillStyle = colours.text;
  context.globalAlpha = colours.dark ? 0.07 : 0.1;
  context.fill();
  context.globalAlpha = 1;
}

function drawHeads(context, layout, cell, scene, colours) {
  const coloured = scene.pool && scene.heat?.scores.size;
  for (const [key, own] of scene.heads) {
    const box = cell(key);
    if (coloured) {
      if (!scene.heat.scores.has(key)) drawDot(context, box, colours, 0.35);
      continue;
    }
    const [x, y, width, height] = box;
    const strength = own ?? scene.strength;
    const alpha = context.globalAlpha;
    context.fillStyle = strength < 0 ? colours.away : colours.accent;
    context.globalAlpha = alpha * 0.4;
    context.fillRect(x, y, width, height);
    context.globalAlpha = alpha;
    const filled = Math.max(1, height * Math.min(1, Math.abs(strength)));
    context.fillRect(x, strength < 0 ? y : y + height - filled, width, filled);
    outline(context, box, own === null ? context.fillStyle : colours.text, 1);
    if (own !== null) drawNumber(context, box, own);
  }
}

function drawNumber(context, [x, y, width, height], value) {
  const size = Math.min(10, height - 2);
  if (size >= 7) print(context, [x, y, width, height], number(value).replace(/^(-?)0\./, "$1."), size);
}

/** White on a dark edge: to be read on any colour. Smaller where it is too wide; nothing where that is too small. */
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

function drawHeat(context, layout, cell, { heat }, colours) {
  for (const [key, score] of heat.scores) {
    context.fillStyle = ramp(heat.limit ? score / heat.limit : 0, colours.dark);
    context.fillRect(...cell(key));
  }
}

function drawChosen(context, layout, cell, { heat }, colours) {
  for (const [key, round] of heat.chosen) {
    // Around the cell: on FLUX's low ones, a line inside would hide the colour. The number may stand out a little.
    const box = cell(key);
    outline(context, box, colours.text, 1.5, 1.5);
    print(context, box, String(round), Math.min(10, Math.max(8, box[3])));
  }
}

function drawDot(context, [x, y, width, height], colours, alpha = 1) {
  context.beginPath();
  context.arc(x + width / 2, y + height / 2, Math.max(1, Math.min(width, height) / 5), 0, 7);
  context.fillStyle = colours.text;
  context.globalAlpha *= alpha;
  context.fill();
  context.globalAlpha /= alpha;
}

function drawRectangle(context, layout, { from, to }, colours) {
  const [top, bottom] = [Math.min(from.layer, to.layer), Math.max(from.layer, to.layer)];
  const [left, right] = [Math.min(from.head, to.head), Math.max(from.head, to.head)];
  const x = layout.x(left), y = layout.y(top);
  context.setLineDash([4, 3]);
  outline(context, [x, y, layout.x(right) + layout.cellWidth - x, layout.y(bottom) + layout.cellHeight - y], colours.text, 1.5);
  context.setLineDash([]);
}

function outline(context, [x, y, width, height], colour, line, outside = 0) {
  context.strokeStyle = colour;
  context.lineWidth = line;
  const inset = line / 2 - outside;
  context.strokeRect(x + inset, y + inset, Math.max(0, width - 2 * inset), Math.max(0, height - 2 * inset));
}

/**
 * The diverging ramp: blue below, grey at, orange above the baseline. Straight lines in OKLab between colours of equal
 * lightness at both ends, so that equal steps look equal; blue and orange stay apart for the colour-blind.
 * @param {number} value -1..1
 * @param {boolean} dark on a dark ground
 */
export function ramp(value, dark) {
  const part = Math.min(1, Math.abs(value));
  const [middle, end] = dark ? [0.36, 0.76] : [0.93, 0.58];
  const hue = ((value < 0 ? 255 : 55) * Math.PI) / 180;
  const chroma = 0.145 * part;
  return srgb(middle + (end - middle) * part, chroma * Math.cos(hue), chroma * Math.sin(hue));
}

/** OKLab to CSS (B. Ottosson's matrices). */
function srgb(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const channels = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((c) => Math.round(255 * Math.min(1, Math.max(0, c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055))));
  return `rgb(${channels.join(",")})`;
}
