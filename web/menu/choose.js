/** Applies a preset to the node that the menu belongs to. */

import { refusal, warning } from "../fit.js";
import { formatPreset } from "../presets.js";
import { writeGroup, writeHeads, writePreset } from "./apply.js";
import { replaceByPreset, writeChain } from "./insert.js";

/**
 * @typedef {import("../presets.js").Preset} Preset
 * @typedef {import("./session.js").Session} Session
 */

export const SOFT_PAG = "HeadHunterSoftPAG";

/**
 * Why a preset cannot be applied here; "" where it can.
 * @param {Session} session
 * @param {Preset} preset
 */
export const whyNot = (session, preset) => refusal(preset, session.context.grid) || session.wired;

/**
 * Applies a preset, asking first where it has several groups, or where a person's own text would be lost.
 * @param {Session} session
 * @param {Preset} preset
 * @param {string} [id] its name among the shipped presets; "" where it is not one of them
 */
export function choose(session, preset, id = "") {
  const { context } = session;
  const refused = whyNot(session, preset);
  if (refused) return session.tell("error", "Not applied", `"${preset.name}" is ${refused}`);
  session.replaceText(() => {
    if (session.isPresetNode) return done(session, preset, () => writePreset(context, formatPreset(preset), id));
    if (context.node.comfyClass !== SOFT_PAG) return done(session, preset, () => writeHeads(context, preset));
    if (preset.groups.length > 1) return several(session, preset);
    done(session, preset, () => writeGroup(context, preset.groups[0]));
  });
}

/**
 * @param {Session} session
 * @param {Preset} preset
 * @param {() => string[]|void} change
 * @param {{name?: string, gone?: boolean}} [options]
 */
function done(session, preset, change, { name = `"${preset.name}"`, gone = false } = {}) {
  session.apply(name, change, { warning: warning(preset, session.context.grid), gone });
}

/**
 * Asks what becomes of several groups: all of them as nodes, or a single group here.
 * @param {Session} session
 * @param {Preset} preset
 */
function several(session, preset) {
  const { context } = session;
  const { groups } = preset;
  const whole = [
    {
      label: `Add ${groups.length - 1} SoftPAG ${groups.length === 2 ? "node" : "nodes"}`,
      detail: "one for each group, in the model's wire",
      choose: () => done(session, preset, () => writeChain(context, groups)),
    },
    {
      label: "As one Apply Head Preset node",
      detail: "in place of this node, with the preset's text in it",
      choose: () => done(session, preset, () => replaceByPreset(context, formatPreset(preset)), { gone: true }),
    },
  ];
  const single = groups.map((group, index) => ({
    label: `Group ${index + 1}: ${group.heads}`,
    detail: settingsOf(group),
    choose: () => done(session, preset, () => writeGroup(context, group), { name: `Group ${index + 1} of "${preset.name}"` }),
  }));
  const sections = [{ title: "All of them", items: whole }, { title: "One of them, here", items: single }];
  session.panel.list(`${preset.name}: ${groups.length} groups`, sections, { back: () => session.home() });
}

/** @param {import("../presets.js").Group} group */
export const settingsOf = ({ scale, strength }) => `scale ${scale}, strength ${strength}`;
