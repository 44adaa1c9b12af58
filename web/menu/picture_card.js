/** A preset as a picture to show others: it carries the preset's text, and can be dropped on a grid. */

import { plainGrid, unionText } from "../fit.js";
import { keysOf } from "../heads.js";
import { textsOf, withTexts } from "../png.js";
import { formatPreset } from "../presets.js";
import { settingsOf } from "./choose.js";
import { blobOf, loaded, smallPicture } from "./picture_file.js";

/** @typedef {import("../presets.js").Preset} Preset */

const PRESET = "headhunter-preset";
const PICTURE = "headhunter-picture"; // where the picture lies on the card: x,y,width,height
const [WIDTH, HEIGHT, EDGE, SIDE] = [800, 420, 18, 384];
const SOFT = "#aab";

/**
 * @param {Preset} preset
 * @param {Blob|null} picture
 * @returns {Promise<Blob>} a PNG
 */
export async function cardOf(preset, picture) {
  const canvas = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const context = canvas.getContext("2d");
  if (!context) throw new Error("the card could not be drawn");
  context.fillStyle = "#1e1f26";
  context.fillRect(0, 0, WIDTH, HEIGHT);
  const image = picture && (await loaded(picture));
  /** @type {Record<string, string>} */
  const texts = { [PRESET]: formatPreset(preset) };
  if (image) {
    const scale = SIDE / Math.max(image.naturalWidth, image.naturalHeight);
    const place = [EDGE, EDGE, Math.round(image.naturalWidth * scale), Math.round(image.naturalHeight * scale)];
    context.drawImage(image, EDGE, EDGE, place[2], place[3]);
    texts[PICTURE] = place.join();
  } else drawGrid(context, preset, EDGE, EDGE, SIDE);
  write(context, preset);
  if (image) drawGrid(context, preset, 2 * EDGE + SIDE, HEIGHT - EDGE - 180, 180);
  const bytes = await (await blobOf(canvas, "image/png")).arrayBuffer();
  return withTexts(new Uint8Array(bytes), texts);
}

/**
 * What a picture carries; null where it is no card.
 * @param {ArrayBuffer} bytes
 * @returns {{text: string, place: {x: number, y: number, width: number, height: number}|undefined}|null}
 */
export function readCard(bytes) {
  const texts = textsOf(new Uint8Array(bytes));
  const text = texts.get(PRESET);
  if (text === undefined) return null;
  const numbers = (texts.get(PICTURE) ?? "").split(",").map(Number);
  const [x, y, width, height] = numbers;
  const whole = numbers.length === 4 && numbers.every((value) => Number.isInteger(value) && value >= 0 && value <= WIDTH) && width && height;
  return { text, place: whole ? { x, y, width, height } : undefined };
}

/**
 * The picture on a card; null where it has none.
 * @param {Blob} card
 * @param {ArrayBuffer} bytes
 */
export async function pictureOn(card, bytes) {
  const place = readCard(bytes)?.place;
  return place ? smallPicture(card, place) : null;
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Preset} preset
 */
function write(context, preset) {
  const { name, style, model, groups, source } = preset;
  const left = 2 * EDGE + SIDE, width = WIDTH - left - EDGE;
  let top = EDGE + 24;
  const line = (/** @type {string} */ text, /** @type {string} */ font, /** @type {string} */ colour, height = 24) => {
    if (!text) return;
    context.font = font;
    context.fillStyle = colour;
    context.fillText(text, left, top, width);
    top += height;
  };
  line(name, "600 24px system-ui, sans-serif", "#fff", 30);
  line(style, "16px system-ui, sans-serif", SOFT);
  line(`${model}, ${preset.layers} x ${preset.heads}`, "14px system-ui, sans-serif", SOFT);
  for (const group of groups.slice(0, 3)) {
    line(group.heads, "14px ui-monospace, monospace", "#dde", 20);
    line(settingsOf(group), "13px system-ui, sans-serif", SOFT, 22);
  }
  line(source, "12px system-ui, sans-serif", SOFT);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Preset} preset
 * @param {number} left
 * @param {number} top
 * @param {number} side
 */
function drawGrid(context, preset, left, top, side) {
  const grid = plainGrid(preset);
  if (!grid) return;
  const cell = Math.min(side / grid.layers, side / grid.heads);
  const gap = cell > 5 ? 1 : 0.5;
  context.fillStyle = "#34363f";
  for (let key = 0; key < grid.layers * grid.heads; key++)
    context.fillRect(left + (key % grid.heads) * cell, top + Math.floor(key / grid.heads) * cell, cell - gap, cell - gap);
  context.fillStyle = "#5b7cfa";
  for (const key of keysOf(unionText(preset, null), grid))
    context.fillRect(left + (key % grid.heads) * cell, top + Math.floor(key / grid.heads) * cell, cell - gap, cell - gap);
}
