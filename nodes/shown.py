"""What a run tells the head grid in the browser, as a node's `ui`."""

from __future__ import annotations

from typing import Any

from ..headhunter.grid import Grid, describe


def shown(grid: Grid | None, **texts: str) -> dict[str, Any]:
    """`ui` with the grid of the model that ran and the texts that came in by wire or went out: heads, result, study."""
    return {"headhunter": [{"grid": describe(grid) if grid else None, **texts}]}
