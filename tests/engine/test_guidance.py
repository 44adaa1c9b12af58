"""Mixing predictions and reading groups: plain tensors, no ComfyUI."""

import pytest
import torch
from headhunter_pack.headhunter.guidance import (
    APG_CAP,
    APG_MOMENTUM,
    Group,
    Momentum,
    Part,
    apg,
    frequency,
    guide,
    orthogonal,
    rescale,
)


def tensors(count: int, batch: int = 3):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, 4, 5, 6, generator=generator, dtype=torch.float64) for _ in range(count)]


def test_add_is_the_sum():
    denoised, cond, a, b = tensors(4)
    result = guide(denoised, cond, [Part(Group("L1"), a, 3.0), Part(Group("L2"), b, -1.5)])
    assert torch.allclose(result, denoised + 3 * a - 1.5 * b)


def test_orthogonal_takes_out_the_parallel_part_per_sample():
    difference, cond = tensors(2)
    result = orthogonal(difference, cond)
    for row in range(3):
        assert abs((result[row] * cond[row]).sum()) < 1e-9
        parallel = difference[row] - result[row]
        assert torch.allclose(parallel / cond[row], (parallel / cond[row]).flatten()[0].expand_as(parallel))
    assert torch.equal(orthogonal(difference, torch.zeros_like(cond)), difference)


def test_rescale_is_per_sample_and_once_by_the_largest():
    denoised, cond, a, b = tensors(4)
    result = guide(denoised, cond, [Part(Group("L1", rescale=0.3), a, 5.0), Part(Group("L2", rescale=0.8), b, 5.0)])
    plain = denoised + 5 * a + 5 * b
    for row in range(3):
        assert torch.allclose(result[row], plain[row] * (0.8 * cond[row].std() / plain[row].std() + 0.2))
    assert torch.allclose(rescale(plain, cond, 1.0).flatten(1).std(1), cond.flatten(1).std(1))
    assert torch.equal(rescale(torch.zeros_like(cond), cond, 1.0), torch.zeros_like(cond))


def test_apg_caps_each_picture_and_leaves_small_differences():
    difference, cond = tensors(2)
    small = difference * 0.9 * APG_CAP / difference.square().mean((1, 2, 3), keepdim=True).sqrt()
    mixed = torch.cat([small[:1], difference[1:]])
    result = apg(mixed, cond)
    assert torch.equal(result[:1], orthogonal(small[:1], cond[:1]))
    for row in (1, 2):
        capped = difference[row] * APG_CAP * difference[row].numel() ** 0.5 / difference[row].norm()
        assert torch.allclose(result[row], orthogonal(capped[None], cond[row : row + 1])[0])
    assert torch.equal(apg(torch.zeros_like(cond), cond), torch.zeros_like(cond))


SIGMAS = {
    "euler": [5, 4, 3, 2, 1],
    "heun": [5, 4, 4, 3, 3, 2, 2, 1],
    "looks ahead two levels": [5, 4, 3, 4, 3, 2, 3, 2, 1],
    "restarts": [5, 4, 3, 2, 4.5, 3, 2, 1],
    "starts again": [3, 2, 1, 5, 4, 3],
}


@pytest.mark.parametrize("name", SIGMAS)
def test_momentum_counts_each_noise_level_once(name):
    """Against the whole history: the nearest noisier evaluation that no later one has come back to or above."""
    sigmas, momentum, sums = SIGMAS[name], Momentum(), []
    for now, (sigma, difference) in enumerate(zip(sigmas, tensors(len(sigmas)), strict=True)):
        valid = [
            i for i in range(now) if sigmas[i] > sigma and not any(later >= sigmas[i] for later in sigmas[i + 1 : now])
        ]
        expected = difference
        if valid:
            expected = difference + APG_MOMENTUM * sums[min(valid, key=lambda i: sigmas[i])]
        sums.append(momentum.add(difference, sigma))
        assert torch.equal(sums[-1], expected)


def test_frequency_halves_what_is_flat_and_keeps_what_alternates():
    flat = torch.full((2, 3, 6, 7), 4.0)
    assert torch.allclose(frequency(flat, flat), flat / 2)
    stripes = torch.tensor([1.0, -1.0]).repeat(4).expand(2, 3, 8, 8).clone()
    assert torch.allclose(frequency(stripes, stripes)[..., 2:-2], stripes[..., 2:-2])
    (video,) = tensors(1)
    video = video[:, :, None].repeat(1, 1, 2, 1, 1)
    assert torch.equal(frequency(video, video)[:, :, 1], frequency(video[:, :, 1], video[:, :, 1]))
    assert frequency(video[..., :1, :1], video).shape == (3, 4, 2, 1, 1)


def test_the_scale_changes_over_the_window():
    group = Group("L1", scale=4.0, window=(0.2, 0.6), end_scale=0.25)
    assert [round(group.scale_at(percent), 6) for percent in (0.0, 0.2, 0.4, 0.6, 1.0)] == [4.0, 4.0, 2.5, 1.0, 1.0]
    assert all(Group("L1", scale=4.1).scale_at(percent) == 4.1 for percent in (0.0, 0.33, 1.0))
    assert Group("L1", window=(0.5, 0.5), end_scale=0.0).scale_at(0.5) == 3.0


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"scale": 100.1}, "scale.*-20 to 100"),
        ({"scale": float("nan")}, "scale"),
        ({"scale": True}, "scale"),
        ({"strength": -0.1}, "strength.*0 to 1"),
        ({"strength": "0.5"}, "strength"),
        ({"rescale": 2}, "rescale"),
        ({"temperature": 0}, "temperature.*0.01 to 100"),
        ({"tokens": "text"}, "tokens.*all, image"),
        ({"perturbation": "blur"}, "perturbation.*mean_query"),
        ({"mix": "sum"}, "mix.*orthogonal"),
        ({"end_scale": -0.1}, "end_scale.*0 to 10"),
        ({"end_scale": None}, "end_scale"),
        ({"window": (0.6, 0.4)}, "window.*start first"),
        ({"window": (0.0, 1.1)}, "window"),
        ({"window": (0.0,)}, "window"),
        ({"heads": None}, "heads"),
    ],
)
def test_bad_settings_name_the_field(settings, says):
    with pytest.raises(ValueError, match=says):
        Group(**({"heads": "L1"} | settings))
