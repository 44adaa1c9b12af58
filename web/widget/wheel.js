/** The mouse wheel on the canvas: strengths, in steps. */

import { tidy } from "./cells.js";
import { isCell, keyAt } from "./layout.js";

/** @typedef {import("./gestures.js").Target} Target */

const STEP = 0.05;
const FINE = 0.01;
const TICK = 100;
const PAUSE_MS = 400;

/**
 * The wheel changes strengths, in steps; only with focus, else it belongs to ComfyUI's canvas.
 * @param {HTMLElement} element
 * @param {Target} target
 * @returns {() => void} writes what the wheel has changed so far
 */
export function wheel(element, target) {
  let rest = 0;
  let timer = 0;
  /** @type {import("../heads.js").HeadSet|null} the heads as they will be, while the wheel turns */
  let turned = null;

  const end = () => {
    if (!turned) return;
    clearTimeout(timer);
    const heads = turned;
    turned = null;
    rest = 0;
    target.write(heads);
  };

  // The attribute keeps Nodes 2.0 from taking the wheel; older versions look at nothing else.
  element.addEventListener("focus", () => element.setAttribute("data-capture-wheel", "true"));
  element.addEventListener("blur", () => {
    element.removeAttribute("data-capture-wheel");
    end();
  });
  element.addEventListener("wheel", (event) => {
    const heads = document.activeElement === element ? turned ?? target.heads() : null;
    const spot = target.spot(event), grid = target.grid();
    if (!heads || !grid || !isCell(spot) || event.ctrlKey || event.metaKey) return target.canvas().processMouseWheel?.(event);
    event.preventDefault();
    event.stopPropagation();
    // With shift the browser turns the wheel sideways.
    rest -= (event.deltaY || event.deltaX) * (event.deltaMode ? 33 : 1);
    const ticks = Math.trunc(rest / TICK);
    if (!ticks) return;
    rest -= ticks * TICK;
    clearTimeout(timer);
    timer = window.setTimeout(end, PAUSE_MS);
    const key = keyAt(grid, spot);
    heads.set(key, tidy((heads.get(key) ?? target.strength()) + ticks * (event.shiftKey ? FINE : STEP)));
    turned = heads;
    target.move(spot);
    target.draft(heads);
  }, { passive: false });
  return end;
}
