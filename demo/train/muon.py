"""Muon: momentum whose every matrix is made orthogonal before it is applied; Adam for all other parameters.

K. Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; the scale to Adam's step size is from
Liu et al. 2025, "Muon is scalable for LLM training" (arXiv:2502.16982).
"""

import torch
from torch import Tensor

from .parallel import divided


def orthogonal(g: Tensor) -> Tensor:
    """Nearest semi-orthogonal matrix to each [..., m, n], by five quintic Newton-Schulz steps: x <- a x + (b A + c A^2) x, A = x x'."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.bfloat16()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(g.dtype)


class Muon(torch.optim.Optimizer):
    """Steps the groups marked `muon=True` with Muon (a convolution counts as the matrix [out, in * k * k]), others with Adam."""

    def __init__(self, groups: list[dict], lr: float) -> None:
        super().__init__(groups, {"lr": lr, "muon": False, "momentum": 0.95, "betas": (0.9, 0.98), "weight_decay": 0.0})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """One update of all groups."""
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["lr"] * group["weight_decay"])
            pairs = [(p, p.grad) for p in group["params"] if p.grad is not None]
            if group["muon"]:
                self._muon(pairs, group)
            else:
                self._adam(pairs, group)

    def _muon(self, pairs: list[tuple[Tensor, Tensor]], group: dict) -> None:
        by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
        for p, grad in pairs:
            state = self.state[p]
            if not state:
                state["mean"] = torch.zeros_like(p)
            mean = state["mean"].lerp_(grad, 1 - group["momentum"])
            by_shape.setdefault(p.flatten(1).shape, []).append(
                (p, torch.lerp(grad, mean, group["momentum"]).flatten(1))
            )
        for shape, same in by_shape.items():
            steps = divided(orthogonal, torch.stack([g for _, g in same]))
            for (p, _), step in zip(same, steps, strict=True):
                p.add_(step.reshape(p.shape), alpha=-0.2 * group["lr"] * max(shape) ** 0.5)

    def _adam(self, pairs: list[tuple[Tensor, Tensor]], group: dict) -> None:
        first, second = group["betas"]
        for p, grad in pairs:
            state = self.state[p]
            if not state:
                state.update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
            state["step"] += 1
            mean = state["mean"].lerp_(grad, 1 - first)
            square = state["square"].lerp_(grad.square(), 1 - second)
            size = (square / (1 - second ** state["step"])).sqrt_().add_(1e-8)
            p.addcdiv_(mean, size, value=-group["lr"] / (1 - first ** state["step"]))
