"""Whether a sampling's guidance did anything, and what to tell the user where it did not.

Numbers are kept on the device and read once, after sampling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from .attention import Entry, Witness
from .blocks import Options
from .course import percent_of

SMALL = 0.01
"""A strength under this may be lost in a number format of 16 bits."""
DISCARDED = 0.01
"""Share of the guidance that is left in what the sampler gets, below which it was discarded."""
INVISIBLE = 1e-5
"""Share of the largest number of a prediction under which a change is rounding, and far from one of 256 shades."""


class Effect:
    """What is seen of the guidance during one sampling by groups `live`."""

    def __init__(self, live: Sequence[Entry]):
        self.live = live
        self.witness = Witness()
        self.acted: set[Entry] = set()
        self.idle = False
        """A group acted while the positive conditioning was limited to other steps."""
        self._steps: list[float] = []
        self._latent: Sequence[int] = ()
        self._to_sigma: Callable[[float], float] | None = None
        self._difference: Tensor | None = None
        self._change: Tensor | None = None
        self._size: Tensor | None = None
        self._guided: tuple[Tensor, Tensor] | None = None
        self._left: Tensor | None = None

    def begun(
        self, active: Sequence[Entry], latent: Sequence[int], sigma: Tensor, to_sigma: Callable[[float], float]
    ) -> None:
        """A step begins in which the groups `active` act, on a latent of this shape."""
        self.acted.update(active)
        self._latent = latent
        if any(entry.group.windowed for entry in self.live):
            self._steps.append(float(sigma.max()))
            self._to_sigma = to_sigma

    def differed(self, differences: Sequence[Tensor]) -> None:
        """cond - perturbed of each group that acted."""
        for difference in differences:
            self._difference = _larger(self._difference, difference)

    def mixed(self, before: Tensor, after: Tensor) -> None:
        """The prediction before and after the guidance was added to it."""
        if self._change is None:
            self._guided = (before, after)
        self._change = _larger(self._change, after - before)
        self._size = _larger(self._size, before)

    def came_out(self, prediction: Tensor) -> None:
        """What the sampler gets, after all other packs' functions; looked at in the first guided step alone."""
        if self._guided is None:
            return
        before, after = self._guided
        self._guided = None
        self._left = (prediction - before).norm() / (after - before).norm()

    def warning(self, transformer_options: Options) -> str:
        """What a user should know, or "" where all is well."""
        waiting = [entry for entry in self.live if entry not in self.acted]
        if waiting:
            return self._outside(waiting)
        if any(entry.mask is not None and entry.mask.lost(self._latent) for entry in self.acted):
            height, width = self._latent[-2:]
            return (
                f"nothing is left of a group's mask at the latent's size, {width} x {height}, so this group did not act: paint a "
                "larger area."
            )
        if self._difference is None:
            steers = any(entry.group.in_attention for entry in self.acted)
            lost = steers and not self.witness.called
            return self._unreached("never reached the attention heads", transformer_options) if lost else ""
        if not self.witness.called and self.idle:
            return (
                "the guidance had no effect: where its window is, the positive conditioning is limited to other steps "
                "(ConditioningSetTimestepRange). Let the two overlap."
            )
        if not self.witness.called:
            return self._unreached("never reached the attention heads", transformer_options)
        strongest = max(abs(entry.strengths.largest) for entry in self.live)
        if float(self._difference) == 0 and strongest >= SMALL:
            return self._unreached("gave exactly the conditional prediction", transformer_options)
        if self._change is not None and self._size is not None and self._change <= INVISIBLE * self._size:
            if strongest < SMALL:
                cause = f"the largest strength, {strongest:g}, is"
            else:
                cause = "the scale is" if len(self.live) == 1 else "the groups cancel each other, or their scales are"
            return f"the guidance had no effect: {cause} too small for the model's number format."
        if self._left is not None and float(self._left) < DISCARDED:
            return (
                "the guidance was computed and then discarded: a later node's post-CFG function returns a prediction of its "
                "own. Put that node before SoftPAG Guidance, or take it out."
            )
        return ""

    def _outside(self, waiting: Sequence[Entry]) -> str:
        windows = ", ".join(f"{entry.group.window[0]:g} to {entry.group.window[1]:g}" for entry in waiting)
        if not self._steps or self._to_sigma is None:
            return f"no step of this sampling lies in the window {windows}, so it was not guided there."
        percents = [percent_of(sigma, self._to_sigma) for sigma in self._steps]
        return (
            f"no step of this sampling lies in the window {windows}, so it was not guided there: its {len(percents)} "
            f"steps lie at {percents[0]:.2f} to {percents[-1]:.2f}. Widen the window, or sample more steps or from an earlier one."
        )

    def _unreached(self, seen: str, transformer_options: Options) -> str:
        others = transformer_options.get("wrappers", {}).get(WrappersMP.DIFFUSION_MODEL, {})
        named = f" ({', '.join(str(key) for key in others)})" if others else ""
        return (
            f"the guidance had no effect. The perturbed passes {seen}. The likely cause is a node that caches or replaces "
            f"the model's forward{named}, such as TeaCache or WaveSpeed; take it out of the model's chain."
        )


def applies(cond: dict[str, Any], sigma: float) -> bool:
    """Whether the host evaluates a cond at this sigma, by the part of sampling that it is limited to."""
    return sigma <= cond.get("timestep_start", sigma) and sigma >= cond.get("timestep_end", sigma)


def limited(cond: dict[str, Any]) -> bool:
    """Whether a cond is limited to a part of the sampling."""
    return "timestep_start" in cond or "timestep_end" in cond


def _larger(known: Tensor | None, values: Tensor) -> Tensor:
    largest = values.abs().amax()
    return largest if known is None else torch.maximum(known, largest)
