/** What the gestures act on: a grid's heads, its cursor, and the cells under the pointer. */

import { isNodes2 } from "../frontend/page.js";
import { isRunning } from "./loop.js";
import { spotAt } from "./layout.js";

/**
 * @param {import("./grid_widget.js").HeadGrid} grid
 * @param {HTMLElement} canvas
 * @returns {import("./gestures.js").Target}
 */
export function targetOf(grid, canvas) {
  const { heads } = grid;
  /**
   * @template T
   * @param {MouseEvent} event
   * @param {(layout: import("./layout.js").Layout, x: number, y: number) => T} at
   */
  const under = (event, at) => {
    const { layout } = grid;
    if (!layout) return null;
    const box = canvas.getBoundingClientRect();
    // By the ratio: it holds the graph's zoom.
    return at(layout, ((event.clientX - box.left) / box.width) * layout.width, ((event.clientY - box.top) / box.height) * layout.height);
  };
  return {
    grid: () => heads.grid,
    heads: () => heads.copy(),
    draft: (set) => (heads.draft = set && heads.format(set)),
    write: (set) => {
      heads.draft = null;
      if (heads.grid && isRunning(grid)) heads.write(heads.format(set)); // a gesture may end after its node is gone
    },
    strength: () => grid.strength,
    spot: (event) => under(event, spotAt),
    nearest: (event) => under(event, (layout, x, y) => ({ layer: layout.row(y), head: layout.column(x) })),
    point: (spot) => {
      if (spot?.layer === grid.hover?.layer && spot?.head === grid.hover?.head) return;
      grid.hover = spot;
      grid.wantNames();
    },
    frame: (rectangle) => (grid.rectangle = rectangle),
    cursor: () => grid.cursor,
    move: (cell) => {
      grid.cursor = cell;
      grid.hover = null;
      grid.wantNames();
    },
    canvas: () => (isNodes2() ? {} : grid.app.canvas ?? {}),
  };
}
