/** Errors as people read them. */

/**
 * An error's words, whatever was thrown.
 * @param {unknown} error
 */
export const reasonOf = (error) => (error instanceof Error ? error.message : String(error));
