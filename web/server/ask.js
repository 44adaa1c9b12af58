/** JSON from this pack's routes on the server. */

import { reasonOf } from "../errors.js";

/**
 * @param {ComfyApi} api
 * @param {string} path
 * @returns {Promise<any>}
 * @throws {Error} in the server's own words where it has some
 */
export async function ask(api, path) {
  const response = await api.fetchApi(path);
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) throw new Error(String(body?.error ?? `the server says ${response.status}`));
  return body;
}

const RETRY_MS = 15_000;

/**
 * An answer that is asked for once for the page, when it is first wanted. After a failure it may be asked for again, but not
 * before some seconds have passed.
 * @template T
 */
export class Once {
  /** @type {Promise<T>|null} */
  #asked = null;
  /** @type {T|null} what has arrived; null before that */
  now = null;
  /** why the last asking failed; "" where it did not */
  error = "";

  /** @param {(api: ComfyApi) => Promise<T>} load */
  constructor(load) {
    this.load = load;
  }

  /**
   * @param {ComfyApi} api
   * @returns {Promise<T>}
   */
  get(api) {
    this.#asked ??= this.#ask(api);
    return this.#asked;
  }

  /**
   * Loads it in the background, for callers that can do without it.
   * @param {ComfyApi} api
   */
  want(api) {
    this.get(api).catch(() => {});
  }

  /** @param {ComfyApi} api */
  async #ask(api) {
    try {
      this.now = await this.load(api);
      this.error = "";
      return this.now;
    } catch (error) {
      this.error = reasonOf(error);
      setTimeout(() => (this.#asked = null), RETRY_MS);
      throw error;
    }
  }
}
