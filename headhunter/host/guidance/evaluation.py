"""One evaluation of the model, as the host's APPLY_MODEL wrappers see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from ..models import bare
from .blocks import Options


@dataclass(frozen=True)
class Evaluation:
    """What such a wrapper is called with. x: the latent; context: the text [B, L, D]; conds: what else conditions the model."""

    executor: Any
    x: Tensor
    t: Tensor
    c_concat: Any
    context: Any
    control: Any
    options: Options
    conds: dict[str, Any]

    @classmethod
    def of(
        cls,
        executor: Any,
        x: Tensor,
        t: Tensor,
        c_concat: Any = None,
        c_crossattn: Any = None,
        control: Any = None,
        transformer_options: Options | None = None,
        **kwargs: Any,
    ) -> Evaluation:
        """From the arguments that the host hands a wrapper."""
        return cls(executor, x, t, c_concat, c_crossattn, control, transformer_options or {}, kwargs)

    @property
    def network(self) -> Any:
        """The transformer that runs, on its own device."""
        return bare(self.executor.class_obj.diffusion_model)

    def run(self, options: Options) -> Tensor:
        """Go on, with these transformer options."""
        given = self.x, self.t, self.c_concat, self.context, self.control, options
        return self.executor(*given, **self.conds)
