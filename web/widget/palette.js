/** The palette's colours as they are this moment, from the canvas's computed style. */

/**
 * @param {HTMLElement} canvas
 * @returns {import("./drawing.js").Colours}
 */
export function coloursOf(canvas) {
  const { color, backgroundColor, caretColor } = getComputedStyle(canvas);
  const [red, green, blue] = (backgroundColor.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
  return { text: color, accent: caretColor, away: "#d9702b", dark: 0.3 * red + 0.6 * green + 0.1 * blue < 128 };
}

/**
 * Changes with the palette.
 * @param {HTMLElement} canvas
 */
export function paletteKey(canvas) {
  const { color, backgroundColor, caretColor } = getComputedStyle(canvas);
  return [color, backgroundColor, caretColor].join();
}
