"""Guidance on a model: groups installed on a clone, evaluated after CFG at each step of any sampler and guider.

`HeadGuidance` is a post-CFG function, so it works under every guider, at cfg 1 too, and beside other packs' functions.
What one sampling remembers lives in a `Run`, made by an OUTER_SAMPLE wrapper and passed in the model options.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import comfy.patcher_extension
import comfy.samplers
import torch
from comfy.model_patcher import ModelPatcher, create_model_options_clone
from comfy.patcher_extension import WrappersMP
from torch import Tensor

from ...grid import Grid
from ...guidance import Group, guide
from ...heads import Head, parse
from ..models import family_of, grid_of, transformer
from .blocks import Args, BlockHook, block_key
from .perturbed_pass import Entry, Options, Witness, perturbed_options
from .prefix import RECORDING, Prefix, Recorder, Recording, may_reuse
from .strengths import LayerStrengths

KEY = "headhunter"
RECORD_KEY = "headhunter_record"
RUN = "headhunter_run"
POST_CFG = "sampler_post_cfg_function"

Conds = list[dict[str, Any]]


class HeadGuidance:
    """The groups on a model. As a post-CFG function it adds their guidance to the prediction (DESIGN 6.2)."""

    def __init__(self, groups: Sequence[Group], grid: Grid, patch_size: int, entries: Sequence[Entry]):
        self.groups = tuple(groups)
        self.grid = grid
        self.patch_size = patch_size
        self.live = tuple(entry for entry in entries if entry.group.scale != 0 and entry.strengths.layers)

    def __call__(self, args: dict[str, Any]) -> Tensor:
        """Post-CFG function of the host; all predictions in `args` are x0 [B, C, H, W]."""
        run: Run = args["model_options"].get("transformer_options", {}).get(RUN) or Run(self, None)
        active = run.active(args["model"], args["sigma"])
        if not active:
            run.end_step()
            return args["denoised"]
        cond, differences = run.differences(args, active)
        return guide(args["denoised"], cond, [entry.group for entry in active], differences)


def add_group(
    model: ModelPatcher, group: Group, rows: Sequence[Mapping[Head, float | None]] | None = None
) -> ModelPatcher:
    """A clone of `model` with one more group of guidance; `model` is not changed.

    `rows`: head sets of each batch row in place of `group.heads`. HeadTextError and UnsupportedModel as they say.
    """
    grid = grid_of(model)
    heads = [parse(group.heads, grid)] if rows is None else rows
    entry = Entry(group, LayerStrengths([group.strengths(row) for row in heads]))
    patched = model.clone()
    functions = list(patched.model_options.get(POST_CFG, []))
    earlier = guidance_of(patched.model_options)
    patch_size = family_of(model).patch(transformer(model))[-1]
    if earlier:
        guidance = HeadGuidance((*earlier.groups, group), grid, patch_size, (*earlier.live, entry))
        functions[functions.index(earlier)] = guidance
    else:
        functions.append(HeadGuidance((group,), grid, patch_size, (entry,)))
        patched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _outer_sample)
    options: Options = patched.model_options
    options[POST_CFG] = functions
    return patched


def guidance_of(model_options: Options) -> HeadGuidance | None:
    """The guidance in some model options, if there is one."""
    return next((f for f in model_options.get(POST_CFG, []) if isinstance(f, HeadGuidance)), None)


def groups_of(model: ModelPatcher) -> tuple[Group, ...]:
    """The groups that SoftPAG nodes have put on a model, in their order."""
    guidance = guidance_of(model.model_options)
    return guidance.groups if guidance else ()


def _outer_sample(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
    """OUTER_SAMPLE wrapper: give this sampling its own Run; say afterwards if the guidance had no effect."""
    guider = executor.class_obj
    guidance = guidance_of(guider.model_options)
    if guidance is None or not guidance.live:
        return executor(*args, **kwargs)
    run = Run(guidance, guider)
    original = guider.model_options
    guider.model_options = create_model_options_clone(original)
    transformer_options = guider.model_options.setdefault("transformer_options", {})
    transformer_options[RUN] = run
    replace = transformer_options.setdefault("patches_replace", {}).setdefault("dit", {})
    if may_skip_passes(guider.model_options):
        first = block_key(guidance.grid, 0)
        replace[first] = Probe(replace.get(first), run)
    for layer in {entry.strengths.layers[0] for entry in guidance.live if entry.strengths.layers[0]}:
        key = block_key(guidance.grid, layer)
        replace[key] = Recorder(replace.get(key), layer)
    for kind, wrapper in {WrappersMP.PREDICT_NOISE: _predict_noise, WrappersMP.APPLY_MODEL: _record}.items():
        comfy.patcher_extension.add_wrapper_with_key(kind, RECORD_KEY, partial(wrapper, run), transformer_options)
    try:
        result = executor(*args, **kwargs)
    finally:
        guider.model_options = original
    run.warn_without_effect(transformer_options)
    return result


def _predict_noise(run: Run, executor: Any, x: Tensor, timestep: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """PREDICT_NOISE wrapper: a step begins."""
    run.begin_step(executor.class_obj.inner_model, timestep, args[0] if args else kwargs.get("model_options") or {})
    return executor(x, timestep, *args, **kwargs)


def _record(
    run: Run,
    executor: Any,
    x: Tensor,
    t: Tensor,
    c_concat: Any = None,
    c_crossattn: Any = None,
    control: Any = None,
    transformer_options: Options | None = None,
    **kwargs: Any,
) -> Tensor:
    """APPLY_MODEL wrapper: record what the conditional pass has at the layer where the perturbed pass will start.

    Not with a ControlNet, which adds to the blocks from outside of them.
    """
    options = transformer_options or {}
    recording = None if control is not None else run.recording(options)
    result = executor(x, t, c_concat, c_crossattn, control, {**options, RECORDING: recording}, **kwargs)
    if recording is not None:
        run.prefixes |= recording.prefixes(options["uuids"])
    return result


class Probe(BlockHook):
    """The first block: note which conds' forwards really ran in this step."""

    def __init__(self, previous: Callable | None, run: Run):
        super().__init__(previous)
        self.run = run

    def __call__(self, args: Args, extra: Args) -> dict[str, Tensor]:
        if not torch.compiler.is_compiling():
            self.run.ran.update(args["transformer_options"].get("uuids", ()))
        return super().__call__(args, extra)


def may_skip_passes(model_options: Options) -> bool:
    """Whether another pack or node (EasyCache, TeaCache) could answer for the model without running it."""
    wrappers = comfy.patcher_extension.get_all_wrappers(
        WrappersMP.DIFFUSION_MODEL, model_options, is_model_options=True
    )
    return bool(wrappers) or "model_function_wrapper" in model_options


class Run:
    """What one sampling remembers: the last differences, whether anything had an effect, and what ran in this step.

    ran: the conds whose forwards ran, where a cache could have skipped them. layer: where the perturbed passes of this
    step start (prefix reuse), None for the beginning. prefixes: what the conditional pass had there, by cond.
    """

    def __init__(self, guidance: HeadGuidance, guider: comfy.samplers.CFGGuider | None):
        self.guidance = guidance
        self.guider = guider
        self.ran: set[uuid.UUID] = set()
        self.prefixes: dict[uuid.UUID, Prefix] = {}
        self.layer: int | None = None
        self._active: list[Entry] | None = None
        self._together: list[Tensor] | None = None
        self._last: dict[Entry, Tensor] = {}
        self._evaluated = False
        self._witness = Witness()
        self._effect: Tensor | None = None

    def active(self, model: Any, sigma: Tensor) -> list[Entry]:
        """The live groups whose window holds this step; sigma is read from the device only where a window is set."""
        live = self.guidance.live
        if self._active is not None:
            return self._active
        if not any(entry.group.windowed for entry in live):
            return list(live)
        value = float(sigma.max())
        to_sigma = model.model_sampling.percent_to_sigma

        def inside(group: Group) -> bool:
            return not group.windowed or to_sigma(group.window[1]) <= value <= to_sigma(group.window[0])

        return [entry for entry in live if inside(entry.group)]

    def begin_step(self, model: Any, sigma: Tensor, model_options: Options) -> None:
        """Decide which groups act in this step, and from which layer on their passes may run (prefix reuse)."""
        self.end_step()
        self._active = self.active(model, sigma)
        first = min((entry.strengths.layers[0] for entry in self._active), default=0)
        self.layer = first if may_reuse(model_options, self.guidance.grid, first) else None

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
        guidance = self.guidance
        conds = [*plain, *(_own_uuids(perturbed, f"group {guidance.live.index(entry)}") for entry in entries)]
        slots = [None] * len(plain) + list(entries)
        originals = [cond["uuid"] for cond in perturbed] * len(entries)
        derived = [cond["uuid"] for group in conds[len(plain) :] for cond in group or ()]
        known = {own: (prefixes or {}).get(other) for own, other in zip(derived, originals, strict=True)}
        found = {own: prefix for own, prefix in known.items() if prefix is not None}
        options = perturbed_options(options, slots, guidance.grid, guidance.patch_size, self._witness, found)
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
        self._evaluated = True
        for entry, difference in zip(active, differences, strict=True):
            self._last[entry] = difference
            # Kept on the device and read once, after sampling.
            effect = difference.abs().amax()
            self._effect = effect if self._effect is None else torch.maximum(self._effect, effect)

    def warn_without_effect(self, transformer_options: Options) -> None:
        """One warning where the perturbed passes changed nothing at all."""
        if not self._evaluated or (self._witness.called and self._effect is not None and float(self._effect) != 0):
            return
        others = transformer_options.get("wrappers", {}).get(WrappersMP.DIFFUSION_MODEL, {})
        named = f" ({', '.join(str(key) for key in others)})" if others else ""
        logging.warning(
            "HeadHunter: the guidance had no effect. The perturbed passes %s. The likely cause is a node that caches or replaces the "
            "model's forward%s, such as TeaCache or WaveSpeed; take it out of the model's chain.",
            "gave exactly the conditional prediction" if self._witness.called else "never reached the attention heads",
            named,
        )


def _own_uuids(conds: Conds, name: str) -> Conds:
    """Copies with stable uuids of their own, so that caches keyed by uuid do not answer for another pass."""
    return [cond | {"uuid": uuid.uuid5(cond["uuid"], f"headhunter {name}")} for cond in conds]
