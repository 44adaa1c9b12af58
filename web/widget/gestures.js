/**
 * Pointer, wheel and keyboard on the canvas -> edits of a head set.
 *
 * A gesture writes once, when it is over: until then the grid only shows what it will be. ComfyUI takes its snapshots for
 * undo whenever a key or button comes up, and once more 50 ms later; none of them then falls into the middle of a gesture.
 *
 * @typedef {object} Target what the gestures act on
 * @property {() => import("../grid.js").Grid|null} grid
 * @property {() => import("../heads.js").HeadSet|null} heads a copy; null where nothing can be changed
 * @property {() => import("../heads.js").HeadSet} shown as they are drawn this moment
 * @property {(spot: Spot) => {left: number, top: number, bottom: number}|null} box where a spot lies on the canvas
 * @property {(heads: import("../heads.js").HeadSet|null) => void} draft show these, without writing them; null: what is written
 * @property {(heads: import("../heads.js").HeadSet) => void} write as one undo step; ends the draft
 * @property {() => number} strength the node's own
 * @property {(event: MouseEvent) => Spot|null} spot what lies under the pointer
 * @property {(event: MouseEvent) => Cell|null} nearest the cell nearest to the pointer
 * @property {(spot: Spot|null) => void} point the pointer is there now
 * @property {(rectangle: Rectangle|null) => void} frame show a rectangle while it is drawn
 * @property {() => Rectangle|null} selection the cells that a change of strength reaches together
 * @property {(rectangle: Rectangle|null) => void} select
 * @property {() => Spot|null} pointed what the line under the grid names, which keys act on
 * @property {(cell: Cell) => void} move the cursor
 * @property {(by: number) => void} step to the pictures of another prompt
 * @property {(spot: Spot) => void} open the slider at a spot
 * @property {(spot: Spot) => void} aim the open slider at another spot
 * @property {() => boolean} takesWheel whether the wheel changes strengths
 * @property {() => Partial<ComfyCanvas>} canvas ComfyUI's, for zooming and panning
 *
 * @typedef {import("../heads.js").HeadSet} HeadSet
 * @typedef {import("./layout.js").Spot} Spot
 * @typedef {import("./layout.js").Cell} Cell
 * @typedef {import("./reach.js").Rectangle} Rectangle
 */

import { keyboard } from "./keyboard.js";
import { pointer } from "./pointer.js";
import { wheel } from "./wheel.js";

/**
 * Attaches all gestures to a canvas element.
 * @param {HTMLElement} element
 * @param {Target} target
 */
export function attach(element, target) {
  const endWheel = wheel(element, target);
  pointer(element, target, endWheel);
  keyboard(element, target, endWheel);
}
