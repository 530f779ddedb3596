"""What members answer, as drawn or written by the tests of votes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from facecrop.labels.space import MASK_TASK
from facecrop.training.predictions import Predictions

CLASSES = len(MASK_TASK)

Write = Callable[[str, str], Path]


def said(
    classes: list[int], name: str = "one", probabilities: NDArray[np.float64] | None = None
) -> Predictions:
    keys = tuple(f"{number}.jpg" for number in range(len(classes)))
    return Predictions(name, keys, MASK_TASK, np.array(classes, np.int64), probabilities)


def certain(rows: NDArray[np.float64], name: str = "one") -> Predictions:
    """Answers that are the most probable class of each row."""
    return said(rows.argmax(axis=1).tolist(), name, rows)


@st.composite
def members(draw: st.DrawFn, most: int = 5) -> list[Predictions]:
    """Draw up to `most` members' probabilities for a few pictures."""
    count, pictures = draw(st.integers(1, most)), draw(st.integers(1, 6))
    shape = (count, pictures, CLASSES)
    raw = draw(hnp.arrays(np.float64, shape, elements=st.floats(0.001, 1)))
    rows = raw / raw.sum(axis=2, keepdims=True)
    return [certain(one, f"m{number}") for number, one in enumerate(rows)]


def writer(folder: Path) -> Write:
    """Return what writes a text to a file of the folder."""

    def put(name: str, text: str) -> Path:
        path = folder / name
        path.write_text(text)
        return path

    return put
