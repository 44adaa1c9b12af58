/** The colours of scores. */

/**
 * The diverging ramp: blue below, grey at, orange above the baseline. Straight lines in OKLab between colours of equal
 * lightness at both ends, so that equal steps look equal; blue and orange stay apart for the colour-blind.
 * @param {number} value -1..1
 * @param {boolean} dark on a dark ground
 */
export function ramp(value, dark) {
  const part = Math.min(1, Math.abs(value));
  const [middle, end] = dark ? [0.36, 0.76] : [0.93, 0.58];
  const hue = ((value < 0 ? 255 : 55) * Math.PI) / 180;
  const chroma = 0.145 * part;
  return srgb(middle + (end - middle) * part, chroma * Math.cos(hue), chroma * Math.sin(hue));
}

/**
 * OKLab to CSS (B. Ottosson's matrices).
 * @param {number} lightness
 * @param {number} a
 * @param {number} b
 */
function srgb(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const channels = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((c) => Math.round(255 * Math.min(1, Math.max(0, c <= 0.0031308 ? 12.92 * c : 1.055 * c ** (1 / 2.4) - 0.055))));
  return `rgb(${channels.join(",")})`;
}
