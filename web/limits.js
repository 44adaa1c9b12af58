/** Limits of what is read that hold in either language, so that a text which one of them reads and saves is the other's too. */

const MAX_DEPTH = 64;

/** JSON that is not kept by every reader of it. */
export class LimitError extends Error {}

/**
 * Limits of JSON that hold in either language: its depth, its numbers, characters that a file can hold.
 * @param {any} data
 */
export function checkValues(data) {
  let level = [data];
  for (let depth = 0; level.length; depth++) {
    if (depth > MAX_DEPTH) throw new LimitError(`nested deeper than ${MAX_DEPTH} levels, the most that is read`);
    const next = [];
    for (const value of level) {
      if (typeof value === "number") checkNumber(value);
      else if (typeof value === "string") checkCharacters(value);
      else if (Array.isArray(value)) for (const item of value) next.push(item);
      else if (value !== null && typeof value === "object")
        for (const name of Object.keys(value)) {
          checkCharacters(name);
          next.push(value[name]);
        }
    }
    level = next;
  }
}

/** @param {number} value */
function checkNumber(value) {
  if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return;
  throw new LimitError(`${value} is a larger number than every reader keeps; at most ${Number.MAX_SAFE_INTEGER} is read`);
}

/** @param {string} text */
function checkCharacters(text) {
  const half = /\p{Cs}/u.exec(text);
  if (half) throw new LimitError(`it has half a character (\\u${half[0].charCodeAt(0).toString(16)}), which no file can hold`);
}

/**
 * Without white space at its ends, as either language sees it.
 * @param {string} text
 */
export function strip(text) {
  let start = 0, end = text.length;
  while (start < end && WHITE.test(text[start])) start++;
  while (end > start && WHITE.test(text[end - 1])) end--;
  return text.slice(start, end);
}
const WHITE = /[\s\x1c-\x1f\x85]/;

/**
 * In characters, as Python counts them.
 * @param {string} text
 */
export const count = (text) => [...text].length;
/**
 * @param {string} text
 * @param {number} limit
 */
export const longer = (text, limit) => text.length > limit && count(text) > limit;
