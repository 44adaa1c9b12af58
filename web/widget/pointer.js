/** The pointer on the canvas: clicks, strokes and rectangles. */

import { cellsBetween, cellsOf, line, paint } from "./cells.js";
import { isCell } from "./layout.js";

/**
 * @typedef {import("./gestures.js").Target} Target
 * @typedef {import("../heads.js").HeadSet} HeadSet
 * @typedef {import("./layout.js").Spot} Spot
 */

/**
 * @typedef {object} Stroke the pointer's, while its button is down
 * @property {number} id the pointer's
 * @property {HeadSet} before
 * @property {HeadSet} heads as they will be
 * @property {boolean} add heads are added, not removed; the first cell decides
 * @property {Spot} from
 * @property {Spot} last
 * @property {boolean} rectangle
 */

/**
 * @param {HTMLElement} element
 * @param {Target} target
 * @param {() => void} endWheel
 */
export function pointer(element, target, endWheel) {
  /** @type {Stroke|null} */
  let stroke = null;

  element.addEventListener("pointerdown", (event) => {
    if (event.button === 1) return target.canvas().processMouseDown?.(event);
    if (event.button !== 0 || stroke) return;
    endWheel();
    element.focus({ preventScroll: true });
    const spot = target.spot(event), heads = target.heads(), grid = target.grid();
    if (!spot || !heads || !grid) return;
    const add = !cellsOf(grid, spot).every((key) => heads.has(key));
    stroke = { id: event.pointerId, before: heads, heads, add, from: spot, last: spot, rectangle: isCell(spot) && event.shiftKey };
    element.setPointerCapture(event.pointerId);
    if (isCell(spot)) target.move(spot);
    strokeTo(stroke, spot);
  });

  element.addEventListener("pointermove", (event) => {
    if (event.buttons & 4) target.canvas().processMouseMove?.(event);
    target.point(target.spot(event));
    if (stroke?.id !== event.pointerId) return;
    const steps = event.getCoalescedEvents?.() ?? [];
    for (const step of steps.length ? steps : [event]) {
      const nearest = target.nearest(step);
      if (!nearest) continue;
      // A stroke that began on a label goes on along that label.
      const { from, last } = stroke;
      const spot = { layer: from.layer === null ? null : nearest.layer, head: from.head === null ? null : nearest.head };
      if (spot.layer !== last.layer || spot.head !== last.head) strokeTo(stroke, spot);
    }
  });

  const finish = (/** @type {(heads: HeadSet) => void} */ change) => (/** @type {PointerEvent} */ event) => {
    if (event.button === 1) target.canvas().processMouseUp?.(event);
    if (stroke?.id !== event.pointerId) return;
    change(stroke.heads);
    stroke = null;
    target.frame(null);
  };
  element.addEventListener("pointerup", finish(target.write));
  element.addEventListener("pointercancel", finish(() => target.draft(null)));
  element.addEventListener("lostpointercapture", finish(() => target.draft(null)));
  element.addEventListener("pointerleave", () => stroke || target.point(null));

  /**
   * @param {Stroke} stroke
   * @param {Spot} spot
   */
  function strokeTo(stroke, spot) {
    const grid = target.grid();
    if (!grid) return;
    const { from, last, add } = stroke;
    stroke.last = spot;
    if (stroke.rectangle && isCell(from) && isCell(spot)) {
      stroke.heads = new Map(stroke.before);
      paint(stroke.heads, cellsBetween(grid, from, spot), add);
      target.frame({ from, to: spot });
    } else for (const step of line(last, spot)) paint(stroke.heads, cellsOf(grid, step), add);
    target.draft(stroke.heads);
  }
}
