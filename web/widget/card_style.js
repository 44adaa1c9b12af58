/** The card's look, in the palette's own variables. */
export const CARD_STYLE = `
.hh-card { position: fixed; z-index: 900; box-sizing: border-box; width: 398px; padding: 10px; border-radius: 8px; pointer-events: auto;
  background: var(--comfy-menu-bg, #353535); color: var(--input-text, #ddd); font: 12px/1.35 system-ui, sans-serif;
  border: 1px solid var(--border-default, var(--border-color, #4e4e4e)); box-shadow: 0 6px 24px rgba(0, 0, 0, .5); }
.hh-card [hidden] { display: none; }
.hh-card-figures { display: flex; gap: 8px; }
.hh-card figure { flex: 1; min-width: 0; margin: 0; }
.hh-card img { display: block; width: 100%; aspect-ratio: 1; object-fit: contain; border-radius: 5px; background: var(--comfy-input-bg, #222); }
.hh-card figcaption { margin-top: 3px; opacity: .8; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.hh-card p { margin: 4px 0 0; overflow-wrap: anywhere; }
.hh-card-score { font-weight: 600; }
.hh-card-where { opacity: .7; }
.hh-card-prompt { max-height: 4em; overflow: auto; }
.hh-card-steps { display: flex; gap: 6px; align-items: center; margin-top: 6px; }
.hh-card button { font: inherit; color: inherit; border: 0; border-radius: 4px; padding: 1px 9px; cursor: pointer;
  background: color-mix(in srgb, var(--input-text, #ddd) 14%, transparent); }
.hh-card canvas { display: block; margin: 8px auto 0; border-radius: 4px; }
`;
