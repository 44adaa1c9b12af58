/** What the gestures act on: a grid's heads, its cursor, and the cells under the pointer. */

import { isNodes2 } from "../frontend/page.js";
import { isRunning } from "./loop.js";
import { isCell, spotAt } from "./layout.js";
import { holds } from "./reach.js";

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
    heads: () => (grid.showsScores ? null : heads.copy()),
    shown: () => heads.read(heads.text).heads,
    box: (spot) => {
      const { layout, selection } = grid;
      if (!layout) return null;
      const chosen = selection && isCell(spot) && holds(selection, spot) ? selection : null;
      const rows = chosen ? [chosen.from.layer, chosen.to.layer].sort((a, b) => a - b) : [spot.layer, spot.layer];
      const [first, last] = rows.map((row) => (row === null ? layout.top : layout.y(row)));
      return { left: spot.head === null ? layout.left : layout.x(spot.head), top: first, bottom: last + (spot.layer === null ? 0 : layout.cellHeight) };
    },
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
    selection: () => grid.selection,
    select: (rectangle) => (grid.selection = rectangle),
    pointed: () => grid.hover ?? grid.cursor,
    step: (by) => (grid.pair += by),
    open: (spot) => grid.slider.open(spot),
    aim: (spot) => grid.slider.aim(spot),
    takesWheel: () => grid.slider.isOpen,
    move: (cell) => {
      grid.cursor = cell;
      grid.hover = null;
      grid.wantNames();
    },
    canvas: () => (isNodes2() ? {} : grid.app.canvas ?? {}),
  };
}
