"""Groups of guidance on a model: a post-CFG function, so that it works under every guider, at cfg 1 too, and beside
other packs' functions. What one sampling remembers is a `Run`, passed in the model options.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from comfy.model_patcher import ModelPatcher, create_model_options_clone
from comfy.patcher_extension import CallbacksMP, WrappersMP, add_wrapper_with_key
from torch import Tensor

from ...guidance import Group, Part, guide
from ...heads import Head, parse
from .attention import Entry, JointCall
from .blocks import Architecture, Options, replacements
from .evaluation import Evaluation
from .forward import KEY as FORWARD
from .forward import Forward, same_backend, with_override
from .hooks import Probe, Recorder
from .mask import Mask
from .run import RUN, Run, may_skip_passes
from .steering import steered_by_index
from .strengths import LayerStrengths
from .wrapped import carry_out

KEY = "headhunter"
RECORD_KEY = "headhunter_record"
POST_CFG = "sampler_post_cfg_function"


class HeadGuidance:
    """The groups on a model. As a post-CFG function it adds their guidance to the prediction (equation 5)."""

    def __init__(self, architecture: Architecture, entries: Sequence[Entry]):
        self.architecture = architecture
        self.entries = tuple(entries)
        self.live = tuple(entry for entry in entries if _can_act(entry))

    def __call__(self, args: dict[str, Any]) -> Tensor:
        """Post-CFG function of the host; all predictions in `args` are x0 [B, C, H, W]."""
        run: Run | None = args["model_options"].get("transformer_options", {}).get(RUN)
        if run is None:
            if any(entry.group.in_attention for entry in self.live):
                raise RuntimeError(
                    "HeadHunter: this guider does not sample as ComfyUI's do; use the method extra pass."
                )
            run = self.new_run(None)
        active = run.active(args["model"], args["sigma"])
        if not active:
            run.end_step()
            return args["denoised"]
        cond, differences = run.differences(args, active)
        differences, scales = run.course.at(args["model"], args["sigma"], active, differences)
        parts = [
            Part(entry.group, difference, scale, entry.mask.over(difference) if entry.mask else None)
            for entry, difference, scale in zip(active, differences, scales, strict=True)
        ]
        result = guide(args["denoised"], cond, parts)
        run.effect.mixed(args["denoised"], result)
        return result

    def new_run(self, guider: Any) -> Run:
        """What one sampling by `guider` remembers."""
        return Run(self.live, self.architecture, guider)


def _can_act(entry: Entry) -> bool:
    """Whether a group costs anything: its scale, strengths and mask are not 0 everywhere."""
    return entry.group.scale != 0 and bool(entry.strengths.layers) and not (entry.mask and entry.mask.empty)


def add_group(
    model: ModelPatcher,
    group: Group,
    rows: Sequence[Mapping[Head, float | None]] | None = None,
    mask: Mask | None = None,
) -> ModelPatcher:
    """A clone of `model` with one more group of guidance; `model` is not changed.

    `rows`: head sets of each batch row in place of `group.heads`. `mask`: where the group acts. HeadTextError and
    UnsupportedModel as they say.
    """
    architecture = Architecture.of(model)
    heads = [parse(group.heads, architecture.grid)] if rows is None else rows
    return add_entry(model, Entry(group, LayerStrengths([group.strengths(row) for row in heads]), mask))


def add_entry(model: ModelPatcher, entry: Entry) -> ModelPatcher:
    """A clone of `model` with one more group, whose strengths are given as tensors; `model` is not changed."""
    patched = model.clone()
    functions = list(patched.model_options.get(POST_CFG, []))
    earlier = guidance_of(patched.model_options)
    if earlier:
        guidance = HeadGuidance(earlier.architecture, (*earlier.entries, entry))
        functions[functions.index(earlier)] = guidance
    else:
        functions.append(HeadGuidance(Architecture.of(model), (entry,)))
        patched.add_wrapper_with_key(WrappersMP.OUTER_SAMPLE, KEY, _outer_sample)
        patched.add_callback_with_key(CallbacksMP.ON_CLONE, KEY, _watch_merges)
    options: Options = patched.model_options
    options[POST_CFG] = functions
    _watch_merges(model, patched)
    return patched


def _watch_merges(_from: ModelPatcher, clone: ModelPatcher) -> None:
    """ON_CLONE callback: a merge that takes this model's weights, as its second model, says that the guidance stays behind."""
    clone.get_key_patches = partial(_key_patches, weakref.ref(clone))  # no cycle: the host watches for models that stay


def _key_patches(model: weakref.ref[ModelPatcher], filter_prefix: str | None = None) -> dict[str, Any]:
    patcher = model()
    assert patcher is not None
    if filter_prefix is not None and guidance_of(patcher.model_options):
        logging.warning(
            "HeadHunter: a merge took the weights of a model with SoftPAG Guidance as its second model; the guidance is not "
            "carried over. Put SoftPAG Guidance behind the merge."
        )
    return type(patcher).get_key_patches(patcher, filter_prefix)


def guidance_of(model_options: Options) -> HeadGuidance | None:
    """The guidance in some model options, if there is one."""
    return next((f for f in model_options.get(POST_CFG, []) if isinstance(f, HeadGuidance)), None)


def entries_of(model: ModelPatcher) -> tuple[Entry, ...]:
    """The groups that SoftPAG nodes have put on a model, in their order, with their heads' strengths and masks."""
    guidance = guidance_of(model.model_options)
    return guidance.entries if guidance else ()


def groups_of(model: ModelPatcher) -> tuple[Group, ...]:
    """The same without strengths and masks: what a preset can hold."""
    return tuple(entry.group for entry in entries_of(model))


def masked_groups(model: ModelPatcher) -> str:
    """Which of a model's groups have a mask, such as "group 1, 3"; "" for none."""
    numbers = [str(number) for number, entry in enumerate(entries_of(model), start=1) if entry.mask]
    return f"group {', '.join(numbers)}" if numbers else ""


def _outer_sample(executor: Any, *args: Any, **kwargs: Any) -> Tensor:
    """OUTER_SAMPLE wrapper: give this sampling its own Run; say afterwards if the guidance had no effect."""
    guider = executor.class_obj
    guidance = guidance_of(guider.model_options)
    if guidance is None:
        logging.warning(
            "HeadHunter: a later node has replaced the model's post-CFG functions, and SoftPAG Guidance with them: this sampling "
            "is not guided. Put SoftPAG Guidance behind that node."
        )
    if guidance is None or not guidance.live:
        return executor(*args, **kwargs)
    run = guidance.new_run(guider)
    original = guider.model_options
    guider.model_options = create_model_options_clone(original)
    transformer_options = guider.model_options.setdefault("transformer_options", {})
    transformer_options[RUN] = run
    run.steered.hook(guidance.architecture, transformer_options)
    _record_prefixes(guidance, run, guider.model_options)
    for kind, wrapper in {WrappersMP.PREDICT_NOISE: _predict_noise, WrappersMP.APPLY_MODEL: _record}.items():
        add_wrapper_with_key(kind, RECORD_KEY, partial(wrapper, run), transformer_options)
    try:
        result = executor(*args, **kwargs)
    finally:
        guider.model_options = original
    run.warn(transformer_options)
    return result


def _record_prefixes(guidance: HeadGuidance, run: Run, model_options: Options) -> None:
    """Hook the blocks at which perturbed passes may start; and the first, where a cache could skip whole passes."""
    architecture = guidance.architecture
    transformer_options = model_options["transformer_options"]
    replaced = replacements(transformer_options)
    if may_skip_passes(model_options):
        key = architecture.key(0)
        replaced[key] = Probe(replaced.get(key), run.ran)
    if architecture.family.indexed:
        return
    for layer in {entry.strengths.first for entry in run.live} - {0}:
        key = architecture.key(layer)
        replaced[key] = Recorder(replaced.get(key), layer, architecture.streams)
    carry_out(architecture, transformer_options)


def _predict_noise(run: Run, executor: Any, x: Tensor, timestep: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """PREDICT_NOISE wrapper: a step begins, and ends with what the sampler gets."""
    options = args[0] if args else kwargs.get("model_options") or {}
    run.begin_step(executor.class_obj.inner_model, x, timestep, options)
    prediction = executor(x, timestep, *args, **kwargs)
    run.effect.came_out(prediction)
    return prediction


def _record(run: Run, *args: Any, **kwargs: Any) -> Tensor:
    """APPLY_MODEL wrapper of all forwards of a sampling: what of it is recorded, and what moves its heads.

    Recorded is what the conditional pass has where perturbed passes will start; not with a ControlNet, which adds to the
    blocks from outside of them.
    """
    evaluation = Evaluation.of(*args, **kwargs)
    options = evaluation.options
    if not run.guides:
        return evaluation.run(options)
    recordings = {} if evaluation.control is not None else run.recordings(options)
    options = same_backend(options)
    patch = run.architecture.family.patch(evaluation.network)
    steering = run.steered.of(options, evaluation.x, patch)
    forward = Forward(run.architecture, recordings=recordings, steering=steering)
    options[FORWARD] = forward
    joints: Mapping[int, JointCall] = {}
    if forward.steering is not None:
        forward.see(evaluation.network, evaluation.x)
        if run.architecture.family.indexed:
            length = run.architecture.family.joint_length(forward.picture, evaluation.context, evaluation.conds)
            override = steered_by_index(options, forward.steering, length, forward.picture)
            options, joints = with_override(options, override), override.layers
    result = evaluation.run(options)
    forward.count(joints)
    forward.check(forward.steering.layers if forward.steering else ())
    for layer, recording in recordings.items():
        for cond, prefix in recording.prefixes(options["uuids"]).items():
            run.prefixes.setdefault(cond, {})[layer] = prefix
    return result
