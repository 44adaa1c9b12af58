/** The user's own presets in the menu: saved from a node, renamed, exported, deleted. */

import { reasonOf } from "../errors.js";
import { canonical } from "../heads.js";
import { presetAt } from "../node_preset.js";
import { parsePreset, presetOf, renamed } from "../presets.js";
import { remove, store, taken } from "../server/userdata.js";
import { groupAt } from "./apply.js";
import { exportFile } from "./files.js";
import { presetItem } from "./lists.js";

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
export function ownItem(session, { file, preset, error }) {
  const item = preset ? presetItem(session, preset) : { label: file, refused: error };
  return { ...item, key: `own ${file}`, more: () => showOwn(session, file, preset) };
}

/**
 * @param {Session} session
 * @param {string} file
 * @param {Preset|null} preset null where the file cannot be read
 */
function showOwn(session, file, preset) {
  /** @type {Item[]} */
  const items = preset ? [
    { ...presetItem(session, preset), label: "Apply", detail: "" },
    { label: "Rename …", choose: () => renameForm(session, file, preset) },
    { label: "Export as a file", choose: () => exportFile(session, preset) },
  ] : [];
  items.push({ label: "Delete …", choose: () => deleteForm(session, file, preset) });
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
    ok: "Save",
    back: () => session.home("save"),
    submit: async ({ name, style, note }) => {
      if (!from && !grid) throw new Error("the model is not known yet");
      const preset = from || !grid
        ? parsePreset(JSON.stringify({ ...renamed(/** @type {Preset} */ (from), name).data, style: style.trim(), note }))
        : presetOf(groupAt(node, headsText), grid, { name, style, note });
      await storeSurely(session, preset, (file) => {
        session.tell("success", "Saved", `headhunter/presets/${file}`);
        session.close();
      });
    },
  });
}

/**
 * @param {Session} session
 * @param {string} file
 * @param {Preset} preset
 */
function renameForm(session, file, preset) {
  session.panel.form("Rename", {
    fields: [{ name: "name", label: "Name", value: preset.name }],
    ok: "Rename",
    back: () => showOwn(session, file, preset),
    submit: ({ name }) => storeSurely(session, renamed(preset, name), async (now) => {
      if (now !== file) await remove(session.context.api, file);
      session.home(`own ${now}`);
    }, file),
  });
}

/**
 * @param {Session} session
 * @param {string} file
 * @param {Preset|null} preset
 */
function deleteForm(session, file, preset) {
  session.panel.form("Delete?", {
    text: `${preset ? `"${preset.name}"` : file} will be deleted. This cannot be undone; nodes that it was applied to keep their heads.`,
    ok: "Delete",
    back: () => showOwn(session, file, preset),
    submit: async () => {
      await remove(session.context.api, file);
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
