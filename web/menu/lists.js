/** The items of the menu's lists of presets. */

import { refusal, warning } from "../fit.js";
import { choose, settingsOf, whyNot } from "./choose.js";

/**
 * @typedef {import("../presets.js").Preset} Preset
 * @typedef {import("../server/shipped.js").Shipped} Shipped
 * @typedef {import("./panel.js").Section} Section
 * @typedef {import("./session.js").Session} Session
 */

/**
 * A preset as an item that applies it.
 * @param {Session} session
 * @param {Preset} preset
 * @param {string} [id] its name among the shipped presets
 * @returns {import("./panel.js").Item}
 */
export function presetItem(session, preset, id = "") {
  return {
    label: preset.name,
    detail: describe(preset, session.context.grid),
    refused: whyNot(session, preset),
    choose: () => choose(session, preset, id),
  };
}

/**
 * The shipped presets for the node's model by style, and an item that opens the list of all others.
 * @param {Session} session
 * @param {Shipped[]} presets
 * @returns {Section[]}
 */
export function shippedSections(session, presets) {
  const { grid } = session.context;
  const fitting = presets.filter(({ preset }) => !refusal(preset, grid));
  const others = presets.filter((each) => !fitting.includes(each));
  const more = { label: `For other models (${others.length})`, opens: true, key: "others", choose: () => showOthers(session, others) };
  return [...byStyle(session, fitting, !grid), ...(others.length ? [{ title: "", items: [more] }] : [])];
}

/**
 * @param {Session} session
 * @param {Shipped[]} others
 */
function showOthers(session, others) {
  session.panel.list("For other models", byStyle(session, others, true), { back: () => session.home("others") });
}

/**
 * Sections by style, a pair with the first of its styles; where several models are mixed, by model too.
 * @param {Session} session
 * @param {Shipped[]} presets
 * @param {boolean} mixed
 * @returns {Section[]}
 */
function byStyle(session, presets, mixed) {
  /** @type {Map<string, import("./panel.js").Item[]>} */
  const groups = new Map();
  for (const { id, preset } of presets) {
    const style = preset.style.split(" + ")[0] || "no style";
    const title = mixed ? `${preset.model} · ${style}` : style;
    groups.set(title, [...(groups.get(title) ?? []), { ...presetItem(session, preset, id), key: `shipped ${id}` }]);
  }
  return [...groups].sort(([a], [b]) => a.localeCompare(b)).map(([title, items]) => ({ title, items }));
}

/**
 * @param {Preset} preset
 * @param {import("../grid.js").Grid|null} grid
 */
function describe(preset, grid) {
  const { groups } = preset;
  const what = groups.length > 1 ? `${groups.length} groups` : `${groups[0].heads} · ${settingsOf(groups[0])}`;
  return [what, warning(preset, grid)].filter(Boolean).join(" · ");
}
