"""What a model family says of itself: everything that the pack needs to know of one kind of transformer.

A family is one file in this folder, with a subclass of `Family` and its instance `FAMILY`. It is found by itself: no other
file of the pack names it. Nothing here imports ComfyUI; classes are told by their dotted names, so that a host without
them is no error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ..grid import Grid, GridError, Segment

Shapes = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Run:
    """A run of layers of one kind.

    kind: how people call such a block. blocks: the transformer's list of them. hook: the name by which the host's loop asks
    for replacements (`patches_replace["dit"][(hook, i)]`), or "" where it never asks; the blocks' `forward` is then wrapped
    for the length of one evaluation. letter: what numbers them by themselves in head text (FLUX: D and S).
    """

    kind: str
    blocks: str
    hook: str = ""
    letter: str = ""


@dataclass(frozen=True)
class Size:
    """A size that has a name. `counts`: layers of each run; `label`: as people write it, where the page offers it."""

    id: str
    counts: tuple[int, ...]
    heads: int
    label: str = ""


@dataclass(frozen=True)
class Files:
    """The keys of a file that holds such a model, after any prefix.

    blocks: for each run the pattern of a key that every block has, with its number as the first group. width: a key of
    which size `axis` of `dimensions` is the transformer's width. head_size: a number, or the key of a norm of that length.
    needs, without: beginnings of keys that must, or must not, be there.
    """

    blocks: tuple[str, ...]
    width: str
    head_size: int | str
    dimensions: int = 2
    axis: int = 0
    needs: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


class Family:
    """One kind of transformer. Subclasses set the class attributes, and override a method where the default is wrong."""

    name: ClassVar[str]
    """As people write it."""
    prefix: ClassVar[str]
    """Of the ids of sizes that have no name: `<prefix>-<layers>x<heads>`, with several runs `<prefix>-<a>+<b>x<heads>`."""
    classes: ClassVar[tuple[str, ...]]
    """Dotted names of the host's classes."""
    runs: ClassVar[tuple[Run, ...]]
    sizes: ClassVar[tuple[Size, ...]] = ()
    files: ClassVar[tuple[Files, ...]] = ()
    cross_attention: ClassVar[bool] = False
    """The text is not in the joint sequence, but comes by an attention of its own, which stays as it is."""

    indexed: ClassVar[bool] = False
    """Its attention is not given what a block is given: it is reached by the block's number in the transformer options, no
    block is replaced, and the picture's rows alone are perturbed, whose attention is one call in each block."""

    # The loaded transformer.

    def heads(self, network: Any) -> int:
        """Heads in every layer."""
        return network.num_heads

    def width(self, network: Any) -> int:
        """Numbers in a token."""
        return network.hidden_size

    def patch(self, network: Any) -> tuple[int, ...]:
        """Latent pixels of a token: (height, width), or (frames, height, width)."""
        size = network.patch_size
        return tuple(size) if isinstance(size, (tuple, list)) else (size, size)

    def image_rows(self, network: Any, total: int, text: int | None, picture: int) -> slice:
        """The picture's own tokens in a joint sequence of `total`, without references and padding.

        text: how many text tokens the block was told of, None where it was told nothing. picture: tokens of the latent.
        """
        start = text or 0
        return slice(start, start + picture)

    def joint_length(self, picture: int, context: Any, conds: Mapping[str, Any]) -> int:
        """Tokens that the picture's rows attend over, where blocks do not tell (`indexed`).

        context: the text [B, L, D]; conds: what else the host hands the transformer.
        """
        return picture + context.shape[1]

    def run_block(self, block: Any, args: dict[str, Any]) -> dict[str, Any] | None:
        """Run a block for a gradient where the host's own call does not do; None where it does."""
        return None

    def grid(self, network: Any) -> Grid:
        """The grid of a loaded transformer."""
        counts = tuple(len(getattr(network, run.blocks)) for run in self.runs)
        return self.grid_of_size(counts, self.heads(network), (name for name, _ in network.named_parameters()))

    # Its sizes and files.

    def grid_of_size(self, counts: tuple[int, ...], heads: int, names: Iterable[str] = ()) -> Grid:
        """The grid of so many layers in each run and heads in each layer. `names`: of its weights."""
        segments = tuple(
            Segment(run.kind, count, run.letter) for run, count in zip(self.runs, counts, strict=True) if count
        )
        return Grid(self.model_id(counts, heads, names), segments, heads)

    def model_id(self, counts: tuple[int, ...], heads: int, names: Iterable[str]) -> str:
        """The architecture id (docs/design.md)."""
        for size in self.sizes:
            if (size.counts, size.heads) == (counts, heads):
                return size.id
        return f"{self.prefix}-{'+'.join(map(str, counts))}x{heads}"

    def grid_of_file(self, shapes: Shapes) -> Grid | None:
        """The grid of a file's tensor names and shapes; None where it holds no such model, GridError where it is broken."""
        for files in self.files:
            grid = self._grid_of_file(files, shapes)
            if grid is not None:
                return grid
        return None

    def _grid_of_file(self, files: Files, shapes: Shapes) -> Grid | None:
        first = _numbered(shapes, files.blocks[0], None)
        if first is None:
            return None
        prefix, count = first
        if any(_begins(shapes, prefix + start) for start in files.without):
            return None
        if not all(_begins(shapes, prefix + start) for start in files.needs):
            return None
        counts = [count]
        for pattern in files.blocks[1:]:
            numbered = _numbered(shapes, pattern, prefix)
            counts.append(numbered[1] if numbered else 0)
        width = _shape(shapes, prefix + files.width, files.dimensions)[files.axis]
        size = files.head_size
        if isinstance(size, str):
            size = _norm(shapes, re.escape(prefix) + size)
        names = (name[len(prefix) :] for name in shapes if name.startswith(prefix))
        return self.grid_of_size(tuple(counts), _heads(width, size), names)


def _begins(shapes: Shapes, start: str) -> bool:
    return any(name.startswith(start) for name in shapes)


def _numbered(shapes: Shapes, pattern: str, prefix: str | None) -> tuple[str, int] | None:
    """The prefix before the numbered blocks that match (or the one given), and how many there are; None for none."""
    by_prefix: dict[str, set[int]] = {}
    compiled = re.compile((r"((?:.*\.)?)" if prefix is None else f"({re.escape(prefix)})") + pattern)
    for name in shapes:
        match = compiled.fullmatch(name)
        if match:
            by_prefix.setdefault(match.group(1), set()).add(_number(match.group(2)))
    if not by_prefix:
        return None
    best, numbers = max(by_prefix.items(), key=lambda item: len(item[1]))
    if numbers != set(range(len(numbers))):
        raise GridError(f"its blocks are not numbered 0..{len(numbers) - 1} without gaps")
    return best, len(numbers)


def _number(text: str) -> int:
    if len(text) > 4 or (len(text) > 1 and text[0] == "0"):
        raise GridError(f"{text[:12]} is not the number of a block")
    return int(text)


def _norm(shapes: Shapes, pattern: str) -> int:
    compiled = re.compile(pattern)
    for name in shapes:
        if compiled.fullmatch(name):
            return _shape(shapes, name, 1)[0]
    raise GridError("no norm in it tells the size of its heads")


def _shape(shapes: Shapes, name: str, dimensions: int) -> Sequence[int]:
    shape = shapes.get(name)
    if shape is None or len(shape) != dimensions or (dimensions == 2 and shape[1] == 1):
        raise GridError(
            f"{name} should have {dimensions} dimensions, but is {shape and list(shape)} (is the file quantised?)"
        )
    return shape


def _heads(width: int, head_size: int) -> int:
    if head_size < 1 or width < 1 or width % head_size:
        raise GridError(f"its width {width} is not a whole number of heads of size {head_size}")
    return width // head_size
