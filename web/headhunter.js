/** HeadHunter's one extension: a head grid on the nodes that hold heads. */

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { listen } from "./server/hunts.js";
import { HeadGrid } from "./widget/grid_widget.js";

/** @type {Record<string, import("./widget/look.js").Kind>} */
const GRIDS = {
  HeadHunterSoftPAG: { field: "heads" },
  HeadHunterSearch: { field: "pool", pool: true, hunts: true },
  HeadHunterAtlas: { field: "heads", hunts: true },
  HeadHunterEditHeads: { field: "first" },
  HeadHunterPreset: { field: null },
};

// At once: newer frontends complain of a message that nobody listens for, and a hunt may be running.
listen(api, () => (app.rootGraph ?? app.graph)?.id ?? "");

app.registerExtension({
  name: "HeadHunter.Grid",
  nodeCreated(/** @type {ComfyNode} */ node) {
    const kind = GRIDS[node.comfyClass];
    if (kind) new HeadGrid(node, kind, app, api);
  },
});
