"""[limit] What `limit` does to heads moved in attention at rising scales: how far the pictures go, what is gained, a contact sheet.

On the demo's trained model and captions that were held out of its training. Distortion: how far a guided latent is from the
unguided one of the same noise, relative in norm. A scale is usable as long as pictures still come close to the real ones.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import torch
import trained
from headhunter_pack.headhunter.guidance import Group
from headhunter_pack.headhunter.heads import HeadSet, parse
from headhunter_pack.headhunter.host.generation.generate import Generator, Sampling
from headhunter_pack.headhunter.host.models import grid_of
from PIL import Image

OUT = Path(__file__).resolve().parent / "out"
HEADS = {"warm": "L0H0, L3H1, L3H2", "every head": "*"}  # found by the demo's hunt for warmth; all
SCALES = (0.3, 1.0, 3.0, 10.0, 30.0)
LIMITS = (0.0, 3.0, 2.0, 1.5, 1.0)
QUICK: dict[str, Any] = {"scales": (3.0,), "limits": (0.0, 1.0), "captions": 2, "steps": 2, "name": "limit-quick"}
SHOWN = 2
"""Captions on the sheet."""


def measure(
    say: Callable[[str], None],
    scales: Sequence[float] = SCALES,
    limits: Sequence[float] = LIMITS,
    captions: int = 8,
    steps: int = 12,
    name: str = "limit",
) -> dict[str, Any]:
    """Rows, one for each head set, limit and scale, over the captions: mean and standard error of distortion, warmth over
    unguided and squared error to the real picture (over unguided's), at strength 1; and where the sheet was written.
    """
    bench = trained.Trained(steps, captions)
    grid, warmth, fidelity = (
        grid_of(bench.model),
        *map(bench.scorer, (trained.Goal("warmth", 0, 0), trained.Goal("fidelity", 0, 0))),
    )
    made: dict[tuple[str, float, float], torch.Tensor] = {}

    def run(heads: str, limit: float, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Latents and pictures of all captions."""
        group = Group("", scale, 1.0, method="in attention", limit=limit)
        sampling = Sampling(group, 1.0, steps, "euler", "simple")
        generator = Generator(bench.model, bench.vae, bench.latent(), sampling)
        latents = torch.cat([generator.latents([HeadSet(parse(heads, grid))], pair) for pair in bench.unseen])
        return latents, generator.decode(latents)

    rows = []
    with torch.inference_mode():
        plain, pictures = run("", 0.0, 1.0)
        texts = [pair.text for pair in bench.unseen]
        before = warmth.score(pictures, texts), fidelity.score(pictures, texts)
        for heads in HEADS:
            for limit in limits:
                for scale in scales:
                    latents, images = run(HEADS[heads], limit, scale)
                    made[heads, limit, scale] = images[:SHOWN]
                    far = (latents - plain).flatten(1).norm(dim=1) / plain.flatten(1).norm(dim=1)
                    columns = {
                        "distortion": far,
                        "warmth": warmth.score(images, texts) - before[0],
                        "squared_error": before[1] - fidelity.score(images, texts),
                    }
                    row: dict[str, Any] = {"heads": heads, "limit": limit, "scale": scale}
                    for column, values in columns.items():
                        row |= {
                            column: fmean(values.tolist()),
                            f"{column}_se": stdev(values.tolist()) / len(values) ** 0.5,
                        }
                    rows.append(row)
                say(f"{heads}, limit {limit:g}")
    drawn = OUT / f"{name}.png"
    sheet(drawn, made, pictures[:SHOWN], texts[:SHOWN], scales, limits)
    settings = {"captions": captions, "steps": steps, "heads": HEADS, "strength": 1.0}
    return {"settings": settings, "rows": rows, "sheet": str(drawn)}


def sheet(
    file: Path,
    made: dict[tuple[str, float, float], torch.Tensor],
    plain: torch.Tensor,
    texts: Sequence[str],
    scales: Sequence[float],
    limits: Sequence[float],
) -> None:
    """A row for each caption, head set and limit, a column for each scale, the unguided picture before them."""
    from demo.sheet import draw

    with tempfile.TemporaryDirectory() as folder:

        def saved(image: torch.Tensor) -> str:
            path = Path(folder) / f"{len(list(Path(folder).iterdir()))}.png"
            Image.fromarray((image * 255).round().byte().numpy()).save(path)
            return str(path)

        rows = [
            {
                "label": [heads, f"limit {limit:g}" if limit else "no limit", *text.split(", ")[:2]],
                "pictures": [saved(plain[i]), *(saved(made[heads, limit, scale][i]) for scale in scales)],
            }
            for i, text in enumerate(texts)
            for heads in HEADS
            for limit in limits
        ]
        columns = [["unguided", ""], *([f"w = {scale:g}", "in attention"] for scale in scales)]
        title = ["limit: how many times its own length", "a token's output may become in one head, u = 1"]
        file.parent.mkdir(exist_ok=True)
        draw({"path": str(file), "title": title, "columns": columns, "rows": rows})


def table(part: dict[str, Any]) -> str:
    """For the terminal."""
    settings = part["settings"]
    lines = [
        f"in attention, u = 1, over {settings['captions']} held-out captions, {settings['steps']} steps: distortion | warmth x 1000 over "
        "unguided | squared error x 1000 over unguided",
    ]
    scales = list(dict.fromkeys(row["scale"] for row in part["rows"]))
    lines.append(f"{'heads':<12}{'limit':<7}" + "".join(f"w = {scale:g}".ljust(25) for scale in scales))
    keys = dict.fromkeys((row["heads"], row["limit"]) for row in part["rows"])
    for heads, limit in keys:
        own = [row for row in part["rows"] if (row["heads"], row["limit"]) == (heads, limit)]
        cells = [
            f"{row['distortion']:.2f} | {1000 * row['warmth']:+.1f} | {1000 * row['squared_error']:+.2f}" for row in own
        ]
        lines.append(f"{heads:<12}{limit or 'none':<7}" + "".join(cell.ljust(25) for cell in cells))
    return "\n".join([*lines, f"contact sheet: {part['sheet']}"])
