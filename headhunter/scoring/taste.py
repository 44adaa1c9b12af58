"""The artist's own scorer: a linear head learned in closed form from liked and disliked pictures.

With both sets, ridge regression on normalised embeddings x, y = 1 for liked and -1 for disliked, both sets weighing half:

    minimise  sum_i c_i (w . x_i + b - y_i)^2 + lambda |w|^2,   sum c_i = 1,   lambda = 0.1 sum_i c_i |x_i - mean|^2

With liked ones only, the head is their mean direction: w = mean / |mean|, b = 0, so the score is a cosine.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .embedding import normalise
from .linear import LinearHead, LinearHeadError

FORMAT = "headhunter-taste/1"
RIDGE = 0.1


def learn(liked: Tensor, disliked: Tensor | None = None, label: str = "taste") -> LinearHead:
    """Embeddings of length 1, [N, D] and optionally [M, D] -> a head that scores the liked higher. Computed on the CPU.

    ValueError where a set is empty, or where nothing tells the two sets apart.
    """
    for what, rows in {"liked": liked, "disliked": disliked}.items():
        if rows is not None and (rows.ndim != 2 or not len(rows)):
            raise ValueError(f"there are no {what} pictures")
    if disliked is None:
        return LinearHead(
            normalise(liked.cpu().double().mean(0), "the mean of the liked pictures").double(), 0.0, label
        )
    x = torch.cat([liked, disliked]).cpu().double()
    y = torch.cat([torch.ones(len(liked)), -torch.ones(len(disliked))]).double()
    c = torch.cat([torch.full((len(rows),), 0.5 / len(rows)) for rows in (liked, disliked)]).double()
    weight, bias = ridge(x, y, c, RIDGE)
    if torch.linalg.vector_norm(weight) < 1e-6:
        raise ValueError("the liked and the disliked pictures are alike: nothing tells them apart")
    return LinearHead(weight, bias, label)


def ridge(x: Tensor, y: Tensor, c: Tensor, amount: float) -> tuple[Tensor, float]:
    """Weighted ridge with a free bias: x [N, D], y [N], c [N] with sum 1 -> w [D], b.

    Solved in its N x N dual form, w = Z^T (Z Z^T + lambda I)^-1 v with Z = sqrt(c) (x - mean), v = sqrt(c) (y - mean),
    lambda = `amount` times the weighted mean of |x - mean|^2.
    """
    mean_x, mean_y = (c[:, None] * x).sum(0), (c * y).sum()
    z, v = c.sqrt()[:, None] * (x - mean_x), c.sqrt() * (y - mean_y)
    penalty = amount * (z * z).sum()
    if penalty < 1e-12:
        return torch.zeros_like(mean_x), mean_y.item()
    weight = z.T @ torch.linalg.solve(z @ z.T + penalty * torch.eye(len(z), dtype=z.dtype), v)
    return weight, (mean_y - mean_x @ weight).item()


def taste_file(head: LinearHead, counts: tuple[int, int]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """A head as the tensors and the metadata of a safetensors file. `counts`: liked and disliked pictures."""
    tensors = {"weight": head.weight[None].contiguous(), "bias": torch.tensor([head.bias], dtype=torch.float64)}
    if head.probe is not None:
        tensors["probe"] = head.probe.float().cpu().contiguous()
    metadata = {
        "format": FORMAT,
        "dim": str(head.weight.numel()),
        "liked": str(counts[0]),
        "disliked": str(counts[1]),
        "pooling": head.pooling,
    }
    return tensors, metadata


def read_taste(tensors: Mapping[str, Tensor], metadata: Mapping[str, str], label: str) -> LinearHead:
    """The head of a taste file. LinearHeadError names the file and what is wrong with it."""
    weight, bias, probe = tensors.get("weight"), tensors.get("bias"), tensors.get("probe")
    if weight is None or bias is None or weight.ndim != 2 or weight.shape[0] != 1 or bias.shape != (1,):
        raise LinearHeadError(f'{label}: a taste file holds "weight" [1, D] and "bias" [1]')
    if metadata.get("dim") != str(weight.shape[1]):
        raise LinearHeadError(
            f"{label}: its metadata says {metadata.get('dim')} numbers, its weight has {weight.shape[1]}"
        )
    if probe is not None and probe.shape != weight.shape[1:]:
        raise LinearHeadError(f'{label}: "probe" is {list(probe.shape)}, not [{weight.shape[1]}]')
    return LinearHead(weight[0].double(), bias.double().item(), label, metadata.get("pooling", ""), probe)
