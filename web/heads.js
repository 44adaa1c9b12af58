/**
 * Head text <-> head set, as headhunter/heads.py reads it (docs/design.md). Pure; the table of cases in
 * tests/data/heads_cases.json drives both.
 *
 * @typedef {import("./grid.js").Grid} Grid
 * @typedef {{letter: string, layers: [number, number], heads: [number, number]|null, strength: number|null,
 *   error: (message: string) => HeadTextError}} Item  `letter`: "" for `*`; ranges with both ends; `heads`: null for a whole layer
 * @typedef {Map<number, number|null>} HeadSet  `layer * grid.heads + head` -> its own strength in -1..1, or null
 */

import { layersOf } from "./grid.js";

const MAX_TEXT = 100_000;
const MAX_NUMBER = 9_999;
const HINT = "Heads are written like L11H15, L7H0-3, L9 (a whole layer), * (all), with @0.5 for a strength of their own";

// Python's white space is not quite JavaScript's.
const WORD = /(?:[^\s\x1c-\x1f\x85,]|\ufeff)+/gu;
const ITEM = /^(?:(\*)|([A-GI-Z])([0-9]+)(?:-([0-9]+))?(?:H(?:(\*)|([0-9]+)(?:-([0-9]+))?))?)(?:@(.*))?$/isu;
const STRENGTH = /^-?(?:[0-9]+(?:\.[0-9]{1,3})?|\.[0-9]{1,3})$/;

/** A head text that cannot be read: the item, its line and column (from 1, in characters), and what is allowed. */
export class HeadTextError extends Error {
  /** @param {string} message */
  constructor(message, item = "", line = 0, column = 0) {
    super((item ? `"${item}" (line ${line}, column ${column}): ` : "") + message);
    Object.assign(this, { item, line, column });
  }
}

/**
 * The head set of a text on a grid.
 * @param {string} text
 * @param {Grid} grid
 * @returns {HeadSet}
 * @throws {HeadTextError} naming the bad item, its place and what is allowed
 */
export function parse(text, grid) {
  const heads = new Map();
  for (const item of parseItems(text)) {
    for (const [layer, head] of cells(item, grid)) {
      const key = layer * grid.heads + head;
      const own = heads.get(key) ?? null;
      if (own !== null && item.strength !== null && own !== item.strength)
        throw item.error(`L${layer}H${head} already has the strength ${number(own)}; one head has one strength`);
      heads.set(key, item.strength ?? own);
    }
  }
  return heads;
}

/**
 * The canonical text: sorted, one item a run of heads in one layer with one strength; `L9` a layer, `*` all.
 * @param {HeadSet} heads
 * @param {Grid} grid
 * @returns {string}
 */
export function format(heads, grid) {
  const same = (/** @type {number} */ from, /** @type {number} */ to) => {
    for (let key = from + 1; key < to; key++) if (heads.get(key) !== heads.get(from)) return false;
    return heads.has(from);
  };
  const all = grid.layers * grid.heads;
  if (heads.size === all && same(0, all)) return "*" + at(heads.get(0) ?? null);
  const items = [];
  for (let first = 0; first < all; first += grid.heads) {
    const layer = first / grid.heads;
    if (same(first, first + grid.heads)) {
      items.push(`L${layer}` + at(heads.get(first) ?? null));
      continue;
    }
    for (let head = 0; head < grid.heads; head++) {
      const strength = heads.get(first + head);
      if (strength === undefined) continue;
      let last = head;
      while (last + 1 < grid.heads && heads.get(first + last + 1) === strength) last++;
      items.push(`L${layer}H${head}` + (last > head ? `-${last}` : "") + at(strength));
      head = last;
    }
  }
  return items.join(", ");
}

/**
 * A head text in canonical form.
 * @param {string} text
 * @param {Grid} grid
 * @throws {HeadTextError} as `parse`
 */
export const canonical = (text, grid) => format(parse(text, grid), grid);

/**
 * The cells of a text that came from elsewhere; none where it cannot be read.
 * @param {string} text
 * @param {Grid} grid
 */
export function keysOf(text, grid) {
  try {
    return [...parse(text, grid).keys()];
  } catch {
    return [];
  }
}

/**
 * Whether a text holds what only a person writes (comments, several lines), which the grid must not rewrite.
 * @param {string} text
 */
export const isHandwritten = (text) => text.includes("#") || /[\r\n]/.test(text.trim());

/**
 * `0.5`, `-0.125`, `1`: a strength as head text writes it.
 * @param {number} value
 */
export function number(value) {
  return value.toFixed(3).replace(/0+$/, "").replace(/\.$/, "");
}

/** @param {number|null} strength */
const at = (strength) => (strength === null ? "" : `@${number(strength)}`);

/**
 * The items of a text, without a grid.
 * @param {string} text
 * @returns {Item[]}
 * @throws {HeadTextError} naming the first bad item
 */
export function parseItems(text) {
  const length = text.length > MAX_TEXT ? [...text].length : 0;
  if (length > MAX_TEXT) throw new HeadTextError(`the text has ${length} characters; at most ${MAX_TEXT} are read`);
  return text.split(/\r\n|\r|\n/).flatMap((line, index) =>
    [...line.split("#", 1)[0].matchAll(WORD)].map((match) =>
      parseItem(match[0], index + 1, () => [...line.slice(0, match.index)].length + 1)));
}

/**
 * @param {string} text
 * @param {number} line
 * @param {() => number} column
 * @returns {Item}
 */
function parseItem(text, line, column) {
  const error = (/** @type {string} */ message) => new HeadTextError(message, text, line, column());
  const match = ITEM.exec(text);
  if (!match) throw error(`not a head. ${HINT}`);
  const [, all, letter, layer, layerEnd, , head, headEnd, written] = match;

  /**
   * @param {string} first
   * @param {string|undefined} last
   * @param {string} what
   * @returns {[number, number]}
   */
  const range = (first, last, what) => {
    const [low, high] = [first, last ?? first].map((digits) => Number(digits.slice(0, 9)));
    const most = Math.max(low, high);
    if (most > MAX_NUMBER) throw error(`${what} ${most} is over ${MAX_NUMBER}, the most that is read`);
    if (high < low) throw error(`the ${what} range ${low}-${high} is reversed; write ${high}-${low}`);
    return [low, high];
  };

  let strength = null;
  if (written !== undefined) {
    if (!STRENGTH.test(written) || Math.abs(Number(written)) > 1)
      throw error("the strength after @ is a decimal from -1 to 1 with at most 3 places, as in @0.5 or @-0.25");
    strength = Number(written) || 0;
  }
  if (all) return { letter: "", layers: [0, MAX_NUMBER], heads: null, strength, error };
  const layers = range(layer, layerEnd, "layer");
  const heads = head === undefined ? null : range(head, headEnd, "head");
  return { letter: letter.toUpperCase(), layers, heads, strength, error };
}

/**
 * The layer and head of every cell that an item stands for.
 * @param {Item} item
 * @param {Grid} grid
 * @returns {Generator<[layer: number, head: number]>}
 */
function* cells({ letter, layers, heads, error }, grid) {
  const [first, last] = letter ? layers : [0, grid.layers - 1];
  const own = letter && letter !== "L" ? layersOf(grid, letter) : null; // the layers that the letter numbers
  if (own) lettered(letter, first, last, own, grid, error);
  else if (last >= grid.layers)
    throw error(`${grid.model} has no layer ${Math.max(first, grid.layers)}; its layers are 0 to ${grid.layers - 1}`);
  const [low, high] = heads ?? [0, grid.heads - 1];
  if (high >= grid.heads)
    throw error(`${grid.model} has no head ${Math.max(low, grid.heads)}; its heads are 0 to ${grid.heads - 1}`);
  for (let index = first; index <= last; index++)
    for (let head = low; head <= high; head++) yield [own ? own[index] : index, head];
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
