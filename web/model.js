/**
 * Which grid a node's model has: up the MODEL wire to the loader, and the server reads that file's header.
 *
 * A file whose header tells nothing (GGUF, .ckpt) is known once its model has run: the run's grid is kept in this browser
 * (localStorage) under the file's name, size and time of change. It is only a convenience: without it the known grids are
 * offered until the next run.
 */

import { upstream } from "./graph.js";

const FOLDERS = { ckpt_name: "checkpoints", unet_name: "diffusion_models" };
const FILE = /\.(safetensors|sft|gguf|ckpt|pt|pth|bin)$/i;
const MEMORY = "headhunter.grids";
const MOST_REMEMBERED = 200;
const RETRY_MS = 15_000;

const blocks = (kind, count) => Array(count).fill(kind);
const known = (model, label, kinds, heads) => ({ label, grid: { model, layers: kinds.length, heads, kinds } });

/** The grids that are offered where the model cannot be told. */
export const KNOWN = [
  known("sd3-medium", "SD3 / SD3.5 medium", blocks("joint", 24), 24),
  known("sd3.5-large", "SD3.5 large", blocks("joint", 38), 38),
  known("flux1", "FLUX.1", [...blocks("double", 19), ...blocks("single", 38)], 24),
  known("flux2", "FLUX.2", [...blocks("double", 8), ...blocks("single", 48)], 48),
];

/**
 * The model file that feeds a node's MODEL input: through LoRAs, patches, reroutes and subgraphs, up to a loader.
 * @returns {{name: string, folder: string, listed: boolean}|null} folder "" where the widget's name does not tell it
 */
export function modelFile(node, seen = new Set()) {
  if (seen.has(node)) return null;
  seen.add(node);
  const inputs = (node.inputs ?? []).map((input, slot) => ({ type: input.type, slot }));
  const models = inputs.filter(({ type }) => type === "MODEL");
  for (const { slot } of models.length ? models : inputs.filter(({ type }) => type === "*")) {
    const from = upstream(node, slot);
    if (from) return from.input === undefined ? fileOf(from.node) ?? modelFile(from.node, seen) : null;
  }
  return node.isVirtualNode && !inputs.length ? virtualFile(node, seen) : null;
}

/** Get nodes of other packs have no inputs: they answer for their first one all the same. */
function virtualFile(node, seen) {
  const from = upstream(node, 0);
  return from?.slot === undefined ? null : fileOf(from.node) ?? modelFile(from.node, seen);
}

function fileOf(node) {
  const feeds = node.inputs?.some((input) => input.type === "MODEL");
  const files = feeds ? [] : (node.widgets ?? []).filter(({ value }) => typeof value === "string" && FILE.test(value));
  const widget = files.find(({ name }) => name in FOLDERS) ?? files.find(({ name }) => /model|unet|gguf/i.test(name)) ?? files[0];
  if (!widget) return null;
  const values = widget.options?.values;
  const gguf = /\.gguf$/i.test(widget.value);
  return {
    name: widget.value,
    folder: gguf ? "" : FOLDERS[widget.name] ?? "",
    listed: !Array.isArray(values) || values.includes(widget.value),
  };
}

const asked = new Map();

/**
 * The grid of a file: undefined until the server has answered, then `{grid, error, key}`.
 * @param {(url: string) => Promise<Response>} fetchApi the page's `api.fetchApi`
 * @returns {{grid: import("./heads.js").Grid|null, error: string|null, key: string|null}|undefined}
 */
export function gridOf(file, fetchApi) {
  if (!file.listed) return { grid: null, error: `ComfyUI lists no file ${file.name}`, key: null };
  const place = `${file.folder}/${file.name}`;
  if (!asked.has(place)) {
    asked.set(place, { answer: undefined });
    ask(file, fetchApi).then(
      (answer) => (asked.get(place).answer = answer),
      () => setTimeout(() => asked.delete(place), RETRY_MS),
    );
  }
  const { answer } = asked.get(place);
  return answer && !answer.grid && answer.key ? { ...answer, grid: remembered()[answer.key] ?? null } : answer;
}

async function ask(file, fetchApi) {
  const response = await fetchApi(`/headhunter/grid?${new URLSearchParams({ folder: file.folder, name: file.name })}`);
  const body = await response.json();
  if (!response.ok || !body.bytes) return { grid: null, error: String(body.error ?? response.status), key: null };
  const key = `${body.name}|${body.bytes}|${body.changed}`;
  return { grid: isGrid(body) ? pick(body) : null, error: body.error ?? null, key };
}

/** Keep the grid that a run told, for a file whose header does not tell it. */
export function remember(key, grid) {
  const grids = remembered();
  if (!isGrid(grid) || JSON.stringify(grids[key]) === JSON.stringify(pick(grid))) return;
  delete grids[key];
  const entries = [...Object.entries(grids), [key, pick(grid)]].slice(-MOST_REMEMBERED);
  memory = Object.fromEntries(entries);
  try {
    localStorage.setItem(MEMORY, JSON.stringify(memory));
  } catch {
    // Full or forbidden: it is remembered for as long as the page is open.
  }
}

let memory = null;

function remembered() {
  if (memory) return memory;
  memory = {};
  try {
    const kept = Object.entries(JSON.parse(localStorage.getItem(MEMORY) ?? "{}"));
    memory = Object.fromEntries(kept.filter(([, grid]) => isGrid(grid)));
  } catch {
    // Not ours, or not readable: begin anew.
  }
  return memory;
}

/** Whether data has the shape of a grid, of a size that can be drawn. */
export function isGrid(data) {
  return Boolean(data) && typeof data.model === "string" && Array.isArray(data.kinds)
    && data.kinds.length === data.layers && data.layers > 0 && data.layers <= 1000
    && Number.isInteger(data.heads) && data.heads > 0 && data.heads <= 1000;
}

const pick = ({ model, layers, heads, kinds }) => ({ model, layers, heads, kinds });
