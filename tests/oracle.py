"""The paper's method the slow way, independent of the pack: explicit attention maps in float64, interpolated, mixed.

The oracle swaps the attention function that a network's blocks look up for one that builds softmax(Q K^T + mask), knows
the layer by counting calls (`tiny.Family.calls`), and samples with an Euler loop of its own. It shares no code with the pack.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import comfy.sample
import comfy.samplers
import tiny
import torch


@dataclass
class Perturbed:
    """What one perturbed pass does: u of (layer, head), A' of these rows (None: all that the family perturbs), the rest as
    SoftPAG says it.
    """

    u: dict[tuple[int, int], float]
    scale: float
    kind: str = "identity"
    tau: float = 2.0
    rows: slice | None = None
    mix: str = "add"
    end_scale: float = 1.0
    window: tuple[float, float] = (0.0, 1.0)


def added_to_logits(mask: torch.Tensor) -> torch.Tensor:
    """A mask as attention takes it, [Q, K], [B, Q, K] or [B, H, Q, K], boolean or added, as [B, H, Q, K] in float64."""
    if mask.dtype == torch.bool:
        mask = torch.zeros(mask.shape, dtype=torch.float64).masked_fill(~mask, -torch.inf)
    if mask.ndim == 2:
        mask = mask[None]
    return (mask[:, None] if mask.ndim == 3 else mask).double()


def shuffled(rows: int) -> list[int]:
    """The row whose place each row takes: along one cycle through all of them, in the order of a hash of their numbers."""

    def mix(number: int) -> int:
        for _ in range(2):
            number = (number ^ number // 65536) * 73244475 % 2**32
        return number ^ number // 65536

    cycle = sorted(range(rows), key=lambda row: mix(row + 1))
    following = dict(zip(cycle, cycle[1:] + cycle[:1], strict=True))
    return [following[row] for row in range(rows)]


def attention_map_output(q, k, v, mask, layer: int | None, perturbed: Perturbed | None, rows: slice) -> torch.Tensor:
    """q [B, H, Q, D], k and v [B, H or fewer, K, D], mask see `added_to_logits` -> [B, H, Q, D] by explicit maps.

    The queries are the last Q of the K rows. `rows` of the sequence are perturbed, and make the mean query.
    """
    q, k, v = (t.double() for t in (q, k, v))
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
    logits = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    mask = None if mask is None else added_to_logits(mask).expand_as(logits)
    weights = (logits if mask is None else logits + mask).softmax(-1)
    length, first = k.shape[2], k.shape[2] - q.shape[2]
    chosen = torch.tensor([row - first for row in range(length)[rows] if row >= first], dtype=torch.long)
    for head in range(q.shape[1]):
        u = perturbed.u.get((layer, head), 0.0) if perturbed else 0.0
        if not u or not len(chosen):
            continue
        added = 0.0 if mask is None else mask[:, head]
        if perturbed.kind == "identity":
            other = torch.eye(length, dtype=torch.float64)[first:].expand_as(weights[:, head])
        elif perturbed.kind == "uniform":
            other = (0 * logits[:, head] + added).softmax(-1)  # the same weight for all that may be seen
        elif perturbed.kind == "mean_query":
            mean = q[:, head, chosen].mean(1, keepdim=True)
            other = (mean @ k[:, head].transpose(-1, -2) / q.shape[-1] ** 0.5 + added).softmax(-1)
        elif perturbed.kind == "self_and_text":  # `rows` are the picture's: between them the diagonal alone is left
            cut = logits[:, head] + added
            for row in chosen.tolist():
                others = [column for column in (chosen + first).tolist() if column != row + first]
                cut[:, row, others] = -torch.inf
            other = cut.softmax(-1)
        elif perturbed.kind == "shuffle":  # row i has the query of another row, so all of that row's logits
            moved = logits[:, head].clone()
            for row, source in zip(chosen.tolist(), chosen[shuffled(len(chosen))].tolist(), strict=True):
                moved[:, row] = logits[:, head, source]
            other = (moved + added).softmax(-1)
        elif perturbed.kind == "zero":
            other = 0 * weights[:, head]
        else:
            assert perturbed.kind == "temperature"
            other = (logits[:, head] / perturbed.tau + added).softmax(-1)
        mixed = (1 - u) * weights[:, head] + u * other
        weights[:, head, chosen] = mixed[:, chosen]
    return weights @ v


@contextmanager
def explicit_attention(family: tiny.Family, perturbed: Perturbed | None) -> Iterator[None]:
    """The network's attention replaced, for one forward, by explicit maps; only joint attention is perturbed.

    AssertionError: the forward's attention is not what `family` says: how often, how long a sequence, whether masked.
    """
    calls, expected = iter(family.calls), iter(family.row_runs)
    rows = family.perturbed_rows if perturbed is None or perturbed.rows is None else perturbed.rows
    masks = []
    module, _, name = family.attention.rpartition(".")
    namespace = importlib.import_module(module)
    original = getattr(namespace, name)

    def attention(q, k, v, heads, mask=None, attn_precision=None, skip_reshape=False, **kwargs):
        layer = next(calls, "none left")
        assert layer != "none left", "more attention calls than the family has"
        if not skip_reshape:
            q, k, v = (t.reshape(t.shape[0], t.shape[1], heads, -1).transpose(1, 2) for t in (q, k, v))
        if layer is not None:
            assert (k.shape[2] - q.shape[2], k.shape[2]) == next(expected) and q.shape[1] == family.heads
            masks.append(mask is not None)
        out = attention_map_output(q, k, v, mask, layer, perturbed, rows)
        return out.transpose(1, 2).flatten(2).to(q.dtype)

    setattr(namespace, name, attention)
    try:
        yield
    finally:
        setattr(namespace, name, original)
    assert next(calls, "none left") == "none left", "fewer attention calls than the family has"
    assert any(masks) is family.masked


def percent_at(sigma: float, model_sampling) -> float:
    """The percent of sampling at a noise level: between two neighbours on a fine grid of percents, by a straight line."""
    percents = torch.linspace(0, 1, 4001, dtype=torch.float64).tolist()
    sigmas = [float(model_sampling.percent_to_sigma(percent)) for percent in percents]
    after = next(i for i, other in enumerate(sigmas) if other <= sigma)
    if after <= 1:  # what comes first is no noise level of the model's
        return percents[after]
    part = (sigmas[after - 1] - sigma) / (sigmas[after - 1] - sigmas[after])
    return percents[after - 1] + part * (percents[after] - percents[after - 1])


def mixed(difference: torch.Tensor, cond: torch.Tensor, mix: str) -> torch.Tensor:
    """A group's difference [B, C, ..., h, w] as it is added, before its scale: picture by picture, in float64."""
    result = difference.double().clone()
    for picture, change in enumerate(result):
        along = cond[picture].double()
        if mix == "apg":
            most = 15 / 256 * change.numel() ** 0.5  # as a norm
            change *= min(1.0, most / float(change.norm()))
        if mix in ("apg", "orthogonal"):
            change -= (change * along).sum() / (along * along).sum() * along
        if mix == "frequency":
            low = blurred(change)
            result[picture] = 0.5 * low + (change - low)
    return result


def blurred(change: torch.Tensor) -> torch.Tensor:
    """[..., h, w], each place the mean of the 5 x 5 around it with binomial weights; beyond an edge is the edge."""
    low, (height, width) = torch.zeros_like(change), change.shape[-2:]
    line = [1, 4, 6, 4, 1]
    for y in range(height):
        for x in range(width):
            for i in range(5):
                for j in range(5):
                    at = min(max(y + i - 2, 0), height - 1), min(max(x + j - 2, 0), width - 1)
                    low[..., y, x] += line[i] * line[j] / 256 * change[..., at[0], at[1]]
    return low


@dataclass
class Denoiser:
    """x0 of one sampling: uncond + cfg (cond - uncond) + sum of scale (cond - perturbed)."""

    family: tiny.Family
    guider: comfy.samplers.CFGGuider
    passes: list[Perturbed]
    differences: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict)  # by pass and step, before mixing

    def __call__(self, x: torch.Tensor, sigma: torch.Tensor, step: int) -> torch.Tensor:
        """x0; `step`: how many noise levels came before."""
        cond = self.predict(x, sigma, "positive")
        result = cond
        if self.guider.cfg != 1:
            uncond = self.predict(x, sigma, "negative")
            result = uncond + self.guider.cfg * (cond - uncond)
        percent = percent_at(float(sigma), self.guider.model_patcher.get_model_object("model_sampling"))
        for number, perturbed in enumerate(self.passes):
            difference = cond - self.predict(x, sigma, "positive", perturbed)
            self.differences[number, step] = difference  # a level's last evaluation
            if perturbed.mix == "apg":
                earlier = [(-0.5) ** (step - before) * self.differences[number, before] for before in range(step)]
                difference = difference + sum(earlier)
            start, end = perturbed.window
            scale = perturbed.scale * (1 + (perturbed.end_scale - 1) * (percent - start) / (end - start))
            if start <= percent < end:
                result = result + scale * mixed(difference, cond, perturbed.mix)
        return result

    def predict(self, x: torch.Tensor, sigma: torch.Tensor, name: str, perturbed: Perturbed | None = None):
        """What the network alone says of x0, given the "positive" or the "negative"."""
        options = {"transformer_options": dict(self.family.whole)}
        conds, sigmas = [self.guider.conds[name]], sigma[None].expand(x.shape[0])
        with explicit_attention(self.family, perturbed):
            return comfy.samplers.calc_cond_batch(self.guider.inner_model, conds, x, sigmas, options)[0]


def sample(
    family: tiny.Family,
    model,
    positive,
    negative,
    cfg: float,
    passes: list[Perturbed],
    steps: int = 3,
    seed: int = 7,
    batch: int = 1,
    heun: bool = False,
) -> torch.Tensor:
    """Euler or Heun on the flow, with a `Denoiser`'s x0; gives the latent."""

    def solve(wrapped, x, sigmas, extra_args=None, callback=None, disable=None):
        denoise = Denoiser(family, wrapped.inner_model, passes)
        for step, (sigma, following) in enumerate(zip(sigmas[:-1], sigmas[1:], strict=True)):
            slope = (x - denoise(x, sigma, step)) / sigma
            if heun and following > 0:
                ahead = x + slope * (following - sigma)
                slope = (slope + (ahead - denoise(ahead, following, step + 1)) / following) / 2
            x = x + slope * (following - sigma)
        return x

    image = family.latent(batch)
    noise = comfy.sample.prepare_noise(image, seed)
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", steps)
    guider = comfy.samplers.CFGGuider(model)
    guider.set_conds(positive, negative)
    guider.set_cfg(cfg)
    with torch.inference_mode():
        return guider.sample(noise, image, comfy.samplers.KSAMPLER(solve), sigmas, disable_pbar=True, seed=seed)
