/** The pointer on the canvas: clicks, strokes and rectangles. */

import { cellsBetween, cellsOf, line, paint } from "./cells.js";
import { isCell } from "./layout.js";
import { rectangleOf } from "./reach.js";

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
 * @property {boolean} selecting nothing is painted
 */

const LONG_PRESS_MS = 550;

/**
 * @param {HTMLElement} element
 * @param {Target} target
 * @param {() => void} endWheel
 */
export function pointer(element, target, endWheel) {
  /** @type {Stroke|null} */
  let stroke = null;
  let press = 0; // the timer of a long one

  element.addEventListener("pointerdown", (event) => {
    if (event.button === 1) return target.canvas().processMouseDown?.(event);
    if (event.button !== 0 || stroke) return;
    endWheel();
    element.focus({ preventScroll: true });
    stroke = begin(event, target);
    if (!stroke) return;
    element.setPointerCapture(event.pointerId);
    if (isCell(stroke.from)) target.move(stroke.from);
    strokeTo(stroke, stroke.from);
    if (event.pointerType !== "mouse") press = window.setTimeout(longPress, LONG_PRESS_MS);
  });

  element.addEventListener("contextmenu", (event) => {
    const spot = target.spot(event);
    if (!spot || !target.heads()) return;
    event.preventDefault();
    event.stopPropagation();
    if (press || !stroke) target.open(spot);
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

  const finish = (/** @type {(stroke: Stroke) => void} */ end) => (/** @type {PointerEvent} */ event) => {
    if (event.button === 1) target.canvas().processMouseUp?.(event);
    if (stroke?.id !== event.pointerId) return;
    const done = stroke;
    drop();
    end(done);
  };
  const drop = () => {
    clearTimeout(press);
    stroke = null;
    target.frame(null);
  };
  const cancel = () => target.draft(null);
  element.addEventListener("pointerup", finish((done) => {
    const grid = target.grid();
    const several = done.rectangle || done.from.layer === null || done.from.head === null;
    target.select(grid && several ? rectangleOf(grid, done.from, done.last) : null);
    if (done.selecting) cancel();
    else target.write(done.heads);
  }));
  element.addEventListener("pointercancel", finish(cancel));
  element.addEventListener("lostpointercapture", finish(cancel));
  element.addEventListener("pointerleave", () => stroke || target.point(null));

  function longPress() {
    if (!stroke) return;
    const { last } = stroke;
    drop();
    cancel();
    target.open(last);
  }

  /**
   * @param {Stroke} stroke
   * @param {Spot} spot
   */
  function strokeTo(stroke, spot) {
    const grid = target.grid();
    if (!grid) return;
    const { from, last, add } = stroke;
    if (spot !== from) clearTimeout(press);
    stroke.last = spot;
    if (stroke.rectangle && isCell(from) && isCell(spot)) {
      stroke.heads = new Map(stroke.before);
      if (!stroke.selecting) paint(stroke.heads, cellsBetween(grid, from, spot), add);
      target.frame({ from, to: spot });
    } else if (!stroke.selecting) for (const step of line(last, spot)) paint(stroke.heads, cellsOf(grid, step), add);
    target.draft(stroke.heads);
  }
}

/**
 * A stroke where the pointer went down; null where nothing can be painted. With control or command it selects alone.
 * @param {PointerEvent} event
 * @param {Target} target
 * @returns {Stroke|null}
 */
function begin(event, target) {
  const spot = target.spot(event), heads = target.heads(), grid = target.grid();
  if (!spot || !heads || !grid) return null;
  const selecting = event.ctrlKey || event.metaKey;
  const add = !cellsOf(grid, spot).every((key) => heads.has(key));
  return { id: event.pointerId, before: heads, heads, add, from: spot, last: spot, selecting, rectangle: isCell(spot) && (event.shiftKey || selecting) };
}
