/** The note above the grid: why nothing can be changed, or which model the grid is for, with the choice where that is unknown. */

/**
 * @typedef {object} NoteState
 * @property {import("../grid.js").Grid|null} grid
 * @property {string} locked why nothing can be changed; "" where it can
 * @property {boolean} wrong the text cannot be read, or its preset does not fit; `locked` says why
 * @property {boolean} chosenByHand the grid is
 * @property {boolean} before the grid is the last one known
 * @property {string} presets the model whose grid a preset node draws; "" where its own is known
 * @property {(() => void)|null} tidy makes a handwritten text paintable; null where it is not one
 * @property {boolean} waiting the server has not answered yet which grid it is
 * @property {import("../frontend/model_file.js").ModelFile|null} file the model's
 * @property {string} refused why the file's grid is not known, in the server's words
 * @property {boolean} wrongFile that no run will tell it either
 * @property {import("../server/models.js").Model[]} models to choose from
 * @property {(model: string|undefined) => void} choose a grid by hand; undefined: none
 */

/**
 * @param {HTMLElement} note
 * @param {NoteState} state
 */
export function showNote(note, state) {
  const { grid, locked, wrong, waiting } = state;
  const unknown = !grid && !waiting;
  const text = waiting ? "Reading the model's grid …"
    : unknown ? whyUnknown(state)
    : [whichGrid(state), locked].filter(Boolean).join(" ");
  const answers = answersTo(state, unknown);
  const key = JSON.stringify([text, answers.map(([label]) => label)]);
  if (note.dataset.key === key) return;
  note.dataset.key = key;
  note.hidden = !text;
  note.classList.toggle("hh-error", unknown ? state.wrongFile : wrong);
  const line = document.createElement("span");
  line.textContent = text;
  note.replaceChildren(line, ...answers.map(([label, press]) => button(label, press)));
}

/** @param {NoteState} state */
function whichGrid({ grid, chosenByHand, before, presets, file }) {
  if (presets) return `${file ? "The model's grid is not known" : "No model is connected"}: drawn on that of the preset, ${presets}.`;
  if (before) return `No model is connected. Shown as ${grid?.model}, as it was.`;
  return chosenByHand ? `Shown as ${grid?.model}, which was chosen by hand.` : "";
}

/**
 * What the note offers.
 * @param {NoteState} state
 * @param {boolean} unknown
 * @returns {[label: string, press: () => void][]}
 */
function answersTo({ models, choose, chosenByHand, before, tidy, wrongFile }, unknown) {
  if (unknown && wrongFile) return [];
  if (unknown)
    return models.map(({ label, grid: { model, layers, heads } }) => [`${label} ${layers}×${heads}`, () => choose(model)]);
  /** @type {[string, () => void][]} */
  const answers = chosenByHand || before ? [["another", () => choose(undefined)]] : [];
  if (tidy) answers.push(["Make it paintable", tidy]);
  return answers;
}

/** @param {NoteState} state */
function whyUnknown({ file, refused, wrongFile }) {
  if (!file) return "No model is connected, or its loader names no file. Choose the model:";
  if (wrongFile) return sentence(refused);
  return `${sentence(refused || `The grid of ${file.name} is not known`)} Choose the model, or run the workflow once.`;
}

/** @param {string} text */
const sentence = (text) => (/[.!?]$/.test(text) ? text : `${text}.`);

/**
 * @param {string} label
 * @param {() => void} press
 */
function button(label, press) {
  const made = document.createElement("button");
  made.textContent = label;
  made.type = "button";
  made.addEventListener("click", press);
  return made;
}
