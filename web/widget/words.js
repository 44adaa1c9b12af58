/** The words around the picture: count, progress, legend and the line below. Written only where they have changed. */

import { kindOf } from "../grid.js";
import { number } from "../heads.js";
import { signed } from "../server/library.js";
import { cellsBetween } from "./cells.js";
import { isCell, keyAt } from "./layout.js";
import { showNote } from "./note.js";
import { set } from "./parts.js";
import { ramp } from "./ramp.js";
import { holds } from "./reach.js";

const HINT = "drag: paint, ⇧ rectangle, ctrl select\n1\u2060–\u20609 − n or right click: strength";
const PICK = "Pictures of heads, from an atlas, a comparison or a hunt on this model";
const EMPTY = "No heads yet: drag over cells to paint them, or take a preset.";

/**
 * @typedef {object} Said
 * @property {import("../heads.js").HeadSet} heads
 * @property {number} strength the node's own
 * @property {import("../heat.js").Heat|null} heat
 * @property {import("../server/hunts.js").Progress|null} progress a running hunt's
 * @property {boolean} dark whether the ground is
 * @property {Spot|null} hover
 * @property {import("./layout.js").Cell|null} cursor
 * @property {import("./shown_pictures.js").ShownPictures|null} pictures
 * @property {string} picked the study whose pictures were picked; "" where none was
 * @property {boolean} scored a hunt has scores to show
 * @property {boolean} showsScores and they are shown: nothing is painted
 * @property {boolean} usable a hunt has found heads
 * @property {boolean} clearable there is a text to clear
 * @property {import("./reach.js").Rectangle|null} selection
 * @property {boolean} fixed never anything to change here
 * @property {(spot: import("./layout.js").Cell) => string[]} presetNames of the presets that hold a head
 *
 * @typedef {Said & import("./note.js").NoteState} Shown
 * @typedef {import("./layout.js").Spot} Spot
 * @typedef {import("./parts.js").Parts} Parts
 */

/**
 * @param {Parts} parts
 * @param {Shown} shown
 */
export function showWords(parts, shown) {
  const { grid, heads, locked } = shown;
  const layers = grid ? new Set([...heads.keys()].map((key) => Math.floor(key / grid.heads))).size : 0;
  const size = grid ? `${grid.model} ${grid.layers}×${grid.heads}` : "";
  const count = grid ? `${plural(heads.size, "head")} · ${plural(layers, "layer")}` : "";
  set(parts.count, count, size);
  parts.invert.disabled = !grid || Boolean(locked);
  parts.strength.disabled = !grid || Boolean(locked) || !heads.size;
  parts.clear.disabled = !shown.clearable;
  parts.invert.hidden = parts.clear.hidden = parts.strength.hidden = shown.fixed || shown.showsScores;
  parts.pictures.hidden = !grid;
  const from = shown.picked && shown.pictures ? shown.pictures.pictures.goal || shown.picked : shown.picked;
  set(parts.pictures, `${from || "Pictures"} ▾`, shown.picked ? `Pictures of the study ${shown.picked}` : PICK);
  parts.use.hidden = !shown.usable;
  parts.mode.hidden = !shown.scored;
  set(parts.mode, shown.showsScores ? "Edit pool" : "Scores");
  parts.canvas.classList.toggle("hh-fixed", Boolean(locked) || shown.showsScores);
  parts.canvas.setAttribute("aria-label", grid
    ? `Head grid, ${size}, ${count}. ${locked || "Arrow keys move, space toggles, digits set the strength."}`
    : "Head grid, model unknown");
  showNote(parts.note, shown);
  showProgress(parts, shown.progress);
  showLegend(parts, shown);
  const words = describe(shown.hover ?? (document.activeElement === parts.canvas ? shown.cursor : null), shown);
  set(parts.read, words, words);
  parts.hint.hidden = Boolean(locked) || !grid || !parts.legend.hidden;
  set(parts.hint, HINT);
}

/**
 * @param {Parts} parts
 * @param {import("../server/hunts.js").Progress|null} progress
 */
function showProgress({ hunt, doing, left, done }, progress) {
  hunt.hidden = !progress;
  if (!progress) return;
  const where = progress.round ? `round ${progress.round} of ${progress.rounds}` : "unguided pictures";
  set(doing, [where, progress.candidate, `${progress.done} of ${progress.total} pictures`].filter(Boolean).join(" · "));
  set(left, progress.seconds_left === null || progress.done >= progress.total ? "" : `${duration(progress.seconds_left)} left`);
  done.max = Math.max(1, progress.total);
  done.value = progress.done;
}

/**
 * @param {Parts} parts
 * @param {Shown} shown
 */
function showLegend(parts, { heat, dark }) {
  parts.legend.hidden = !heat?.scores.size;
  if (!heat?.scores.size) return;
  const stops = Array.from({ length: 9 }, (_, index) => ramp(index / 4 - 1, dark));
  parts.colours.style.background = `linear-gradient(to right, ${stops.join()})`;
  set(parts.low, signed(-heat.limit));
  set(parts.high, signed(heat.limit));
  const base = heat.baseline === null ? "" : ` ${heat.baseline.toPrecision(3)}`;
  const told = heat.added ? "what each head adds" : `against unguided${base}`;
  set(parts.scale, `round ${heat.round}, ${told}${heat.both ? " ⇄" : ""}`);
  parts.scale.title = `${heat.scorers.join(" + ")}${heat.both ? ". Click: against unguided, or against the set before" : ""}`;
  parts.scale.disabled = !heat.both;
}

/**
 * What lies under the pointer or the cursor, in words.
 * @param {Spot|null} spot
 * @param {Shown} shown
 */
function describe(spot, shown) {
  const { grid, heads, strength, heat, selection, presetNames } = shown;
  if (!grid) return "";
  if (!spot && !heads.size && !shown.locked && !shown.fixed) return EMPTY;
  if (!spot) return `${grid.model} · ${grid.layers} layers × ${grid.heads} heads`;
  if (spot.layer === null && spot.head === null) return "all heads";
  if (spot.layer === null) return `H${spot.head} · head ${spot.head} of every layer`;
  if (!isCell(spot)) return `L${spot.layer} · the whole layer · ${kindOf(grid, spot.layer)}`;
  const key = keyAt(grid, spot);
  const own = heads.get(key);
  const score = heat?.scores.get(key);
  const round = heat?.chosen.get(key);
  return [
    `L${spot.layer} H${spot.head} · ${kindOf(grid, spot.layer)}`,
    own === undefined ? "" : own === null ? `strength ${number(strength)}` : `own strength ${number(own)}`,
    score === undefined ? "" : `score ${signed(score)}${heat?.added ? " more" : ""} for ${heat?.scorers.join(" + ")}`,
    heat ? "" : scoreIn(shown.pictures?.pictures, key),
    round === undefined ? "" : `chosen in round ${round}`,
    selection && holds(selection, spot) ? `one of ${cellsBetween(grid, selection.from, selection.to).length} selected` : "",
    held(presetNames(spot)),
  ].filter(Boolean).join(" · ");
}

/**
 * A score from the study whose pictures are shown, which is named.
 * @param {import("../server/pictures.js").Pictures|undefined} pictures
 * @param {number} key
 */
function scoreIn(pictures, key) {
  const score = pictures?.heads.get(key)?.score ?? null;
  return score === null ? "" : `${signed(score)} for ${pictures?.goal} in ${pictures?.id}`;
}

/** @param {string[]} names */
const held = (names) => (names.length ? `in “${names[0]}”${names.length > 1 ? ` and ${names.length - 1} more` : ""}` : "");

/**
 * @param {number} count
 * @param {string} word
 */
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;

/**
 * `40 s`, `12 min`, `3.5 h`.
 * @param {number} seconds
 */
function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
