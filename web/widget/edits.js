/** What a key does to the heads that it reaches. */

import { paint, tidy } from "./cells.js";
import { changed } from "./reach.js";

/**
 * @typedef {import("../heads.js").HeadSet} HeadSet
 * @typedef {(heads: HeadSet, keys: number[], strength: number) => void} Edit  `strength`: the node's own
 */

/**
 * Space and Enter add or remove heads; 1 to 9 set strengths to 0.1 to 0.9, 0 to 1; minus changes their sign; n goes back to
 * the node's strength; Delete removes them.
 * @param {string} key
 * @returns {Edit|null}
 */
export function editFor(key) {
  if (key === " " || key === "Enter") return (heads, keys) => paint(heads, keys, !keys.every((at) => heads.has(at)));
  if (/^[0-9]$/.test(key)) return (heads, keys) => setStrength(heads, keys, key === "0" ? 1 : Number(key) / 10);
  if (key === "-") return (heads, keys, strength) => changeStrength(heads, keys, (own) => -(own ?? strength));
  if (key === "n") return (heads, keys) => keys.forEach((at) => heads.has(at) && heads.set(at, null));
  if (key === "Delete" || key === "Backspace") return (heads, keys) => paint(heads, keys, false);
  return null;
}

/**
 * @param {HeadSet} heads
 * @param {number[]} keys
 * @param {number|null} strength null: the node's
 */
export const setStrength = (heads, keys, strength) => changeStrength(heads, keys, () => strength);

/**
 * @param {HeadSet} heads
 * @param {number[]} keys
 * @param {(own: number|null) => number|null} change gets a head's own strength
 */
export function changeStrength(heads, keys, change) {
  for (const at of changed(heads, keys)) {
    const strength = change(heads.get(at) ?? null);
    heads.set(at, strength === null ? null : tidy(strength));
  }
}
