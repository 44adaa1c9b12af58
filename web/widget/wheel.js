/** The mouse wheel on the canvas: strengths, in steps, while the slider is open; else it is ComfyUI's, which zooms. */

import { changeStrength } from "./edits.js";
import { reach } from "./reach.js";

/** @typedef {import("./gestures.js").Target} Target */

const STEP = 0.05;
const FINE = 0.01;
const TICK = 100;
const PAUSE_MS = 400;

/**
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

  element.addEventListener("wheel", (event) => {
    const heads = target.takesWheel() ? turned ?? target.heads() : null;
    const spot = target.spot(event), grid = target.grid();
    if (!heads || !grid || !spot || event.ctrlKey || event.metaKey) return target.canvas().processMouseWheel?.(event);
    event.preventDefault();
    event.stopPropagation();
    // With shift the browser turns the wheel sideways.
    rest -= (event.deltaY || event.deltaX) * (event.deltaMode ? 33 : 1);
    const ticks = Math.trunc(rest / TICK);
    if (!ticks) return;
    rest -= ticks * TICK;
    clearTimeout(timer);
    timer = window.setTimeout(end, PAUSE_MS);
    const by = ticks * (event.shiftKey ? FINE : STEP);
    changeStrength(heads, reach(grid, spot, target.selection()), (own) => (own ?? target.strength()) + by);
    turned = heads;
    target.draft(heads);
    target.aim(spot);
  }, { passive: false });
  return end;
}
