/** The heads of a node's text on its grid: read, and written back where they may be changed. */

import { asOneStep } from "../frontend/page.js";
import { widgetOf, writeWidget } from "../frontend/nodes.js";
import { reasonOf } from "../errors.js";
import { format, isHandwritten, parse } from "../heads.js";
import { UNSEEN } from "./look.js";

/** @typedef {import("../heads.js").HeadSet} HeadSet */

/** @type {{heads: HeadSet, error: string}} */
const NOTHING = { heads: new Map(), error: "" };

export class HeadText {
  /** @type {import("./look.js").Look} what the graph around the node says */
  seen = UNSEEN;
  /** @type {string|null} another text that is looked at, and never written */
  peek = null;
  /** @type {string|null} what a gesture will write when it ends */
  draft = null;
  /** @type {{text: string|null, grid: import("../grid.js").Grid|null, heads: HeadSet, error: string}} the last text that was read */
  #read = { text: null, grid: null, ...NOTHING };

  /**
   * @param {ComfyNode} node
   * @param {string|null} field the text widget's name, null on a preset node
   * @param {ComfyApp} app
   */
  constructor(node, field, app) {
    this.node = node;
    this.field = field;
    this.app = app;
  }

  get grid() {
    return this.seen.grid;
  }

  get #widget() {
    return this.field === null ? undefined : widgetOf(this.node, this.field);
  }

  /** The text as the node or the graph has it now. */
  get #written() {
    return this.seen.elsewhere ?? String(this.#widget?.value ?? "");
  }

  /** The text to show. */
  get text() {
    if (this.peek !== null) return this.peek;
    return this.seen.elsewhere === null ? this.draft ?? this.#written : this.#written;
  }

  /**
   * The heads of a text; none, with the error, where it cannot be read.
   * @param {string} text
   */
  read(text) {
    const { grid } = this;
    if (!grid) return NOTHING;
    if (this.#read.text !== text || this.#read.grid !== grid) {
      this.#read = { text, grid, ...NOTHING };
      try {
        this.#read.heads = parse(text, grid);
      } catch (error) {
        this.#read.error = reasonOf(error);
      }
    }
    return this.#read;
  }

  /**
   * Why nothing can be changed; "" where it can.
   * @param {string} text
   */
  lock(text) {
    const { elsewhere, misfit } = this.seen;
    if (this.field === null) return misfit ? `This preset is ${misfit}.` : "These are the preset's heads. They cannot be changed here.";
    if (elsewhere !== null) return "The heads come by wire. They are shown here, and changed where the wire begins.";
    if (this.read(text).error) return this.read(text).error;
    if (isHandwritten(text)) return "The text has comments or several lines: it is shown, and left as it was written.";
    return "";
  }

  /**
   * A copy of the heads; null where nothing can be changed.
   * @returns {HeadSet|null}
   */
  copy() {
    const text = this.#written;
    return this.grid && !this.lock(text) ? new Map(this.read(text).heads) : null;
  }

  /**
   * Heads as text on the grid, "" where that is unknown.
   * @param {HeadSet} heads
   */
  format(heads) {
    return this.grid ? format(heads, this.grid) : "";
  }

  /** Whether the text is the node's own, and not empty. */
  get canClear() {
    return this.field !== null && this.seen.elsewhere === null && this.#written !== "";
  }

  /** Chooses no head, also where the text cannot be read. */
  clear() {
    if (this.canClear) this.write("");
  }

  /** Whether a text that a person wrote can be made one that the grid may change. */
  canTidy() {
    return this.seen.elsewhere === null && this.field !== null && isHandwritten(this.#written) && !this.read(this.#written).error;
  }

  /** Writes such a text in canonical form: its comments and line ends are lost. */
  tidy() {
    if (this.grid && this.canTidy()) this.write(this.format(this.read(this.#written).heads));
  }

  /**
   * Changes the heads, where they can be changed, as one undo step.
   * @param {(heads: HeadSet, grid: import("../grid.js").Grid) => HeadSet} change
   */
  edit(change) {
    const heads = this.copy();
    if (heads && this.grid) this.write(this.format(change(heads, this.grid)));
  }

  /**
   * Writes a text as one undo step.
   * @param {string} text
   * @returns {boolean} false where it comes from elsewhere and stays as it is
   */
  write(text) {
    const widget = this.#widget;
    if (!widget || this.seen.elsewhere !== null) return false;
    asOneStep(this.app, () => writeWidget(this.app, this.node, widget, text));
    return true;
  }
}
