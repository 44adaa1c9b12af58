/** The widget's HTML: a toolbar, a note, a hunt's progress, the canvas, and a line of text under it. */

import { STYLE } from "./style.js";

/** @typedef {ReturnType<typeof buildParts>} Parts */

/**
 * Builds the elements, without any content from outside.
 * @param {{presets: (button: HTMLElement) => void, pictures: (button: HTMLElement) => void, invert: () => void, clear: () => void, strength: () => void, use: () => void, mode: () => void,
 *   scale: () => void, drop: (files: File[]) => void}} on
 */
export function buildParts(on) {
  const presets = button("Presets ▾", "Presets and studies", on.presets);
  presets.classList.add("hh-main");
  presets.setAttribute("aria-haspopup", "menu");
  const pictures = button("Pictures ▾", "Pictures of heads, from an atlas, a comparison or a hunt on this model", on.pictures);
  pictures.setAttribute("aria-haspopup", "menu");
  pictures.classList.add("hh-pick");
  const invert = button("Invert", "Choose the heads that are not chosen", on.invert);
  const clear = button("Clear", "Choose no head", on.clear);
  const strength = button("Strength", "The strength of the selected heads, or of all that are painted, by a slider or the mouse wheel", on.strength);
  const use = button("Use these heads", "Into the SoftPAG node that is selected or connected, or a new one: heads, strengths, scale, method", on.use);
  const mode = button("Edit pool", "Scores of the hunt, or the heads that it tries, to be painted", on.mode);
  use.classList.add("hh-main");
  const count = make("span", "hh-count");
  const bar = make("div", "hh-bar", presets, pictures, invert, clear, strength, use, mode, count);

  const doing = make("span"), left = make("span"), done = make("progress");
  const hunt = make("div", "hh-hunt", doing, left, done);
  const note = make("div", "hh-note");
  note.setAttribute("role", "status");

  const canvas = make("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "application");
  const stage = make("div", "hh-stage", canvas);

  const low = make("span"), colours = make("i"), high = make("span"), scale = button("", "", on.scale);
  const legend = make("div", "hh-legend", low, colours, high, scale);
  const read = make("div", "hh-read"), hint = make("div", "hh-hint");
  read.setAttribute("aria-live", "polite");
  const foot = make("div", "hh-foot", read, hint, legend);

  use.hidden = mode.hidden = hunt.hidden = note.hidden = legend.hidden = true;
  const root = make("div", "hh-grid", make("style", "", STYLE), bar, hunt, note, stage, foot);
  // A press in here moves no node. Its mouse events go on their way: ComfyUI takes its undo steps from the mouseup.
  for (const name of /** @type {const} */ (["pointerdown", "pointermove", "pointerup"]))
    root.addEventListener(name, (event) => event.button <= 0 && event.stopPropagation());
  acceptFiles(root, on.drop);
  return { root, presets, pictures, invert, clear, strength, use, mode, count, hunt, doing, left, done, note, stage, canvas, legend, low, colours, high, scale, read, hint };
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {string} className
 * @param {(Node|string)[]} children
 */
function make(tag, className = "", ...children) {
  const made = document.createElement(tag);
  made.className = className;
  made.append(...children);
  return made;
}

/**
 * @param {string} text
 * @param {string} title
 * @param {(button: HTMLElement) => void} press
 */
function button(text, title, press) {
  const made = make("button", "", text);
  made.type = "button";
  made.title = title;
  made.addEventListener("click", () => press(made));
  return made;
}

/**
 * Takes JSON and PNG files that are dropped on the grid, and leaves all others to ComfyUI.
 * @param {HTMLElement} root
 * @param {(files: File[]) => void} drop
 */
function acceptFiles(root, drop) {
  const carriesFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  root.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    root.classList.add("hh-drop");
  });
  root.addEventListener("dragleave", () => root.classList.remove("hh-drop"));
  root.addEventListener("drop", (event) => {
    root.classList.remove("hh-drop");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length || !files.every((file) => /\.(json|png)$/i.test(file.name))) return;
    event.preventDefault();
    event.stopPropagation();
    drop(files);
  });
}

/**
 * Sets an element's text, and title where given, if they differ.
 * @param {HTMLElement} element
 * @param {string} text
 * @param {string} [title]
 */
export function set(element, text, title) {
  if (element.textContent !== text) element.textContent = text;
  if (title !== undefined && element.title !== title) element.title = title;
}
