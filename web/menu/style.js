/** The menu's look, in the palette's own variables. */
export const STYLE = `
.hh-menu { position: fixed; z-index: 901; width: 340px; max-height: min(620px, calc(100vh - 8px)); display: flex; flex-direction: column; overflow: hidden;
  box-sizing: border-box; border-radius: 6px; border: 1px solid var(--border-default, var(--border-color, #4e4e4e));
  background: var(--comfy-menu-bg, #353535); color: var(--input-text, #ddd); font: 12px/1.35 system-ui, sans-serif;
  box-shadow: 0 4px 14px rgba(0, 0, 0, .45); user-select: none; text-align: left; outline: none; }
.hh-menu-head { display: flex; gap: 6px; align-items: center; padding: 5px 8px; font-weight: 600; }
.hh-menu-head span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; }
.hh-menu-body { overflow: auto; overscroll-behavior: contain; padding: 0 4px 4px; outline: none; }
.hh-menu h4 { margin: 6px 4px 1px; font: inherit; font-size: 11px; opacity: .65; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.hh-menu-row { display: flex; align-items: center; }
.hh-menu-row[hidden], .hh-menu [role="group"][hidden] { display: none; }
.hh-menu .hh-folded > .hh-menu-row { display: none; }
.hh-menu-body.hh-searching .hh-folded > .hh-menu-row:not([hidden]) { display: flex; }
.hh-menu-fold button { width: 100%; text-align: left; }
.hh-menu-fold button span::before { content: "▸ "; }
.hh-menu-fold button[aria-expanded="true"] span::before { content: "▾ "; }
.hh-menu-row > button:first-child, .hh-menu-fold button { display: flex; gap: 8px; align-items: center; }
.hh-menu button div { min-width: 0; flex: 1; }
.hh-menu button img { width: 44px; height: 44px; flex: none; object-fit: cover; border-radius: 4px; background: var(--comfy-input-bg, #222); }
.hh-menu-head { flex-wrap: wrap; }
.hh-menu .hh-star { opacity: .7; }
.hh-menu .hh-star[aria-pressed="true"] { color: #e8b339; opacity: 1; }
.hh-menu .hh-menu-picture { display: flex; gap: 8px; align-items: center; }
.hh-menu .hh-menu-picture img { width: 72px; height: 72px; object-fit: cover; border-radius: 4px; }
.hh-menu button { font: inherit; color: inherit; background: transparent; border: 0; border-radius: 4px; padding: 3px 6px; cursor: pointer; }
.hh-menu-row > button:first-child { flex: 1; min-width: 0; text-align: left; }
.hh-menu button span, .hh-menu button small { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; unicode-bidi: isolate; }
.hh-menu button small { opacity: .7; font-size: 11px; }
.hh-menu button[aria-disabled="true"] { cursor: default; }
.hh-menu button[aria-disabled="true"] span { opacity: .5; }
.hh-menu button[aria-disabled="true"] small { white-space: normal; }
.hh-menu button:hover:not([aria-disabled="true"]), .hh-menu button:focus { background: color-mix(in srgb, var(--input-text, #ddd) 18%, transparent); }
.hh-menu button:focus-visible { outline: 2px solid #5b7cfa; outline-offset: -2px; }
.hh-menu p { margin: 4px; overflow-wrap: anywhere; user-select: text; }
.hh-menu label { display: block; margin: 4px; }
.hh-menu input:not([type="file"], [type="checkbox"]), .hh-menu textarea { display: block; width: 100%; box-sizing: border-box; margin-top: 2px; padding: 3px 5px;
  font: inherit; color: var(--input-text, #ddd); background: var(--comfy-input-bg, #222); resize: vertical; user-select: text;
  border: 1px solid var(--border-default, var(--border-color, #4e4e4e)); border-radius: 4px; }
.hh-menu-keys { display: flex; gap: 6px; margin: 6px 4px 2px; }
.hh-menu .hh-menu-keys button { background: color-mix(in srgb, var(--input-text, #ddd) 14%, transparent); padding: 3px 10px; }
.hh-menu .hh-menu-keys button.hh-main { background: #4263eb; color: #fff; }
.hh-menu p.hh-wrong { color: var(--error-text, #ff4444); }
`;
