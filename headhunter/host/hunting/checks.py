"""What is refused before the first picture, since the pictures would be the unguided ones."""

from __future__ import annotations

from collections.abc import Iterable

from ...guidance import Group
from ...heads import HeadSet


def check_acts(group: Group, sets: Iterable[HeadSet], name: str) -> None:
    """ValueError where a scale or strength of 0 makes one of the sets do nothing; `name`: the input they come from."""
    if group.scale == 0:
        raise ValueError("scale is 0, so every picture would be the unguided one: set another scale")
    for heads in sets:
        bare = next((head for head, own in heads.items() if own is None), None)
        if group.strength == 0 and bare is not None:
            raise ValueError(
                f"strength is 0, and {bare} in {name} has no strength of its own: set another strength, or write {bare}@0.5"
            )
        if heads and not group.strengths(heads):
            first = next(iter(heads))
            raise ValueError(f"{name}: {heads.item(first)} changes nothing; give it a strength other than 0")
