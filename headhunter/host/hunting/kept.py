"""Pictures that a study keeps."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from ...study import Study, StudyError
from ..generation.pictures import from_bytes


def kept_picture(study: Study, heads: str, pair: int) -> Tensor | None:
    """The picture [H, W, 3] of a set on a pair; None where the study has none. StudyError where it cannot be read."""
    data = study.picture(heads, pair)
    if data is None:
        return None
    try:
        return from_bytes(data)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise StudyError(
            f"{study.path.name} is damaged: its picture of {heads or 'no heads'} on pair {pair} cannot be read ({error})"
        ) from error
