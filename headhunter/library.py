"""What a study is about, in a few lines: for lists that people choose from."""

from __future__ import annotations

from typing import Any

from .heat import ABOUT, NUMBER, found_in
from .study import Study

MEASURED = {"mean": (*NUMBER, type(None))}
REPORT = {
    "rounds?": [{"joint?": MEASURED}],
    "baseline?": MEASURED,
    "heads?": str,
    "settings?": {"group?": dict},
}
IDENTITY = {"pairs?": [{"text?": str}]}
BEFORE = {"atlas": "atlas", "search": "hunt"}
"""What only the identity of a kind of study holds, for those that do not say their kind."""


def summary_of(study: Study) -> dict[str, Any]:
    """As JSON data: {kind, goal, grid, gain, rounds, found, prompts, images}.

    kind: hunt, atlas or comparison, else "". goal: the scorers' names. gain: of the last round's set against the unguided
    pictures, in the score's own unit; null before. found: as in `heat.heat_of`. prompts: their texts.
    images: how many previews there are. StudyError where the study is not as it should be.
    """
    identity = study.shaped("identity", IDENTITY)
    about = study.shaped("about", ABOUT)
    report = study.shaped("report", REPORT)
    rounds = report.get("rounds", [])
    last = rounds[-1].get("joint", {}).get("mean") if rounds else None
    first = report.get("baseline", {}).get("mean")
    return {
        "kind": about.get("kind") or next((kind for name, kind in BEFORE.items() if name in identity), ""),
        "goal": [scorer["name"] for scorer in about.get("scorers", [])],
        "grid": about.get("grid"),
        "gain": None if last is None or first is None else last - first,
        "rounds": len(rounds),
        "found": found_in(report),
        "prompts": [pair.get("text", "") for pair in identity.get("pairs", [])],
        "images": study.preview_count(),
    }
