/** What is asked of ComfyUI's page as a whole: undo steps, messages, and which renderer draws the nodes. */

/**
 * Runs a change as one undo step.
 * @template T
 * @param {ComfyApp} app
 * @param {() => T} change
 * @returns {T}
 */
export function asOneStep(app, change) {
  app.canvas?.emitBeforeChange?.();
  try {
    return change();
  } finally {
    app.canvas?.emitAfterChange?.();
  }
}

/**
 * Shows a message in the page's corner for a few seconds.
 * @param {ComfyApp} app
 * @param {"success"|"warn"|"error"} severity
 * @param {string} summary
 * @param {string} detail
 */
export function tell(app, severity, summary, detail) {
  app.extensionManager?.toast?.add({ severity, summary, detail, life: severity === "error" ? 12_000 : 6_000 });
}

/** Whether nodes are drawn by Nodes 2.0 and not by the classic canvas; a user can switch at any time. */
export const isNodes2 = () => Boolean(window.LiteGraph?.vueNodesMode);
