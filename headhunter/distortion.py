"""How far a guided latent is from the unguided one of the same noise: gains are compared at equal distortion."""

from __future__ import annotations

from torch import Tensor


def distortion(latent: Tensor, unguided: Tensor) -> float:
    """|x - x_unguided| / |x_unguided|, both of one shape; in double precision."""
    unguided = unguided.double()
    return float((latent.double() - unguided).norm() / unguided.norm())
