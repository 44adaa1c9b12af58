/**
 * A panel beside a grid, which it does not cover: lists and small forms, worked with mouse and keyboard.
 *
 * It belongs to the page, so that it is as large at any zoom, follows its grid, and closes when the keyboard goes elsewhere or
 * the grid is gone. All words are set as text, never as HTML.
 *
 * @typedef {object} Item
 * @property {string} label
 * @property {string} [detail] a second, smaller line
 * @property {string} [refused] why it cannot be chosen
 * @property {() => void} [choose] Enter, Space, click
 * @property {() => void} [more] what else can be done: the button beside it, or the right arrow key
 * @property {string} [words] what a search finds it by, besides its label and detail
 * @property {string} [heads] head text that the grid shows while the item is looked at
 * @property {() => Promise<string>} [picture] gives its address
 * @property {{on: boolean, set: (on: boolean) => void}} [star]
 * @property {string} [moreTitle] what the button beside it does, by default that of a preset
 * @property {boolean} [opens] choosing opens another list (→ does it too)
 * @property {string} [key] finds the item again, to begin there
 *
 * @typedef {{title: string, items: Item[], folded?: boolean}} Section  `folded`: behind its title, until that is chosen or something is searched
 */

import { buildForm } from "./form.js";
import { make } from "./make.js";
import { moreAt } from "./row.js";
import { searchBox } from "./search.js";
import { sectionOf } from "./section.js";
import { STYLE } from "./style.js";
import { TypeAhead } from "./type_ahead.js";

const GAP = 10;

/** @type {WeakMap<HTMLElement, Panel>} the open menu of an element */
const open = new WeakMap();
export class Panel {
  /**
   * @param {HTMLElement} button what opened it: it gets the keyboard back
   * @param {HTMLElement} root the grid's
   * @param {(text: string|null) => void} peek shows heads on the grid
   * @param {HTMLElement} [outside] an element that takes presses without taking the keyboard: a press there closes the menu too
   */
  constructor(button, root, peek, outside) {
    this.button = button;
    this.root = root;
    this.peek = peek;
    this.typing = new TypeAhead();
    this.element = make("div", "hh-menu");
    this.head = make("div", "hh-menu-head");
    this.body = make("div", "hh-menu-body");
    this.body.tabIndex = -1;
    this.element.dataset.captureWheel = "true";
    this.element.append(make("style", "", STYLE), this.head, this.body);
    for (const name of /** @type {const} */ (["pointerdown", "pointermove", "pointerup"]))
      this.element.addEventListener(name, (event) => event.button <= 0 && event.stopPropagation());
    for (const name of ["wheel", "dblclick"]) this.element.addEventListener(name, (event) => event.stopPropagation());
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("focusout", (event) => this.onLeave(event));
    this.closing = new AbortController();
    this.switching = false; // what had the keyboard goes: that is not leaving
    /** @type {(() => void)|null} */
    this.back = null;
    outside?.addEventListener("pointerdown", () => this.close(), { capture: true, signal: this.closing.signal });
    open.get(root)?.close();
    open.set(root, this);
    document.body.append(this.element);
    this.follow();
    button.setAttribute("aria-expanded", "true");
  }

  /**
   * The open menu of an element, if there is one.
   * @param {HTMLElement} root
   */
  static of(root) {
    return open.get(root) ?? null;
  }

  get isOpen() {
    return this.element.isConnected;
  }

  close() {
    if (open.get(this.root) === this) open.delete(this.root);
    this.closing.abort();
    this.button.setAttribute("aria-expanded", "false");
    this.switching = true;
    this.peek(null);
    this.element.remove();
  }

  /** Stays beside the grid while that moves, and goes with it. */
  follow() {
    if (!this.isOpen) return;
    if (!this.root.isConnected) return this.close();
    this.place();
    requestAnimationFrame(() => this.follow());
  }

  /** As Escape does it. */
  cancel() {
    this.close();
    this.button.focus({ preventScroll: true });
  }

  /** Right of the grid, or left of it where there is no room. */
  place() {
    const grid = this.root.getBoundingClientRect(), { offsetWidth: width, offsetHeight: height } = this.element;
    const right = grid.right + GAP, left = grid.left - GAP - width;
    const x = right + width <= window.innerWidth || left < 0 ? Math.min(right, window.innerWidth - width - 4) : left;
    const y = Math.max(4, Math.min(grid.top, window.innerHeight - height - 4));
    Object.assign(this.element.style, { left: `${Math.max(4, x)}px`, top: `${y}px` });
  }

  /**
   * A line while something is fetched.
   * @param {string} title
   */
  wait(title) {
    this.fill(title, [make("p", "", "…")], null);
    this.body.setAttribute("aria-busy", "true");
    this.focus(this.body);
  }

  /**
   * @param {string} title
   * @param {Section[]} sections
   * @param {{back?: (() => void)|null, at?: string, search?: boolean}} [options] `back`: where the left arrow key goes; `at`: the key
   *   of the item to begin at; `search`: with a box to search in
   */
  list(title, sections, { back = null, at = "", search = false } = {}) {
    const rows = sections.map((section, index) => sectionOf(section, `hh-menu-${this.serial}-${index}`, this.peek));
    this.fill(title, rows, back);
    this.body.setAttribute("role", "menu");
    this.body.setAttribute("aria-label", title);
    if (search) this.head.append(searchBox(this.body, () => this.items()[0]?.focus()));
    const buttons = this.items();
    this.focus(buttons.find((button) => at && button.dataset.key === at) ?? buttons[0] ?? this.body);
  }

  serial = Math.random().toString(36).slice(2);

  /**
   * A question with answers, and fields where there are some.
   * @param {string} title
   * @param {import("./form.js").Question} question
   */
  form(title, question) {
    const { form, first } = buildForm(question);
    this.fill(title, [form], question.back);
    this.body.removeAttribute("role");
    this.body.setAttribute("aria-label", title);
    this.focus(first);
    if (first instanceof HTMLInputElement || first instanceof HTMLTextAreaElement) first.select();
  }

  /**
   * @param {string} title
   * @param {Node[]} content
   * @param {(() => void)|null} back
   */
  fill(title, content, back) {
    this.switching = true;
    this.back = back;
    this.head.replaceChildren();
    if (back) {
      const button = make("button", "", "◂");
      button.type = "button";
      button.tabIndex = -1;
      button.setAttribute("aria-label", "Back");
      button.addEventListener("click", back);
      this.head.append(button);
    }
    this.head.append(make("span", "", title));
    this.body.removeAttribute("aria-busy");
    this.body.replaceChildren(...content);
    this.body.scrollTop = 0;
  }

  /** @param {HTMLElement} element */
  focus(element) {
    element.focus({ preventScroll: element === this.body });
    this.switching = false;
  }

  /** @returns {HTMLElement[]} */
  items() {
    const all = [...this.body.querySelectorAll('[role="menuitem"]')].filter((item) => item instanceof HTMLElement);
    return all.filter((item) => item.offsetParent !== null); // neither folded away nor searched out
  }

  /** @param {KeyboardEvent} event */
  onKey(event) {
    event.stopPropagation(); // no key pressed in here is a shortcut of the graph
    if (event.key === "Escape") return event.preventDefault(), this.cancel();
    const current = event.target instanceof Element ? event.target.closest('[role="menuitem"]') : null;
    if (!(current instanceof HTMLElement)) {
      if (event.key === "ArrowLeft" && event.target === this.body) this.back?.();
      return;
    }
    const items = this.items();
    const at = items.indexOf(current);
    const go = (/** @type {number} */ index) => items[(index + items.length) % items.length].focus();
    /** @type {Record<string, () => void>} */
    const moves = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      Home: () => go(0),
      End: () => go(-1),
      ArrowRight: () => moreAt.get(current)?.(),
      ArrowLeft: () => this.back?.(),
      Tab: () => this.cancel(),
    };
    if (moves[event.key]) return event.preventDefault(), moves[event.key]();
    if (event.key === "/" && this.searchBox) return event.preventDefault(), this.searchBox.focus();
    if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) this.typing.type(event.key, items, at);
  }

  /** @returns {HTMLInputElement|null} */
  get searchBox() {
    return this.head.querySelector("input");
  }

  /** @param {FocusEvent} event */
  onLeave(event) {
    const to = event.relatedTarget instanceof Node ? event.relatedTarget : null;
    if (this.switching || this.element.contains(to) || to === this.button) return;
    if (!to && !document.hasFocus()) return; // another window, such as the file dialog
    if (!to && this.element.contains(document.activeElement)) return;
    this.close();
  }
}
