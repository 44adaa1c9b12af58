"""A hunt from beginning to end: open its study, search, and give the results."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import torch
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...chart import hunt_chart
from ...grid import Grid, describe
from ...guidance import Group
from ...heads import HeadSet, format_heads, parse
from ...hunt import Hunt, hunt
from ...plans import planned_evaluations, planned_gradients, planned_passes
from ...report import dump, report_of
from ...rounds import Strategy
from ...scoring.base import Scorer
from ...scoring.combine import components_of
from ...strategies import STRATEGIES
from ...study import Study, open_study
from ..attribution.attribution import Attribution, Screen
from ..attribution.head_gradients import check_differentiable
from ..generation.generate import Generator, Sampling
from ..generation.pictures import from_pil
from ..generation.prompts import Pair, check_pairs
from ..models import grid_of
from ..progress import Progress
from .checks import check_acts
from .distortion import Distortions
from .evaluate import Evaluator
from .identity import identity_of
from .jobs import Each, Maker, screened
from .studies import study_path
from .workers.crew import Crew, hands


@dataclass(frozen=True)
class Plan:
    """What is searched, and how."""

    rounds: int
    heads_per_round: int
    pool: str
    start_from: str
    strategy: str
    batch_size: int
    max_images: int = 0


@dataclass(frozen=True)
class Results:
    """heads: canonical text. report: JSON text. images [n, H, W, 3]: baseline, then each round's set, on every pair.

    chart [1, H, W, 3]. study: its name. note: what else a user should know, or "".
    """

    heads: str
    report: str
    images: Tensor
    chart: Tensor
    study: str
    note: str = ""


def search(
    model: ModelPatcher,
    vae: Any,
    pairs: Sequence[Pair],
    scorer: Scorer,
    latent: dict[str, Any],
    sampling: Sampling,
    plan: Plan,
    study_name: str,
    node: str | None,
    crew: Crew | None = None,
) -> Results:
    """Run a hunt, or go on with one; a crew makes its pictures where there is one.

    ValueError and StudyError name what is wrong, NoRay and NoWorkers why there can be no crew; the user's cancel keeps all scores.
    """
    asked = _asked(model, vae, pairs, scorer, latent, sampling, plan)
    with open_study(study_path(study_name, asked.identity), asked.identity) as study, ExitStack() as stack:
        study.put("about", {"grid": describe(asked.grid), "scorers": asked.scorers})
        progress = Progress(node, study.path.stem, asked.images, plan.rounds, planned_gradients(*asked.size))
        maker = Maker(asked.generator, pairs, scorer, asked.grid, progress.send)
        each = stack.enter_context(hands(crew, maker, progress, asked.identity))
        screen = partial(screened, each, asked.grid) if crew else None
        return _hunted(asked, study, progress, each, screen)


@dataclass(frozen=True)
class Asked:
    """A hunt as it is asked for, checked."""

    generator: Generator
    pairs: Sequence[Pair]
    scorer: Scorer
    plan: Plan
    strategy: Strategy
    grid: Grid
    pool: HeadSet
    start: HeadSet
    identity: dict[str, Any]

    @property
    def sampling(self) -> Sampling:
        return self.generator.sampling

    @property
    def both_signs(self) -> bool:
        """In attention a head may help in either direction."""
        return self.sampling.group.in_attention

    @property
    def scorers(self) -> list[dict[str, Any]]:
        return [{"name": part.name, "unit": part.unit, "weight": weight} for part, weight in components_of(self.scorer)]

    @property
    def size(self) -> tuple[Strategy, int, int, int, int]:
        """What plans are made of."""
        heads = len(self.pool - self.start)
        return self.strategy, heads, len(self.pairs), self.plan.rounds, self.plan.heads_per_round

    @property
    def images(self) -> int:
        return planned_evaluations(*self.size, len(self.start), signs=2 if self.both_signs else 1)

    @property
    def passes(self) -> int:
        return planned_passes(*self.size, len(self.start), self.sampling.cfg != 1, self.both_signs)

    @property
    def title(self) -> str:
        goal = " + ".join(part.name for part, _ in components_of(self.scorer))
        return f"Hunt on {self.grid.model}: {goal}, {len(self.pairs)} pairs"


def _asked(
    model: ModelPatcher,
    vae: Any,
    pairs: Sequence[Pair],
    scorer: Scorer,
    latent: dict[str, Any],
    sampling: Sampling,
    plan: Plan,
) -> Asked:
    """Errors before the first picture."""
    grid = grid_of(model)
    check_pairs(pairs, sampling.cfg)
    strategy = _strategy(plan, scorer)
    pool, start = parse(plan.pool, grid), parse(plan.start_from, grid)
    check_acts(sampling.group, [HeadSet({head: own}) for head, own in (pool - start).items()], "pool")
    check_acts(sampling.group, [start], "start_from")
    generator = Generator(model, vae, latent, sampling)
    identity = identity_of(model, vae, pairs, scorer, latent, sampling) | {
        "search": {
            "pool": format_heads(pool, grid),
            "start_from": format_heads(start, grid),
            "heads_per_round": plan.heads_per_round,
            "strategy": plan.strategy,
            "batch_size": plan.batch_size,
        }
    }
    return Asked(generator, pairs, scorer, plan, strategy, grid, pool, start, identity)


def _hunted(asked: Asked, study: Study, progress: Progress, each: Each, screen: Screen | None) -> Results:
    """The rounds, with the report written after each. screen: who takes gradients, where it is not this process."""
    generator, pairs, scorer, plan, grid = asked.generator, asked.pairs, asked.scorer, asked.plan, asked.grid
    distort = Distortions(each, study, grid) if asked.strategy.refines else None
    evaluator = Evaluator(each, pairs, scorer, study, grid, plan.batch_size, plan.max_images, progress, distort)
    attribute = None
    if asked.strategy.needs_gradients:
        attribute = Attribution(generator, pairs, scorer, study, grid, progress, screen)

    def report(so_far: Hunt) -> str:
        text = dump(report_of(so_far, grid, _about(asked, study) | _spent(study, progress, generator)))
        study.put("report", json.loads(text))
        return text

    def on_round(so_far: Hunt) -> None:
        evaluator.on_round(so_far)
        report(so_far)

    result = hunt(
        evaluator,
        asked.pool,
        len(pairs),
        plan.rounds,
        plan.heads_per_round,
        asked.strategy,
        asked.start,
        on_round,
        attribute,
        asked.sampling.group.strength,
        asked.both_signs,
        distort,
    )
    pictures = _pictures(result, evaluator)
    text = report(result)
    progress.finished(0, made=False)
    chart = from_pil(hunt_chart(result, grid, asked.title))[None]
    note = "\n".join(filter(None, [_note(result, grid), *progress.notes]))
    return Results(format_heads(result.selected, grid), text, pictures, chart, study.path.stem, note)


def _about(asked: Asked, study: Study) -> dict[str, Any]:
    """What a report says of the hunt besides its rounds."""
    return {
        "study": study.path.stem,
        "settings": {**asdict(asked.sampling), **asdict(asked.plan)},
        "pairs": asked.identity["pairs"],
        "scorers": asked.identity["scorers"],
        "passes_planned": asked.passes,
    }


def _strategy(plan: Plan, scorer: Scorer) -> Strategy:
    """ValueError where there is none of that name, or the scorer does not give what it needs."""
    if plan.strategy not in STRATEGIES:
        raise ValueError(f"strategy is {plan.strategy!r}; it must be one of {', '.join(STRATEGIES)}")
    strategy = STRATEGIES[plan.strategy]
    if strategy.needs_gradients:
        check_differentiable(scorer, plan.strategy)
    return strategy


def _spent(study: Study, progress: Progress, generator: Generator) -> dict[str, Any]:
    """What a hunt took so far, for its report."""
    return {
        "images": study.evaluations(),
        "images_made_now": progress.made,
        "seconds": round(progress.seconds, 1),
        "batch_halved": generator.halved,
        "frame": asdict(generator.frame) if generator.frame else None,
        **(
            {"workers": {"jobs": dict(progress.jobs), "notes": progress.notes}}
            if progress.jobs or progress.notes
            else {}
        ),
    }


def _pictures(result: Hunt, evaluator: Evaluator) -> Tensor:
    """[n, H, W, 3]: the unguided pictures and those of each round's set, on every pair; one black one where there is none."""
    if result.baseline is None:
        return torch.zeros(1, 8, 8, 3)
    sets = [HeadSet(), *(result.after(number + 1) for number in range(len(result.rounds)))]
    return torch.stack([image for heads in sets for image in evaluator.pictures(heads)])


def _note(result: Hunt, grid: Grid) -> str:
    """How all heads with signed strengths did against the chosen heads, where a hunt measured that."""
    if result.signed is None:
        return ""
    chosen, signed = result.rounds[-1].joint, result.signed.measured
    against = signed.minus(chosen)
    better = "better" if against.mean > 0 else "not better"
    text = f": {format_heads(result.signed.heads, grid)}" if against.mean > 0 else " is signed.heads in the report."
    return (
        f"All heads at once with signed strengths scored {signed.mean:.5g}, the chosen heads {chosen.mean:.5g}: {better} "
        f"({against.mean:+.3g} +- {against.error:.2g}). Their text{text}"
    )


def group_for(scale: float, strength: float, **settings: Any) -> Group:
    """A group without heads: what each candidate is guided with. ValueError as `Group`."""
    return Group("", scale, strength, **settings)
