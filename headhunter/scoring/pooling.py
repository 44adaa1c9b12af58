"""SigLIP's pooling head, which ComfyUI leaves out: one learned query attends over all tokens.

h = attention(probe, tokens, tokens);   pooled = h + mlp(layernorm(h))
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

PREFIX = "vision_model.head."


class AttentionPool(nn.Module):
    """tokens [B, N, D] after the tower's last layer norm -> pooled [B, D]. Names as in transformers' SiglipVisionModel."""

    def __init__(self, width: int, heads: int, hidden: int):
        super().__init__()
        self.probe = nn.Parameter(torch.zeros(1, 1, width))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.layernorm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, hidden), "fc2": nn.Linear(hidden, width)})

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens.to(self.probe)
        pooled = self.attention(self.probe.expand(len(tokens), -1, -1), tokens, tokens, need_weights=False)[0]
        inner = functional.gelu(self.mlp["fc1"](self.layernorm(pooled)), approximate="tanh")
        return (pooled + self.mlp["fc2"](inner))[:, 0]


def attention_pool(weights: Mapping[str, Tensor], heads: int, label: str) -> AttentionPool | None:
    """The pooling head among a file's weights, float32; None where it has none. ValueError names the file and the key."""
    own = {name.removeprefix(PREFIX): tensor.float() for name, tensor in weights.items() if name.startswith(PREFIX)}
    if not own:
        return None
    for name in ("probe", "mlp.fc1.weight"):
        if name not in own:
            raise ValueError(f'{label}: the key "{PREFIX}{name}" is missing')
    try:
        pool = AttentionPool(own["probe"].shape[-1], heads, own["mlp.fc1.weight"].shape[0])
        pool.load_state_dict(own)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"{label}: its pooling head ({PREFIX}*) is not SigLIP's: {error}") from error
    return pool.eval().requires_grad_(False)
