/** Where each cell of a grid lies on a canvas. Lengths in CSS pixels. */

import { runsOf } from "../grid.js";

const TOP = 15;
const LEFT = 30;
const KIND = 11;
const EDGE = 3;
const DIVIDER = 7;

/** @typedef {{layer: number|null, head: number|null}} Spot  `head` null: a layer's label; `layer` null: a head's; both: the corner */
/** @typedef {{layer: number, head: number}} Cell */
/**
 * @typedef {object} Layout
 * @property {import("../grid.js").Grid} grid
 * @property {import("../grid.js").Run[]} runs the segments, with a divider between them
 * @property {number} width
 * @property {number} height
 * @property {number} left where the cells begin
 * @property {number} top
 * @property {number} cellWidth with the gap to the next cell
 * @property {number} cellHeight
 * @property {(head: number) => number} x
 * @property {(layer: number) => number} y
 * @property {(y: number) => number} row the layer at y; the nearest where it is outside
 * @property {(x: number) => number} column the head at x; the nearest where it is outside
 */

/**
 * @param {import("../grid.js").Grid} grid
 * @param {number} width
 * @param {number} height
 * @returns {Layout}
 */
export function layoutOf(grid, width, height) {
  const runs = runsOf(grid);
  const dividers = runs.length - 1;
  const left = LEFT + (dividers ? KIND : 0);
  const cellWidth = (width - left - EDGE) / grid.heads;
  const cellHeight = (height - TOP - EDGE - dividers * DIVIDER) / grid.layers;
  const tops = runs.flatMap(({ first, count }, index) =>
    Array.from({ length: count }, (_, layer) => TOP + (first + layer) * cellHeight + index * DIVIDER));
  return {
    grid, runs, width, height, left, top: TOP, cellWidth, cellHeight,
    x: (head) => left + head * cellWidth,
    y: (layer) => tops[layer],
    row: (at) => {
      // The first run that reaches down to the middle of the divider after it.
      const { first, end } = runs.find((run) => at < tops[run.end - 1] + cellHeight + DIVIDER / 2) ?? runs[dividers];
      return clamp(first + Math.floor((at - tops[first]) / cellHeight), first, end - 1);
    },
    column: (at) => clamp(Math.floor((at - left) / cellWidth), 0, grid.heads - 1),
  };
}

/**
 * @param {number} value
 * @param {number} low
 * @param {number} high
 */
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * What lies at a point.
 * @param {Layout} layout
 * @param {number} x
 * @param {number} y
 * @returns {Spot|null}
 */
export function spotAt(layout, x, y) {
  if (x < 0 || y < 0 || x > layout.width || y > layout.height) return null;
  return { layer: y < layout.top ? null : layout.row(y), head: x < layout.left ? null : layout.column(x) };
}

/**
 * Whether a spot is a cell, not a label.
 * @param {Spot|null|undefined} spot
 * @returns {spot is Cell}
 */
export const isCell = (spot) => Boolean(spot) && spot?.layer !== null && spot?.head !== null;

/**
 * @param {import("../grid.js").Grid} grid
 * @param {Cell} cell
 * @returns {number} the cell's key in a HeadSet
 */
export const keyAt = (grid, { layer, head }) => layer * grid.heads + head;
