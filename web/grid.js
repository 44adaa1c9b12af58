/**
 * A model's grid as the server describes it: layers of `heads` heads each, in segments of one kind.
 *
 * The page knows no model by itself. Where a segment's letter is "S", head text may name its layers S0, S1, ...; a family
 * that numbers its layers only from the first to the last has no letter.
 *
 * @typedef {{kind: string, letter: string|null, count: number}} Segment
 * @typedef {{model: string, layers: number, heads: number, segments: Segment[]}} Grid  `segments` in the order of the layers
 * @typedef {Segment & {first: number, end: number}} Run  a segment with its first layer and the layer after its last
 */

const MOST = 1000;
const LETTER = /^[A-GI-KM-Z]$/; // L is any layer, H a head

/**
 * Grids kept before there were segments list the kind of each layer; these two were all that had letters.
 * @type {Map<unknown, string>}
 */
const LETTERS_BEFORE = new Map([["double", "D"], ["single", "S"]]);

/**
 * Data from anywhere (the server, a study, this browser) as a grid; null where it is none, or too large to be drawn.
 * @param {any} data
 * @returns {Grid|null}
 */
export function readGrid(data) {
  if (!data || typeof data !== "object" || typeof data.model !== "string" || !isCount(data.heads)) return null;
  const segments = data.segments === undefined ? segmentsOf(data.kinds) : data.segments;
  if (!Array.isArray(segments) || !segments.length || !segments.every(isSegment)) return null;
  const layers = segments.reduce((sum, { count }) => sum + count, 0);
  if (layers !== data.layers || layers > MOST) return null;
  const { model, heads } = data;
  return { model, layers, heads, segments: segments.map(({ kind, letter, count }) => ({ kind, letter, count })) };
}

/** @param {any} kinds */
function segmentsOf(kinds) {
  if (!Array.isArray(kinds)) return null;
  /** @type {Segment[]} */
  const segments = [];
  for (const kind of kinds) {
    const last = segments.at(-1);
    if (last && last.kind === kind) last.count++;
    else segments.push({ kind, letter: LETTERS_BEFORE.get(kind) ?? null, count: 1 });
  }
  return segments;
}

/** @param {any} value */
const isCount = (value) => Number.isInteger(value) && value > 0 && value <= MOST;

/** @param {any} data */
const isSegment = (data) => Boolean(data) && typeof data.kind === "string" && isCount(data.count)
  && (data.letter === null || LETTER.test(data.letter));

/**
 * The segments with the layers that they take.
 * @param {Grid} grid
 * @returns {Run[]}
 */
export function runsOf(grid) {
  let end = 0;
  return grid.segments.map((segment) => ({ ...segment, first: end, end: (end += segment.count) }));
}

/**
 * The layers that a letter numbers, in order; none where the grid lacks the letter.
 * @param {Grid} grid
 * @param {string} letter
 * @returns {number[]}
 */
export function layersOf(grid, letter) {
  const runs = runsOf(grid).filter((run) => run.letter === letter);
  return runs.flatMap(({ first, count }) => Array.from({ length: count }, (_, index) => first + index));
}

/**
 * A layer's kind, with its own number where its kind is not the only one: "joint", "single 4 (S4)".
 * @param {Grid} grid
 * @param {number} layer
 */
export function kindOf(grid, layer) {
  const runs = runsOf(grid);
  const run = runs.find(({ end }) => layer < end);
  if (!run) return "";
  if (run.letter === null) return runs.length > 1 ? `${run.kind} ${layer - run.first}` : run.kind;
  const number = layersOf(grid, run.letter).indexOf(layer);
  return `${run.kind} ${number} (${run.letter}${number})`;
}
