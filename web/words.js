/** The words around the picture: count, note, progress, legend and the line below. Written where they differ, from what is shown. */

import { ramp } from "./drawing.js";
import { number } from "./heads.js";
import { lastScore } from "./heat.js";
import { KNOWN } from "./model.js";
import { set } from "./parts.js";

const HINT = "drag to paint, ⇧ rectangle\nwheel or keys 1\u2060–\u20609: strength";

/**
 * @typedef {object} Shown
 * @property {import("./heads.js").Grid|null} grid
 * @property {import("./heads.js").HeadSet} heads
 * @property {number} strength the node's own
 * @property {object|null} heat as heat.js gives it
 * @property {object|null} progress a running hunt's (DESIGN 5b)
 * @property {boolean} dark whether the ground is
 * @property {{layer: number|null, head: number|null}|null} hover
 * @property {{layer: number, head: number}|null} cursor
 * @property {string} locked why nothing can be changed; "" where it can
 * @property {boolean} wrong the text cannot be read; `locked` says why
 * @property {boolean} fixed never anything to change here
 * @property {boolean} chosenByHand the grid is
 * @property {{name: string}|null} file the model's
 * @property {boolean} waiting the server is being asked for the file's grid
 * @property {(model: string|undefined) => void} choose a grid by hand
 * @property {(spot: {layer: number, head: number}) => string[]} presetNames of the presets that hold a head
 */

/** @param {object} parts as parts.js builds them @param {Shown} shown */
export function showWords(parts, shown) {
  const { grid, heads, locked } = shown;
  const layers = grid ? new Set([...heads.keys()].map((key) => Math.floor(key / grid.heads))).size : 0;
  const size = grid ? `${grid.model} ${grid.layers}×${grid.heads}` : "";
  const count = grid ? `${plural(heads.size, "head")} · ${plural(layers, "layer")}` : "";
  set(parts.count, count, size);
  parts.invert.disabled = parts.clear.disabled = !grid || Boolean(locked);
  parts.invert.hidden = parts.clear.hidden = shown.fixed;
  parts.canvas.classList.toggle("hh-fixed", Boolean(locked));
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

/** A head's picture beside its cell; none where there is no address or no room. */
export function showPreview(preview, layout, spot, url) {
  preview.hidden = !url || !layout;
  if (preview.hidden) return;
  if (preview.getAttribute("src") !== url) preview.src = url;
  preview.alt = `L${spot.layer}H${spot.head}`;
  const x = layout.x(spot.head), right = x + layout.cellWidth + 8;
  preview.style.left = `${right + 112 < layout.width ? right : Math.max(0, x - 116)}px`;
  preview.style.top = `${Math.max(0, Math.min(layout.y(spot.layer) - 40, layout.height - 116))}px`;
}

function showNote(note, { grid, locked, wrong, chosenByHand, file, waiting, choose }) {
  const unknown = !grid && !waiting;
  const text = unknown ? whyUnknown(file)
    : waiting ? "Reading the model's grid …"
    : chosenByHand ? `Shown as ${grid.model}: no model tells its grid here.`
    : locked;
  const key = [text, unknown, chosenByHand].join();
  if (note.dataset.key === key) return;
  note.dataset.key = key;
  note.hidden = !text;
  note.classList.toggle("hh-error", wrong && !unknown);
  const choices = unknown ? KNOWN.map(({ label, grid: one }) => [`${label} ${one.layers}×${one.heads}`, one.model]) : [];
  if (chosenByHand) choices.push(["another", undefined]);
  note.replaceChildren(element("span", text), ...choices.map(([label, model]) => {
    const button = element("button", label);
    button.type = "button";
    button.addEventListener("click", () => choose(model));
    return button;
  }));
}

function whyUnknown(file) {
  if (!file) return "No model is connected that tells its grid. Which one is it?";
  return `${file.name} does not tell its grid before it has run once. Which model is it?`;
}

function showProgress({ hunt, doing, left, bar }, progress) {
  hunt.hidden = !progress;
  if (!progress) return;
  const where = progress.round ? `round ${progress.round} of ${progress.rounds}` : "unguided pictures";
  set(doing, [where, progress.candidate, `${progress.done} of ${progress.total} pictures`].filter(Boolean).join(" · "));
  set(left, progress.seconds_left === null ? "" : `${duration(progress.seconds_left)} left`);
  bar.max = Math.max(1, progress.total);
  bar.value = progress.done;
}

function showLegend(parts, { heat, dark }) {
  parts.legend.hidden = !heat?.scores.size;
  if (parts.legend.hidden) return;
  const stops = Array.from({ length: 9 }, (_, index) => ramp(index / 4 - 1, dark));
  parts.ramp.style.background = `linear-gradient(to right, ${stops.join()})`;
  set(parts.low, signed(-heat.limit));
  set(parts.high, signed(heat.limit));
  const base = heat.baseline === null ? "" : ` ${heat.baseline.toPrecision(3)}`;
  set(parts.scale, `round ${heat.round}, against unguided${base}`, heat.scorers.join(" + "));
}

/** What lies under the pointer or the cursor, in words. */
function describe(spot, { grid, heads, strength, heat, presetNames }) {
  if (!grid) return "";
  if (!spot) return `${grid.model} · ${grid.layers} layers × ${grid.heads} heads`;
  if (spot.layer === null && spot.head === null) return "all heads";
  if (spot.layer === null) return `H${spot.head} · head ${spot.head} of every layer`;
  const place = `L${spot.layer}`;
  const block = kindOf(grid, spot.layer);
  if (spot.head === null) return `${place} · the whole layer · ${block}`;
  const key = spot.layer * grid.heads + spot.head;
  const own = heads.get(key);
  const score = heat?.scores.get(key) ?? lastScore(grid, key);
  const round = heat?.chosen.get(key);
  return [
    `${place} H${spot.head} · ${block}`,
    own === undefined ? "" : own === null ? `strength ${number(strength)}` : `own strength ${number(own)}`,
    score === null ? "" : `score ${signed(score)}`,
    round === undefined ? "" : `chosen in round ${round}`,
    held(presetNames(spot)),
  ].filter(Boolean).join(" · ");
}

const held = (names) => (names.length ? `in “${names[0]}”${names.length > 1 ? ` and ${names.length - 1} more` : ""}` : "");

/** Block kind with the block's own number, where a model has two kinds: "single 4 (S4)". */
function kindOf(grid, layer) {
  const kind = grid.kinds[layer];
  if (kind === "joint") return kind;
  const own = layer - grid.kinds.indexOf(kind);
  return `${kind} ${own} (${kind[0].toUpperCase()}${own})`;
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const signed = (value) => (value > 0 ? "+" : value < 0 ? "−" : "") + Number(Math.abs(value).toPrecision(3));

/** `40 s`, `12 min`, `3.5 h`. */
function duration(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
