/**
 * Cells of a grid as the bits of one long number, bit `layer * grid.heads + head`: thousands of overlapping ranges are then read fast.
 *
 * @typedef {import("./grid.js").Grid} Grid
 * @typedef {import("./heads.js").Item} Item
 */

import { layersOf } from "./grid.js";

/**
 * Which bits of a number are set, from the highest. Looks at each digit no more than the search for a character does.
 * @param {bigint} cells
 */
export function bits(cells) {
  const digits = cells.toString(2);
  const found = [];
  for (let at = digits.indexOf("1"); at >= 0; at = digits.indexOf("1", at + 1)) found.push(digits.length - 1 - at);
  return found;
}

/**
 * The cells that an item stands for, as the bits of a number: bit `layer * grid.heads + head`.
 * @param {Item} item
 * @param {Grid} grid
 */
export function rectangle({ letter, layers, heads, error }, grid) {
  let [first, last] = letter ? layers : [0, grid.layers - 1];
  if (letter && letter !== "L") {
    const own = layersOf(grid, letter); // the layers that the letter numbers, one after the other
    lettered(letter, first, last, own, grid, error);
    [first, last] = [own[first], own[last]];
  } else if (last >= grid.layers) {
    throw error(`${grid.model} has no layer ${Math.max(first, grid.layers)}; its layers are 0 to ${grid.layers - 1}`);
  }
  const [low, high] = heads ?? [0, grid.heads - 1];
  if (high >= grid.heads)
    throw error(`${grid.model} has no head ${Math.max(low, grid.heads)}; its heads are 0 to ${grid.heads - 1}`);
  const [rows, width] = [last - first + 1, grid.heads];
  let cells = ((1n << BigInt(high - low + 1)) - 1n) << BigInt(low);
  for (let height = 1; height < rows; height *= 2) cells |= cells << BigInt(height * width);
  return BigInt.asUintN(rows * width, cells) << BigInt(first * width);
}

/**
 * Checks a range of layers that is counted by a letter: the grid must have the letter, and as many layers of it.
 * @param {string} letter
 * @param {number} first
 * @param {number} last
 * @param {number[]} own the layers that the letter numbers
 * @param {Grid} grid
 * @param {Item["error"]} error
 */
function lettered(letter, first, last, own, grid, error) {
  if (!own.length) {
    const letters = new Set(["L", ...grid.segments.flatMap((segment) => segment.letter ?? [])]);
    throw error(`not a head: ${grid.model} has no blocks called ${letter}; its layers are written ${[...letters].join(" or ")}`);
  }
  if (last < own.length) return;
  const kind = grid.segments.find((segment) => segment.letter === letter)?.kind;
  throw error(`${grid.model} has no ${kind} block ${Math.max(first, own.length)}; its ${kind} blocks are 0 to ${own.length - 1}`);
}
