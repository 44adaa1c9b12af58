/** Small values that this browser keeps (localStorage). They are a convenience: everything works without them. */

/** @template T */
export class Memory {
  /** @type {Record<string, any>|null} */
  #held = null;

  /**
   * @param {string} name the key in localStorage
   * @param {number} most how many values are kept; the oldest go first
   * @param {(data: any) => T|null} read what is kept, checked; null where it is not to be trusted
   */
  constructor(name, most, read) {
    this.name = name;
    this.most = most;
    this.read = read;
  }

  /**
   * @param {string} key
   * @returns {T|null}
   */
  get(key) {
    this.#held ??= this.#load();
    return Object.hasOwn(this.#held, key) ? this.read(this.#held[key]) : null;
  }

  /**
   * @param {string} key
   * @param {T} value
   */
  set(key, value) {
    const { [key]: _, ...others } = { ...this.#held, ...this.#load() }; // another tab may have written since
    this.#held = Object.fromEntries([...Object.entries(others), [key, value]].slice(-this.most));
    try {
      localStorage.setItem(this.name, JSON.stringify(this.#held));
    } catch {
      // Full or forbidden: it is kept for as long as the page is open.
    }
  }

  /** @returns {Record<string, any>} */
  #load() {
    try {
      const data = JSON.parse(localStorage.getItem(this.name) ?? "{}");
      return data && typeof data === "object" ? data : {};
    } catch {
      return {}; // cannot be read: begin with nothing
    }
  }
}
