/** The user's own presets in the menu: saved from a node, updated, renamed, handed on, deleted. */

import { reasonOf } from "../errors.js";
import { shownBy } from "../frontend/graph.js";
import { lastPicture } from "../frontend/last_picture.js";
import { canonical } from "../heads.js";
import { presetAt } from "../node_preset.js";
import { parsePreset, presetOf, renamed } from "../presets.js";
import { pictureFor, pictureUrl, removePicture, storePicture } from "../server/preset_pictures.js";
import { remove, store, taken } from "../server/userdata.js";
import { groupAt } from "./apply.js";
import { handOn } from "./hand_on.js";
import { presetItem } from "./lists.js";
import { smallPicture } from "./picture_file.js";
import { starOf } from "./stars.js";

/**
 * @typedef {import("../presets.js").Preset} Preset
 * @typedef {import("./panel.js").Item} Item
 * @typedef {import("./session.js").Session} Session
 */

/**
 * @param {Session} session
 * @param {import("../server/userdata.js").Own} own
 * @returns {Item}
 */
export function ownItem(session, own) {
  const { file, preset, error, pictured } = own;
  const item = preset ? presetItem(session, preset) : { label: file, refused: error };
  const key = `own ${file}`;
  const picture = pictured === null ? undefined : () => pictureUrl(session.context.api, file, pictured);
  return { ...item, key, star: starOf(key), picture, more: () => showOwn(session, own) };
}

/**
 * @param {Session} session
 * @param {import("../server/userdata.js").Own} own
 */
function showOwn(session, own) {
  const { file, preset, pictured } = own;
  /** @type {Item[]} */
  const items = preset ? [
    { ...presetItem(session, preset), label: "Apply", detail: "" },
    { label: "Update with what is painted …", refused: whyNotUpdated(session, preset), choose: () => updateForm(session, own, preset) },
    { label: "Rename …", choose: () => renameForm(session, own, preset) },
    ...handOn(session, preset, pictured === null ? null : file),
  ] : [];
  items.push({ label: "Delete …", choose: () => deleteForm(session, own) });
  session.panel.list(preset?.name ?? file, [{ title: "", items }], { back: () => session.home(`own ${file}`) });
}

/**
 * @param {Session} session
 * @returns {Item}
 */
export function saveItem(session) {
  return { label: "Save as a preset …", key: "save", refused: whyNotSaved(session), choose: () => saveForm(session) };
}

/** @param {Session} session */
function whyNotSaved(session) {
  const { node, grid, headsText } = session.context;
  if (session.isPresetNode) return presetAt(node) ? "" : "no preset is chosen here";
  if (!grid) return "the model is not known yet";
  try {
    return canonical(headsText, grid) ? "" : "no heads are chosen";
  } catch (error) {
    return reasonOf(error);
  }
}

/**
 * @param {Session} session
 * @param {Preset} preset
 */
function whyNotUpdated(session, { groups }) {
  if (session.isPresetNode) return "this node takes presets";
  return groups.length > 1 ? `it has ${groups.length} groups, and a node has one` : whyNotSaved(session);
}

/** @param {Session} session */
function saveForm(session) {
  const { node, headsText, grid } = session.context;
  const from = session.isPresetNode ? presetAt(node) : null;
  session.panel.form("Save as a preset", {
    fields: [
      { name: "name", label: "Name", value: from?.name ?? "" },
      { name: "style", label: "Style, such as golden hour", value: from?.style ?? "", most: 2000 },
      { name: "note", label: "Note", value: from?.note ?? "", lines: 3, most: 20000 },
    ],
    picture: pictureField(session),
    ok: "Save",
    back: () => session.home("save"),
    submit: async ({ name, style, note }, picture) => {
      if (!from && !grid) throw new Error("the model is not known yet");
      const preset = from || !grid
        ? parsePreset(JSON.stringify({ ...renamed(/** @type {Preset} */ (from), name).data, style: style.trim(), note }))
        : presetOf(groupAt(node, headsText), grid, { name, style, note });
      await storeSurely(session, preset, async (file) => {
        await keepPicture(session, file, picture);
        session.tell("success", "Saved", `headhunter/presets/${file}`);
        session.close();
      });
    },
  });
}

/**
 * The newest picture of the node's run, to go with a preset; chosen at once where it was made with the heads that are there now.
 * @param {Session} session
 */
function pictureField({ context }) {
  const { node, app, api, headsText, grid } = context;
  const url = lastPicture(node, app, api);
  if (!url) return undefined;
  const ran = shownBy(node, app)?.heads;
  const same = typeof ran !== "string" || !grid || sameHeads(ran, headsText, grid);
  return { url, chosen: same, label: same ? "With the last run's picture" : "With the last run's picture, which was made with other heads" };
}

/**
 * @param {Session} session
 * @param {string} file
 * @param {string} picture its address, "" for none: then an older one of that name goes
 */
async function keepPicture({ context }, file, picture) {
  if (picture) await storePicture(context.api, file, await smallPicture(picture));
  else await removePicture(context.api, file);
}

/**
 * @param {string} one
 * @param {string} other
 * @param {import("../grid.js").Grid} grid
 */
function sameHeads(one, other, grid) {
  try {
    return canonical(one, grid) === canonical(other, grid);
  } catch {
    return false;
  }
}

/**
 * @param {Session} session
 * @param {import("../server/userdata.js").Own} own
 * @param {Preset} preset
 */
function updateForm(session, own, preset) {
  const { node, headsText, grid, api } = session.context;
  session.panel.form("Update?", {
    text: `"${preset.name}" gets the heads and settings of this node. Its name, style and note stay.`,
    picture: pictureField(session),
    ok: "Update",
    back: () => showOwn(session, own),
    submit: async (_, picture) => {
      if (!grid) throw new Error("the model is not known yet");
      const { groups, model, grid: size } = presetOf(groupAt(node, headsText), grid, preset).data;
      const updated = parsePreset(JSON.stringify({ ...preset.data, groups, model, grid: size }));
      const file = await store(api, updated, true);
      if (picture) await storePicture(api, file, await smallPicture(picture));
      session.tell("success", "Updated", `headhunter/presets/${file}`);
      session.home(`own ${file}`);
    },
  });
}

/**
 * @param {Session} session
 * @param {import("../server/userdata.js").Own} own
 * @param {Preset} preset
 */
function renameForm(session, own, preset) {
  const { file } = own;
  session.panel.form("Rename", {
    fields: [{ name: "name", label: "Name", value: preset.name }],
    ok: "Rename",
    back: () => showOwn(session, own),
    submit: ({ name }) => storeSurely(session, renamed(preset, name), async (now) => {
      if (now !== file) await moved(session.context.api, own, now);
      session.home(`own ${now}`);
    }, file),
  });
}

/**
 * Takes a preset's older file away, and its picture along.
 * @param {ComfyApi} api
 * @param {import("../server/userdata.js").Own} own
 * @param {string} now its new file
 */
async function moved(api, { file, pictured }, now) {
  const picture = pictured === null ? null : await pictureFor(api, file);
  if (picture) await storePicture(api, now, picture);
  await remove(api, file);
  if (picture) await removePicture(api, file);
}

/**
 * @param {Session} session
 * @param {import("../server/userdata.js").Own} own
 */
function deleteForm(session, own) {
  const { file, preset, pictured } = own;
  session.panel.form("Delete?", {
    text: `${preset ? `"${preset.name}"` : file} will be deleted. This cannot be undone; nodes that it was applied to keep their heads.`,
    ok: "Delete",
    back: () => showOwn(session, own),
    submit: async () => {
      await remove(session.context.api, file);
      if (pictured !== null) await removePicture(session.context.api, file);
      session.home();
    },
  });
}

/**
 * Stores a preset, asking first where another file of that name would be lost.
 * @param {Session} session
 * @param {Preset} preset
 * @param {(file: string) => void|Promise<void>} after
 * @param {string} [same] a file that may be replaced
 */
async function storeSurely(session, preset, after, same = "") {
  const { api } = session.context;
  const there = await taken(api, preset.name);
  if (!there || there.file === same) return after(await store(api, preset, Boolean(there)));
  session.panel.form("Replace?", {
    text: `You have the preset ${there.preset ? `"${there.preset.name}"` : there.file} already. It would be replaced.`,
    ok: "Replace",
    back: () => session.home(),
    submit: async () => after(await store(api, preset, true)),
  });
}
