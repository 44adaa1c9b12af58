/** The words around the cells: heads above, layers at the left, and the kinds of layers where there are several. */

const FONT = "9px system-ui, sans-serif";

/**
 * @param {CanvasRenderingContext2D} context
 * @param {import("./layout.js").Layout} layout
 * @param {import("./layout.js").Cell|null} cursor its labels are brighter
 * @param {string} colour
 */
export function drawLabels(context, layout, cursor, colour) {
  const { grid, runs, cellWidth, cellHeight } = layout;
  context.fillStyle = colour;
  context.font = FONT;
  context.textBaseline = "middle";
  const label = (/** @type {string} */ text, /** @type {number} */ x, /** @type {number} */ y, near = false) => {
    context.globalAlpha = near ? 1 : 0.6;
    context.fillText(text, x, y);
  };
  context.textAlign = "center";
  const columns = stepFor(24 / cellWidth);
  for (let head = 0; head < grid.heads; head += columns)
    label(`H${head}`, Math.max(layout.x(head) + cellWidth / 2, layout.left + 6), layout.top / 2, cursor?.head === head);
  context.textAlign = "right";
  const rows = stepFor(11 / cellHeight);
  for (const { first, end } of runs)
    for (let layer = first; layer < end; layer += rows)
      label(`L${layer}`, layout.left - 5, layout.y(layer) + cellHeight / 2, cursor?.layer === layer);
  context.textAlign = "center";
  for (const { kind, first, end, count } of runs.length > 1 ? runs : []) {
    if (context.measureText(kind).width > count * cellHeight) continue; // it would run into its neighbours
    context.save();
    context.translate(6, (layout.y(first) + layout.y(end - 1) + cellHeight) / 2);
    context.rotate(-Math.PI / 2);
    label(kind, 0, 0);
    context.restore();
  }
  context.globalAlpha = 1;
}

/**
 * The smallest of 1, 2, 4, 8, ... that leaves labels enough room.
 * @param {number} needed
 */
const stepFor = (needed) => 2 ** Math.max(0, Math.ceil(Math.log2(needed)));
