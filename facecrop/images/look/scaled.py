"""How far a picture may be reduced before models look at it: never below what they see anyway."""

from collections.abc import Sequence
from typing import cast

from facecrop.config import Settings, fingerprint
from facecrop.images.look.quality import SEEN
from facecrop.images.look.settings import FinderSettings

SCALED_VERSION = 1
"""Raised when equal finders would have a picture reduced by another number."""

_REDUCTIONS = (8, 4, 2)
"""What libjpeg-turbo divides by with instructions of its own; the rest it does pixel by pixel."""


def reduction(finders: Sequence[FinderSettings], height: int, width: int) -> int:
    """Return by what the sides of a picture are divided before models look at it: 1, 2, 4 or 8.

    Args:
        finders: All that may be shown the whole picture: what is decoded once is for all of them,
            also for those that this picture will not need.
        height: Of the picture, upright.
        width: Likewise.
    """
    for reduced in _REDUCTIONS:
        if max(height, width) // reduced >= SEEN and all(
            suffices(finder, height, width, reduced) for finder in finders
        ):
            return reduced
    return 1


def suffices(finder: FinderSettings, height: int, width: int, reduced: int) -> bool:
    """Tell whether a view is as large as the model's own input still when it is reduced.

    Args:
        finder: Whose model.
        height: Of the view, in pixels of the whole picture.
        width: Likewise.
        reduced: By what its sides are divided.
    """
    seen = finder.sees(height, width)
    return seen is not None and seen[0] <= height // reduced and seen[1] <= width // reduced


def key(finders: Sequence[FinderSettings]) -> str:
    """Return what identifies how pictures are reduced for these finders."""
    who = sorted(
        fingerprint(one.name, one.version, cast("Settings", one), without=("choose",))
        for one in finders
    )
    return "\n".join([str(SCALED_VERSION), *who])
