/** Pictures of the user's own presets: JPEGs beside their files, `x.jpg` for `x.json`. */

import { FOLDER, isThere } from "./userdata.js";

const KIND = /\.json$/i;
/** @type {Map<string, string>} addresses of pictures that were loaded, by file and the time of its change */
const loaded = new Map();

/** @param {string} file of the preset */
export const pictureFile = (file) => file.replace(KIND, ".jpg");

/**
 * @param {ComfyApi} api
 * @param {string} file of the preset
 * @returns {Promise<Blob|null>}
 */
export async function pictureFor(api, file) {
  const response = await api.getUserData(`${FOLDER}/${pictureFile(file)}`);
  return response.ok ? response.blob() : null;
}

/**
 * The address of a preset's picture; loaded once for each state of the file.
 * @param {ComfyApi} api
 * @param {string} file
 * @param {number} changed
 */
export async function pictureUrl(api, file, changed) {
  const key = `${file}|${changed}`;
  if (!loaded.has(key)) {
    const picture = await pictureFor(api, file);
    if (!picture) throw new Error("no picture");
    loaded.set(key, URL.createObjectURL(new Blob([picture], { type: "image/jpeg" })));
  }
  return /** @type {string} */ (loaded.get(key));
}

/**
 * @param {ComfyApi} api
 * @param {string} file
 * @param {Blob} picture
 */
export async function storePicture(api, file, picture) {
  const options = { overwrite: true, stringify: false, throwOnError: false, full_info: false };
  const response = await api.storeUserData(`${FOLDER}/${pictureFile(file)}`, picture, options);
  if (!response.ok) throw new Error(`${pictureFile(file)} could not be written: the server says ${response.status}`);
}

/**
 * Takes a preset's picture away, where it has one.
 * @param {ComfyApi} api
 * @param {string} file
 */
export async function removePicture(api, file) {
  if (!(await isThere(api, pictureFile(file)))) return;
  const response = await api.deleteUserData(`${FOLDER}/${pictureFile(file)}`);
  if (!response.ok && response.status !== 404) throw new Error(`${pictureFile(file)} could not be deleted: the server says ${response.status}`);
}
