"""Devices without float64 (MPS, DirectML): what is counted in float64 is counted on the CPU."""

import pytest
import torch
from headhunter_pack.headhunter.scoring import combine, linear, statistics, taste
from headhunter_pack.headhunter.scoring.base import score_rows
from torch.overrides import TorchFunctionMode

DEVICE = torch.device("mps")


class OnDevice(torch.Tensor):
    """A tensor that says it is on such a device; `Device` watches what is done with it."""


def placed(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.as_subclass(OnDevice)


class Device(TorchFunctionMode):
    """As a device without float64: a result on it that has this type is an error, as is moving one to it."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        first = args[0] if args else None
        if isinstance(first, OnDevice):
            if func == torch.Tensor.device.__get__:
                return DEVICE
            if name == "cpu":
                return first.as_subclass(torch.Tensor)
        if name == "to" and DEVICE in args:
            if first.dtype == torch.float64:
                raise TypeError(
                    "Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support float64"
                )
            return placed(first)
        result = func(*args, **kwargs)
        if isinstance(result, OnDevice) and result.dtype == torch.float64:
            raise TypeError("float64 on a device that has none")
        return result


@pytest.fixture
def device():
    with Device():
        yield


def rows(count: int, seed: int = 0) -> torch.Tensor:
    values = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    return placed(values / values.norm(dim=1, keepdim=True))


def test_the_watch_itself(device):
    with pytest.raises(TypeError):
        rows(2).double()
    with pytest.raises(TypeError):
        torch.ones(2, dtype=torch.float64).to(DEVICE)
    with pytest.raises(TypeError):
        rows(2) * torch.ones(8, dtype=torch.float64)


def test_heads(device):
    head = taste.learn(rows(3), rows(3, 1))
    assert head(rows(1)[0]).dtype == torch.float64
    taste.learn(rows(3))
    linear.fold({"weight": torch.ones(1, 8), "bias": torch.zeros(1)}, "x")(rows(1)[0])


def test_scores(device):
    images = placed(torch.rand(2, 16, 16, 3))
    got = score_rows(lambda image, text: torch.tensor(0.5, dtype=torch.float64), images, ["", ""])
    assert got.dtype == torch.float32 and got.device == DEVICE
    for name in statistics.STATISTICS:
        statistics.StatisticScorer(name).score(images, ["", ""])


def test_combining(device):
    scores, baseline = placed(torch.rand(2, 5)), placed(torch.rand(2, 5))
    assert combine.combine(scores, baseline, [1.0, 2.0], [1.0, 1.0]).dtype == torch.float64
