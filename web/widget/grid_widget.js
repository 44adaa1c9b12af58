/**
 * The head grid of one node: a DOM widget that draws what the text widget says and writes text back.
 *
 * It keeps no state of its own: the heads are in the text widget, a model chosen by hand in `node.properties`, scores in the
 * study. All of that is read again in each frame, and drawn where it differs from what was drawn last. So undo, paste, wires,
 * other packs' scripts and both renderers need no special code here.
 */

import { chain, widgetOf, writeProperty } from "../frontend/nodes.js";
import { asOneStep } from "../frontend/page.js";
import { modelFile } from "../frontend/model_file.js";
import { shownBy } from "../frontend/graph.js";
import { gridOf, remember } from "../server/file_grid.js";
import { foundIn } from "../server/hunts.js";
import { drawn } from "../server/pictures.js";
import { shipped } from "../server/shipped.js";
import { Card } from "./card.js";
import { drop } from "./drop.js";
import { attach } from "./gestures.js";
import { HeadText } from "./head_text.js";
import { CHOICE, UNSEEN, kept, look } from "./look.js";
import { start, stop } from "./loop.js";
import { loadMenu, menu } from "./menu_loader.js";
import { paletteKey } from "./palette.js";
import { buildParts } from "./parts.js";
import { comeBack, leave, takePlace } from "./places.js";
import { show } from "./show.js";
import { PICTURES } from "./shown_pictures.js";
import { Slider } from "./slider.js";
import { targetOf } from "./target.js";

const TYPE = "headhunter-grid";
const MIN_HEIGHT = 470;
const MARGINS = 20; // that the classic renderer leaves around a DOM widget
const WIDTH = 420;
const LOOK_MS = 200;

export class HeadGrid {
  /** @type {import("./layout.js").Cell|null} the cell that keys act on */
  cursor = null;
  /** @type {import("./layout.js").Spot|null} what is under the pointer */
  hover = null;
  /** @type {import("./reach.js").Rectangle|null} being drawn */
  rectangle = null;
  /** @type {import("./reach.js").Rectangle|null} cells whose strength is changed together */
  selection = null;
  /** the prompt whose pictures are shown, counted on beyond the last */
  pair = 0;
  /** the pool is edited, where a hunt's scores could be shown */
  editsPool = false;
  /** scores are what each head adds to the set before, not against unguided */
  added = true;
  /** @type {boolean} a hunt's scores are shown in place of the pool: nothing is painted */
  showsScores = false;
  /** @type {import("./layout.js").Layout|null} where the cells lie; null where none are drawn */
  layout = null;
  /** @type {unknown[]} what was drawn last */
  #drawn = [];
  #looked = -LOOK_MS;
  #palette = "";

  /**
   * Adds the grid to a node.
   * @param {ComfyNode} node
   * @param {import("./look.js").Kind} kind
   * @param {ComfyApp} app
   * @param {ComfyApi} api
   */
  constructor(node, kind, app, api) {
    this.node = node;
    this.kind = kind;
    this.app = app;
    this.api = api;
    this.heads = new HeadText(node, kind.field, app);
    this.parts = buildParts({
      presets: (button) => this.#openMenu(button),
      pictures: (button) => this.#openPictures(button),
      invert: () => this.heads.edit(invert),
      clear: () => this.heads.clear(),
      use: () => this.#use(),
      mode: () => (this.editsPool = !this.editsPool),
      scale: () => (this.added = !this.added),
      strength: () => this.slider.open(this.selection?.from ?? { layer: null, head: null }),
      drop: (files) => drop(files, this.context()),
    });
    this.card = new Card((by) => (this.pair += by));
    const target = targetOf(this, this.parts.canvas);
    this.slider = new Slider(this.parts.root, this.parts.canvas, target);
    this.parts.stage.append(this.slider.element);
    attach(this.parts.canvas, target);
    this.#addWidget();
    chain(node, "onExecuted", () => this.#onRun());
    chain(node, "onRemoved", () => {
      this.card.remove();
      stop(this);
      leave(this.parts.root, node);
    });
    // Not before: clones are made for copying alone, and never added.
    chain(node, "onAdded", () => {
      comeBack(this.parts.root);
      start(this);
    });
  }

  #addWidget() {
    const { node } = this;
    const { root } = this.parts;
    const widget = node.addDOMWidget(TYPE, TYPE, root, {
      serialize: false,
      hideInPanel: true,
      getValue: () => "",
      setValue: () => {},
      getMinHeight: () => MIN_HEIGHT + MARGINS,
    });
    widget.label = "Heads";
    widget.serialize = false; // out of the workflow; the option keeps it out of the prompt
    root.style.minHeight = `${MIN_HEIGHT}px`;
    node.setSize?.([Math.max(node.size[0], WIDTH), Math.max(node.size[1], node.computeSize()[1])]);
  }

  /** The node's own strength, for heads without one. */
  get strength() {
    const value = Number(widgetOf(this.node, "strength")?.value);
    return Number.isFinite(value) ? value : 1;
  }

  /**
   * Looks, and draws where something differs.
   * @param {number} time
   */
  tick(time) {
    const { canvas, root } = this.parts;
    if (!root.isConnected) takePlace(root, this.node, this.app);
    if (!root.isConnected) return;
    if (time - this.#looked >= LOOK_MS) this.#look(time);
    const ratio = window.devicePixelRatio || 1;
    const state = [this.heads.text, this.strength, canvas.clientWidth, canvas.clientHeight, ratio, this.heads.seen, this.#palette,
      this.hover, this.cursor, this.rectangle, this.selection, this.editsPool, this.added, this.pair, drawn.version,
      this.node.properties?.[PICTURES], document.activeElement === canvas, menu.now, shipped.now];
    if (this.#drawn.length && state.every((value, index) => value === this.#drawn[index])) return;
    this.#drawn = state;
    this.layout = show(this, ratio);
  }

  /** @param {number} time */
  #look(time) {
    this.#looked = time;
    this.#palette = paletteKey(this.parts.canvas);
    const before = this.heads.seen;
    const seen = kept(look(this.node, this.kind, this.app, this.api), before);
    // What is the same stays the same object, so that comparing is cheap.
    if (JSON.stringify(seen) === JSON.stringify(before)) return;
    if (JSON.stringify(seen.grid) === JSON.stringify(before.grid)) seen.grid = before.grid;
    else this.cursor = this.hover = this.selection = null;
    this.heads.seen = seen;
  }

  /** Keeps the grid that a run told, for a model file that does not tell it. */
  #onRun() {
    const file = modelFile(this.node);
    if (file) remember(gridOf(this.api, file), shownBy(this.node, this.app)?.grid);
    this.#looked = -LOOK_MS;
  }

  /**
   * Chooses a model by hand; undefined: none.
   * @param {string|undefined} model
   */
  choose(model) {
    this.heads.seen = UNSEEN; // what was there before is not kept
    asOneStep(this.app, () => writeProperty(this.node, CHOICE, model));
    this.#looked = -LOOK_MS;
  }

  /** Which presets hold a head is asked for when somebody first looks at one. */
  wantNames() {
    shipped.want(this.api);
    loadMenu();
  }

  /** @param {HTMLElement} button */
  async #openMenu(button) {
    (await loadMenu())?.openMenu(button, this.context());
  }

  /** @param {HTMLElement} button */
  async #openPictures(button) {
    (await loadMenu())?.openPictures(button, this.context());
  }

  /** The hunt's heads, into a SoftPAG node. */
  async #use() {
    const found = foundIn(this.heads.seen.study);
    const selected = Object.values(this.app.canvas?.selected_nodes ?? {}); // the press itself selects this node a moment later
    if (found) (await loadMenu())?.useHeads(this.context(), found, selected);
  }

  /** @returns {import("../menu/session.js").Context} what the menu is given */
  context() {
    const { node, app, api, heads, parts } = this;
    return {
      node, app, api,
      grid: heads.grid,
      headsText: heads.text,
      field: heads.field,
      element: parts.root,
      setHeads: (text) => heads.write(text),
      peek: (text) => (heads.peek = text),
      close: () => parts.canvas.focus({ preventScroll: true }),
    };
  }
}

/**
 * @param {import("../heads.js").HeadSet} heads
 * @param {import("../grid.js").Grid} grid
 */
function invert(heads, grid) {
  const rest = new Map();
  for (let key = 0; key < grid.layers * grid.heads; key++) if (!heads.has(key)) rest.set(key, null);
  return rest;
}
