"""What of a group changes along one sampling: its scale, where it has an end scale, and the momentum of its differences."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from ...guidance import Group, Momentum
from .attention import Entry

HALVINGS = 40
"""Of 0..1 in the search for a step's percent: to 1e-12."""


class Course:
    """One sampling's."""

    def __init__(self) -> None:
        self._momenta: defaultdict[Entry, Momentum] = defaultdict(Momentum)

    def at(
        self, model: Any, sigma: Tensor, active: Sequence[Entry], differences: Sequence[Tensor]
    ) -> tuple[list[Tensor], list[float]]:
        """The active groups' differences, with their momentum where the mix has one, and their scales at this step.

        sigma [B] is read from the device only where a group needs it.
        """
        groups = [entry.group for entry in active]
        scales = scales_at(model, sigma, groups)
        if all(group.mix != "apg" for group in groups):
            return list(differences), scales
        value = float(sigma.max())
        moved = [
            self._momenta[entry].add(difference, value) if entry.group.mix == "apg" else difference
            for entry, difference in zip(active, differences, strict=True)
        ]
        return moved, scales


def scales_at(model: Any, sigma: Tensor, groups: Sequence[Group]) -> list[float]:
    """The groups' scales at a step; sigma [B] is read from the device only where one changes."""
    if all(group.end_scale == 1 for group in groups):
        return [group.scale for group in groups]
    percent = percent_of(float(sigma.max()), model.model_sampling.percent_to_sigma)
    return [group.scale_at(percent) for group in groups]


def percent_of(sigma: float, to_sigma: Callable[[float], float]) -> float:
    """The percent of sampling, 0..1, that a noise level is at; `to_sigma` falls with the percent."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if to_sigma(middle) > sigma else (low, middle)
    return low
