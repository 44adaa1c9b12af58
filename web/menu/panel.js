/**
 * A menu inside an element: lists and small forms, worked with mouse and keyboard.
 *
 * It lives in the element that it belongs to, so that both renderers show it whole, and closes when the keyboard goes
 * elsewhere; nothing listens outside of it. All words are set as text, never as HTML.
 *
 * @typedef {object} Item
 * @property {string} label
 * @property {string} [detail] a second, smaller line
 * @property {string} [refused] why it cannot be chosen
 * @property {() => void} [choose] Enter, Space, click
 * @property {() => void} [more] what else can be done: the button beside it, or the right arrow key
 * @property {string} [moreTitle] what the button beside it does, by default that of a preset
 * @property {boolean} [opens] choosing opens another list (→ does it too)
 * @property {string} [key] finds the item again, to begin there
 *
 * @typedef {{title: string, items: Item[]}} Section
 */

import { buildForm } from "./form.js";
import { make } from "./make.js";
import { STYLE } from "./style.js";

const MIN_HEIGHT = 180;
const GAP = 4;

/** @type {WeakMap<HTMLElement, Panel>} the open menu of an element */
const open = new WeakMap();
/** @type {WeakMap<Element, () => void>} what else can be done at an item's button */
const moreAt = new WeakMap();

export class Panel {
  /**
   * @param {HTMLElement} button what opened it: it gets the keyboard back
   * @param {HTMLElement} root the element that it lies in; positioned, and holding the button
   * @param {HTMLElement} [outside] an element that takes presses without taking the keyboard: a press there closes the menu too
   */
  constructor(button, root, outside) {
    this.button = button;
    this.root = root;
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
    this.place();
    root.append(this.element);
    open.get(root)?.close();
    open.set(root, this);
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
    this.element.remove();
  }

  /** As Escape does it. */
  cancel() {
    this.close();
    this.button.focus({ preventScroll: true });
  }

  place() {
    const inside = this.root.contains(this.button);
    const top = inside ? this.button.offsetTop + this.button.offsetHeight + GAP : GAP;
    const room = this.root.clientHeight - top - GAP;
    this.element.style.top = `${room < MIN_HEIGHT ? GAP : top}px`;
    this.element.style.maxHeight = `${Math.max(MIN_HEIGHT, Math.min(room, this.root.clientHeight - 2 * GAP))}px`;
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
   * @param {{back?: (() => void)|null, at?: string}} [options] `back`: where the left arrow key goes; `at`: the key of the item to begin at
   */
  list(title, sections, { back = null, at = "" } = {}) {
    const rows = sections.map(({ title: heading, items }, index) => {
      const group = make("div");
      group.setAttribute("role", "group");
      if (heading) {
        const line = make("h4", "", heading);
        line.id = `hh-menu-${this.serial}-${index}`;
        group.setAttribute("aria-labelledby", line.id);
        group.append(line);
      }
      group.append(...items.map((item) => this.row(item)));
      return group;
    });
    this.fill(title, rows, back);
    this.body.setAttribute("role", "menu");
    this.body.setAttribute("aria-label", title);
    const buttons = this.items();
    this.focus(buttons.find((button) => at && button.dataset.key === at) ?? buttons[0] ?? this.body);
  }

  serial = Math.random().toString(36).slice(2);

  /** @param {Item} item */
  row(item) {
    const row = make("div", "hh-menu-row");
    const button = make("button");
    button.type = "button";
    button.tabIndex = -1;
    button.setAttribute("role", "menuitem");
    button.append(make("span", "", item.label + (item.opens ? " ▸" : "")));
    const detail = item.refused || item.detail;
    if (detail) button.append(make("small", "", detail));
    button.title = [item.label, detail].filter(Boolean).join("\n");
    button.dataset.key = item.key ?? "";
    if (item.refused) button.setAttribute("aria-disabled", "true");
    if (item.opens || item.more) button.setAttribute("aria-haspopup", "menu");
    button.addEventListener("click", () => !item.refused && item.choose?.());
    const more = item.more ?? (item.opens && !item.refused ? item.choose : undefined);
    if (more) moreAt.set(button, more);
    row.append(button);
    if (item.more) {
      const dots = make("button", "", "⋯");
      dots.type = "button";
      dots.tabIndex = -1;
      dots.title = item.moreTitle ?? "Rename, delete, export";
      dots.setAttribute("aria-label", `${item.label}: more`);
      dots.addEventListener("click", item.more);
      row.append(dots);
    }
    return row;
  }

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
    return [...this.body.querySelectorAll('[role="menuitem"]')].filter((item) => item instanceof HTMLElement);
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
    if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const next = [...items.slice(at + 1), ...items.slice(0, at + 1)];
      next.find((item) => item.textContent?.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    }
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
