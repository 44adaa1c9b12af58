/** Typing in a list: what is typed without a pause is looked for at the beginning of items, then inside of them. */

const PAUSE_MS = 900;

export class TypeAhead {
  #text = "";
  #at = 0;

  /**
   * @param {string} key
   * @param {HTMLElement[]} items
   * @param {number} at the current one
   */
  type(key, items, at) {
    const now = performance.now();
    const text = (now - this.#at < PAUSE_MS ? this.#text : "") + key.toLowerCase();
    this.#text = text;
    this.#at = now;
    const from = text.length > 1 ? at : at + 1; // a longer word may still mean the current item
    const order = [...items.slice(from), ...items.slice(0, from)];
    const words = (/** @type {HTMLElement} */ item) => item.textContent?.toLowerCase() ?? "";
    (order.find((item) => words(item).startsWith(text)) ?? order.find((item) => text.length > 1 && words(item).includes(text)))?.focus();
  }
}
