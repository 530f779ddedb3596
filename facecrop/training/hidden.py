"""Pictures without the face, or without the person: to learn what the rest of them tells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecrop.errors import ConfigError
from facecrop.training.settings.train import Hide

_FACE = (0.25, 0.25, 0.25, 0.25)
"""What is hidden to the left of a face box, above, to the right and below, in widths and heights of
it: finders leave out brows or ears, and a mask reaches beyond both."""
_HEAD = (0.4, 0.6, 0.4, 0.0)
"""The same for a head with its hair; below the chin all is hidden, from side to side. Of drawn
people, whose outlines are known, that leaves nothing to be seen; hair can be larger."""
_FEW = 0.02
"""Share of the boxes that may reach beyond the common one on each side."""
_LEAST_VISIBLE = 0.01
"""Of the pictures' area, on average: a model of less is a model of nothing."""


@dataclass(frozen=True, slots=True)
class Cover:
    """What is painted over in N pictures before a network sees them.

    Args:
        boxes: (N, R, 4) int64, x0, y0, x1, y1 in pixels of the input.
        colour: (3,) uint8, what is painted.
        visible: Share of the pictures' area that is left, on average.
    """

    boxes: NDArray[np.int64]
    colour: NDArray[np.uint8]
    visible: float

    def paint(self, pictures: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        """Paint over some of the pictures, in place.

        Args:
            pictures: (n, H, W, 3).
            rows: (n,) which of the N they are.
        """
        for picture, boxes in zip(pictures, self.boxes[rows].tolist(), strict=True):
            for x0, y0, x1, y1 in boxes:
                picture[y0:y1, x0:x1] = self.colour


def make_cover(
    faces: NDArray[np.floating],
    size: tuple[int, int],
    what: Hide,
    colour: NDArray[np.floating],
) -> Cover:
    """Say what is painted over, so that neither the hidden part nor its outline tells anything.

    A box of its own for each picture would tell a model how large the face is, where it is, and
    what the finder made of it, which differs with masks. So one box that hides nearly all faces is
    painted into every picture; only a face that reaches beyond it adds its own. A picture without
    a known face gets the common box alone.

    Args:
        faces: (N, 4) face boxes as fractions of the input, nan where unknown.
        size: Height and width of the input.
        what: `face`: the box, grown by a quarter on each side; `person`: the head with its hair,
            and everything below the chin.
        colour: (3,) in [0, 1].

    Raises:
        ConfigError: No face is known, or next to nothing would be left of the pictures.
    """
    known = np.isfinite(faces).all(axis=1)
    if not known.any():
        raise ConfigError(
            f"input.hide = {what!r} needs to know where faces are, but the recipe looks for none; "
            "preprocess with one that does, such as embedded"
        )
    own = _parts(np.asarray(faces, np.float64), what)
    starts = np.quantile(own[known, :, :2], _FEW, axis=0)
    ends = np.quantile(own[known, :, 2:], 1 - _FEW, axis=0)
    own[~known] = np.concatenate([starts, ends], axis=1)
    own[..., :2] = np.minimum(own[..., :2], starts)
    own[..., 2:] = np.maximum(own[..., 2:], ends)
    height, width = size
    sides = np.array([width, height])
    own[..., :2] = np.clip(np.floor(own[..., :2] * sides), 0, sides)
    own[..., 2:] = np.clip(np.ceil(own[..., 2:] * sides), 0, sides)
    boxes = own.astype(np.int64)
    visible = float(np.mean([_left(one, size) for one in boxes]))
    if visible < _LEAST_VISIBLE:
        raise ConfigError(
            f"input.hide = {what!r} leaves {visible:.1%} of these crops: they show next to nothing "
            "else; crop wider (crop.margin), or hide less"
        )
    return Cover(boxes, np.rint(np.asarray(colour) * 255).astype(np.uint8), visible)


def _parts(faces: NDArray[np.float64], what: Hide) -> NDArray[np.float64]:
    """Return the hidden parts of each picture by its own face, (N, R, 4), uncut; nan if unknown."""
    grown = _FACE if what == "face" else _HEAD
    extent = faces[:, 2:] - faces[:, :2]
    start = faces[:, :2] - extent * grown[:2]
    end = faces[:, 2:] + extent * grown[2:]
    if what == "face":
        return np.concatenate([start, end], axis=1)[:, None]
    whole = np.ones(len(faces))
    head = np.stack([start[:, 0], start[:, 1], end[:, 0], whole], axis=1)
    below = np.stack([0 * whole, faces[:, 3], whole, whole], axis=1)
    return np.stack([head, below], axis=1)


def _left(boxes: NDArray[np.int64], size: tuple[int, int]) -> float:
    """Return the share of a picture that its boxes, (R, 4), leave to be seen."""
    seen = np.ones(size, bool)
    for x0, y0, x1, y1 in boxes.tolist():
        seen[y0:y1, x0:x1] = False
    return float(seen.mean())
