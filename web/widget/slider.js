/**
 * The strength of the heads at a spot, as a slider in a small panel on the grid: opened by a right click, a long press or the
 * button. While it is open the mouse wheel changes strengths too.
 */

import { number } from "../heads.js";
import { editFor, setStrength } from "./edits.js";
import { changed, reach } from "./reach.js";

/**
 * @typedef {import("./gestures.js").Target} Target
 * @typedef {import("./layout.js").Spot} Spot
 */

const STEP = 0.05;
const GAP = 6;

export class Slider {
  /** @type {Spot} */
  #spot = { layer: null, head: null };
  #range = Object.assign(document.createElement("input"), { type: "range", min: "-1", max: "1", step: String(STEP) });
  #title = document.createElement("span");
  #value = document.createElement("output");

  /**
   * @param {HTMLElement} root the grid's
   * @param {HTMLElement} canvas gets the keyboard back
   * @param {Target} target
   */
  constructor(root, canvas, target) {
    this.root = root;
    this.canvas = canvas;
    this.target = target;
    const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {string} */ key) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent: text, title });
      made.addEventListener("click", () => this.#press(key));
      return made;
    };
    this.#range.setAttribute("aria-label", "Strength");
    const keys = document.createElement("div");
    keys.append(button("−", "The other sign: -", "-"), button("node’s", "The node's own strength: n", "n"), button("Remove", "Delete", "Delete"));
    this.element = document.createElement("div");
    this.element.className = "hh-slider";
    this.element.append(this.#title, this.#value, this.#range, keys);
    this.element.hidden = true;
    this.#listen();
  }

  #listen() {
    const { element, target } = this;
    this.#range.addEventListener("input", () => {
      const heads = target.heads();
      if (!heads) return;
      setStrength(heads, this.#keys, Number(this.#range.value));
      target.draft(heads);
      this.#value.textContent = number(Number(this.#range.value));
    });
    this.#range.addEventListener("change", () => {
      const heads = target.heads();
      if (!heads) return;
      setStrength(heads, this.#keys, Number(this.#range.value));
      target.write(heads);
    });
    element.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      event.stopPropagation();
      if (event.key === "Escape") this.close(true);
      else if (/^[0-9n-]$/.test(event.key) || event.key === "Delete") this.#press(event.key);
      else return;
      event.preventDefault();
    });
    element.addEventListener("wheel", (event) => event.stopPropagation());
    // A press elsewhere may take the keyboard later, or not at all.
    this.root.addEventListener("pointerdown", (event) => {
      if (event.button === 0 && event.target instanceof Node && !element.contains(event.target)) this.close(false);
    }, { capture: true });
    element.addEventListener("focusout", (event) => {
      if (!(event.relatedTarget instanceof Node && this.root.contains(event.relatedTarget)) && document.hasFocus()) this.close(false);
    });
  }

  get isOpen() {
    return !this.element.hidden;
  }

  /** @param {Spot} spot */
  open(spot) {
    if (!this.target.heads()) return;
    this.element.hidden = false;
    this.root.setAttribute("data-capture-wheel", "true"); // keeps Nodes 2.0 from taking the wheel
    this.aim(spot);
    this.#place();
    this.#range.focus({ preventScroll: true });
  }

  /**
   * Shows another spot's strength.
   * @param {Spot} spot
   */
  aim(spot) {
    this.#spot = spot;
    this.refresh();
  }

  /** @param {boolean} back the keyboard goes back to the grid */
  close(back) {
    if (!this.isOpen) return;
    this.element.hidden = true;
    this.root.removeAttribute("data-capture-wheel");
    this.target.draft(null);
    if (back) this.canvas.focus({ preventScroll: true });
  }

  get #keys() {
    const grid = this.target.grid();
    return grid ? reach(grid, this.#spot, this.target.selection()) : [];
  }

  /** Shows the strength as it is now, also of what is being drawn. */
  refresh() {
    const heads = this.target.shown(), grid = this.target.grid();
    if (!heads || !grid) return this.close(false);
    const keys = changed(heads, this.#keys);
    const strengths = new Set(keys.map((key) => heads.get(key) ?? this.target.strength()));
    const [first] = strengths;
    const { layer, head } = this.#spot;
    const where = [layer === null ? "" : `L${layer}`, head === null ? "" : `H${head}`].filter(Boolean).join(" ") || "all heads";
    this.#title.textContent = keys.length > 1 ? `${keys.length} heads` : where;
    this.#value.textContent = strengths.size > 1 ? "mixed" : number(first ?? 0);
    if (document.activeElement !== this.#range || this.#range.value !== String(first)) this.#range.value = String(first ?? 0);
  }

  /** @param {string} key */
  #press(key) {
    const { target } = this;
    const heads = target.heads();
    if (!heads) return;
    editFor(key)?.(heads, this.#keys, target.strength());
    target.write(heads);
    this.refresh();
  }

  /** Beside the heads that it is about: below them, or above where there is no room. */
  #place() {
    const box = this.target.box(this.#spot);
    if (!box) return;
    const { width, height } = this.element.getBoundingClientRect(), stage = this.canvas.getBoundingClientRect();
    const zoom = stage.width / (this.canvas.clientWidth || 1) || 1;
    const room = { x: this.canvas.clientWidth - width / zoom, y: this.canvas.clientHeight - height / zoom };
    const below = box.bottom + GAP;
    const top = below <= room.y ? below : box.top - GAP - height / zoom;
    this.element.style.left = `${Math.max(0, Math.min(box.left, room.x))}px`;
    this.element.style.top = `${Math.max(0, Math.min(top, room.y))}px`;
  }
}
