"""Pairs of (prompt, seed): what every candidate of a hunt is generated for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import node_helpers

MAX_PAIRS = 10_000
Conditioning = list[list[Any]]


@dataclass(frozen=True)
class Pair:
    """A prompt and a seed. `text` is "style, content", or the content alone; `negative` is None where there is none."""

    text: str
    seed: int
    positive: Conditioning
    negative: Conditioning | None = None


def pairs_from_text(
    clip: Any, contents: str, style: str, negative: str, guidance: float, seed: int, seeds_per_prompt: int
) -> list[Pair]:
    """One pair for each line of `contents` and each repeat; pair i, j has the seed `seed + i * seeds_per_prompt + j`.

    Each text is encoded once. `guidance` is FLUX's embedded guidance. ValueError where there is no prompt.
    """
    if clip is None:
        raise ValueError("there is no text encoder: this checkpoint holds none. Load one with a CLIP loader.")
    lines = [line.strip() for line in contents.splitlines() if line.strip()]
    if not lines:
        raise ValueError("contents is empty: write one prompt a line")
    if len(lines) * seeds_per_prompt > MAX_PAIRS:
        raise ValueError(f"{len(lines)} prompts x {seeds_per_prompt} seeds are more than {MAX_PAIRS} pairs")
    style = style.strip()
    texts = [f"{style}, {line}" if style else line for line in lines]
    unwanted = _encode(clip, negative, guidance)
    pairs = []
    for i, text in enumerate(texts):
        positive = _encode(clip, text, guidance)
        for j in range(seeds_per_prompt):
            pairs.append(Pair(text, (seed + i * seeds_per_prompt + j) % 2**64, positive, unwanted))
    return pairs


def _encode(clip: Any, text: str, guidance: float) -> Conditioning:
    conditioning = clip.encode_from_tokens_scheduled(clip.tokenize(text))
    return node_helpers.conditioning_set_values(conditioning, {"guidance": guidance})


def check_pairs(pairs: Sequence[Pair], cfg: float) -> None:
    """ValueError where a hunt cannot run on these pairs."""
    if not pairs:
        raise ValueError("there are no prompts")
    missing = next((pair for pair in pairs if pair.negative is None), None)
    if cfg != 1 and missing:
        raise ValueError(
            f'cfg is {cfg:g}, which needs a negative, and the prompt "{missing.text[:60]}" has none: connect one, or set cfg to 1.'
        )
