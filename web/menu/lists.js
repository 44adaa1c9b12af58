/** The items of the menu's lists of presets. */

import { refusal, unionText, warning } from "../fit.js";
import { choose, settingsOf, whyNot } from "./choose.js";
import { handOn } from "./hand_on.js";
import { starOf } from "./stars.js";

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
    words: [preset.style, preset.note, preset.source, preset.model, ...preset.groups.map(({ heads }) => heads)].join(" "),
    heads: shownHeads(preset, session.context.grid),
    refused: whyNot(session, preset),
    choose: () => choose(session, preset, id),
  };
}

/**
 * The shipped presets for the node's model by style, and all others behind a fold.
 * @param {Session} session
 * @param {Shipped[]} presets
 * @returns {Section[]}
 */
export function shippedSections(session, presets) {
  const { grid } = session.context;
  const fitting = presets.filter(({ preset }) => !refusal(preset, grid));
  const others = byStyle(session, presets.filter(({ preset }) => refusal(preset, grid)), true).flatMap(({ items }) => items);
  const fold = { title: `For other models (${others.length})`, items: others, folded: true };
  return [...byStyle(session, fitting, !grid), ...(others.length ? [fold] : [])];
}

/**
 * What is starred, in a section of its own before all others.
 * @param {Section[]} sections
 * @returns {Section[]}
 */
export const starredFirst = (sections) => [
  { title: "Starred", items: sections.flatMap(({ items, folded }) => (folded ? [] : items.filter(({ star }) => star?.on))) },
  ...sections,
];

/**
 * The heads that the grid shows while a preset is looked at; nothing where they do not fit it.
 * @param {Preset} preset
 * @param {import("../grid.js").Grid|null} grid
 */
function shownHeads(preset, grid) {
  if (!grid || refusal(preset, grid)) return undefined;
  try {
    return unionText(preset, grid);
  } catch {
    return undefined;
  }
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
    groups.set(title, [...(groups.get(title) ?? []), shippedItem(session, preset, id)]);
  }
  return [...groups].sort(([a], [b]) => a.localeCompare(b)).map(([title, items]) => ({ title, items }));
}

/**
 * @param {Session} session
 * @param {Preset} preset
 * @param {string} id
 */
function shippedItem(session, preset, id) {
  const key = `shipped ${id}`;
  return { ...presetItem(session, preset, id), key, star: starOf(key), more: () => showShipped(session, preset, id), moreTitle: "Export, copy" };
}

/**
 * @param {Session} session
 * @param {Preset} preset
 * @param {string} id
 */
function showShipped(session, preset, id) {
  const apply = { ...presetItem(session, preset, id), label: "Apply", detail: [preset.source, preset.note].filter(Boolean).join(" · ") };
  session.panel.list(preset.name, [{ title: "", items: [apply, ...handOn(session, preset, null)] }], { back: () => session.home(`shipped ${id}`) });
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
