/**
 * The menu at the grid: presets that ship with the pack, the user's own, and the studies on disk.
 *
 * All that is read here may be anyone's: preset text is read strictly (presets.js), and shown as text alone (panel.js).
 */

import { groupAt, isDriven, replaceByPreset, widgetOf, writeChain, writeGroup, writeHeads, writePreset } from "./apply.js";
import { canonical, isHandwritten, parse } from "./heads.js";
import { Panel } from "./panel.js";
import { PresetError, fileName, formatPreset, parsePreset, presetOf, readPreset, refusal, renamed, unionText, warning } from "./presets.js";
import { loadShipped, shippedNow } from "./shipped.js";
import { listStudies, readRounds } from "./studies.js";
import { listOwn, remove, store, taken } from "./userdata.js";

/** @typedef {import("./grid_widget.js").MenuContext} Context */

const TITLE = "Presets";
const PRESET_NODE = "HeadHunterPreset";
const SOFT_PAG = "HeadHunterSoftPAG";

/** What was read of the user's own last, for `presetNames`. */
let own = [];

/**
 * Opens the menu at a button, or closes it where it is open.
 * @param {HTMLElement} button
 * @param {Context} context
 */
export async function openMenu(button, context) {
  const before = Panel.of(context.element);
  if (before) return before.cancel();
  await new Menu(button, context).main();
}

/**
 * Preset files dropped on a node: kept among the user's own; a single one is applied too. Where one cannot be read, nothing changes.
 * @param {File[]} files
 * @param {Context} context
 */
export async function importDropped(files, context) {
  let presets;
  try {
    presets = await readFiles(files);
  } catch (error) {
    return tell(context, "error", "Not imported", error.message);
  }
  const kept = [];
  for (const preset of presets) kept.push(await keep(context, preset));
  const [preset] = presets;
  const refused = refusal(preset, context.grid);
  if (presets.length > 1) return tell(context, "success", "Imported", kept.join("\n"));
  tell(context, refused ? "warn" : "success", "Imported", [kept[0], refused && `Not applied: it is ${refused}`].filter(Boolean).join("\n"));
  if (refused) return;
  const button = context.element.querySelector("[aria-haspopup]") ?? context.element;
  Panel.of(context.element)?.close();
  new Menu(button, context).choose(preset, "");
}

/** Names of the presets that hold a head: of those for the grid's model, among all that have been read; the fewest heads first. */
export function presetNames(grid, layer, head) {
  if (!grid) return [];
  const shipped = shippedNow();
  if (names.grid !== grid || names.shipped !== shipped || names.own !== own) {
    Object.assign(names, { grid, shipped, own, byHead: new Map() });
    const all = [...own, ...(shipped ?? [])].map((one) => one.preset).filter(Boolean);
    for (const preset of all.sort((one, other) => length(one) - length(other)))
      if (preset.model === grid.model && !refusal(preset, grid)) index(preset, grid);
  }
  return names.byHead.get(layer * grid.heads + head) ?? [];
}

const length = (preset) => preset.groups.reduce((sum, { heads }) => sum + heads.length, 0);
const names = { grid: null, shipped: null, own: null, byHead: new Map() };

function index(preset, grid) {
  try {
    for (const key of parse(unionText(preset, grid), grid).keys())
      names.byHead.set(key, [...(names.byHead.get(key) ?? []), preset.name]);
  } catch {
    // Blocks that this model does not have: it holds no head here.
  }
}

class Menu {
  constructor(button, context) {
    this.context = context;
    this.panel = null;
    this.button = button;
  }

  get shown() {
    this.panel ??= new Panel(this.button, this.context.element, this.context.app.canvas?.canvas);
    return this.panel;
  }

  // The lists -------------------------------------------------------------------------------------------------------

  async main(at = "") {
    const { context } = this;
    this.shown.wait(TITLE);
    const problems = [];
    const failed = (what) => (error) => void problems.push({ label: what, refused: error.message });
    const [ours, theirs] = await Promise.all([
      loadShipped(context.api).catch(failed("The shipped presets cannot be read")),
      listOwn(context.api).catch(failed("Your presets cannot be read")),
    ]);
    own = theirs ?? [];
    if (!this.shown.isOpen) return;
    const fitting = (ours ?? []).filter(({ preset }) => !refusal(preset, context.grid));
    const others = (ours ?? []).filter((one) => !fitting.includes(one));
    const sections = [
      { title: "", items: [this.saveItem(), this.importItem(), this.studiesItem(), ...problems] },
      { title: "Yours", items: own.map((one) => this.ownItem(one)) },
      ...byStyle(fitting, !context.grid).map(([style, list]) => ({ title: style, items: list.map((one) => this.shippedItem(one)) })),
    ];
    if (others.length)
      sections.push({ title: "", items: [{ label: `For other models (${others.length})`, opens: true, key: "others", choose: () => this.others(others) }] });
    this.shown.list(context.grid ? `${TITLE} for ${context.grid.model}` : TITLE, sections.filter(({ items }) => items.length), { at });
  }

  others(list) {
    const sections = byStyle(list, true).map(([style, ones]) => ({ title: style, items: ones.map((one) => this.shippedItem(one)) }));
    this.shown.list("For other models", sections, { back: () => this.main("others") });
  }

  shippedItem({ id, preset }) {
    return {
      label: preset.name,
      detail: describe(preset, this.context.grid),
      refused: this.refused(preset),
      key: `shipped ${id}`,
      choose: () => this.choose(preset, id),
    };
  }

  ownItem({ file, preset, error }) {
    const key = `own ${file}`;
    if (!preset) return { label: file, refused: error, key, more: () => this.ownMenu(file, null) };
    return {
      label: preset.name,
      detail: describe(preset, this.context.grid),
      refused: this.refused(preset),
      key,
      choose: () => this.choose(preset, ""),
      more: () => this.ownMenu(file, preset),
    };
  }

  ownMenu(file, preset) {
    const gone = { label: "Delete …", choose: () => this.deleteForm(file, preset) };
    const items = preset ? [
      { label: "Apply", refused: this.refused(preset), choose: () => this.choose(preset, "") },
      { label: "Rename …", choose: () => this.renameForm(file, preset) },
      { label: "Export as a file", choose: () => this.export(preset) },
      gone,
    ] : [gone];
    this.shown.list(preset?.name ?? file, [{ title: "", items }], { back: () => this.main(`own ${file}`) });
  }

  refused(preset) {
    const { context } = this;
    return refusal(preset, context.grid) || (context.field && isDriven(context.node, context.field) ? "the heads come by wire: change them there" : "");
  }

  // Choosing --------------------------------------------------------------------------------------------------------

  /** Applies a preset, asking first where it has several groups, or where a person's own text would be lost. */
  choose(preset, id, sure = false) {
    const { context } = this;
    const refused = this.refused(preset);
    if (refused) return tell(context, "error", "Not applied", `"${preset.name}" is ${refused}`);
    if (!sure && context.field && context.node.comfyClass !== PRESET_NODE && isHandwritten(context.headsText))
      return this.shown.form("Replace your text?", {
        text: "The heads are written by hand, with comments or on several lines. They will be replaced; Undo brings them back.",
        ok: "Replace",
        back: () => this.main(),
        submit: () => this.choose(preset, id, true),
      });
    const name = `"${preset.name}"`;
    if (context.node.comfyClass === PRESET_NODE)
      return this.done(name, preset, () => writePreset(context, formatPreset(preset), id));
    if (context.node.comfyClass !== SOFT_PAG) return this.done(name, preset, () => writeHeads(context, preset));
    if (preset.groups.length > 1) return this.several(preset);
    return this.done(name, preset, () => writeGroup(context, preset.groups[0]));
  }

  several(preset) {
    const { context } = this;
    const { groups } = preset;
    const name = `"${preset.name}"`;
    const whole = [
      {
        label: `Add ${groups.length - 1} SoftPAG ${groups.length === 2 ? "node" : "nodes"}`,
        detail: "one for each group, in the model's wire",
        choose: () => this.done(name, preset, () => writeChain(context, groups)),
      },
      {
        label: "As one Apply Head Preset node",
        detail: "in place of this node, with the preset's text in it",
        choose: () => this.done(name, preset, () => replaceByPreset(context, formatPreset(preset)), true),
      },
    ];
    const single = groups.map((group, index) => ({
      label: `Group ${index + 1}: ${group.heads}`,
      detail: settings(group),
      choose: () => this.done(`Group ${index + 1} of ${name}`, preset, () => writeGroup(context, group)),
    }));
    this.shown.list(`${preset.name}: ${groups.length} groups`, [{ title: "All of them", items: whole }, { title: "One of them, here", items: single }], {
      back: () => this.main(),
    });
  }

  /** Runs a change, closes, and says what is worth knowing. `gone`: the node itself is taken away. */
  done(name, preset, change, gone = false) {
    const { context } = this;
    try {
      const driven = change() ?? [];
      const notes = [preset && warning(preset, context.grid), driven.length && `${driven.join(", ")} come by wire and stay as they are`].filter(Boolean);
      if (notes.length) tell(context, "warn", `${name} applied`, notes.join("\n"));
    } catch (error) {
      return tell(context, "error", `${name} cannot be applied`, error.message);
    }
    this.panel?.close();
    if (!gone) context.close();
  }

  // The user's own --------------------------------------------------------------------------------------------------

  saveItem() {
    const { context } = this;
    const item = { label: "Save as a preset …", key: "save", choose: () => this.saveForm() };
    if (context.node.comfyClass === PRESET_NODE) return { ...item, refused: presetAt(context.node) ? "" : "no preset is chosen here" };
    if (!context.grid) return { ...item, refused: "the model is not known yet" };
    try {
      if (!canonical(context.headsText, context.grid)) return { ...item, refused: "no heads are chosen" };
    } catch (error) {
      return { ...item, refused: error.message };
    }
    return item;
  }

  saveForm() {
    const { context } = this;
    const from = context.node.comfyClass === PRESET_NODE ? presetAt(context.node) : null;
    this.shown.form("Save as a preset", {
      fields: [
        { name: "name", label: "Name", value: from?.name ?? "" },
        { name: "style", label: "Style, such as golden hour", value: from?.style ?? "", most: 2000 },
        { name: "note", label: "Note", value: from?.note ?? "", lines: 3, most: 20000 },
      ],
      ok: "Save",
      back: () => this.main("save"),
      submit: async (values) => {
        const { name, style, note } = values;
        const preset = from
          ? parsePreset(JSON.stringify({ ...renamed(from, name).data, style: style.trim(), note }))
          : presetOf(groupAt(context.node, context.headsText), context.grid, values);
        await this.storeSurely(preset, (file) => {
          tell(context, "success", "Saved", `headhunter/presets/${file}`);
          this.panel.close();
          context.close();
        });
      },
    });
  }

  renameForm(file, preset) {
    this.shown.form("Rename", {
      fields: [{ name: "name", label: "Name", value: preset.name }],
      ok: "Rename",
      back: () => this.ownMenu(file, preset),
      submit: async ({ name }) => {
        const made = renamed(preset, name);
        await this.storeSurely(made, async (now) => {
          if (now !== file) await remove(this.context.api, file);
          await this.main(`own ${now}`);
        }, file);
      },
    });
  }

  deleteForm(file, preset) {
    this.shown.form("Delete?", {
      text: `${preset ? `"${preset.name}"` : file} will be deleted. This cannot be undone; nodes that it was applied to keep their heads.`,
      ok: "Delete",
      back: () => this.ownMenu(file, preset),
      submit: async () => {
        await remove(this.context.api, file);
        await this.main();
      },
    });
  }

  /** Stores a preset, asking first where another file of that name would be lost; `same` may be replaced. */
  async storeSurely(preset, after, same = "") {
    const { api } = this.context;
    const there = await taken(api, preset.name);
    if (!there || there.file === same) return after(await store(api, preset, Boolean(there)));
    this.shown.form("Replace?", {
      text: `You have the preset ${there.preset ? `"${there.preset.name}"` : there.file} already. It would be replaced.`,
      ok: "Replace",
      back: () => this.main(),
      submit: async () => after(await store(api, preset, true)),
    });
  }

  importItem() {
    return { label: "Import preset files …", key: "import", choose: () => this.import() };
  }

  import() {
    const input = document.createElement("input");
    Object.assign(input, { type: "file", accept: ".json,application/json", multiple: true, hidden: true });
    this.shown.element.append(input);
    input.addEventListener("cancel", () => input.remove());
    input.addEventListener("change", async () => {
      const files = [...input.files];
      input.remove();
      try {
        const kept = [];
        for (const preset of await readFiles(files)) kept.push(await keep(this.context, preset));
        tell(this.context, "success", "Imported", kept.join("\n"));
      } catch (error) {
        return tell(this.context, "error", "Not imported", error.message);
      }
      if (this.shown.isOpen) await this.main("import");
    });
    input.click();
  }

  export(preset) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([formatPreset(preset)], { type: "application/json" }));
    link.download = fileName(preset.name);
    link.hidden = true;
    this.shown.element.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  // Studies ---------------------------------------------------------------------------------------------------------

  studiesItem() {
    const refused = this.context.field ? isDriven(this.context.node, this.context.field) && "the heads come by wire" : "this node takes presets";
    return { label: "Studies", detail: "heads that a hunt has found", opens: true, key: "studies", refused: refused || "", choose: () => this.studies() };
  }

  async studies(at = "") {
    const back = () => this.main("studies");
    this.shown.wait("Studies");
    let items;
    try {
      items = (await listStudies(this.context.api)).map(({ id, changed }) => ({
        label: id,
        detail: new Date(changed * 1000).toLocaleString(),
        opens: true,
        key: id,
        choose: () => this.rounds(id),
      }));
    } catch (error) {
      items = [{ label: "The studies cannot be read", refused: error.message }];
    }
    if (!this.shown.isOpen) return;
    if (!items.length) items = [{ label: "No studies yet", refused: "HeadHunter Search and Head Atlas write them" }];
    this.shown.list("Studies", [{ title: "", items }], { back, at });
  }

  async rounds(id) {
    const { context } = this;
    this.shown.wait(id);
    let items, title = "";
    try {
      const { grid, settings: used, rounds } = await readRounds(context.api, id);
      const refused = grid ? refusal(grid, context.grid) : "";
      title = [grid?.model, used && `found at ${used}`].filter(Boolean).join(" · ");
      items = rounds.map((round) => ({
        label: `${round.title}: ${round.heads}`,
        detail: round.about,
        refused,
        choose: () => this.useHeads(`${round.title} of ${id}`, round.heads),
      }));
      if (!items.length) items = [{ label: "No rounds", refused: "an atlas, or a hunt whose first round is not done" }];
    } catch (error) {
      items = [{ label: "This study cannot be read", refused: error.message }];
    }
    if (!this.shown.isOpen) return;
    this.shown.list(id, [{ title, items }], { back: () => this.studies(id) });
  }

  useHeads(name, text, sure = false) {
    const { context } = this;
    if (!sure && isHandwritten(context.headsText))
      return this.shown.form("Replace your text?", {
        text: "The heads are written by hand, with comments or on several lines. They will be replaced; Undo brings them back.",
        ok: "Replace",
        back: () => this.main(),
        submit: () => this.useHeads(name, text, true),
      });
    this.done(name, null, () => {
      const heads = context.grid ? canonical(text, context.grid) : text;
      if (!context.setHeads(heads)) throw new Error("The heads come by wire: change them there.");
    });
  }
}

// Helpers -----------------------------------------------------------------------------------------------------------

/** What an Apply Head Preset node applies; null where it is nothing that can be read. */
function presetAt(node) {
  const text = widgetOf(node, "preset_json")?.value;
  if (!String(text ?? "").trim()) return shippedNow()?.find(({ id }) => id === widgetOf(node, "preset")?.value)?.preset ?? null;
  try {
    return parsePreset(String(text));
  } catch {
    return null;
  }
}

async function readFiles(files) {
  const presets = [];
  for (const file of files) presets.push(readPreset(file.name, await file.arrayBuffer()));
  if (!presets.length) throw new PresetError("no file");
  return presets;
}

/** Stores an imported preset among the user's own, never over another one. @returns what became of it, in words */
async function keep({ api }, preset) {
  try {
    const there = await taken(api, preset.name);
    if (!there) {
      await store(api, preset, false);
      return `"${preset.name}" is now among your presets`;
    }
    if (there.preset && JSON.stringify(there.preset.data) === JSON.stringify(preset.data)) return `"${preset.name}" was among your presets already`;
    return `"${preset.name}" is not kept: another preset of yours has the file ${there.file}`;
  } catch (error) {
    return `"${preset.name}" is not kept: ${error.message}`;
  }
}

/** Groups by style, a pair with the first of its styles; where several models are mixed, by model too. */
function byStyle(list, mixed) {
  const groups = new Map();
  for (const one of list) {
    const style = one.preset.style.split(" + ")[0] || "no style";
    const title = mixed ? `${one.preset.model} · ${style}` : style;
    groups.set(title, [...(groups.get(title) ?? []), one]);
  }
  return [...groups].sort(([one], [other]) => one.localeCompare(other));
}

function describe(preset, grid) {
  const { groups } = preset;
  const what = groups.length > 1 ? `${groups.length} groups` : `${groups[0].heads} · ${settings(groups[0])}`;
  return [what, warning(preset, grid)].filter(Boolean).join(" · ");
}

const settings = ({ scale, strength }) => `scale ${scale}, strength ${strength}`;

function tell({ app }, severity, summary, detail) {
  app.extensionManager?.toast?.add({ severity, summary, detail, life: severity === "error" ? 12_000 : 6_000 });
}
