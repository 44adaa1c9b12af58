/** Which study's pictures a grid shows, and on which prompt. A study is never taken that the grid does not name. */

import { picturesOf, sheetOf } from "../server/pictures.js";
import { hasRoom } from "./tiles.js";

/** The property that holds the study whose pictures are shown; a widget more would move every saved `widgets_values`. */
export const PICTURES = "headhunter_pictures";
/** Its value for none, where a node would show those of its own study. */
export const OFF = "off";

/**
 * @typedef {object} ShownPictures
 * @property {import("../server/pictures.js").Pictures} pictures
 * @property {number} pair
 * @property {import("./tiles.js").Tiles|null} inCells
 * @property {import("./tiles.js").Tiles|null} magnified
 */

/**
 * The study that was picked; a node of hunts shows its own, but in no cell: there are its scores.
 * @param {import("./grid_widget.js").HeadGrid} view
 */
export function studyShown({ node, heads }) {
  const picked = node.properties?.[PICTURES];
  return picked === OFF ? { id: "", picked: false } : picked ? { id: picked, picked: true } : { id: heads.seen.study, picked: false };
}

/**
 * @param {import("./grid_widget.js").HeadGrid} view
 * @param {import("./layout.js").Layout|null} layout
 * @returns {ShownPictures|null}
 */
export function shownPictures(view, layout) {
  const { api, heads, card } = view;
  const looks = Boolean(view.hover ?? card.held);
  const { id, picked } = studyShown(view);
  if (!id || !layout || (!picked && !looks)) return null;
  const pictures = picturesOf(api, id, layout.grid, picked ? 0 : heads.seen.version);
  if (!pictures?.heads.size) return null;
  const pair = pairOf(pictures, view.pair);
  const room = hasRoom(layout);
  const sheet = picked || (!room && looks) ? sheetOf(api, pictures, pair) : null;
  const tiles = sheet && { sheet, pictures, pair };
  return { pictures, pair, inCells: picked && room ? tiles : null, magnified: room ? null : tiles };
}

/**
 * A pair that the study has, whatever number was stepped to.
 * @param {import("../server/pictures.js").Pictures} pictures
 * @param {number} number
 */
function pairOf({ prompts, unguided }, number) {
  const count = Math.max(prompts.length, unguided.size, 1);
  return ((number % count) + count) % count;
}
