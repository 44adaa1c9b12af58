/** The models that the server knows: offered where the page cannot tell which one a node is for. */

import { readGrid } from "../grid.js";
import { Once, ask } from "./ask.js";

/** @typedef {{label: string, grid: import("../grid.js").Grid}} Model */

/** @type {Once<Model[]>} in the server's order */
export const models = new Once(async (api) => {
  const { grids } = await ask(api, "/headhunter/models");
  return grids
    .map((/** @type {any} */ { label, grid }) => ({ label: String(label), grid: readGrid(grid) }))
    .filter((/** @type {{grid: unknown}} */ { grid }) => grid);
});
