"""The pictures: an emoji x an art style x a background x a tint. A caption defines its picture exactly.

Emoji art comes from two npm packages, the same concepts drawn by two studios; licences in demo/LICENSES.md.
"""

import json
import subprocess
import tarfile
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .host import WORK

SIZE = 128  # pixels, both ways
EMOJI = 112  # pixels of the emoji inside the picture
VERSION = "16.0.0"
ARTS = ("google", "twitter")
BACKGROUNDS = {
    "white": (0.97, 0.97, 0.97),
    "blue": (0.45, 0.65, 0.95),
    "green": (0.50, 0.80, 0.50),
    "pink": (0.97, 0.65, 0.80),
    "yellow": (0.98, 0.88, 0.45),
    "purple": (0.65, 0.50, 0.85),
}
TINTS = ("", "warm", "cool", "dark", "grey")  # "" is the picture's own colours
PICTURES_PER_EMOJI = 8  # of the 30 combinations of background and tint, what the SD3 sees of one emoji in one style

GROUPS = """food-prepared food-vegetable food-fruit food-asian food-sweet drink plant-other plant-flower
animal-mammal animal-reptile animal-marine animal-bug animal-bird animal-amphibian cat-face face-costume face-glasses
face-smiling face-hat heart sky&weather transport-ground transport-air transport-water place-geographic sport
musical-instrument""".split()
LEFT_OUT = set(
    """new_moon waxing_crescent_moon first_quarter_moon moon waning_gibbous_moon last_quarter_moon waning_crescent_moon
    new_moon_with_face first_quarter_moon_with_face last_quarter_moon_with_face sunny partly_sunny_rain barely_sunny
    bullettrain_front railway_car train light_rail tram metro oncoming_bus oncoming_taxi oncoming_police_car
    oncoming_automobile trolleybus vertical_traffic_light suspension_railway mountain_cableway aerial_tramway
    airplane_departure airplane_arriving motorized_wheelchair manual_wheelchair oil_drum motorway railway_track seat
    field_hockey_stick_and_ball ice_hockey_stick_and_puck running_shirt_with_sash umbrella_on_ground
    thunder_cloud_and_rain heart_decoration broken_heart heartbeat love_letter revolving_hearts
    heavy_heart_exclamation_mark_ornament hankey ear_of_rice empty_nest milky_way stars construction busstop feet
    goal_net wind_blowing_face""".split()
)


@dataclass(frozen=True)
class Caption:
    """What a picture shows. `tint` is "" for the picture's own colours."""

    concept: str
    art: str
    tint: str
    background: str

    @property
    def text(self) -> str:
        """'fox face, google style, warm, blue background'"""
        words = (self.concept, f"{self.art} style", self.tint, f"{self.background} background")
        return ", ".join(word for word in words if word)


def fetch() -> None:
    """Downloads both emoji sets with npm into demo/.train/, once (136 MB)."""
    WORK.mkdir(exist_ok=True)
    for art in ARTS:
        package = f"emoji-datasource-{art}"
        if (WORK / art / "package" / "emoji.json").exists():
            continue
        archive = WORK / f"{package}-{VERSION}.tgz"
        if not archive.exists():
            subprocess.run(["npm", "pack", f"{package}@{VERSION}"], cwd=WORK, check=True)
        with tarfile.open(archive) as tar:
            wanted = [
                m for m in tar if f"/img/{art}/64/" in m.name or m.name in ("package/emoji.json", "package/LICENSE")
            ]
            tar.extractall(WORK / art, members=wanted, filter="data")


@cache
def emoji_files() -> dict[str, str]:
    """Concept -> file name, sorted: single code points that both sets draw, in groups of recognisable things."""
    table = json.loads((WORK / ARTS[0] / "package" / "emoji.json").read_text())
    files = {}
    for row in table:
        single = "-" not in row["unified"].removesuffix("-FE0F")
        both = all(row[f"has_img_{art}"] for art in ARTS)
        plain = not any(c.isdigit() for c in row["short_name"]) and row["short_name"] not in LEFT_OUT
        if single and both and plain and row["subcategory"].replace(" ", "") in GROUPS:
            files[row["short_name"].replace("_", " ")] = row["image"]
    return dict(sorted(files.items()))


@cache
def sprites() -> dict[tuple[str, str], torch.Tensor]:
    """(concept, art) -> premultiplied RGBA [4, 128, 128] in 0..1, scaled with Lanczos and centred."""
    out = {}
    for (concept, file), art in product(emoji_files().items(), ARTS):
        path = WORK / art / "package" / "img" / art / "64" / file
        image = np.asarray(Image.open(path).convert("RGBA"), dtype=np.float32) / 255
        image[..., :3] *= image[..., 3:]
        planes = [Image.fromarray(image[..., c]).resize((EMOJI, EMOJI), Image.Resampling.LANCZOS) for c in range(4)]
        edge = (SIZE - EMOJI) // 2
        picture = torch.zeros(4, SIZE, SIZE)
        picture[:, edge : edge + EMOJI, edge : edge + EMOJI] = torch.from_numpy(
            np.stack([np.asarray(p) for p in planes])
        )
        out[concept, art] = picture.clamp(0, 1)
    return out


def tinted(rgb: torch.Tensor, tint: str) -> torch.Tensor:
    """Applies a tint to [3, H, W] in 0..1."""
    if tint == "grey":
        return (rgb * torch.tensor([0.299, 0.587, 0.114])[:, None, None]).sum(0, keepdim=True).expand(3, -1, -1)
    gain = {"": (1, 1, 1), "warm": (1.08, 0.92, 0.62), "cool": (0.68, 0.92, 1.12), "dark": (0.4, 0.4, 0.45)}[tint]
    return (rgb * torch.tensor(gain, dtype=torch.float32)[:, None, None]).clamp(0, 1)


@cache
def backdrop(background: str) -> torch.Tensor:
    """The background, [3, 128, 128]: its colour at the top, a fifth darker at the bottom."""
    shade = torch.linspace(1.0, 0.8, SIZE)[None, :, None]
    return (torch.tensor(BACKGROUNDS[background])[:, None, None] * shade).expand(3, SIZE, SIZE).contiguous()


def picture(caption: Caption) -> torch.Tensor:
    """The real picture of a caption: [3, 128, 128] in 0..1."""
    sprite = sprites()[caption.concept, caption.art]
    return tinted(sprite[:3] + backdrop(caption.background) * (1 - sprite[3:]), caption.tint)


def captions() -> list[Caption]:
    """Every caption there is, in a fixed order."""
    return [Caption(*c) for c in product(emoji_files(), ARTS, TINTS, BACKGROUNDS)]


def held_out(caption: Caption) -> bool:
    """True for the tenth of all captions that no training run sees (their parts are seen in other captions)."""
    return zlib.crc32(caption.text.encode()) % 10 == 0


@cache
def training_captions() -> list[Caption]:
    """What the SD3 trains on: 8 combinations of background and tint for each emoji in each style."""
    chosen: dict[tuple[str, str], list[Caption]] = {}
    for caption in captions():
        if not held_out(caption):
            chosen.setdefault((caption.concept, caption.art), []).append(caption)
    return [c for group in chosen.values() for c in sorted(group, key=_shuffle)[:PICTURES_PER_EMOJI]]


def _shuffle(caption: Caption) -> int:
    return zlib.crc32(f"train {caption.text}".encode())


def sheet(pictures: torch.Tensor, columns: int, path: Path) -> None:
    """Saves [N, 3, H, W] in 0..1 as one PNG, row by row."""
    count, _, height, width = pictures.shape
    rows = -(-count // columns)
    canvas = torch.ones(3, rows * height, columns * width)
    for i, tile in enumerate(pictures):
        y, x = divmod(i, columns)
        canvas[:, y * height : (y + 1) * height, x * width : (x + 1) * width] = tile
    Image.fromarray((canvas.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()).save(path, optimize=True)
