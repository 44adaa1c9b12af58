/**
 * The menu at the grid: presets that ship with the pack, the user's own, and the studies on disk.
 *
 * All that is read here may be anyone's: preset text is read strictly (presets.js), and shown as text alone (panel.js).
 */

import { reasonOf } from "../errors.js";
import { tell } from "../frontend/page.js";
import { refusal } from "../fit.js";
import { shipped } from "../server/shipped.js";
import { listOwn } from "../server/userdata.js";
import { choose } from "./choose.js";
import { importFiles, keepFiles } from "./files.js";
import { shippedSections, starredFirst } from "./lists.js";
import { setOwn } from "./names.js";
import { ownItem, saveItem } from "./own.js";
import { Panel } from "./panel.js";
import { showPicker } from "./pictures.js";
import { studiesItem } from "./rounds.js";
import { Session } from "./session.js";
import { useFound } from "./use.js";

export { presetNames } from "./names.js";
export { readCard } from "./picture_card.js";

/** @typedef {import("./session.js").Context} Context */

const TITLE = "Presets";

/**
 * Opens the menu at a button, or closes it where it is open.
 * @param {HTMLElement} button
 * @param {Context} context
 */
export function openMenu(button, context) {
  const before = Panel.of(context.element);
  if (before) before.cancel();
  else new Session(button, context, showMain).home();
}

/**
 * Opens the picker of pictures at a button, or closes it where it is open.
 * @param {HTMLElement} button
 * @param {Context} context
 */
export function openPictures(button, context) {
  const before = Panel.of(context.element);
  if (before) return before.cancel();
  const session = new Session(button, context, () => showPicker(session));
  session.home();
}

/**
 * Preset files dropped on a node: kept among the user's own; a single preset is applied too. Where a file cannot be read,
 * nothing changes.
 * @param {File[]} files
 * @param {Context} context
 */
export async function importDropped(files, context) {
  const { element, grid } = context;
  /** @type {HTMLElement} */
  const button = element.querySelector("[aria-haspopup]") ?? element;
  const session = new Session(button, context, showMain);
  const imported = await keepFiles(session, files);
  if (!imported) return;
  const { presets, said } = imported;
  const refused = presets.length === 1 ? refusal(presets[0], grid) : "";
  session.tell(refused ? "warn" : "success", "Imported", [...said, ...(refused ? [`Not applied: it is ${refused}`] : [])].join("\n"));
  if (refused || presets.length > 1) return;
  Panel.of(element)?.close();
  choose(session, presets[0]);
}

/**
 * Puts what a hunt has found into a SoftPAG node, and says which.
 * @param {Context} context
 * @param {import("../server/library.js").Found} found
 * @param {ComfyNode[]} selected
 */
export function useHeads(context, found, selected) {
  try {
    const { node, made, driven } = useFound(context, found, selected);
    const wires = driven.length ? `\n${driven.join(", ")} come by wire and stay as they are` : "";
    tell(context.app, "success", "Heads in use", `${found.heads}\n${made ? "in a new SoftPAG node" : `in the SoftPAG node #${node.id}`}${wires}`);
  } catch (error) {
    tell(context.app, "error", "The heads cannot be used", reasonOf(error));
  }
}

/**
 * The first list.
 * @param {Session} session
 * @param {string} [at] the key of the item to begin at
 */
async function showMain(session, at = "") {
  const { panel } = session;
  const { api, grid } = session.context;
  panel.wait(TITLE);
  /** @type {import("./panel.js").Item[]} */
  const problems = [];
  const failed = (/** @type {string} */ label) => (/** @type {unknown} */ error) => {
    problems.push({ label, refused: reasonOf(error) });
    return [];
  };
  const [packs, users] = await Promise.all([
    shipped.get(api).catch(failed("The shipped presets cannot be read")),
    listOwn(api).catch(failed("Your presets cannot be read")),
  ]);
  setOwn(users.flatMap(({ preset }) => preset ?? []));
  if (!panel.isOpen) return;
  const presets = [{ title: "Yours", items: users.map((own) => ownItem(session, own)) }, ...shippedSections(session, packs)];
  const first = { title: "", items: [saveItem(session), importItem(session), studiesItem(session), ...problems] };
  const sections = [first, ...starredFirst(presets)].filter(({ items }) => items.length);
  panel.list(grid ? `${TITLE} for ${grid.model}` : TITLE, sections, { at, search: true });
}

/**
 * @param {Session} session
 * @returns {import("./panel.js").Item}
 */
const importItem = (session) => ({ label: "Import preset files or cards …", key: "import", choose: () => importFiles(session) });
