/** The picker of a study whose pictures the grid shows: those of this model, the newest first; or none. */

import { reasonOf } from "../errors.js";
import { writeProperty } from "../frontend/nodes.js";
import { asOneStep } from "../frontend/page.js";
import { refusal } from "../fit.js";
import { dateOf, library, titleOf } from "../server/library.js";
import { PICTURES, OFF } from "../widget/shown_pictures.js";

/**
 * @typedef {import("./session.js").Session} Session
 * @typedef {import("./panel.js").Item} Item
 */

/** @param {Session} session */
export async function showPicker(session) {
  const { panel } = session;
  panel.wait("Pictures of heads");
  const items = await pickItems(session).catch((error) => [{ label: "The studies cannot be read", refused: reasonOf(error) }]);
  if (panel.isOpen) panel.list("Pictures of heads", [{ title: "", items }]);
}

/**
 * @param {Session} session
 * @returns {Promise<Item[]>}
 */
async function pickItems(session) {
  const { api, grid, node } = session.context;
  const now = node.properties?.[PICTURES];
  const fitting = (await library(api)).filter((study) => study.images && study.grid && grid
    && study.grid.model === grid.model && !refusal(study.grid, grid));
  const items = fitting.map((study, index) => ({
    label: `${now === study.id ? "✓ " : ""}${titleOf(study)}`,
    detail: [index ? "" : "the newest", dateOf(study.changed), study.kind, study.id, `${study.images} pictures`].filter(Boolean).join(" · "),
    key: study.id,
    choose: () => pick(session, study.id),
  }));
  if (!items.length) return [{ label: "No pictures yet", refused: `no atlas, comparison or hunt on ${grid?.model ?? "this model"} is there` }];
  return [...items, { label: "Off", key: OFF, choose: () => pick(session, OFF) }];
}

/**
 * @param {Session} session
 * @param {string} id
 */
function pick(session, id) {
  const { app, node } = session.context;
  asOneStep(app, () => writeProperty(node, PICTURES, id));
  session.close();
}
