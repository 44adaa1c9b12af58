/** Pictures made small in the page, for presets and cards. */

const SIDE = 384;

/**
 * A part of a picture as a small JPEG.
 * @param {string|Blob} source an address, or the picture itself
 * @param {{x: number, y: number, width: number, height: number}} [part] by default the whole
 * @returns {Promise<Blob>}
 * @throws {Error} where it is no picture that can be shown
 */
export async function smallPicture(source, part) {
  const image = await loaded(source);
  const { x, y, width, height } = part ?? { x: 0, y: 0, width: image.naturalWidth, height: image.naturalHeight };
  const scale = Math.min(1, SIDE / Math.max(width, height));
  const canvas = Object.assign(document.createElement("canvas"), { width: Math.round(width * scale), height: Math.round(height * scale) });
  canvas.getContext("2d")?.drawImage(image, x, y, width, height, 0, 0, canvas.width, canvas.height);
  return blobOf(canvas, "image/jpeg");
}

/**
 * @param {string|Blob} source
 * @returns {Promise<HTMLImageElement>}
 */
export async function loaded(source) {
  const url = typeof source === "string" ? source : URL.createObjectURL(source);
  const image = new Image();
  image.src = url;
  try {
    await image.decode();
  } finally {
    if (url !== source) URL.revokeObjectURL(url);
  }
  return image;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {string} kind
 * @returns {Promise<Blob>}
 */
export const blobOf = (canvas, kind) => new Promise((resolve, reject) =>
  canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the picture could not be made"))), kind, 0.88));
