"""Mixing predictions and reading groups: plain tensors, no ComfyUI."""

import pytest
import torch
from headhunter_pack.headhunter.guidance import Group, guide, orthogonal, rescale


def tensors(count: int, batch: int = 3):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(batch, 4, 5, 6, generator=generator, dtype=torch.float64) for _ in range(count)]


def test_add_is_the_sum():
    denoised, cond, a, b = tensors(4)
    result = guide(denoised, cond, [Group("L1", scale=3.0), Group("L2", scale=-1.5)], [a, b])
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
    groups = [Group("L1", scale=5.0, rescale=0.3), Group("L2", scale=5.0, rescale=0.8)]
    result = guide(denoised, cond, groups, [a, b])
    plain = denoised + 5 * a + 5 * b
    for row in range(3):
        assert torch.allclose(result[row], plain[row] * (0.8 * cond[row].std() / plain[row].std() + 0.2))
    assert torch.allclose(rescale(plain, cond, 1.0).flatten(1).std(1), cond.flatten(1).std(1))
    assert torch.equal(rescale(torch.zeros_like(cond), cond, 1.0), torch.zeros_like(cond))


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
        ({"window": (0.6, 0.4)}, "window.*start first"),
        ({"window": (0.0, 1.1)}, "window"),
        ({"window": (0.0,)}, "window"),
        ({"heads": None}, "heads"),
    ],
)
def test_bad_settings_name_the_field(settings, says):
    with pytest.raises(ValueError, match=says):
        Group(**({"heads": "L1"} | settings))
