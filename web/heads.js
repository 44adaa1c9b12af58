/**
 * Head text <-> head set, as headhunter/heads.py reads it (docs/design.md), within the same limits and as fast. Pure; the
 * table of cases in tests/data/heads_cases.json drives both.
 *
 * @typedef {import("./grid.js").Grid} Grid
 * @typedef {{letter: string, layers: [number, number], heads: [number, number]|null, strength: number|null,
 *   error: (message: string) => HeadTextError}} Item  `letter`: "" for `*`; ranges with both ends; `heads`: null for a whole layer
 * @typedef {Map<number, number|null>} HeadSet  `layer * grid.heads + head` -> its own strength in -1..1, or null
 */

import { bits, rectangle } from "./cells.js";

const MAX_TEXT = 100_000;
const MAX_NUMBER = 9_999;
const HINT = "Heads are written like L11H15, L7H0-3, L9 (a whole layer), * (all), with @0.5 for a strength of their own";

const SHOWN = 60; // characters of an item in an error's message

// Comments and items. Python's white space is not quite JavaScript's.
const TOKEN = /#[^\r\n]*|(?:[^\s\x1c-\x1f\x85,#]|\ufeff)+/gu;
const ITEM = /^(?:(\*)|([A-GI-Z])([0-9]+)(?:-([0-9]+))?(?:H(?:(\*)|([0-9]+)(?:-([0-9]+))?))?)(?:@(.*))?$/isu;
const STRENGTH = /^-?(?:[0-9]+(?:\.[0-9]{1,3})?|\.[0-9]{1,3})$/;

/** A head text that cannot be read: the item, its line and column (from 1, in characters), and what is allowed. */
export class HeadTextError extends Error {
  /** @param {string} message */
  constructor(message, item = "", line = 0, column = 0) {
    const letters = [...item];
    const shown = letters.length <= SHOWN ? item : letters.slice(0, SHOWN).join("") + "...";
    super((item ? `"${shown}" (line ${line}, column ${column}): ` : "") + message);
    Object.assign(this, { item, line, column });
  }
}

/**
 * The head set of a text on a grid, in the order of its heads.
 * @param {string} text
 * @param {Grid} grid
 * @returns {HeadSet}
 * @throws {HeadTextError} naming the bad item, its place and what is allowed
 */
export function parse(text, grid) {
  /** @type {HeadSet} */
  const heads = new Map();
  strengthsOf(text, grid).forEach((strength, key) => heads.set(key, strength));
  return heads;
}

/**
 * As `parse`: the strength, or null, at `layer * grid.heads + head` of every head that is in; nothing at the others.
 * @param {string} text
 * @param {Grid} grid
 * @returns {(number|null)[]}
 * @throws {HeadTextError} as `parse`
 */
export function strengthsOf(text, grid) {
  // One set of cells for each strength.
  let [inside, strong] = [0n, 0n];
  /** @type {Map<number, bigint>} */
  const byStrength = new Map();
  for (const item of parseItems(text)) {
    const cells = rectangle(item, grid);
    inside |= cells;
    if (item.strength === null) continue;
    const alike = byStrength.get(item.strength) ?? 0n;
    const clash = cells & strong & ~alike;
    if (clash) {
      const key = bits(clash).at(-1) ?? 0;
      const own = [...byStrength].find(([, some]) => (some >> BigInt(key)) & 1n)?.[0] ?? 0;
      const head = `L${Math.floor(key / grid.heads)}H${key % grid.heads}`;
      throw item.error(`${head} already has the strength ${number(own)}; one head has one strength`);
    }
    strong |= cells;
    byStrength.set(item.strength, alike | cells);
  }
  const strengths = new Array(grid.layers * grid.heads);
  for (const key of bits(inside & ~strong)) strengths[key] = null;
  for (const [strength, cells] of byStrength) for (const key of bits(cells)) strengths[key] = strength;
  return strengths;
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
 * The items of a text, each once, without a grid.
 * @param {string} text
 * @returns {Item[]}
 * @throws {HeadTextError} naming the first bad item
 */
export function parseItems(text) {
  const length = text.length > MAX_TEXT ? [...text].length : 0;
  if (length > MAX_TEXT) throw new HeadTextError(`the text has ${length} characters; at most ${MAX_TEXT} are read`);
  /** @type {Map<string, Item>} */
  const items = new Map();
  for (const { 0: token, index } of text.matchAll(TOKEN))
    if (token[0] !== "#" && !items.has(token)) items.set(token, parseItem(token, text, index));
  return [...items.values()];
}

/**
 * @param {string} text
 * @param {string} source the whole text
 * @param {number} start where in it the item begins
 * @returns {Item}
 */
function parseItem(text, source, start) {
  const error = (/** @type {string} */ message) => {
    const lines = source.slice(0, start).split(/\r\n|\r|\n/);
    return new HeadTextError(message, text, lines.length, [...lines[lines.length - 1]].length + 1);
  };
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
    const [low, high] = [first, last ?? first].map((written) => {
      const digits = written.replace(/^0+(?=[0-9])/, "");
      const shown = digits.length <= 20 ? digits : `${digits.slice(0, 20)}...`;
      if (digits.length > 4) throw error(`${what} ${shown} is over ${MAX_NUMBER}, the most that is read`);
      return Number(digits);
    });
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
