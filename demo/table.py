"""Results as text for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .comparing import verdict

Result = dict[
    str, Any
]  # a setting with its "fidelity", and with "fidelity_over_cfg" where it has both kinds of guidance


def percent(result: Result) -> str:
    """How much smaller the squared error is than unguided: '+4.2 %'; '' for unguided itself."""
    fidelity = result["fidelity"]
    return f"{fidelity['difference_percent']:+.1f} %" if fidelity["difference"] else ""


def table(results: Sequence[Result]) -> str:
    """One line for each setting, numbers times 1000."""
    width = max(len(result["title"]) for result in results)
    lines = [f"{'':{width}}  squared error    less than unguided (paired)   (x 1000, +- standard error)"]
    for result in results:
        fidelity = result["fidelity"]
        line = f"{result['title']:{width}}  {-1000 * fidelity['mean']:6.2f} +- {1000 * fidelity['standard_error']:4.2f}"
        if fidelity["difference"]:
            line += f"   {1000 * fidelity['difference']:+6.2f} +- {1000 * fidelity['difference_standard_error']:4.2f}"
            line += f"  {percent(result):>8}  {verdict(fidelity)}"
        lines.append(line)
    return "\n".join(lines)


def sentences(results: Sequence[Result]) -> str:
    """Whether each kind of guidance helped, and by how much."""
    count = results[0]["fidelity"]
    cfg = [result for result in results if result["cfg"] != 1 and not result["scale"]]
    softpag = [result for result in results if result["cfg"] == 1 and result["scale"]]
    both = [result for result in results if result["cfg"] != 1 and result["scale"]]
    return "\n".join(
        [
            f"How close to the real pictures of {count['captions']} captions ({count['pictures']} pictures a setting), in squared error:",
            f"- SoftPAG compared with no guidance: {_outcomes(softpag, 'fidelity')}.",
            f"- CFG compared with no guidance: {_outcomes(cfg, 'fidelity')}.",
            f"- both compared with no guidance: {_outcomes(both, 'fidelity')}.",
            f"- both compared with CFG alone: {_outcomes(both, 'fidelity_over_cfg')}.",
        ]
    )


def _outcomes(results: Iterable[Result], key: str) -> str:
    return "; ".join(_outcome(result, result[key]) for result in results)


def _outcome(result: Result, fidelity: dict[str, Any]) -> str:
    """'w=0.4 closer, by 5.1 +- 0.8 %'"""
    name = f"w={result['scale']:g}" if result["scale"] else result["title"]
    return f"{name} {verdict(fidelity)}, {fidelity['difference_percent']:+.1f} +- {fidelity['difference_percent_standard_error']:.1f} %"
