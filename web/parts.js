/** The widget's HTML: a toolbar, a note, a hunt's progress, the canvas, and a line of text under it. */

import { STYLE } from "./style.js";

/**
 * Builds the elements, without any content from outside.
 * @param {{presets: (button: HTMLElement) => void, invert: () => void, clear: () => void, drop: (files: File[]) => void}} on
 */
export function buildParts(on) {
  const parts = {};
  const make = (name, tag, className = "", children = []) => {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...children);
    if (name) parts[name] = made;
    return made;
  };
  const button = (name, text, title, press) => {
    const made = make(name, "button", "", [text]);
    made.type = "button";
    made.title = title;
    made.addEventListener("click", () => press(made));
    return made;
  };

  const style = make("", "style", "", [STYLE]);
  const bar = make("", "div", "hh-bar", [
    button("presets", "Presets ▾", "Presets and studies", on.presets),
    button("invert", "Invert", "Choose the heads that are not chosen", on.invert),
    button("clear", "Clear", "Choose no head", on.clear),
    make("count", "span", "hh-count"),
  ]);
  parts.presets.classList.add("hh-main");
  parts.presets.setAttribute("aria-haspopup", "menu");
  const hunt = make("hunt", "div", "hh-hunt", [make("doing", "span"), make("left", "span"), make("bar", "progress")]);
  const note = make("note", "div", "hh-note");
  note.setAttribute("role", "status");
  const stage = make("stage", "div", "hh-stage", [make("canvas", "canvas"), make("preview", "img", "hh-preview")]);
  parts.canvas.tabIndex = 0;
  parts.canvas.setAttribute("role", "application");
  const legend = make("legend", "div", "hh-legend", [make("low", "span"), make("ramp", "i"), make("high", "span"), make("scale", "span")]);
  const foot = make("", "div", "hh-foot", [make("read", "div", "hh-read"), make("hint", "div", "hh-hint"), legend]);
  parts.read.setAttribute("aria-live", "polite");
  hunt.hidden = note.hidden = parts.preview.hidden = legend.hidden = true;
  const root = make("root", "div", "hh-grid", [style, bar, hunt, note, stage, foot]);

  // A press in here moves no node. Its mouse events go on their way: ComfyUI takes its undo steps from the mouseup.
  for (const name of ["pointerdown", "pointermove", "pointerup"])
    root.addEventListener(name, (event) => event.button <= 0 && event.stopPropagation());
  acceptFiles(root, on.drop);
  return parts;
}

/** Preset files dropped here are ours; anything else is ComfyUI's. */
function acceptFiles(root, drop) {
  const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
  root.addEventListener("dragover", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    root.classList.add("hh-drop");
  });
  root.addEventListener("dragleave", () => root.classList.remove("hh-drop"));
  root.addEventListener("drop", (event) => {
    root.classList.remove("hh-drop");
    const files = [...(event.dataTransfer?.files ?? [])];
    if (!files.length || !files.every((file) => /\.json$/i.test(file.name))) return;
    event.preventDefault();
    event.stopPropagation();
    drop(files);
  });
}

/** Sets an element's text, and title where given, if they differ. */
export function set(element, text, title) {
  if (element.textContent !== text) element.textContent = text;
  if (title !== undefined && element.title !== title) element.title = title;
}
