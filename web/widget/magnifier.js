/** The neighbourhood of a cell, enlarged: for grids whose cells are too small for a picture. */

import { keyAt } from "./layout.js";
import { drawTile } from "./tiles.js";

const ROWS = 2; // above and below
const COLUMNS = 3; // to the left and right
const SIDE = 32;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import("../grid.js").Grid} grid
 * @param {import("./layout.js").Cell} cell in its middle
 * @param {import("./tiles.js").Tiles} tiles
 * @param {import("../heads.js").HeadSet} heads which are marked
 */
export function magnify(canvas, grid, cell, tiles, heads) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [(2 * COLUMNS + 1) * SIDE, (2 * ROWS + 1) * SIDE];
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  for (let down = -ROWS; down <= ROWS; down++)
    for (let right = -COLUMNS; right <= COLUMNS; right++) {
      const at = { layer: cell.layer + down, head: cell.head + right };
      if (at.layer < 0 || at.head < 0 || at.layer >= grid.layers || at.head >= grid.heads) continue;
      const x = (right + COLUMNS) * SIDE, y = (down + ROWS) * SIDE, key = keyAt(grid, at);
      drawTile(context, tiles, key, [x, y, SIDE - 1, SIDE - 1]);
      if (!heads.has(key) && (down || right)) continue;
      context.lineWidth = 2;
      context.strokeStyle = down || right ? "#5b7cfa" : "#fff";
      context.strokeRect(x + 1, y + 1, SIDE - 3, SIDE - 3);
    }
}
