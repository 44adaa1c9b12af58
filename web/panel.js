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
 * @property {() => void} [more] → or the ⋯ beside it: what else can be done
 * @property {boolean} [opens] choosing opens another list (→ does it too)
 * @property {string} [key] finds the item again, to begin there
 *
 * @typedef {{title: string, items: Item[]}} Section
 */

const STYLE = `
.hh-menu { position: absolute; left: 7px; right: 7px; z-index: 5; display: flex; flex-direction: column; overflow: hidden;
  box-sizing: border-box; border-radius: 6px; border: 1px solid var(--border-default, var(--border-color, #4e4e4e));
  background: var(--comfy-menu-bg, #353535); color: var(--input-text, #ddd); font: 12px/1.35 system-ui, sans-serif;
  box-shadow: 0 4px 14px rgba(0, 0, 0, .45); user-select: none; text-align: left; outline: none; }
.hh-menu-head { display: flex; gap: 6px; align-items: center; padding: 5px 8px; font-weight: 600; }
.hh-menu-head span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; }
.hh-menu-body { overflow: auto; overscroll-behavior: contain; padding: 0 4px 4px; outline: none; }
.hh-menu h4 { margin: 6px 4px 1px; font: inherit; font-size: 11px; opacity: .65; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.hh-menu-row { display: flex; }
.hh-menu button { font: inherit; color: inherit; background: transparent; border: 0; border-radius: 4px; padding: 3px 6px; cursor: pointer; }
.hh-menu-row > button:first-child { flex: 1; min-width: 0; text-align: left; }
.hh-menu button span, .hh-menu button small { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; }
.hh-menu button small { opacity: .7; font-size: 11px; }
.hh-menu button[aria-disabled="true"] { cursor: default; }
.hh-menu button[aria-disabled="true"] span { opacity: .5; }
.hh-menu button[aria-disabled="true"] small { white-space: normal; }
.hh-menu button:hover:not([aria-disabled="true"]), .hh-menu button:focus { background: color-mix(in srgb, var(--input-text, #ddd) 18%, transparent); }
.hh-menu button:focus-visible { outline: 2px solid #5b7cfa; outline-offset: -2px; }
.hh-menu p { margin: 4px; overflow-wrap: anywhere; user-select: text; }
.hh-menu label { display: block; margin: 4px; }
.hh-menu input:not([type="file"]), .hh-menu textarea { display: block; width: 100%; box-sizing: border-box; margin-top: 2px; padding: 3px 5px;
  font: inherit; color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222); resize: vertical; user-select: text;
  border: 1px solid var(--border-default, var(--border-color, #4e4e4e)); border-radius: 4px; }
.hh-menu-keys { display: flex; gap: 6px; margin: 6px 4px 2px; }
.hh-menu .hh-menu-keys button { background: color-mix(in srgb, var(--input-text, #ddd) 14%, transparent); padding: 3px 10px; }
.hh-menu .hh-menu-keys button.hh-main { background: #4263eb; color: #fff; }
.hh-menu p.hh-wrong { color: var(--error-text, #ff4444); }
`;
const MIN_HEIGHT = 180;
const GAP = 4;

const open = new WeakMap();

export class Panel {
  /**
   * @param {HTMLElement} button what opened it: it gets the keyboard back
   * @param {HTMLElement} root the element that it lies in; positioned, and holding the button
   * @param {HTMLElement} [outside] an element that takes presses without taking the keyboard: one there closes the menu too
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
    for (const name of ["pointerdown", "pointermove", "pointerup"])
      this.element.addEventListener(name, (event) => event.button <= 0 && event.stopPropagation());
    for (const name of ["wheel", "dblclick"]) this.element.addEventListener(name, (event) => event.stopPropagation());
    this.element.addEventListener("keydown", (event) => this.onKey(event));
    this.element.addEventListener("focusout", (event) => this.onLeave(event));
    this.closing = new AbortController();
    outside?.addEventListener("pointerdown", () => this.close(), { capture: true, signal: this.closing.signal });
    this.place();
    root.append(this.element);
    open.get(root)?.close();
    open.set(root, this);
    button.setAttribute("aria-expanded", "true");
  }

  /** The open menu of an element, if there is one. */
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

  /** A line while something is fetched. */
  wait(title) {
    this.fill(title, [make("p", "", "…")], null);
    this.body.setAttribute("aria-busy", "true");
    this.focus(this.body);
  }

  /**
   * @param {string} title
   * @param {Section[]} sections
   * @param {{back?: () => void, at?: string}} [options] `back`: ← goes there; `at`: the key of the item to begin at
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
    button.more = item.more ?? (item.opens && !item.refused ? item.choose : null);
    row.append(button);
    if (item.more) {
      const more = make("button", "", "⋯");
      more.type = "button";
      more.tabIndex = -1;
      more.title = "Rename, delete, export";
      more.setAttribute("aria-label", `${item.label}: more`);
      more.addEventListener("click", item.more);
      row.append(more);
    }
    return row;
  }

  /**
   * A question with answers, and fields where there are some.
   * @param {string} title
   * @param {{text?: string, fields?: {name: string, label: string, value?: string, lines?: number, most?: number}[], ok: string,
   *   back: () => void, submit: (values: Record<string, string>) => void|Promise<void>}} form what `submit` throws is shown, and the form stays
   */
  form(title, { text = "", fields = [], ok, back, submit }) {
    const form = make("form");
    if (text) form.append(make("p", "", text));
    const inputs = fields.map(({ name, label, value = "", lines = 1, most = 200 }) => {
      const input = make(lines > 1 ? "textarea" : "input");
      Object.assign(input, { name, value, maxLength: most, autocomplete: "off", spellcheck: false });
      if (lines > 1) input.rows = lines;
      const line = make("label", "", label);
      line.append(input);
      form.append(line);
      return input;
    });
    const wrong = make("p", "hh-wrong");
    wrong.setAttribute("role", "alert");
    const keys = make("div", "hh-menu-keys");
    const yes = make("button", "hh-main", ok);
    yes.type = "submit";
    const no = make("button", "", "Cancel");
    no.type = "button";
    no.addEventListener("click", back);
    keys.append(yes, no);
    form.append(wrong, keys);
    let busy = false; // not `disabled`: the button would lose the keyboard
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (busy) return;
      busy = true;
      wrong.textContent = "";
      try {
        await submit(Object.fromEntries(inputs.map((input) => [input.name, input.value])));
      } catch (error) {
        wrong.textContent = error.message;
      }
      busy = false;
    });
    this.fill(title, [form], back);
    this.body.removeAttribute("role");
    this.body.setAttribute("aria-label", title);
    this.focus(inputs[0] ?? yes);
    inputs[0]?.select();
  }

  fill(title, content, back) {
    this.switching = true; // what had the keyboard goes: that is not leaving
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

  focus(element) {
    element.focus({ preventScroll: element === this.body });
    this.switching = false;
  }

  items() {
    return [...this.body.querySelectorAll('[role="menuitem"]')];
  }

  onKey(event) {
    event.stopPropagation(); // no key pressed in here is a shortcut of the graph
    if (event.key === "Escape") return event.preventDefault(), this.cancel();
    const current = event.target.closest('[role="menuitem"]');
    if (!current) {
      if (event.key === "ArrowLeft" && event.target === this.body) this.back?.();
      return;
    }
    const items = this.items();
    const at = items.indexOf(current);
    const go = (index) => items[(index + items.length) % items.length].focus();
    const moves = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      Home: () => go(0),
      End: () => go(-1),
      ArrowRight: () => current.more?.(),
      ArrowLeft: () => this.back?.(),
      Tab: () => this.cancel(),
    };
    if (moves[event.key]) return event.preventDefault(), moves[event.key]();
    if (event.key.length === 1 && event.key !== " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
      const next = [...items.slice(at + 1), ...items.slice(0, at + 1)];
      next.find((item) => item.textContent.toLowerCase().startsWith(event.key.toLowerCase()))?.focus();
    }
  }

  onLeave(event) {
    const to = event.relatedTarget;
    if (this.switching || this.element.contains(to) || to === this.button) return;
    if (!to && !document.hasFocus()) return; // another window, such as the file dialog
    if (!to && this.element.contains(document.activeElement)) return;
    this.close();
  }
}

function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}
