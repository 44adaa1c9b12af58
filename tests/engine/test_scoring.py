"""Scorers without any model: statistics, formulas, linear heads, taste, references, combinations."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import pytest
import torch
from headhunter_pack.headhunter.scoring import combine, embedding, linear, reference, statistics, taste
from headhunter_pack.headhunter.scoring.base import content_key, fingerprint, probe_image, score_rows
from headhunter_pack.headhunter.scoring.statistics import STATISTICS, StatisticScorer

torch.set_num_threads(1)


def flat(red: float, green: float, blue: float, size: int = 16) -> torch.Tensor:
    return torch.tensor([red, green, blue], dtype=torch.float32).expand(1, size, size, 3).clone()


def grey(values: torch.Tensor) -> torch.Tensor:
    """[H, W] -> [1, H, W, 3]."""
    return values[None, :, :, None].expand(1, *values.shape, 3).float()


def checkerboard(size: int = 16) -> torch.Tensor:
    return grey((torch.arange(size)[:, None] + torch.arange(size)) % 2)


def noise(batch: int = 1, size: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.rand(batch, size, size, 3, generator=torch.Generator().manual_seed(seed))


def measure(name: str, image: torch.Tensor) -> float:
    return StatisticScorer(name).score(image, [""]).item()


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        *((name, flat(0, 0, 0), 0.5 if name == "warmth" else 0.0) for name in STATISTICS),
        *((name, flat(1, 1, 1), {"warmth": 0.5, "brightness": 1.0}.get(name, 0.0)) for name in STATISTICS),
        ("brightness", flat(1, 0, 0), 0.2126),
        ("brightness", flat(0, 1, 0), 0.7152),
        ("brightness", flat(0, 0, 1), 0.0722),
        ("contrast", checkerboard(), 1.0),
        ("contrast", grey(torch.linspace(0, 1, 256).expand(4, 256)), 2 * math.sqrt((256**2 - 1) / 12) / 255),
        ("saturation", flat(1, 0, 0), 1.0),
        ("saturation", flat(0.8, 0.4, 0.4), 0.5),
        ("colourfulness", flat(1, 0, 0), 0.3 * math.sqrt(1 + 0.25)),
        ("colourfulness", torch.cat([flat(1, 0, 0), flat(0, 1, 0)], dim=1), 1 + 0.3 * 0.5),
        ("warmth", flat(1, 0.5, 0), 1.0),
        ("warmth", flat(0, 0.5, 1), 0.0),
        ("warmth", flat(0.6, 0.5, 0.4), 0.6),
        ("detail", checkerboard(), 1.0),
        ("detail", grey(0.5 + 0.4 * torch.sin(torch.arange(64) * 2 * math.pi / 64).expand(64, 64)), 0.0),
        ("detail", grey(0.5 + 0.4 * torch.sin(torch.arange(64) * 2 * math.pi / 4).expand(64, 64)), 1.0),
        ("entropy", checkerboard(), 1 / 8),
        ("entropy", grey(torch.linspace(0, 1, 256).expand(4, 256)), 1.0),
    ],
)
def test_statistics_of_known_pictures(name, image, expected):
    assert measure(name, image) == pytest.approx(expected, abs=2e-6)


def test_sharpness_and_detail_of_noise():
    edges = torch.nn.functional.conv2d(
        torch.nn.functional.pad(checkerboard()[..., 0][None], (1, 1, 1, 1), mode="replicate"),
        torch.tensor([[[[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]]]),
    )
    s = edges.std(correction=0).item()
    assert measure("sharpness", checkerboard()) == pytest.approx(s / (s + 0.1), abs=1e-6)
    assert measure("detail", noise(size=256)) == pytest.approx(
        1 - math.pi / 64, abs=0.01
    )  # the share of frequencies over 1/8
    assert measure("entropy", noise(size=256).mean(-1, keepdim=True).expand(-1, -1, -1, 3)) > 0.9


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_stay_in_their_range(name):
    images = torch.cat(
        [noise(3), noise(1, seed=5).round(), flat(1, 0, 0, 64), flat(0.3, 0.3, 0.3, 64), checkerboard(64)]
    )
    scores = StatisticScorer(name).score(images, [""] * len(images))
    assert scores.shape == (7,) and scores.dtype == torch.float32
    assert (scores >= 0).all() and (scores <= (1.2 if name == "colourfulness" else 1)).all()


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_are_measured_at_one_size(name):
    """Over 512 a picture is reduced first, so that the same picture twice as large scores the same."""
    small = noise(1, 512)
    large = small.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    assert measure(name, large) == pytest.approx(measure(name, small), abs=1e-6)
    assert statistics.prepare(torch.rand(1, 1024, 256, 3)).shape == (3, 512, 128)
    assert statistics.prepare(torch.rand(1, 4096, 3, 3)).shape == (3, 512, 1)
    assert statistics.prepare(torch.rand(1, 40, 30, 3)).shape == (3, 40, 30)


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics_are_differentiable(name):
    """Against a numerical derivative, and without NaN where a picture is flat."""
    scorer = StatisticScorer(name)
    assert scorer.differentiable
    image = (noise(size=8) * 0.8 + 0.1).double().requires_grad_()
    direction = torch.rand(image.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64) - 0.5
    score = STATISTICS[name].measure(statistics.prepare(image))
    (gradient,) = torch.autograd.grad(score, image)
    step = 1e-7
    up, down = (
        STATISTICS[name].measure(statistics.prepare(image.detach() + sign * step * direction)) for sign in (1, -1)
    )
    assert (gradient * direction).sum().item() == pytest.approx(((up - down) / (2 * step)).item(), rel=1e-3, abs=1e-6)
    even = flat(0.5, 0.5, 0.5).requires_grad_()
    (gradient,) = torch.autograd.grad(scorer.score(even, [""]).sum(), even)
    assert torch.isfinite(gradient).all()


def test_targets():
    image = flat(0.25, 0.25, 0.25)
    assert StatisticScorer("brightness", "high").score(image, [""]).item() == pytest.approx(0.25)
    assert StatisticScorer("brightness", "low").score(image, [""]).item() == pytest.approx(-0.25)
    assert StatisticScorer("brightness", "near", 0.75).score(image, [""]).item() == pytest.approx(-0.5)
    assert StatisticScorer("brightness", "near", 0.0).score(image, [""]).item() == pytest.approx(-0.25)


@pytest.mark.parametrize("settings", [("blur",), ("detail", "up"), ("detail", "near", math.nan)])
def test_bad_statistic_settings(settings):
    with pytest.raises(ValueError, match="must be"):
        StatisticScorer(*settings)


# What all scorers share.


def scorers() -> dict:
    encoder = Colours()
    head = linear.LinearHead(torch.tensor([0.5, -1.0, 2.0]).double(), 0.25)
    return {
        **{name: StatisticScorer(name, "near", 0.4) for name in STATISTICS},
        "text": embedding.TextScorer(Towers()),
        "pair": embedding.TextScorer(Towers(), "red", "blue"),
        "linear": linear.LinearScorer(encoder, head),
        "reference": reference.ReferenceScorer(encoder, reference.embed_all(encoder, noise(3, 8))),
        "combined": combine.combine_scorers(
            [(StatisticScorer("detail"), 1.0), (StatisticScorer("warmth", "low"), -2.0)]
        ),
    }


@dataclass
class Colours:
    """An image encoder: the mean colour, of length 1."""

    key: str = "colours"
    label: str = "colours.pt"

    def embed_image(self, image: torch.Tensor) -> torch.Tensor:
        assert image.shape[0] == 1
        return embedding.normalise(image.mean((0, 1, 2)), "colour")


@dataclass
class Towers:
    """A text-image model: a text is a colour word."""

    kind: str = "clip"
    scale: float | None = 50.0
    key: str = "towers"
    label: str = "towers.pt"
    encoder: Colours = field(default_factory=Colours)

    def text_match_encoder(self) -> Colours:
        return self.encoder

    def embed_text(self, text: str) -> torch.Tensor:
        return {"red": torch.tensor([1.0, 0, 0]), "blue": torch.tensor([0.0, 0, 1])}.get(
            text, torch.tensor([0.6, 0.8, 0])
        )


@pytest.mark.parametrize("name", scorers())
def test_a_score_does_not_depend_on_batch_mates_and_is_repeatable(name):
    scorer = scorers()[name]
    images, texts = noise(4, 32), ["red", "blue", "other", "red"]
    together = scorer.score(images, texts)
    alone = torch.cat([scorer.score(images[i : i + 1], texts[i : i + 1]) for i in range(4)])
    assert together.dtype == torch.float32 and together.shape == (4,)
    assert torch.equal(together, alone)
    assert torch.equal(together, scorers()[name].score(images, texts))
    with torch.inference_mode():
        assert torch.equal(together, scorer.score(images, texts))


@pytest.mark.parametrize("name", scorers())
def test_keys_and_units(name):
    first, second = scorers()[name], scorers()[name]
    assert first.key == second.key and isinstance(first.name, str) and first.unit > 0
    assert len({scorer.key for scorer in scorers().values()}) == len(scorers())


def test_keys_tell_settings_apart():
    keys = [StatisticScorer("detail", "near", value).key for value in (0.1, 0.2)]
    keys += [StatisticScorer("detail").key, StatisticScorer("detail", "low").key]
    keys += [embedding.TextScorer(Towers(kind), text, negative).key for kind, text, negative in
             [("clip", "a", ""), ("hpsv2", "a", ""), ("clip", "b", ""), ("clip", "b", "c")]]  # fmt: skip
    assert len(set(keys)) == len(keys)
    assert StatisticScorer("detail", "high", 0.1).key == StatisticScorer("detail", "high", 0.9).key  # value is not used


def test_bad_inputs_are_refused_and_broken_pictures_score_nan():
    scorer = StatisticScorer("brightness")
    for images in (
        torch.rand(4, 4, 3),
        torch.rand(1, 4, 4, 4),
        torch.rand(0, 4, 4, 3),
        torch.zeros(1, 4, 4, 3, dtype=torch.uint8),
    ):
        with pytest.raises(ValueError, match=r"\[B, H, W, 3\]"):
            scorer.score(images, [""] * len(images))
    with pytest.raises(ValueError, match="2 texts for 1 images"):
        scorer.score(noise(), ["", ""])
    with pytest.raises(ValueError, match="one text for"):
        scorer.score(noise(), "a")
    images = noise(3)
    images[1, 0, 0, 0] = math.nan
    scores = scorer.score(images, [""] * 3)
    assert scores.isnan().tolist() == [False, True, False]
    assert score_rows(lambda image, text: image.sum() * len(text), noise(2), ["", "ab"])[0] == 0


def test_fingerprint():
    base = {"a": torch.arange(10_000.0), "b": torch.ones(3)}
    assert fingerprint(base) == fingerprint({"b": torch.ones(3), "a": torch.arange(10_000.0)})
    changed = [dict(base, b=torch.ones(4)), dict(base, b=torch.ones(3).half()), {"a": base["a"], "c": base["b"]}]
    for place in (0, -1):
        other = base["a"].clone()
        other[place] += 1
        changed.append(dict(base, a=other))
    assert len({fingerprint(tensors) for tensors in [base, *changed]}) == len(changed) + 1
    for dtype in (torch.bfloat16, torch.float8_e4m3fn, torch.int64):
        assert fingerprint({"x": torch.ones(5, 3).to(dtype).T})
    assert fingerprint({"x": torch.tensor(1.0), "empty": torch.empty(0)})


# Text match.


def test_text_formulas_by_hand():
    image = flat(0.3, 0, 0.4)  # x = (0.6, 0, 0.8)
    assert embedding.TextScorer(Towers("clip"), "red").score(image, [""]).item() == pytest.approx(0.6)
    assert embedding.TextScorer(Towers("hpsv2"), "red").score(image, [""]).item() == pytest.approx(0.6)
    assert embedding.TextScorer(Towers("pickscore"), "red").score(image, [""]).item() == pytest.approx(
        50 * 0.6, rel=1e-6
    )
    pair = 1 / (1 + math.exp(50 * (0.8 - 0.6)))
    assert embedding.TextScorer(Towers("pickscore"), "red", "blue").score(image, [""]).item() == pytest.approx(
        pair, rel=1e-4
    )
    pair = 1 / (1 + math.exp(100 * (0.8 - 0.6)))
    assert embedding.TextScorer(Towers("clip", None), "red", "blue").score(image, [""]).item() == pytest.approx(
        pair, rel=1e-3
    )


def test_whose_text_is_scored():
    image = flat(0.3, 0, 0.4).repeat(2, 1, 1, 1)
    assert embedding.TextScorer(Towers()).score(image, ["red", "blue"]).tolist() == pytest.approx([0.6, 0.8])
    assert embedding.TextScorer(Towers(), "red").score(image, ["blue", ""]).tolist() == pytest.approx([0.6, 0.6])
    with pytest.raises(ValueError, match="no text"):
        embedding.TextScorer(Towers()).score(image, ["red", " "])


def test_pickscore_needs_its_scale():
    with pytest.raises(ValueError, match=r"towers\.pt.*logit_scale"):
        embedding.TextScorer(Towers("pickscore", None))
    assert embedding.scale_of(math.log(100), "x") == pytest.approx(100)
    for value in (math.nan, math.inf, 1e9, -1e9):
        with pytest.raises(ValueError, match="logit_scale"):
            embedding.scale_of(value, "x.pt")


@pytest.mark.parametrize("vector", [torch.zeros(4), torch.tensor([1.0, math.nan]), torch.tensor([math.inf, 0])])
def test_broken_embeddings_are_refused(vector):
    with pytest.raises(ValueError, match="a picture has the length"):
        embedding.normalise(vector, "a picture")


def test_letterbox():
    boxed = embedding.letterbox(torch.ones(1, 20, 40, 3), 10)
    assert boxed.shape == (1, 10, 10, 3)
    assert (boxed[:, 2:7] - 1).abs().max() < 1e-6  # 5 rows of 10, two black ones above and three below
    assert boxed[:, :2].abs().max() == 0 and boxed[:, 7:].abs().max() == 0
    square = noise(1, 10)
    assert torch.equal(embedding.letterbox(square, 10), square)
    assert embedding.letterbox(torch.ones(1, 4, 1, 3), 8).shape == (1, 8, 8, 3)


# Linear heads.


def chain(sizes: list[int], seed: int = 0, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    layers = {}
    for number, (before, after) in zip([0, 2, 4, 6, 7, 10], zip(sizes, sizes[1:], strict=False), strict=False):
        layers[f"layers.{number}.weight"] = (torch.randn(after, before, generator=generator) / before**0.5).to(dtype)
        layers[f"layers.{number}.bias"] = torch.randn(after, generator=generator).to(dtype)
    return layers


@pytest.mark.parametrize("sizes", [[768, 1024, 128, 64, 16, 1], [1152, 1], [12, 5, 5, 5, 5, 5, 1]])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_folded_chain_equals_the_chain(sizes, dtype):
    layers = chain(sizes, dtype=dtype)
    shuffled = dict(sorted(layers.items(), key=lambda item: item[0][::-1]))
    head = linear.fold(shuffled, "sac+logos+ava1-l14-linearMSE.pth")
    for seed in range(4):
        x = torch.nn.functional.normalize(
            torch.randn(sizes[0], generator=torch.Generator().manual_seed(seed)).double(), dim=0
        )
        expected = x
        for name in [name for name in layers if name.endswith("weight")]:
            expected = layers[name].double() @ expected + layers[name.replace("weight", "bias")].double()
        assert abs(head(x).item() - expected.item()) < 1e-12


def test_laion_v1_and_the_unit():
    head = linear.fold({"weight": torch.full((1, 4), 9.0), "bias": torch.tensor([5.0])}, "sa_0_4_vit_l_14_linear.pth")
    assert head(torch.full((4,), 0.5)).item() == pytest.approx(23)
    assert head.unit == pytest.approx(0.02 * 18)


@pytest.mark.parametrize(
    ("label", "layers", "says"),
    [
        ("sac+logos+ava1-l14-reluMSE.pth", chain([4, 3, 1]), "relu"),
        ("my-GELU-head.pt", chain([4, 3, 1]), "gelu"),
        ("a.pt", {}, "no weights"),
        ("a.pt", chain([4, 3]), "gives 3 numbers"),
        ("a.pt", {k: v for k, v in chain([4, 3, 1]).items() if k != "layers.0.bias"}, r'"layers.0.bias" is missing'),
        (
            "a.pt",
            {k: v for k, v in chain([4, 3, 1]).items() if k != "layers.2.weight"},
            r'"layers.2.weight" is missing',
        ),
        (
            "a.pt",
            {k: v for k, v in chain([4, 3, 2, 1]).items() if "layers.2" not in k},
            r'"layers.4.weight" takes 2.*gives 3',
        ),
        ("a.pt", chain([4, 3, 1]) | {"layers.1.running_mean": torch.zeros(3)}, "running_mean"),
        ("a.pt", chain([4, 1]) | {"norm.weight": torch.zeros(1), "norm.bias": torch.zeros(1)}, "norm.weight"),
        ("a.pt", {"weight": torch.zeros(1, 4), "bias": torch.zeros(1)}, "not all 0"),
        ("a.pt", {"weight": torch.full((1, 4), math.nan), "bias": torch.zeros(1)}, "finite"),
    ],
)
def test_what_cannot_be_folded_names_file_and_key(label, layers, says):
    with pytest.raises(linear.LinearHeadError, match=says) as caught:
        linear.fold(layers, label)
    assert str(caught.value).startswith(label)


def test_linear_scorer():
    head = linear.LinearHead(torch.tensor([1.0, 2.0, 3.0]).double(), 0.5, "head.pt")
    assert linear.LinearScorer(Colours(), head).score(flat(0.3, 0, 0.4), [""]).item() == pytest.approx(0.6 + 2.4 + 0.5)
    with pytest.raises(ValueError, match=r"head\.pt.*4 numbers.*colours\.pt gives 3"):
        linear.LinearScorer(Colours(), linear.LinearHead(torch.ones(4).double(), 0.0, "head.pt"))
    own = Colours().embed_image(probe_image())
    linear.LinearScorer(Colours(), linear.LinearHead(torch.ones(3).double(), 0.0, "head.pt", probe=own))
    with pytest.raises(ValueError, match="another image model"):
        linear.LinearScorer(
            Colours(),
            linear.LinearHead(torch.ones(3).double(), 0.0, "head.pt", probe=own.flip(0) * torch.tensor([1, -1, 1])),
        )


# References and taste.


def test_reference_scorer():
    encoder = Colours()
    references = reference.embed_all(encoder, torch.cat([flat(1, 0, 0), flat(0, 0, 1)]))
    image = flat(0.3, 0, 0.4)
    assert reference.ReferenceScorer(encoder, references, "mean").score(image, [""]).item() == pytest.approx(0.7)
    assert reference.ReferenceScorer(encoder, references, "max").score(image, [""]).item() == pytest.approx(0.8)
    assert reference.ReferenceScorer(encoder, references[:1]).key != reference.ReferenceScorer(encoder, references).key
    named = [
        reference.ReferenceScorer(encoder, references * size, "mean", "the same pictures").key for size in (1, 1 - 1e-7)
    ]
    assert named[0] == named[1] != reference.ReferenceScorer(encoder, references, "mean", "others").key
    assert content_key(noise(2)) == content_key(noise(2)) != content_key(noise(2, seed=1))
    other = noise(2)
    other[1, 30, 30, 1] += 1e-3
    assert content_key(other) != content_key(noise(2))
    with pytest.raises(ValueError, match="reduce"):
        reference.ReferenceScorer(encoder, references, "median")
    with pytest.raises(ValueError, match="no reference"):
        reference.ReferenceScorer(encoder, references[:0])


def clusters(dim: int = 64, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """12 liked and 7 disliked embeddings of length 1 that differ along the first axis alone, under much noise."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(19, dim, generator=generator) * 0.5
    rows[:, 0] = torch.cat([torch.ones(12), -torch.ones(7)])
    rows = torch.nn.functional.normalize(rows, dim=1)
    return rows[:12], rows[12:]


@pytest.mark.parametrize("dim", [5, 64])
def test_ridge_solves_the_normal_equations(dim):
    """In primal form: (sum c x~ x~^T + lambda I) w = sum c x~ (y - mean y), b = mean y - w . mean x."""
    liked, disliked = clusters(dim)
    head = taste.learn(liked, disliked)
    x, y = torch.cat([liked, disliked]).double(), torch.cat([torch.ones(12), -torch.ones(7)]).double()
    c = torch.cat([torch.full((12,), 0.5 / 12), torch.full((7,), 0.5 / 7)]).double()
    mean = (c[:, None] * x).sum(0)
    z = x - mean
    penalty = 0.1 * (c * (z * z).sum(1)).sum()
    w = torch.linalg.solve(z.T @ (c[:, None] * z) + penalty * torch.eye(dim).double(), z.T @ (c * y))
    assert (head.weight - w).abs().max() < 1e-6  # c was made in float32
    assert head.bias == pytest.approx(-(w @ mean).item(), abs=1e-6)

    def loss(weight: torch.Tensor, bias: float) -> float:
        return ((c * (x @ weight + bias - y) ** 2).sum() + penalty * weight.square().sum()).item()

    best = loss(head.weight, head.bias)
    for seed in range(5):
        step = 1e-3 * torch.randn(dim, generator=torch.Generator().manual_seed(seed)).double()
        assert loss(head.weight + step, head.bias) > best and loss(head.weight, head.bias + 1e-3) > best


def test_taste_finds_planted_clusters():
    head = taste.learn(*clusters(seed=1))
    liked, disliked = clusters(seed=2)  # pictures that it has not seen
    scores = [torch.stack([head(row) for row in rows]) for rows in (liked, disliked)]
    assert scores[0].min() > scores[1].max()
    assert head.weight.abs().argmax() == 0 and head.weight[0] > 0


def test_taste_of_liked_pictures_alone_is_the_cosine_to_their_mean():
    liked, _ = clusters()
    head = taste.learn(liked)
    mean = liked.double().mean(0)
    x = torch.nn.functional.normalize(torch.arange(64.0), dim=0)
    assert head(x).item() == pytest.approx(torch.cosine_similarity(mean, x.double(), dim=0).item(), abs=1e-6)


def test_taste_that_cannot_be_learned():
    liked, disliked = clusters()
    for bad in [(liked[:0], disliked), (liked, disliked[:0])]:
        with pytest.raises(ValueError, match="no .*liked pictures"):
            taste.learn(*bad)
    with pytest.raises(ValueError, match="tells them apart"):
        taste.learn(liked[:1], liked[:1])
    with pytest.raises(ValueError, match="tells them apart"):
        taste.learn(liked[:4], liked[:4])


def test_taste_file_round_trip():
    liked, disliked = clusters()
    head = taste.learn(liked, disliked)
    tensors, metadata = taste.taste_file(head, (12, 7))
    assert metadata["format"] == "headhunter-taste/1" and metadata["dim"] == "64" and metadata["liked"] == "12"
    again = taste.read_taste(tensors, metadata, "mine.safetensors")
    assert torch.equal(again.weight, head.weight) and again.bias == head.bias and again.key == head.key
    for broken in (
        {"bias": tensors["bias"]},
        {**tensors, "weight": tensors["weight"][0]},
        {**tensors, "probe": torch.ones(3)},
    ):
        with pytest.raises(linear.LinearHeadError, match="mine"):
            taste.read_taste(broken, metadata, "mine.safetensors")
    with pytest.raises(linear.LinearHeadError, match="65"):
        taste.read_taste(tensors, metadata | {"dim": "65"}, "mine.safetensors")


# Combining.


def test_combine_by_hand():
    """Two components, 2 candidates, 4 pairs; the first one's spread counts, the second one's is too small, so its unit does."""
    baseline = torch.tensor([[1.0, 2.0, 3.0, 4.0], [0.5, 0.5, 0.5, 0.501]])
    scores = torch.stack([baseline + torch.tensor([[1.0], [0.02]]), baseline + torch.tensor([[0.0], [-0.04]])], dim=1)
    spread = math.sqrt(5 / 3)
    combined = combine.combine(scores, baseline, [2.0, 0.5], [0.3, 0.02])
    assert combined.shape == (2, 4)
    assert combined[0].tolist() == pytest.approx([2 / spread + 0.5] * 4, rel=1e-5)
    assert combined[1].tolist() == pytest.approx([-1.0] * 4, rel=1e-4)
    assert combine.combine(baseline, baseline, [2.0, 0.5], [0.3, 0.02]).abs().max() == 0
    assert combine.spreads(baseline, [0.3, 0.02]).tolist() == pytest.approx([spread, 0.02])


def test_units_where_pairs_are_few_and_the_limit_of_a_tenth():
    three = torch.tensor([[1.0, 5.0, 9.0]])
    assert combine.spreads(three, [0.5]).tolist() == [0.5]
    for size, expected in ((0.099, 1.0), (0.11, 0.11)):
        rows = torch.tensor([[-1.0, 1.0, -1.0, 1.0]]).double() * size * math.sqrt(3 / 4)
        assert combine.spreads(rows, [1.0]).tolist() == pytest.approx([expected])


@pytest.mark.parametrize(
    ("scores", "baseline", "weights", "units"),
    [
        ((2, 3, 4), (2, 5), [1, 1], [1, 1]),
        ((3, 4), (2, 4), [1, 1], [1, 1]),
        ((2, 4), (2, 4), [1], [1, 1]),
        ((2, 4), (2, 4), [1, 1], [1]),
        ((4,), (2, 4), [1, 1], [1, 1]),
    ],
)
def test_combine_refuses_shapes_that_do_not_fit(scores, baseline, weights, units):
    with pytest.raises(ValueError, match="not the same"):
        combine.combine(torch.zeros(scores), torch.zeros(baseline), weights, units)


def test_nested_combinations_are_flat():
    a, b, c = (StatisticScorer(name) for name in ("detail", "warmth", "contrast"))
    inner = combine.combine_scorers([(a, 2.0), (b, 3.0)])
    outer = combine.combine_scorers([(inner, 0.5), (c, -1.0)])
    assert outer.components == ((a, 1.0), (b, 1.5), (c, -1.0))
    assert (
        outer.differentiable
        and not combine.combine_scorers([(a, 1.0), (embedding.TextScorer(Towers()), 1.0)]).differentiable
    )
    image = noise()
    expected = sum(weight * scorer.score(image, [""]).item() / scorer.unit for scorer, weight in outer.components)
    assert outer.score(image, [""]).item() == pytest.approx(expected, rel=1e-5)
    assert combine.components_of(a) == ((a, 1.0),)
    with pytest.raises(ValueError, match="finite weights"):
        combine.combine_scorers([(a, math.inf)])


def test_table():
    a, b = StatisticScorer("brightness"), StatisticScorer("warmth", "low")
    images = torch.cat([flat(0.5, 0.5, 0.5), flat(1, 1, 1)])
    scores, text = combine.table(a, images, ["", ""])
    assert scores == pytest.approx([0.5, 1.0])
    assert [line.split() for line in text.splitlines()] == [
        ["image", "brightness", "high", "/", "0.05"], ["0", "0.5000", "10.00"], ["1", "1.0000", "20.00"]
    ]  # fmt: skip
    scores, text = combine.table(combine.combine_scorers([(a, 1.0), (b, 2.0)]), images, ["", ""])
    assert scores == pytest.approx([10 - 50, 20 - 50])
    assert text.splitlines()[0].endswith("combined") and text.splitlines()[1].split()[-1] == "-40.0000"
    assert len({len(line) for line in text.splitlines()}) == 1


def test_a_fingerprint_sees_all_of_a_tensor():
    """A change in one piece of over 512 kB is seen wherever it lies; of scattered numbers about 1 in 4096 is looked at."""
    torch.manual_seed(0)
    base = torch.randn(3 * 2**20)
    key = fingerprint({"x": base})
    for start in range(0, base.numel() - 2**17, 2**17 // 3):
        changed = base.clone()
        changed[start : start + 2**17 + 16] += 1
        assert fingerprint({"x": changed}) != key, start
    for small in (1, 100, 2**14):  # read whole
        ones = torch.ones(small)
        for place in (0, small // 2, small - 1):
            other = ones.clone()
            other[place] = 2
            assert fingerprint({"x": ones}) != fingerprint({"x": other})


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.int8, torch.bool])
def test_a_fingerprint_sees_every_column(dtype):
    """A matrix with one column changed, whatever the column: the places that are looked at move along."""
    base = torch.zeros(4096, 2048)
    key = fingerprint({"x": base.to(dtype)})
    for column in range(0, 2048, 93):
        changed = base.clone()
        changed[:, column : column + 32] = 1
        assert fingerprint({"x": changed.to(dtype)}) != key, column


def test_a_fingerprint_does_not_copy_a_transposed_tensor():
    base = torch.randn(2048, 1024)
    assert fingerprint({"x": base.T}) != fingerprint({"x": base})
    strides = base.T[:, None]
    assert fingerprint({"x": strides}) == fingerprint({"x": strides.clone()})
