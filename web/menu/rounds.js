/** The studies on disk in the menu, and the heads of each round of a hunt. */

import { reasonOf } from "../errors.js";
import { refusal } from "../fit.js";
import { listStudies, readRounds } from "../server/studies.js";
import { writeText } from "./apply.js";

/**
 * @typedef {import("./panel.js").Item} Item
 * @typedef {import("./session.js").Session} Session
 */

/**
 * @param {Session} session
 * @returns {Item}
 */
export function studiesItem(session) {
  const refused = session.isPresetNode ? "this node takes presets" : session.wired;
  return { label: "Studies", detail: "the heads that hunts have chosen", opens: true, key: "studies", refused, choose: () => showStudies(session) };
}

/**
 * @param {Session} session
 * @param {string} [at] the study to begin at
 */
async function showStudies(session, at = "") {
  const { panel } = session;
  panel.wait("Studies");
  const items = await studyItems(session).catch((error) => [{ label: "The studies cannot be read", refused: reasonOf(error) }]);
  if (panel.isOpen) panel.list("Studies", [{ title: "", items }], { back: () => session.home("studies"), at });
}

/**
 * @param {Session} session
 * @returns {Promise<Item[]>}
 */
async function studyItems(session) {
  const studies = await listStudies(session.context.api);
  if (!studies.length) return [{ label: "No studies yet", refused: "HeadHunter Search and Head Atlas write them" }];
  return studies.map(({ id, changed }) => ({
    label: id,
    detail: new Date(changed * 1000).toLocaleString(),
    opens: true,
    key: id,
    choose: () => showRounds(session, id),
  }));
}

/**
 * @param {Session} session
 * @param {string} id
 */
async function showRounds(session, id) {
  const { panel } = session;
  panel.wait(id);
  const section = await roundSection(session, id)
    .catch((error) => ({ title: "", items: [{ label: "This study cannot be read", refused: reasonOf(error) }] }));
  if (panel.isOpen) panel.list(id, [section], { back: () => showStudies(session, id) });
}

/**
 * @param {Session} session
 * @param {string} id
 * @returns {Promise<import("./panel.js").Section>}
 */
async function roundSection(session, id) {
  const { grid, settings, rounds } = await readRounds(session.context.api, id);
  const refused = grid ? refusal(grid, session.context.grid) : "";
  /** @type {Item[]} */
  const items = rounds.map(({ title, about, heads }) => ({
    label: `${title}: ${heads}`,
    detail: about,
    refused,
    choose: () => session.replaceText(() => session.apply(`${title} of ${id}`, () => writeText(session.context, heads))),
  }));
  if (!items.length) items.push({ label: "No rounds", refused: "an atlas, or a hunt whose first round is not done" });
  return { title: [grid?.model, settings && `hunted at ${settings}`].filter(Boolean).join(" · "), items };
}
