/**
 * The head grid of one node: a DOM widget that draws what the text widget says and writes text back (DESIGN section 4).
 *
 * It holds no state that counts: heads are in the text widget, a grid chosen by hand in `node.properties` (the workflow; a
 * widget more would move every saved `widgets_values`), scores in the study. Everything shown is found anew each frame from
 * those, and drawn where it differs from what was drawn last; so undo, paste, wires, other packs' scripts and both renderers
 * need nothing of their own here.
 *
 * @typedef {object} MenuContext what menu.js is given
 * @property {object} node the node that the grid belongs to
 * @property {object} app ComfyUI's app
 * @property {object} api ComfyUI's api
 * @property {import("./heads.js").Grid|null} grid {model, layers, heads, kinds}; null while the model is unknown
 * @property {string} headsText the text shown, as written
 * @property {(text: string) => boolean} setHeads writes a head text, as one undo step; false where it must not be changed
 * @property {"heads"|"pool"|"first"|null} field the name of the text widget; null where the node shows a preset
 * @property {HTMLElement} element the widget's root, position: relative
 * @property {() => void} close gives the keyboard back to the grid, after the menu has gone
 */

import { draw, layoutOf, spotAt } from "./drawing.js";
import { attach } from "./gestures.js";
import { executionIds, inputIndex, shownBy, textAt } from "./graph.js";
import * as heads from "./heads.js";
import * as heat from "./heat.js";
import { buildParts } from "./parts.js";
import { presetText } from "./preset_text.js";
import { KNOWN, gridOf, isGrid, modelFile, remember } from "./model.js";
import { shippedNow, wantShipped } from "./shipped.js";
import { showPreview, showWords } from "./words.js";

const TYPE = "headhunter-grid";
const CHOICE = "headhunter_grid";
const MIN_HEIGHT = 470;
const MARGINS = 20; // that the classic renderer leaves around a DOM widget
const WIDTH = 420;
const LOOK_MS = 200;
const NOTHING = { heads: new Map(), error: null };

/**
 * Adds the grid to a node.
 * @param {object} node
 * @param {{field: string|null, hunts?: boolean, pool?: boolean}} kind `field`: the text widget, null on a preset node;
 *   `hunts`: shows a study's scores; `pool`: the heads are those that a hunt tries
 * @param {object} app
 * @param {object} api
 */
export function addGrid(node, kind, app, api) {
  return new HeadGrid(node, kind, app, api);
}

const open = new Set();
/** Grids of removed nodes whose elements are still in the page. */
const left = new Set();

/** One loop for all grids. It stands still while the page is hidden. */
function everyFrame(time) {
  for (const grid of open) grid.tick(time);
  if (open.size) requestAnimationFrame(everyFrame);
}

class HeadGrid {
  constructor(node, kind, app, api) {
    Object.assign(this, { node, kind, app, api });
    this.cursor = this.hover = this.frame = this.grid = null;
    this.draft = null; // what a gesture that goes on will write
    this.looked = -LOOK_MS;
    this.parsed = { text: null };
    this.parts = buildParts({
      presets: (button) => this.openMenu(button),
      invert: () => this.edit((set) => invert(set, this.grid)),
      clear: () => this.edit(() => new Map()),
      drop: (files) => this.drop(files),
    });
    attach(this.parts.canvas, this.target());
    this.widget = node.addDOMWidget(TYPE, TYPE, this.parts.root, {
      serialize: false,
      hideInPanel: true,
      getValue: () => "",
      setValue: () => {},
      getMinHeight: () => MIN_HEIGHT + MARGINS,
    });
    this.widget.serialize = false; // out of the workflow; the option keeps it out of the prompt
    this.parts.root.style.minHeight = `${MIN_HEIGHT}px`;
    node.setSize?.([Math.max(node.size[0], WIDTH), Math.max(node.size[1], node.computeSize()[1])]);
    chain(node, "onExecuted", () => this.onRun());
    chain(node, "onRemoved", () => this.close());
    chain(node, "onAdded", () => this.start()); // not before: clones are made for copying alone, and never added
  }

  start() {
    left.delete(this);
    if (!open.size) requestAnimationFrame(everyFrame);
    open.add(this);
  }

  close() {
    open.delete(this);
    left.add(this);
  }

  /** Undo makes all nodes anew, but Nodes 2.0 keeps showing the elements of the old ones: this takes the place of its own. */
  takePlace() {
    const { node, app } = this;
    if (node.graph !== app.canvas?.graph || node.graph?.getNodeById(node.id) !== node) return;
    for (const old of left) {
      const { root } = old.parts;
      if (!root.isConnected) left.delete(old);
      else if (window.LiteGraph?.vueNodesMode && String(old.node.id) === String(node.id)) root.replaceWith(this.parts.root);
    }
  }

  /** What a run told about a file that does not tell it itself is kept. */
  onRun() {
    const grid = shownBy(this.node, this.app)?.grid;
    const file = grid && modelFile(this.node);
    const known = file && gridOf(file, this.fetch);
    if (known?.key && !known.grid) remember(known.key, grid);
    this.looked = -LOOK_MS;
  }

  fetch = (url) => this.api.fetchApi(url);

  // What is shown ---------------------------------------------------------------------------------------------------

  get field() {
    return this.node.widgets?.find((widget) => widget.name === this.kind.field);
  }

  get strength() {
    const value = Number(this.node.widgets?.find((widget) => widget.name === "strength")?.value);
    return Number.isFinite(value) ? value : 1;
  }

  tick(time) {
    const { canvas, root } = this.parts;
    if (!root.isConnected) this.takePlace();
    if (!root.isConnected) return;
    if (time - this.looked >= LOOK_MS) {
      this.looked = time;
      this.look();
    }
    this.text = this.kind.field ? (this.driven ? this.brought : this.draft ?? String(this.field?.value ?? "")) : this.preset;
    const ratio = window.devicePixelRatio || 1;
    const drawn = [this.text, this.strength, canvas.clientWidth, canvas.clientHeight, ratio, this.grid, this.seen, this.palette,
      this.hover, this.cursor, this.frame, document.activeElement === canvas, menu.module, shippedNow()];
    if (this.drawn?.every((value, index) => value === drawn[index])) return;
    this.drawn = drawn;
    this.show(ratio);
  }

  /** What is dearer to find out, and seldom changes. */
  look() {
    const { node, app, kind } = this;
    const shown = shownBy(node, app);
    this.file = modelFile(node);
    this.known = this.file && gridOf(this.file, this.fetch);
    const chosen = KNOWN.find(({ grid }) => grid.model === node.properties?.[CHOICE])?.grid;
    const ran = isGrid(shown?.grid) && !this.file ? shown.grid : null;
    this.setGrid(this.known?.grid ?? ran ?? chosen ?? null);
    this.chosenByHand = Boolean(this.grid) && this.grid === chosen;

    const slot = kind.field ? inputIndex(node, kind.field) : -1;
    this.driven = slot >= 0 && node.inputs[slot].link != null;
    this.brought = this.driven ? textAt(node, slot) ?? shown?.heads ?? "" : "";
    if (!kind.field) wantShipped(this.api);
    const preset = kind.field ? null : presetText(node, this.grid);
    // What the last run had counts only where the preset comes by wire: otherwise the node itself says what is chosen.
    const wired = !kind.field && node.inputs?.some((input) => ["preset", "preset_json"].includes(input.name) && input.link != null);
    this.preset = preset?.heads ?? (wired ? shown?.heads : null) ?? "";
    this.refused = preset?.refused ?? "";
    this.result = typeof shown?.result === "string" ? shown.result : null;

    const named = kind.hunts ? node.widgets?.find((widget) => widget.name === "study")?.value : "";
    this.study = kind.hunts ? heat.studyOf(executionIds(node), shown?.study, String(named ?? "")) : "";
    const style = getComputedStyle(this.parts.canvas);
    this.palette = [style.color, style.backgroundColor, style.caretColor].join();
    this.seen = [this.study, heat.versionOf(this.study), this.driven, this.chosenByHand, this.result, this.known === undefined,
      this.known?.error, this.refused].join();
  }

  /** The same grid stays the same object, so that comparing is cheap. */
  setGrid(grid) {
    if (JSON.stringify(grid) === JSON.stringify(this.grid)) return;
    this.grid = grid;
    this.cursor = this.hover = null;
  }

  /** The text's heads; none, with the error, where it cannot be read. */
  read(text) {
    if (!this.grid) return NOTHING;
    if (this.parsed.text !== text || this.parsed.grid !== this.grid) {
      this.parsed = { text, grid: this.grid, ...NOTHING };
      try {
        this.parsed.heads = heads.parse(text, this.grid);
      } catch (error) {
        this.parsed.error = error.message;
      }
    }
    return this.parsed;
  }

  /** Why nothing can be changed here; "" where it can. */
  get locked() {
    if (!this.kind.field) return this.refused ? `This preset is ${this.refused}.` : "The preset's heads, to look at.";
    if (this.driven) return "The heads come by wire: shown here, changed there.";
    if (this.read(this.text).error) return this.read(this.text).error;
    if (heads.isHandwritten(this.text)) return "Comments or several lines: the text is shown, and left as it was written.";
    return "";
  }

  show(ratio) {
    const { canvas } = this.parts;
    const { grid } = this;
    const parsed = this.read(this.text);
    const found = grid && this.study ? heat.heatOn(this.study, grid) : null;
    const palette = colours(canvas);
    const progress = heat.progressOf(this.study);
    showWords(this.parts, {
      grid, heads: parsed.heads, strength: this.strength, heat: found, progress, dark: palette.dark, hover: this.hover, cursor: this.cursor,
      locked: grid ? this.locked : "", wrong: Boolean(parsed.error || this.refused), fixed: !this.kind.field, chosenByHand: this.chosenByHand,
      file: this.file, waiting: Boolean(this.file) && this.known === undefined,
      choose: (model) => this.choose(model),
      presetNames: (spot) => menu.module?.presetNames?.(grid, spot.layer, spot.head) ?? [],
    });
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    this.layout = grid && width > 60 && height > 60 ? layoutOf(grid, width, height) : null;
    const preview = isCell(this.hover) ? found?.previews.get(this.hover.layer * grid.heads + this.hover.head) : undefined;
    showPreview(this.parts.preview, this.layout, this.hover, preview === undefined ? "" : heat.previewUrl(this.api, this.study, preview));
    if (!this.layout) return;
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    draw(context, this.layout, {
      heads: parsed.heads,
      strength: this.strength,
      heat: found?.scores.size || found?.chosen.size ? found : null,
      pool: Boolean(this.kind.pool),
      candidate: new Set(progress?.candidate ? this.keys(progress.candidate) : []),
      result: this.result === null ? null : new Set(this.keys(this.result)),
      cursor: isCell(this.hover) ? this.hover : this.cursor,
      focused: isCell(this.hover) || document.activeElement === canvas,
      rectangle: this.frame,
      faded: Boolean(parsed.error),
    }, palette);
  }

  keys(text) {
    try {
      return [...heads.parse(text, this.grid).keys()];
    } catch {
      return [];
    }
  }

  // Changes ---------------------------------------------------------------------------------------------------------

  choose(model) {
    this.step(() => {
      if (model) this.node.setProperty ? this.node.setProperty(CHOICE, model) : (this.node.properties[CHOICE] = model);
      else delete this.node.properties[CHOICE];
    });
    this.looked = -LOOK_MS;
  }

  /** Runs a change as one undo step. */
  step(change) {
    this.app.canvas?.emitBeforeChange?.();
    try {
      return change();
    } finally {
      this.app.canvas?.emitAfterChange?.();
    }
  }

  write(text) {
    const widget = this.field;
    if (!widget || widget.value === text) return;
    widget.value = text;
    widget.callback?.(text, this.app.canvas, this.node);
    this.node.setDirtyCanvas?.(true, true);
  }

  edit(change) {
    const current = this.current();
    if (current) this.step(() => this.write(heads.format(change(current), this.grid)));
  }

  /** A copy of the heads, null where nothing can be changed. */
  current() {
    if (!this.grid || !this.kind.field) return null;
    this.text = String(this.field?.value ?? "");
    return this.locked ? null : new Map(this.read(this.text).heads);
  }

  target() {
    const { canvas } = this.parts;
    return {
      grid: () => this.grid,
      heads: () => this.current(),
      draft: (set) => (this.draft = set && this.grid ? heads.format(set, this.grid) : null),
      write: (set) => {
        this.draft = null;
        if (this.grid && open.has(this)) this.step(() => this.write(heads.format(set, this.grid)));
      },
      strength: () => this.strength,
      spot: (event, inside = false) => {
        if (!this.layout) return null;
        const box = canvas.getBoundingClientRect();
        // By the ratio: it holds the graph's zoom.
        const x = ((event.clientX - box.left) / box.width) * this.layout.width;
        const y = ((event.clientY - box.top) / box.height) * this.layout.height;
        return inside ? { layer: this.layout.row(y), head: this.layout.column(x) } : spotAt(this.layout, x, y);
      },
      point: (spot) => {
        if (same(spot, this.hover)) return;
        this.hover = spot;
        this.wantNames();
      },
      frame: (frame) => (this.frame = frame),
      cursor: () => this.cursor,
      move: (cell) => {
        this.cursor = cell;
        this.hover = null;
        this.wantNames();
      },
      canvas: () => (window.LiteGraph?.vueNodesMode ? {} : this.app.canvas),
    };
  }

  // The menu --------------------------------------------------------------------------------------------------------

  /** @returns {MenuContext} */
  context() {
    return {
      node: this.node, app: this.app, api: this.api, grid: this.grid, headsText: this.text ?? "", field: this.kind.field,
      element: this.parts.root,
      setHeads: (text) => {
        if (!this.field || this.driven) return false;
        this.step(() => this.write(text));
        return true;
      },
      close: () => this.parts.canvas.focus({ preventScroll: true }),
    };
  }

  /** Which presets hold a head is asked for when somebody first looks at one. */
  wantNames() {
    wantShipped(this.api);
    menu.load();
  }

  async openMenu(button) {
    (await menu.load())?.openMenu(button, this.context());
  }

  async drop(files) {
    const texts = await Promise.all(files.map((file) => file.text()));
    const module = await menu.load();
    if (module?.importDropped && !texts.some(isWorkflow)) return module.importDropped(files, this.context());
    for (const file of files) this.app.handleFile(file);
  }
}

/** menu.js, loaded when it is first wanted; null where it cannot be. */
const menu = {
  module: null,
  async load() {
    this.module ??= await import("./menu.js").catch(() => null);
    return this.module;
  },
};

function invert(set, grid) {
  const rest = new Map();
  for (let key = 0; key < grid.layers * grid.heads; key++) if (!set.has(key)) rest.set(key, null);
  return rest;
}

/** Whether a JSON text is a workflow, which ComfyUI opens wherever it is dropped. */
function isWorkflow(text) {
  try {
    const data = JSON.parse(text);
    return Array.isArray(data.nodes) || Object.values(data).some((node) => node?.class_type);
  } catch {
    return false;
  }
}

/** Runs after what is there already; a node's handlers belong to others too. */
function chain(node, name, after) {
  const before = node[name];
  node[name] = function (...values) {
    const result = before?.apply(this, values);
    after();
    return result;
  };
}

/** The palette's colours as they are this moment. */
function colours(canvas) {
  const { color, backgroundColor, caretColor } = getComputedStyle(canvas);
  const [red, green, blue] = (backgroundColor.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
  return { text: color, back: backgroundColor, accent: caretColor, away: "#d9702b", dark: 0.3 * red + 0.6 * green + 0.1 * blue < 128 };
}

const isCell = (spot) => Boolean(spot) && spot.layer !== null && spot.head !== null;
const same = (one, other) => one?.layer === other?.layer && one?.head === other?.head && !one === !other;
