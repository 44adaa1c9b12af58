/**
 * An open menu at a node: what it acts on, its panel, and how it ends.
 *
 * @typedef {object} Context what a menu acts on
 * @property {ComfyNode} node the node that the grid belongs to
 * @property {ComfyApp} app
 * @property {ComfyApi} api
 * @property {import("../grid.js").Grid|null} grid null while the model is unknown
 * @property {string} headsText the text shown, as written
 * @property {(text: string) => boolean} setHeads writes a head text, as one undo step; false where it must not be changed
 * @property {(text: string|null) => void} peek shows another head text on the grid, without writing it; null: its own
 * @property {string|null} field the name of the text widget; null where the node shows a preset
 * @property {HTMLElement} element the widget's root
 * @property {() => void} close gives the keyboard back to the grid, after the menu has gone
 */

import { reasonOf } from "../errors.js";
import { isDriven } from "../frontend/nodes.js";
import { tell } from "../frontend/page.js";
import { isHandwritten } from "../heads.js";
import { Panel } from "./panel.js";

const PRESET_NODE = "HeadHunterPreset";

export class Session {
  /** @type {Panel|null} */
  #panel = null;

  /**
   * @param {HTMLElement} button what opens it
   * @param {Context} context
   * @param {(session: Session, at?: string) => void} home shows the first list, beginning at the item with a key
   */
  constructor(button, context, home) {
    this.button = button;
    this.context = context;
    this.home = (at = "") => home(this, at);
  }

  /** The panel, opened when something is to be shown. */
  get panel() {
    this.#panel ??= new Panel(this.button, this.context.element, this.context.peek, this.context.app.canvas?.canvas);
    return this.#panel;
  }

  get isPresetNode() {
    return this.context.node.comfyClass === PRESET_NODE;
  }

  /** Why the node's heads cannot be written; "" where they can, or where the node takes presets. */
  get wired() {
    const { node, field } = this.context;
    return field !== null && isDriven(node, field) ? "the heads come by wire: change them there" : "";
  }

  /**
   * Says something in the page's corner.
   * @param {"success"|"warn"|"error"} severity
   * @param {string} summary
   * @param {string} detail
   */
  tell(severity, summary, detail) {
    tell(this.context.app, severity, summary, detail);
  }

  /** Closes the menu and gives the keyboard back to the grid. */
  close() {
    this.#panel?.close();
    this.context.close();
  }

  /**
   * Goes on at once, or after a question where a text that a person wrote would be lost.
   * @param {() => void} change
   */
  replaceText(change) {
    const { headsText } = this.context;
    if (this.isPresetNode || !isHandwritten(headsText)) return change();
    this.panel.form("Replace your text?", {
      text: "The heads are written by hand, with comments or on several lines. They will be replaced; Undo brings them back.",
      ok: "Replace",
      back: () => this.home(),
      submit: change,
    });
  }

  /**
   * Runs a change, closes the menu, and says what is worth knowing.
   * @param {string} name what is applied
   * @param {() => string[]|void} change gives the fields that come by wire
   * @param {{warning?: string, gone?: boolean}} [options] `gone`: the node itself is taken away
   */
  apply(name, change, { warning = "", gone = false } = {}) {
    try {
      const driven = change() ?? [];
      const notes = [warning, driven.length ? `${driven.join(", ")} come by wire and stay as they are` : ""].filter(Boolean);
      if (notes.length) this.tell("warn", `${name} applied`, notes.join("\n"));
    } catch (error) {
      return this.tell("error", `${name} cannot be applied`, reasonOf(error));
    }
    this.#panel?.close();
    if (!gone) this.context.close();
  }
}
