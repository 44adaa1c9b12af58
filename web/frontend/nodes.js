/** A node's widgets, inputs and handlers. */

/**
 * @param {ComfyNode} node
 * @param {string|null} name
 */
export const widgetOf = (node, name) => node.widgets?.find((widget) => widget.name === name);

/**
 * The index of an input by its name, -1 where there is none.
 * @param {ComfyNode} node
 * @param {string} name
 */
export function inputIndex(node, name) {
  return node.inputs?.findIndex((input) => input.name === name || input.widget?.name === name) ?? -1;
}

/**
 * Whether a wire brings a widget's value.
 * @param {ComfyNode} node
 * @param {string} name
 */
export const isDriven = (node, name) => node.inputs?.[inputIndex(node, name)]?.link != null;

/**
 * Sets a widget as a user would. Undo steps are the caller's.
 * @param {ComfyApp} app
 * @param {ComfyNode} node
 * @param {ComfyWidget} widget
 * @param {unknown} value
 */
export function writeWidget(app, node, widget, value) {
  if (widget.value === value) return;
  widget.value = value;
  widget.callback?.(value, app.canvas, node);
  if (widget.value !== value) widget.value = value; // ComfyUI's own callback rounds to the step
  node.setDirtyCanvas?.(true, true);
}

/**
 * Sets a property, which is saved with the workflow; undefined removes it.
 * @param {ComfyNode} node
 * @param {string} name
 * @param {string|undefined} value
 */
export function writeProperty(node, name, value) {
  if (value === undefined) delete node.properties[name];
  else if (node.setProperty) node.setProperty(name, value);
  else node.properties[name] = value;
}

/**
 * Runs something after a node's handler; what other packs have put there still runs.
 * @param {ComfyNode} node
 * @param {"onAdded"|"onExecuted"|"onRemoved"} name
 * @param {() => void} after
 */
export function chain(node, name, after) {
  const before = node[name];
  node[name] = function (...values) {
    const result = before?.apply(this, values);
    after();
    return result;
  };
}
