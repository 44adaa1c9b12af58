/** Pictures in cells: parts of a study's sheet. */

/**
 * @typedef {object} Tiles
 * @property {HTMLImageElement} sheet
 * @property {import("../server/pictures.js").Pictures} pictures
 * @property {number} pair
 */

const LEAST = 12; // pixels of a cell's shorter side; in less a picture is a blot

/**
 * Whether cells are large enough for pictures.
 * @param {{cellWidth: number, cellHeight: number}} layout
 */
export const hasRoom = ({ cellWidth, cellHeight }) => Math.min(cellWidth, cellHeight) >= LEAST;

/**
 * Draws a head's picture into a box, its middle where the box is not square.
 * @param {CanvasRenderingContext2D} context
 * @param {Tiles} tiles
 * @param {number} key
 * @param {[x: number, y: number, width: number, height: number]} box
 * @returns {boolean} false where it has none on this prompt
 */
export function drawTile(context, { sheet, pictures, pair }, key, [x, y, width, height]) {
  const head = pictures.heads.get(key);
  if (!head?.pictures.has(pair)) return false;
  const { tile, columns } = pictures;
  const scale = tile / Math.max(width, height);
  const [w, h] = [width * scale, height * scale];
  const left = (head.tile % columns) * tile + (tile - w) / 2, top = Math.floor(head.tile / columns) * tile + (tile - h) / 2;
  context.drawImage(sheet, left, top, w, h, x, y, width, height);
  return true;
}
