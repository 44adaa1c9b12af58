"""The demo's trained model with its captions and scorers, and a count of the block evaluations that hunts spend on it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "demo" / "models"


@dataclass(frozen=True)
class Goal:
    """A statistic of the pictures, or "fidelity" to the real ones; the guidance's scale while hunting; and the distortion

    that gains are compared at: how far the latent is from the unguided one of the same noise, relative in norm.
    """

    name: str
    scale: float
    distortion: float


GOALS = (
    Goal("fidelity", 0.1, 0.03),
    Goal("contrast", 0.5, 0.2),
    Goal("warmth", 0.5, 0.3),
    Goal("saturation", 0.5, 0.12),
)


class Trained:
    """The demo's SD3 of 4 x 4 heads. `blocks`: evaluations of one transformer block for one picture so far."""

    def __init__(self, steps: int, held_out: int):
        import comfy.sd
        import comfy.utils
        import torch

        sys.path.insert(0, str(ROOT / "demo" / "custom_nodes" / "headhunter_demo"))
        from words import Words

        torch.set_num_threads(1)
        self.model = comfy.sd.load_diffusion_model(str(MODELS / "diffusion_models" / "headhunter_demo_sd3.safetensors"))
        self.vae = comfy.sd.VAE(sd=comfy.utils.load_torch_file(str(MODELS / "vae" / "headhunter_demo_vae.safetensors")))
        self.words = Words(MODELS / "headhunter_demo" / "words.safetensors")
        rows = json.loads((ROOT / "demo" / "data" / "eval" / "captions.json").read_text(encoding="utf-8"))
        self.captions = {split: [row["text"] for row in rows if row["split"] == split] for split in ("tune", "report")}
        self.steps = steps
        self.scratch = Path(tempfile.mkdtemp(prefix="headhunter-bench-"))
        self.blocks = 0
        self.unseen = [self.pair(text, 5000 + i) for i, text in enumerate(self.captions["report"][:held_out])]
        for block in self.model.model.diffusion_model.joint_blocks:
            block.x_block.norm1.register_forward_hook(self._count)

    def _count(self, _module: Any, inputs: Any, _output: Any) -> None:
        import torch

        # What runs with gradients is run backwards too, which costs twice a forward.
        self.blocks += inputs[0].shape[0] * (3 if torch.is_grad_enabled() else 1)

    @contextmanager
    def remembered(self) -> Iterator[None]:
        """Pictures of up to one head are made once for all hunts of one method inside; what they cost is counted each time."""
        from headhunter_pack.headhunter.host.generation.generate import Generator

        made: dict[Any, tuple[Any, int]] = {}
        decoded: dict[int, Any] = {}
        latents, decode = Generator.latents, Generator.decode

        def sampled(generator: Any, sets: Sequence[Any], pair: Any, *rest: Any) -> Any:
            key = repr(generator.sampling), pair.text, pair.seed, tuple(sets)
            if key not in made:
                before = self.blocks
                result = latents(generator, sets, pair, *rest)
                if any(len(heads) > 1 for heads in sets):
                    return result
                made[key] = result, self.blocks - before
            else:
                self.blocks += made[key][1]
            return made[key][0]

        def pictures(generator: Any, given: Any) -> Any:
            if not any(given is latents for latents, _ in made.values()):
                return decode(generator, given)
            if id(given) not in decoded:
                decoded[id(given)] = decode(generator, given)
            return decoded[id(given)]

        Generator.latents, Generator.decode = sampled, pictures
        try:
            yield
        finally:
            Generator.latents, Generator.decode = latents, decode

    def pair(self, text: str, seed: int) -> Any:
        from headhunter_pack.headhunter.host.generation.prompts import Pair

        context, pooled = self.words.encode(text)
        return Pair(text, seed, [[context, {"pooled_output": pooled}]])

    def latent(self) -> dict[str, Any]:
        import torch

        return {"samples": torch.zeros(1, 16, 16, 16)}

    def sampling(self, goal: Goal, method: str = "extra pass") -> Any:
        from headhunter_pack.headhunter.host.generation.generate import Sampling
        from headhunter_pack.headhunter.host.hunting.search import group_for

        return Sampling(group_for(goal.scale, 1.0, method=method), 1.0, self.steps, "euler", "simple")

    def scorer(self, goal: Goal) -> Any:
        from headhunter_pack.headhunter.scoring.statistics import StatisticScorer

        if goal.name != "fidelity":
            return StatisticScorer(goal.name)
        from fidelity import FidelityScorer

        return FidelityScorer()
