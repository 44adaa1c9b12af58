/** Text in a PNG picture: chunks of the kind iTXt, not compressed (PNG specification, third edition, 11.3.3.4). */

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const KIND = "iTXt";
const MOST_TEXT = 2 ** 18 * 4; // bytes

/** @type {Uint32Array|null} of CRC-32, made when it is first needed */
let table = null;

/**
 * The picture with texts put before its end.
 * @param {Uint8Array<ArrayBuffer>} bytes of a PNG
 * @param {Record<string, string>} texts by keyword
 */
export function withTexts(bytes, texts) {
  const end = chunksOf(bytes).find(({ kind }) => kind === "IEND");
  if (!end) throw new Error("not a whole PNG picture");
  const chunks = Object.entries(texts).map(([keyword, text]) => chunk(KIND, new TextEncoder().encode(`${keyword}\0\0\0\0\0${text}`)));
  return new Blob([bytes.slice(0, end.start), ...chunks, bytes.slice(end.start)], { type: "image/png" });
}

/**
 * The texts of a PNG by their keywords; none where it is no PNG. Those that are compressed, too long or broken are left out.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {Map<string, string>}
 */
export function textsOf(bytes) {
  /** @type {Map<string, string>} */
  const texts = new Map();
  for (const { kind, data } of chunksOf(bytes)) {
    if (kind !== KIND || data.length > MOST_TEXT) continue;
    const fields = [];
    let at = data.indexOf(0);
    const keyword = new TextDecoder("latin1").decode(data.subarray(0, at));
    if (at < 0 || data[at + 1] !== 0) continue;
    at += 3; // the flag and the method of compression
    for (let field = 0; field < 2 && at > 0; field++) {
      const stop = data.indexOf(0, at); // the language, and the keyword in it
      fields.push(stop);
      at = stop + 1;
    }
    if (fields.includes(-1)) continue;
    try {
      texts.set(keyword, new TextDecoder("utf-8", { fatal: true }).decode(data.subarray(at)));
    } catch {
      // not UTF-8: no text
    }
  }
  return texts;
}

/**
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {{kind: string, start: number, data: Uint8Array<ArrayBuffer>}[]}
 */
function chunksOf(bytes) {
  if (!SIGNATURE.every((byte, index) => bytes[index] === byte)) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks = [];
  for (let start = SIGNATURE.length; start + 12 <= bytes.length; ) {
    const length = view.getUint32(start), next = start + 12 + length;
    if (next > bytes.length) break;
    chunks.push({ kind: String.fromCharCode(...bytes.subarray(start + 4, start + 8)), start, data: bytes.subarray(start + 8, start + 8 + length) });
    start = next;
  }
  return chunks;
}

/**
 * @param {string} kind
 * @param {Uint8Array} data
 */
function chunk(kind, data) {
  const made = new Uint8Array(data.length + 12), view = new DataView(made.buffer);
  view.setUint32(0, data.length);
  made.set([...kind].map((letter) => letter.charCodeAt(0)), 4);
  made.set(data, 8);
  view.setUint32(data.length + 8, crc(made.subarray(4, data.length + 8)));
  return made;
}

/** @param {Uint8Array} data */
function crc(data) {
  table ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value;
  });
  let value = 0xffffffff;
  for (const byte of data) value = table[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ 0xffffffff) >>> 0;
}
