"""How far from the limit a case is: the operations that must be done, over the rate of a matrix product on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from timing import seconds
from torch.utils.flop_counter import FlopCounterMode


def operations(run: Callable[[], Any]) -> int:
    """Floating point operations of the matrix products and attentions of one call."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def matrix_rate(rows: int, width: int, dtype: torch.dtype, device: torch.device, repeats: int = 7) -> float:
    """Operations a second of [rows, width] x [width, 4 width], a transformer's largest product; the best of `repeats`."""
    a = torch.randn(rows, width, device=device).to(dtype)
    b = torch.randn(width, 4 * width, device=device).to(dtype)
    a @ b
    best = min(seconds(lambda: a @ b) for _ in range(repeats))
    return 2 * rows * width * 4 * width / best
