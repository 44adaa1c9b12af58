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
from .prefix import Prefix, Recording, may_reuse
from .steering import Steered

RUN = "headhunter_run"
EDGE = 1e-4
"""How far, relatively, a step's sigma may lie from a window's edge and still be on it: what rounding makes of it."""

Conds = list[dict[str, Any]]


def may_skip_passes(model_options: Options) -> bool:
    """Whether another pack or node (EasyCache, TeaCache) could answer for the model without running it."""
    wrappers = get_all_wrappers(WrappersMP.DIFFUSION_MODEL, model_options, is_model_options=True)
    return bool(wrappers) or "model_function_wrapper" in model_options


class Run:
    """What one sampling remembers: the last differences, whether anything had an effect, and what ran in this step.

    ran: the conds whose forwards ran, where a cache could have skipped them. layer: where the perturbed passes of this
    step start (prefix reuse), None for the beginning. prefixes: what the conditional pass had there, by cond. course: what
    changes from step to step.
    """

    def __init__(self, live: Sequence[Entry], architecture: Architecture, guider: comfy.samplers.CFGGuider | None):
        self.live = [entry for entry in live if not entry.group.in_attention]
        self.architecture = architecture
        self.guider = guider
        self.course = Course()
        self.ran: set[uuid.UUID] = set()
        self.prefixes: dict[uuid.UUID, Prefix] = {}
        self.layer: int | None = None
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

    def begin_step(self, model: Any, sigma: Tensor, model_options: Options) -> None:
        """Decide which groups act in this step, and from which layer on their passes may run (prefix reuse)."""
        self.end_step()
        self._active = self.active(model, sigma)
        steered = _acting(self.steered.live, model, sigma)
        self.steered.begin(steered, scales_at(model, sigma, [entry.group for entry in steered]))
        self.effect.begun([*self._active, *steered], sigma, model.model_sampling.percent_to_sigma)
        first = min((entry.strengths.layers[0] for entry in self._active), default=0)
        self.layer = first if may_reuse(model_options, self.architecture, first) else None

    def recording(self, transformer_options: Options) -> Recording | None:
        """What a forward is to record: its conditional chunks, each the first time it is evaluated in a step.

        Later evaluations of the same cond in the same step are other packs' (a skipped layer, another attention).
        """
        if self.layer is None:
            return None
        chunks = zip(transformer_options["cond_or_uncond"], transformer_options["uuids"], strict=True)
        wanted = [index == 0 and cond not in self.prefixes for index, cond in chunks]
        return Recording(self.layer, wanted) if any(wanted) else None

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
        known = {own: (prefixes or {}).get(other) for own, other in zip(derived, originals, strict=True)}
        found = {own: prefix for own, prefix in known.items() if prefix is not None}
        options = perturbed_options(options, slots, self.architecture, self.effect.witness, found)
        return comfy.samplers.calc_cond_batch(model, conds, x, sigma, options)

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
        self.layer = None
        self.prefixes = {}
        self.ran.clear()

    def differences(self, args: dict[str, Any], active: list[Entry]) -> tuple[Tensor, list[Tensor]]:
        """The conditional prediction, and cond - perturbed of each active group."""
        positive, cond = self._conditional(args)
        if all(map(limited, positive)):
            sigma = float(args["sigma"].max())
            self.effect.idle |= not any(applies(one, sigma) for one in positive)
        together, prefixes = self._together, self.prefixes
        skipped = together is None and not self._has_run(positive, args["model_options"])
        self.end_step()
        base = cond
        if together is not None:
            perturbed = together
        elif cond is not None and skipped and all(entry in self._last for entry in active):
            return cond, [self._last[entry] for entry in active]
        else:
            # Where the guider gave no prediction of the conditional, or a cache gave it, it is evaluated beside the perturbed.
            plain = [_own_uuids(positive, "cond")] if cond is None or skipped else []
            self.steered.positives.update(one["uuid"] for conds in plain for one in conds)
            evaluated = self.evaluate(
                args["model"], plain, positive, active, args["input"], args["sigma"], args["model_options"], prefixes
            )
            base, perturbed = evaluated[0] if plain else cond, evaluated[len(plain) :]
            cond = base if cond is None else cond
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
