"""The settings that the demo compares. Everything here was chosen on the tuning captions alone: `python demo --tune`."""

from __future__ import annotations

from dataclasses import dataclass

LAYERS, HEADS_A_LAYER = 4, 4  # the tiny SD3's grid

# The two best single heads at w = 0.2; together at w = 0.1 they came closest to the real pictures of all sets tried. The larger
# scales show the way to too much. CFG 1.5 was the best of 1.2, 1.5 and 2.
HEADS = "L0H3, L2H2"
STRENGTH = 1.0
SCALES = (0.1, 0.4, 1.0)
CFG = 1.5


@dataclass(frozen=True)
class Setting:
    """One way to sample. Scale 0 is no SoftPAG, cfg 1 is no CFG."""

    name: str
    title: str
    cfg: float = 1.0
    heads: str = ""
    scale: float = 0.0
    strength: float = 1.0


UNGUIDED = Setting("unguided", "unguided")
CFG_ALONE = Setting("cfg", f"CFG {CFG:g}", CFG)


def compared() -> list[Setting]:
    """Unguided, CFG, SoftPAG at three scales, both at three scales."""
    softpag = [Setting(f"softpag-{w:g}", f"SoftPAG w={w:g}", 1.0, HEADS, w, STRENGTH) for w in SCALES]
    both = [Setting(f"both-{w:g}", f"CFG + SoftPAG w={w:g}", CFG, HEADS, w, STRENGTH) for w in SCALES]
    return [UNGUIDED, CFG_ALONE, *softpag, *both]
