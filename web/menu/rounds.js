/** The studies on disk in the menu, and the heads of each round of a hunt. */

import { reasonOf } from "../errors.js";
import { refusal } from "../fit.js";
import { dateOf, library, signed, titleOf } from "../server/library.js";
import { readRounds } from "../server/studies.js";
import { writeText } from "./apply.js";
import { useFound } from "./use.js";

/**
 * @typedef {import("../server/library.js").About} About
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
  if (panel.isOpen) panel.list("Studies: choose one to use its heads", [{ title: "", items }], { back: () => session.home("studies"), at });
}

/**
 * @param {Session} session
 * @returns {Promise<Item[]>}
 */
async function studyItems(session) {
  const studies = await library(session.context.api);
  if (!studies.length) return [{ label: "No studies yet", refused: "HeadHunter Search and Head Atlas write them" }];
  return studies.map((study) => ({
    label: titleOf(study),
    detail: aboutOf(study),
    refused: whyNotUsed(session, study),
    key: study.id,
    choose: () => study.found && session.replaceText(() => use(session, study)),
    more: study.error ? undefined : () => showRounds(session, study),
    moreTitle: "The heads of each round",
  }));
}

/** @param {About} study */
const aboutOf = ({ id, grid, gain, rounds, changed, kind }) => [
  grid?.model, dateOf(changed), gain === null ? "" : `gain ${signed(gain)}`, rounds ? `${rounds} round${rounds > 1 ? "s" : ""}` : "",
  kind === "hunt" ? id : "",
].filter(Boolean).join(" · ");

/**
 * @param {Session} session
 * @param {About} study
 */
function whyNotUsed(session, { error, grid, found, kind }) {
  if (error) return error;
  if (!found) return kind === "hunt" || !kind ? "no round is done yet" : `${kind}: its pictures can be shown on the grid`;
  return grid ? refusal(grid, session.context.grid) : "";
}

/**
 * Into a SoftPAG node with all settings; into a node that has heads alone, the heads.
 * @param {Session} session
 * @param {About} study
 */
function use(session, study) {
  const { context } = session;
  const { found } = study;
  if (!found) return;
  const name = `The heads of "${titleOf(study)}"`;
  if (context.node.comfyClass === "HeadHunterEditHeads") return session.apply(name, () => writeText(context, found.heads));
  session.apply(name, () => useFound(context, found).driven);
}

/**
 * @param {Session} session
 * @param {About} study
 */
async function showRounds(session, study) {
  const { panel } = session;
  const { id } = study;
  const title = titleOf(study);
  panel.wait(title);
  const section = await roundSection(session, id)
    .catch((error) => ({ title: "", items: [{ label: "This study cannot be read", refused: reasonOf(error) }] }));
  if (panel.isOpen) panel.list(title, [section], { back: () => showStudies(session, id) });
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
