/**
 * A head's picture beside the grid, with the unguided one of the same noise: larger than a cell, and over none of them. It
 * belongs to the page, not to the node, so that it is as large at any zoom.
 */

import { previewUrl } from "../server/hunts.js";
import { signed } from "../server/library.js";
import { magnify } from "./magnifier.js";
import { CARD_STYLE } from "./card_style.js";

/**
 * @typedef {object} Shown
 * @property {HTMLElement} root the grid's
 * @property {ComfyApi} api
 * @property {import("../grid.js").Grid} grid
 * @property {import("./layout.js").Cell} cell
 * @property {number} key the cell's
 * @property {import("../server/pictures.js").Pictures} pictures
 * @property {number} pair
 * @property {import("./tiles.js").Tiles|null} magnified pictures of the neighbours, where the cells have no room for theirs
 * @property {import("../heads.js").HeadSet} heads
 */

const GAP = 14;
const LINGER_MS = 700;

export class Card {
  /** @type {import("./layout.js").Cell|null} the cell it is about, while the pointer is on it */
  held = null;
  /** @type {import("./layout.js").Cell|null} */
  #cell = null;
  #timer = 0;
  #element = make("aside", "hh-card");
  #picture = make("img");
  #plain = make("img");
  #title = make("figcaption");
  #score = make("p", "hh-card-score");
  #where = make("p", "hh-card-where");
  #prompt = make("p", "hh-card-prompt");
  #count = make("span");
  #lens = make("canvas");

  /** @param {(by: number) => void} step to another prompt */
  constructor(step) {
    const arrow = (/** @type {string} */ text, /** @type {number} */ by, /** @type {string} */ title) => {
      const made = make("button");
      Object.assign(made, { type: "button", textContent: text, title });
      made.addEventListener("click", () => step(by));
      return made;
    };
    const figures = make("div", "hh-card-figures"), one = make("figure"), other = make("figure"), caption = make("figcaption");
    caption.textContent = "unguided, same noise";
    one.append(this.#picture, this.#title);
    other.append(this.#plain, caption);
    figures.append(one, other);
    const steps = make("div", "hh-card-steps");
    steps.append(arrow("◂", -1, "The prompt before: ,"), this.#count, arrow("▸", 1, "The next prompt: ."));
    const style = make("style");
    style.textContent = CARD_STYLE;
    this.#element.append(style, figures, this.#score, this.#where, steps, this.#prompt, this.#lens);
    this.#element.setAttribute("role", "note");
    this.#element.addEventListener("pointerenter", () => {
      clearTimeout(this.#timer);
      this.held = this.#cell;
    });
    this.#element.addEventListener("pointerleave", () => {
      this.held = null;
      this.hide();
    });
  }

  /** @param {Shown} shown */
  show(shown) {
    clearTimeout(this.#timer);
    const { api, pictures, key, pair, cell } = shown;
    const head = pictures.heads.get(key);
    this.#cell = cell;
    if (!head) return this.remove();
    set(this.#picture, api, pictures.id, head.pictures.get(pair), `L${cell.layer}H${cell.head}`);
    set(this.#plain, api, pictures.id, pictures.unguided.get(pair), "unguided");
    this.#title.textContent = head.set;
    this.#score.textContent = head.score === null ? "" : `${signed(head.score)} ${pictures.goal}, against unguided`;
    this.#where.textContent = `study ${pictures.id}`;
    this.#count.textContent = `prompt ${pair + 1} of ${Math.max(pictures.prompts.length, 1)}`;
    this.#prompt.textContent = pictures.prompts[pair] ?? "";
    this.#lens.hidden = !shown.magnified;
    if (shown.magnified) magnify(this.#lens, shown.grid, cell, shown.magnified, shown.heads);
    if (!this.#element.isConnected) document.body.append(this.#element);
    this.#place(shown.root);
  }

  /** Goes after a moment, in which the pointer may reach it. */
  hide() {
    clearTimeout(this.#timer);
    this.#timer = window.setTimeout(() => this.#element.remove(), LINGER_MS);
  }

  remove() {
    clearTimeout(this.#timer);
    this.held = null;
    this.#element.remove();
  }

  /**
   * Right of the grid, or left of it where there is no room.
   * @param {HTMLElement} root
   */
  #place(root) {
    const grid = root.getBoundingClientRect(), { offsetWidth: width, offsetHeight: height } = this.#element;
    const right = grid.right + GAP, left = grid.left - GAP - width;
    const x = right + width <= window.innerWidth || left < 0 ? Math.min(right, window.innerWidth - width) : left;
    const y = Math.max(4, Math.min(grid.top + 30, window.innerHeight - height - 4));
    Object.assign(this.#element.style, { left: `${x}px`, top: `${y}px` });
  }
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 */
function make(tag, className = "") {
  return Object.assign(document.createElement(tag), { className });
}

/**
 * @param {HTMLImageElement} image
 * @param {ComfyApi} api
 * @param {string} study
 * @param {number|undefined} number of the picture; undefined where there is none
 * @param {string} alt
 */
function set(image, api, study, number, alt) {
  image.hidden = number === undefined;
  image.alt = alt;
  const url = number === undefined ? "" : previewUrl(api, study, number);
  if (number !== undefined && image.getAttribute("src") !== url) image.src = url;
}
