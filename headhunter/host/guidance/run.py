"""What one sampling remembers of its guidance: which groups act in a step, prefixes, the last differences."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import comfy.samplers
import torch
from comfy.patcher_extension import WrappersMP, get_all_wrappers
from torch import Tensor

from ...guidance import Group
from .attention import Entry
from .blocks import Architecture, Options
from .course import Course, scales_at
from .effect import Effect, applies, limited
from .perturbed_pass import perturbed_options
from .prefix import Prefix, Recording, reusable
from .steering import Steered

RUN = "headhunter_run"
EDGE = 1e-4
"""How far, relatively, a step's sigma may lie from a window's edge and still be on it: what rounding makes of it."""

Conds = list[dict[str, Any]]
Prefixes = dict[uuid.UUID, dict[int, Prefix]]


def may_skip_passes(model_options: Options) -> bool:
    """Whether another pack or node (EasyCache, TeaCache) could answer for the model without running it."""
    wrappers = get_all_wrappers(WrappersMP.DIFFUSION_MODEL, model_options, is_model_options=True)
    return bool(wrappers) or "model_function_wrapper" in model_options


class Run:
    """What one sampling remembers: the last differences, whether anything had an effect, and what ran in this step.

    ran: the conds whose forwards ran, where a cache could have skipped them. starts: the layers at which perturbed passes
    of this step may start (prefix reuse). prefixes: what the conditional pass had there, by cond, then by layer. course:
    what changes from step to step.
    """

    def __init__(self, live: Sequence[Entry], architecture: Architecture, guider: comfy.samplers.CFGGuider | None):
        self.live = [entry for entry in live if not entry.group.in_attention]
        self.architecture = architecture
        self.guider = guider
        self.course = Course()
        self.ran: set[uuid.UUID] = set()
        self.prefixes: Prefixes = {}
        self.starts: list[int] = []
        self._active: list[Entry] | None = None
        self._together: list[Tensor] | None = None
        self._last: dict[Entry, Tensor] = {}
        self.effect = Effect(live)
        self.steered = Steered([entry for entry in live if entry.group.in_attention], guider, self.effect.witness)

    def active(self, model: Any, sigma: Tensor) -> list[Entry]:
        """The live groups whose window holds this step; sigma is read from the device only where a window is set."""
        if self._active is not None:
            return self._active
        return _acting(self.live, model, sigma)

    @property
    def guides(self) -> bool:
        """Whether a group acts in the step that has begun."""
        return bool(self._active or self.steered.active)

    def begin_step(self, model: Any, x: Tensor, sigma: Tensor, model_options: Options) -> None:
        """Decide which groups act in this step, and from which layers on their passes may run (prefix reuse)."""
        self.end_step()
        for entry in self.effect.live:
            if entry.mask:
                entry.mask.check(x.shape[0])
        self._active = self.active(model, sigma)
        steered = _acting(self.steered.live, model, sigma)
        self.steered.begin(steered, scales_at(model, sigma, [entry.group for entry in steered]), x.shape)
        self.effect.begun([*self._active, *steered], x.shape, sigma, model.model_sampling.percent_to_sigma)
        self.starts = reusable(model_options, self.architecture, [entry.strengths.first for entry in self._active])

    def recordings(self, transformer_options: Options) -> dict[int, Recording]:
        """What a forward is to record, by layer: its conditional chunks, each the first time it is evaluated in a step.

        Later evaluations of the same cond in the same step are other packs' (a skipped layer, another attention).
        """
        if not self.starts:
            return {}
        chunks = zip(transformer_options["cond_or_uncond"], transformer_options["uuids"], strict=True)
        wanted = [index == 0 and cond not in self.prefixes for index, cond in chunks]
        return {layer: Recording(layer, wanted) for layer in self.starts} if any(wanted) else {}

    def evaluate(
        self,
        model: Any,
        plain: Sequence[Conds | None],
        perturbed: Conds,
        entries: Sequence[Entry],
        x: Tensor,
        sigma: Tensor,
        options: Options,
        prefixes: Mapping[uuid.UUID, Prefix] | None = None,
    ) -> list[Tensor]:
        """x0 of each of `plain`, then of `perturbed` under each of `entries`, in as few model calls as the host allows.

        prefixes: what the conditional pass of this step had at the first perturbed layer, by the conds of `perturbed`.
        """
        conds = [*plain, *(_own_uuids(perturbed, f"group {self.live.index(entry)}") for entry in entries)]
        slots = [None] * len(plain) + list(entries)
        originals = [cond["uuid"] for cond in perturbed] * len(entries)
        derived = [cond["uuid"] for group in conds[len(plain) :] for cond in group or ()]
        self.steered.positives.update(derived)
        recorded = prefixes or {}
        by_copy = {copy: recorded[cond] for copy, cond in zip(derived, originals, strict=True) if cond in recorded}
        options = perturbed_options(options, slots, self.architecture, self.effect.witness, by_copy)
        return comfy.samplers.calc_cond_batch(model, conds, x, sigma, options)

    def _evaluate_planned(
        self,
        model: Any,
        positive: Conds,
        active: Sequence[Entry],
        x: Tensor,
        sigma: Tensor,
        options: Options,
        prefixes: Prefixes,
    ) -> list[Tensor]:
        """x0 of each active group, for the fewest block evaluations: groups that start at the same layer go together.

        Of L layers, a set S of groups costs |S| (L - its first layer), so that no group may start before its own first
        layer only because another does. A further model call is paid for each further layer at which groups start.
        """
        recorded = {layer for cond in positive for layer in prefixes.get(cond["uuid"], ())}
        starts = {entry: max((at for at in recorded if at <= entry.strengths.first), default=0) for entry in active}
        by_entry: dict[Entry, Tensor] = {}
        for start in sorted(set(starts.values())):
            entries = [entry for entry in active if starts[entry] == start]
            at_start = {cond: layers[start] for cond, layers in prefixes.items() if start in layers}
            predictions = self.evaluate(model, [], positive, entries, x, sigma, options, at_start)
            by_entry |= dict(zip(entries, predictions, strict=True))
        return [by_entry[entry] for entry in active]

    def evaluate_together(self, args: dict[str, Any]) -> list[Tensor]:
        """The host's own conds and all active groups in one evaluation; the groups' part is kept for `differences`."""
        conds, model, sigma = args["conds"], args["model"], args["sigma"]
        active = self.active(model, sigma)
        x, options = args["input"], args["model_options"]
        if active:
            predictions = self.evaluate(model, conds, conds[0], active, x, sigma, options)
        else:
            predictions = comfy.samplers.calc_cond_batch(model, conds, x, sigma, options)
        self._together = predictions[len(conds) :] if active else None
        return predictions[: len(conds)]

    def end_step(self) -> None:
        """Forget what belongs to this step alone."""
        self._together = None
        self._active = None
        self.starts = []
        self.prefixes = {}
        self.ran.clear()

    def differences(self, args: dict[str, Any], active: list[Entry]) -> tuple[Tensor, list[Tensor]]:
        """The conditional prediction, and cond - perturbed of each active group."""
        positive, cond = self._conditional(args)
        if all(map(limited, positive)):
            sigma = float(args["sigma"].max())
            self.effect.idle |= not any(applies(limits, sigma) for limits in positive)
        together, prefixes = self._together, self.prefixes
        skipped = together is None and not self._has_run(positive, args["model_options"])
        self.end_step()
        base = cond
        if together is not None:
            perturbed = together
        elif cond is not None and skipped and all(entry in self._last for entry in active):
            return cond, [self._last[entry] for entry in active]
        else:
            model, x, sigma, options = (args[name] for name in ("model", "input", "sigma", "model_options"))
            if cond is None or skipped:
                # The guider gave no prediction of the conditional, or a cache gave it: evaluated beside the perturbed.
                plain = _own_uuids(positive, "cond")
                self.steered.positives.update(copy["uuid"] for copy in plain)
                base, *perturbed = self.evaluate(model, [plain], positive, active, x, sigma, options)
                cond = base if cond is None else cond
            else:
                perturbed = self._evaluate_planned(model, positive, active, x, sigma, options, prefixes)
        assert base is not None and cond is not None
        result = [base - prediction for prediction in perturbed]
        self._remember(active, result)
        return cond, result

    def _conditional(self, args: dict[str, Any]) -> tuple[Conds, Tensor | None]:
        """The positive conds, and their x0 prediction where the host has evaluated it.

        DualCFGGuider hands its middle conds (or None) as `cond`; its own positive is then evaluated here.
        """
        conds: dict[str, Conds] = getattr(self.guider, "conds", {})
        handed: Conds | None = args["cond"]
        positive = conds.get("positive")
        others = [value for name, value in conds.items() if name != "positive"]
        if handed is not None and not (positive is not None and any(handed is other for other in others)):
            return handed, args["cond_denoised"]
        if positive is None:
            raise RuntimeError(
                "HeadHunter: this guider hands no conditional prediction and has no conditioning called positive, "
                "so there is nothing to perturb. Use CFGGuider, BasicGuider or HeadHunter Guider."
            )
        return positive, None

    def _has_run(self, positive: Conds, model_options: Options) -> bool:
        return not may_skip_passes(model_options) or all(cond["uuid"] in self.ran for cond in positive)

    def _remember(self, active: list[Entry], differences: list[Tensor]) -> None:
        if torch.is_grad_enabled():  # strengths may be 0 there, and what is kept would keep the graph of the step
            return
        self._last |= dict(zip(active, differences, strict=True))
        self.effect.differed(differences)

    def warn(self, transformer_options: Options) -> None:
        """One warning where the guidance did nothing, with the cause."""
        text = self.effect.warning(transformer_options)
        if text:
            logging.warning("HeadHunter: %s", text)


def _acting(live: Sequence[Entry], model: Any, sigma: Tensor) -> list[Entry]:
    """The groups whose window holds a step; sigma is read from the device only where a window is set."""
    if not any(entry.group.windowed for entry in live):
        return list(live)
    value, to_sigma = float(sigma.max()), model.model_sampling.percent_to_sigma
    return [entry for entry in live if _inside(entry.group, value, to_sigma)]


def _inside(group: Group, sigma: float, to_sigma: Callable[[float], float]) -> bool:
    """Whether a step at `sigma` is in the group's window: start <= its percent < end (at end = 1 also the last step).

    Told by one threshold an edge, whatever the rounding of sigma, so that of two adjoining windows exactly one acts.
    """
    start, end = group.window
    begun = start == 0 or sigma <= to_sigma(start) * (1 + EDGE)
    over = end < 1 and sigma <= to_sigma(end) * (1 + EDGE)
    return begun and not over


def _own_uuids(conds: Conds, name: str) -> Conds:
    """Copies with stable uuids of their own, so that caches keyed by uuid do not answer for another pass."""
    return [cond | {"uuid": uuid.uuid5(cond["uuid"], f"headhunter {name}")} for cond in conds]
