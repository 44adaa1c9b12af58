/** The widget's look. Colours are the palette's own variables, newer names first; the canvas reads them from its computed style. */
export const STYLE = `
.hh-grid { --hh-fg: var(--input-text, #ddd); --hh-bg: var(--component-node-widget-background, var(--comfy-input-bg, #222)); --hh-line: var(--border-color, #4e4e4e);
  --hh-accent: #5b7cfa;
  display: flex; flex-direction: column; gap: 5px; box-sizing: border-box; width: 100%; padding: 7px; overflow: hidden;
  position: relative; border-radius: 8px; background: var(--hh-bg); color: var(--hh-fg); font: 11px/1.3 system-ui, sans-serif;
  user-select: none; -webkit-user-select: none; text-align: left; }
.hh-grid > * { flex: none; }
.hh-grid [hidden] { display: none !important; }
.hh-bar { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; }
.hh-bar button, .hh-note button { font: inherit; color: inherit; background: color-mix(in srgb, var(--hh-fg) 12%, transparent);
  border: 1px solid transparent; border-radius: 5px; padding: 2px 8px; cursor: pointer; }
.hh-bar button:hover:enabled, .hh-note button:hover { background: color-mix(in srgb, var(--hh-fg) 22%, transparent); }
.hh-bar button:focus-visible, .hh-note button:focus-visible { outline: 2px solid var(--hh-accent); outline-offset: 1px; }
.hh-bar button:disabled { opacity: .4; cursor: default; }
.hh-bar button.hh-main { background: var(--hh-accent); color: #fff; }
.hh-bar button.hh-main:hover:enabled { background: color-mix(in srgb, var(--hh-accent) 86%, #fff); }
.hh-bar button.hh-pick { max-width: 130px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.hh-count { margin-left: auto; opacity: .8; white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.hh-hunt { display: grid; grid-template-columns: 1fr auto; gap: 3px 8px; }
.hh-hunt progress { grid-column: 1 / -1; width: 100%; height: 4px; border: 0; border-radius: 2px; overflow: hidden;
  appearance: none; background: color-mix(in srgb, var(--hh-fg) 15%, transparent); accent-color: var(--hh-accent); }
.hh-hunt progress::-webkit-progress-bar { background: transparent; }
.hh-hunt progress::-webkit-progress-value { background: var(--hh-accent); }
.hh-hunt progress::-moz-progress-bar { background: var(--hh-accent); }
.hh-note { display: flex; flex-wrap: wrap; gap: 4px; align-items: center; padding: 4px 6px; border-radius: 5px; user-select: text;
  -webkit-user-select: text; border-left: 3px solid var(--hh-accent); background: color-mix(in srgb, var(--hh-fg) 7%, transparent); }
.hh-note.hh-error { border-left-color: var(--error-text, #ff4444); }
.hh-stage { flex: 1 1 0; position: relative; min-height: 0; }
.hh-stage canvas { position: absolute; inset: 0; width: 100%; height: 100%; display: block; touch-action: none; cursor: crosshair;
  color: var(--hh-fg); background-color: var(--hh-bg); caret-color: var(--hh-accent); border-radius: 4px; outline: none; }
.hh-stage canvas.hh-fixed { cursor: default; }
.hh-stage canvas:focus { box-shadow: 0 0 0 2px var(--hh-accent); }
.hh-slider { position: absolute; z-index: 4; display: grid; grid-template-columns: 1fr auto; gap: 4px 8px; align-items: center; width: 210px;
  box-sizing: border-box; padding: 7px 9px; border-radius: 6px; background: var(--comfy-menu-bg, #353535); color: var(--hh-fg);
  border: 1px solid var(--hh-line); box-shadow: 0 4px 14px rgba(0, 0, 0, .45); }
.hh-slider input { grid-column: 1 / -1; width: 100%; margin: 0; accent-color: var(--hh-accent); }
.hh-slider div { grid-column: 1 / -1; display: flex; gap: 4px; }
.hh-slider button { font: inherit; color: inherit; border: 0; border-radius: 4px; padding: 2px 8px; cursor: pointer;
  background: color-mix(in srgb, var(--hh-fg) 14%, transparent); }
.hh-slider button:hover { background: color-mix(in srgb, var(--hh-fg) 24%, transparent); }
/* As high whatever it says: else the cells would move under the pointer. */
.hh-foot { display: flex; gap: 8px; align-items: flex-start; height: 43px; overflow: hidden; }
.hh-read { flex: 1; min-width: 0; max-height: 100%; opacity: .9; overflow: hidden; display: -webkit-box; -webkit-box-orient: vertical;
  -webkit-line-clamp: 3; }
.hh-legend { display: grid; grid-template-columns: auto 92px auto; gap: 1px 5px; align-items: center; font-size: 10px; opacity: .9; }
.hh-legend i { height: 8px; border-radius: 2px; }
.hh-legend button { grid-column: 1 / -1; text-align: center; opacity: .8; font: inherit; color: inherit; background: none; border: 0; padding: 0; }
.hh-legend button:enabled { cursor: pointer; }
.hh-legend button:enabled:hover { text-decoration: underline; }
.hh-hint { opacity: .6; text-align: right; max-width: 48%; white-space: pre-line; }
.hh-grid.hh-drop { box-shadow: inset 0 0 0 2px var(--hh-accent); }
`;
