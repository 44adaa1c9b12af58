/**
 * One loop over all grids of the page, frame by frame. It stands still while the page is hidden, as animation frames do.
 *
 * @typedef {object} Ticking
 * @property {(time: number) => void} tick
 */

/** @type {Set<Ticking>} */
const running = new Set();

/** @param {number} time */
function everyFrame(time) {
  for (const each of running) each.tick(time);
  if (running.size) requestAnimationFrame(everyFrame);
}

/** @param {Ticking} each */
export function start(each) {
  if (!running.size) requestAnimationFrame(everyFrame);
  running.add(each);
}

/** @param {Ticking} each */
export const stop = (each) => void running.delete(each);

/** @param {Ticking} each */
export const isRunning = (each) => running.has(each);
