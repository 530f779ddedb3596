"""Pictures of a training: its curves over the epochs, and which classes it confuses."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from facecrop.index import write_atomic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANELS = (
    ("loss", ("train_loss", "val_loss")),
    ("macro-F1", ("f1", "official_f1")),
    ("accuracy", ("accuracy", "official_accuracy")),
    ("learning rate", ("lr",)),
)
_DPI = 110
_DARK = 0.5
"""Share of a row above which a cell is so dark that its number is written in white."""


def draw_curves(rows: Sequence[Mapping[str, float]], best: int, file: Path) -> None:
    """Draw what each epoch measured; epochs are counted from 1, as people do.

    Args:
        rows: Of `metrics.csv`.
        best: The epoch whose weights are kept, marked; -1: none yet.
        file: A PNG; the same rows give the same picture.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import
    from matplotlib.ticker import MaxNLocator  # noqa: PLC0415 - likewise

    figure = Figure(figsize=(11, 6.5))
    figure.subplots_adjust(left=0.07, right=0.98, bottom=0.08, top=0.95, hspace=0.32, wspace=0.18)
    panels = [
        (title, [name for name in names if any(name in row for row in rows)])
        for title, names in _PANELS
    ]
    for place, (title, names) in enumerate(panels, start=1):
        axes = figure.add_subplot(2, 2, place)
        for name in names:
            points = [(row["epoch"] + 1, row[name]) for row in rows if name in row]
            axes.plot(*zip(*points, strict=True), marker=".", label=name.replace("_", " "))
        if best >= 0:
            axes.axvline(best + 1, color="0.6", linestyle=":", label=f"kept: epoch {best + 1}")
        axes.set_title(title, loc="left")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("epoch")
        axes.grid(alpha=0.25)
        axes.legend(frameon=False)
    _write(figure, file)


def draw_confusion(counts: NDArray[np.int64], names: Sequence[str], file: Path) -> None:
    """Draw a confusion matrix: a row for each true class, shaded by its shares.

    Args:
        counts: (C, C), true class x predicted class.
        names: (C,) of the classes.
        file: A PNG.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    side = 2.5 + 0.45 * len(names)
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if shares[row, column] > _DARK else "black"
        axes.text(
            column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=7,
            color=colour,
        )  # fmt: skip
    places = range(len(names))
    axes.set_xticks(places, names, rotation=90, fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    _write(figure, file)


def _write(figure: "Figure", file: Path) -> None:
    # Without the version of the software: the same numbers give the same bytes.
    write_atomic(
        file,
        lambda temporary: figure.savefig(
            temporary, format="png", dpi=_DPI, metadata={"Software": None}
        ),
    )
