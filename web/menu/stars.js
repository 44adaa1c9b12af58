/** Presets that a person has starred, in this browser. */

import { Memory } from "../memory.js";

const MOST = 500;

const stars = new Memory("headhunter.stars", MOST, (data) => (typeof data === "boolean" ? data : null));

/**
 * @param {string} key the item's
 */
export const starOf = (key) => ({ on: Boolean(stars.get(key)), set: (/** @type {boolean} */ on) => stars.set(key, on) });
