/** HeadHunter's one extension: a head grid on the nodes that hold heads. */

import { app } from "../../scripts/app.js";
import { api } from "../../scripts/api.js";
import { addGrid } from "./grid_widget.js";
import { listen } from "./heat.js";

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
  nodeCreated(node) {
    const kind = GRIDS[node.comfyClass];
    if (kind) addGrid(node, kind, app, api);
  },
});
