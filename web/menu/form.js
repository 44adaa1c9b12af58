/** A question in the menu: words, fields where there are some, and two answers. */

import { reasonOf } from "../errors.js";
import { make } from "./make.js";

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} [value]
 * @property {number} [lines]
 * @property {number} [most] characters
 *
 * @typedef {object} Question
 * @property {string} [text]
 * @property {Field[]} [fields]
 * @property {{url: string, label: string, chosen: boolean}} [picture] that may go with it
 * @property {string} ok the answer that submits
 * @property {() => void} back
 * @property {(values: Record<string, string>, picture: string) => void|Promise<void>} submit `picture`: its address where it was chosen, else ""; what it throws is shown, and the form stays
 */

/**
 * @param {Question} question
 * @returns {{form: HTMLFormElement, first: HTMLElement}} `first`: what gets the keyboard
 */
export function buildForm({ text = "", fields = [], picture, ok, back, submit }) {
  const form = make("form");
  if (text) form.append(make("p", "", text));
  const inputs = fields.map((field) => {
    const input = inputOf(field);
    const line = make("label", "", field.label);
    line.append(input);
    form.append(line);
    return input;
  });
  const check = picture && pictureLine(form, picture);
  const wrong = make("p", "hh-wrong");
  wrong.setAttribute("role", "alert");
  const keys = make("div", "hh-menu-keys");
  const yes = make("button", "hh-main", ok);
  yes.type = "submit";
  const no = make("button", "", "Cancel");
  no.type = "button";
  no.addEventListener("click", back);
  keys.append(yes, no);
  form.append(wrong, keys);
  let busy = false; // not `disabled`: the button would lose the keyboard
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    wrong.textContent = "";
    try {
      await submit(Object.fromEntries(inputs.map((input) => [input.name, input.value])), check?.checked && picture ? picture.url : "");
    } catch (error) {
      wrong.textContent = reasonOf(error);
    }
    busy = false;
  });
  return { form, first: inputs[0] ?? yes };
}

/**
 * @param {HTMLFormElement} form
 * @param {{url: string, label: string, chosen: boolean}} picture
 * @returns {HTMLInputElement}
 */
function pictureLine(form, { url, label, chosen }) {
  const check = Object.assign(make("input"), { type: "checkbox", checked: chosen, name: "picture" });
  const line = make("label", "hh-menu-picture");
  line.append(check, Object.assign(make("img"), { src: url, alt: "" }), make("span", "", label));
  form.append(line);
  return check;
}

/** @param {Field} field */
function inputOf({ name, value = "", lines = 1, most = 200 }) {
  const input = lines > 1 ? Object.assign(make("textarea"), { rows: lines }) : make("input");
  return Object.assign(input, { name, value, maxLength: most, autocomplete: "off", spellcheck: false });
}
