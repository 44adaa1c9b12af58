"""Gradients through the host's models as they are loaded: no weight is copied, and nothing of the user's is changed.

ComfyUI runs nodes under torch.inference_mode, so its weights and conditionings are inference tensors, which autograd does
not save for a backward pass ("Inference tensors cannot be saved for backward"). Here every operation is handed an ordinary
alias of such a tensor instead: the same storage, and no gradient of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import comfy.model_management
import torch
from torch import Tensor
from torch.nn import Parameter
from torch.overrides import TorchFunctionMode

_IN_PLACE: dict[str, Callable[[Any, Any], Any]] = {
    "add_": torch.add,  # a += b
    "sub_": torch.sub,
    "mul_": torch.mul,
    "div_": torch.div,
}

_NORMS = frozenset({"layer_norm", "rms_norm"})


class Ordinary(TorchFunctionMode):
    """While it is entered, operations see ordinary tensors without gradients in place of inference tensors and weights.

    kept: for these, or all, `a += b` gives a new tensor: FLUX's blocks and vision towers add to what a backward pass needs.
    norms_copy: norms work on a copy of their input, since what follows adds to it in place.
    through_rounding: the gradient of rounding to 8 bits is 1, not 0 (arXiv 1308.3432), so that it passes a vision tower's
    preprocessing.
    """

    def __init__(
        self,
        kept: Sequence[Tensor] | Literal["all"] = (),
        through_rounding: bool = False,
        norms_copy: bool = False,
    ):
        super().__init__()
        self.all = kept == "all"
        self.kept = [] if kept == "all" else list(kept)
        self.through_rounding = through_rounding
        self.norms_copy = norms_copy

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in ("__get__", "__set__"):  # attributes: shape, dtype, device, data
            return func(*args, **(kwargs or {}))
        if name in _IN_PLACE and (self.all or any(args[0] is tensor for tensor in self.kept)):
            result = _IN_PLACE[name](*map(_ordinary, args), **(kwargs or {})).to(args[0].dtype)
            self.kept += [] if self.all else [result]
            return result
        args = tuple(_ordinary(value) for value in args)
        kwargs = {key: _ordinary(value) for key, value in (kwargs or {}).items()}
        if self.norms_copy and name in _NORMS:
            return func(args[0].clone(), *args[1:], **kwargs)
        if self.through_rounding and name == "round":
            return args[0] + (func(*args, **kwargs) - args[0]).detach()
        return func(*args, **kwargs)


def _ordinary(value: Any) -> Any:
    kind = type(value)
    if kind is Parameter or (kind is Tensor and value.is_inference()):
        return alias(value)  # not subclasses: the storage of quantised weights means something else to their own class
    if kind is list or kind is tuple:
        return kind(_ordinary(item) for item in value)
    return value


def alias(tensor: Tensor) -> Tensor:
    """An ordinary tensor with the same storage: it can be saved for a backward pass, and has no gradient."""
    if not tensor.is_inference():
        return tensor.detach()
    empty = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
    return empty.set_(tensor.untyped_storage(), tensor.storage_offset(), tensor.size(), tensor.stride())


@contextmanager
def gradients() -> Iterator[None]:
    """Gradients are recorded inside, also where a node runs under inference mode. Load models before, not inside."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if hasattr(torch.compiler, "set_stance"):  # torch >= 2.6; a compiled model runs as it was written
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        stack.enter_context(_training())
        stack.enter_context(Ordinary())
        yield


@contextmanager
def _training() -> Iterator[None]:
    """The switch by which newer hosts leave out their own kernels, which have no backward pass (FLUX's rotary embedding)."""
    host: Any = comfy.model_management
    before = getattr(host, "in_training", None)
    if before is None:
        yield
        return
    host.in_training = True
    try:
        yield
    finally:
        host.in_training = before
