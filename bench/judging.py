"""What found heads are worth: their gain at a given distortion, on captions that the hunt saw and on others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

from trained import Goal, Trained

CALIBRATING, TRIES = 8, 2
"""On how many captions, and how often, the scale is fitted to the distortion."""


@dataclass(frozen=True)
class Worth:
    """gain: mean score minus unguided at the goal's distortion, error: its standard error over captions. distortion: as met.

    seen: the gain at the same scale on the hunt's own pairs, over their distortion, times the goal's. scale: as fitted.
    """

    gain: float
    error: float
    distortion: float
    seen: float
    scale: float


class Judge:
    """Judges sets on the trained model's held-out captions; unguided latents and scores are made once."""

    def __init__(self, trained: Trained):
        self.trained = trained
        self._unguided: dict[Any, tuple[Any, float]] = {}

    def worth(self, goal: Goal, method: str, heads: Mapping[Any, float | None], seen: Sequence[Any]) -> Worth:
        """Of one set. Its scale is changed, its strengths are not, until the mean distortion is the goal's.

        A gain is in proportion to the distortion so near to it, and is scaled by the small rest.
        """
        unseen, at = self.trained.unseen, goal
        for _ in range(TRIES):
            distortions = [self._one(at, method, heads, pair, scored=False)[0] for pair in unseen[:CALIBRATING]]
            at = replace(at, scale=at.scale * goal.distortion / fmean(distortions))
        held = [self._one(at, method, heads, pair) for pair in unseen]
        own = [self._one(at, method, heads, pair) for pair in seen]
        distortion = fmean(distance for distance, _ in held)
        gains = [gain * goal.distortion / distortion for _, gain in held]
        on_seen = fmean(gain for _, gain in own) * goal.distortion / fmean(distance for distance, _ in own)
        return Worth(fmean(gains), stdev(gains) / len(gains) ** 0.5, distortion, on_seen, at.scale)

    def _one(
        self, at: Goal, method: str, heads: Mapping[Any, float | None], pair: Any, scored: bool = True
    ) -> tuple[float, float]:
        """Distortion and gain of one picture at the scale of `at`; the gain is 0 where it is not scored."""
        import torch
        from headhunter_pack.headhunter.heads import HeadSet
        from headhunter_pack.headhunter.host.generation.generate import Generator

        trained = self.trained
        generator = Generator(trained.model, trained.vae, trained.latent(), trained.sampling(at, method))
        scorer = trained.scorer(at)

        def score(latent: Any) -> float:
            return float(scorer.score(generator.decode(latent), [pair.text]))

        with torch.inference_mode():
            key = at.name, pair.text, pair.seed
            if key not in self._unguided:
                plain = generator.latents([HeadSet()], pair)
                self._unguided[key] = plain, score(plain)
            plain, before = self._unguided[key]
            latent = generator.latents([HeadSet(heads)], pair)
            distortion = float((latent - plain).norm() / plain.norm())
            return distortion, score(latent) - before if scored else 0.0
