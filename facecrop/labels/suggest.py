"""Where a model sees the border between age groups, from its out-of-fold predictions of age."""

from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facecrop.errors import ConfigError, TableError
from facecrop.labels.ages import OFFICIAL

NEEDED = ("path", "part", "target_age", "pred_age")
PREDICTIONS = "predictions.parquet"

_STEP = 0.5
_AROUND = 8
"""Cuts are tried every half year, up to eight years on either side of the true border."""

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 260, 44, 34
_BELOW, _ABOVE, _LINE = "#4a7fb5", "#d9822b", "#444444"


@dataclass(frozen=True, slots=True)
class Cut:
    """What happens if predicted ages from `cut` on count as the older side.

    Args:
        cut: Years.
        called_older: Records on or above the cut.
        missed: Records that are on the older side in truth and are called younger.
        false: Records that are on the younger side in truth and are called older.
        labelled_older: Records whose labelled age is on or above the cut: the size of the older
            side under an age policy with this cut.
    """

    cut: float
    called_older: int
    missed: int
    false: int
    labelled_older: int

    @property
    def errors(self) -> int:
        """Records on the wrong side."""
        return self.missed + self.false


@dataclass(frozen=True, slots=True)
class Border:
    """Where a model sees one border between two age groups.

    Args:
        true_age: The official border, years.
        seen_age: The predicted age at which as many errors are made on either side, years.
        best: The cut with the fewest errors in all.
        cuts: All cuts that were tried, rising.
        ages: (N,) float, labelled ages.
        predicted: (N,) float, predicted ages.
    """

    true_age: int
    seen_age: float
    best: Cut
    cuts: tuple[Cut, ...]
    ages: npt.NDArray[np.float64]
    predicted: npt.NDArray[np.float64]


def find_run(out: Path, run: str | None) -> Path:
    """Return the folder of the run to learn from: the one named, or the only one.

    Raises:
        ConfigError: There is none with predictions, or several and none was named.
    """
    runs = sorted(path.parent for path in (out / "runs").glob(f"*/{PREDICTIONS}"))
    names = [path.name for path in runs]
    if run is not None and run not in names:
        known = f"runs with predictions: {', '.join(names)}" if names else "no run has any"
        raise ConfigError(f"{out / 'runs' / run} has no predictions; {known}")
    if not names:
        raise ConfigError(
            f"{out} has no run to learn from; first: facecrop train {out}, with an age head"
        )
    if run is None and len(names) > 1:
        raise ConfigError(f"several runs have predictions; choose one: {', '.join(names)}")
    return out / "runs" / (run or names[0])


def read_ages(run: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Read labelled and predicted ages of the records that a model had not seen in training.

    Args:
        run: Folder of a run.

    Returns:
        Two (N,) float arrays in years; a record that was predicted several times counts once,
        with the mean.

    Raises:
        ConfigError: The run predicts no age, or holds no out-of-fold prediction.
        TableError: The table cannot be read.
    """
    path = run / PREDICTIONS
    try:
        with pq.ParquetFile(path) as file:
            missing = [name for name in NEEDED if name not in file.schema_arrow.names]
            if missing:
                raise ConfigError(
                    f"{path} has no column {missing[0]!r}: the model has no head that predicts "
                    "age in years; train one with a regression or ordinal age head"
                )
            table = file.read(columns=list(NEEDED))
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
    if not all(_is_number(table.schema.field(name).type) for name in NEEDED[2:]):
        raise ConfigError(f"{path}: target_age and pred_age must be numbers of years")
    table = table.filter(pc.equal(table["part"], "val")).drop_columns("part").drop_null()
    if not table.num_rows:
        raise ConfigError(f"{path} has no out-of-fold prediction of age (rows with part = val)")
    means = table.group_by("path", use_threads=False).aggregate(
        [("target_age", "mean"), ("pred_age", "mean")]
    )
    return means["target_age_mean"].to_numpy(), means["pred_age_mean"].to_numpy()


def border(
    ages: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64], true_age: int
) -> Border:
    """Find where predictions fall that belong to a true border.

    Args:
        ages: (N,) float, labelled ages in years.
        predicted: (N,) float, predicted ages in years.
        true_age: The first year of the older side.

    Raises:
        ConfigError: All records are on one side of the border.
    """
    older = ages >= true_age
    if older.all() or not older.any():
        side = "at least" if older.all() else "below"
        raise ConfigError(f"all {len(ages)} predicted people are {side} {true_age}: no border")
    tried = np.arange(true_age - _AROUND, true_age + _AROUND + _STEP, _STEP)
    cuts = tuple(
        Cut(
            cut=float(cut),
            called_older=int((predicted >= cut).sum()),
            missed=int((older & (predicted < cut)).sum()),
            false=int((~older & (predicted >= cut)).sum()),
            labelled_older=int((ages >= cut).sum()),
        )
        for cut in tried
    )
    # As many are called older as are older: the quantile of the predictions that the true
    # border has among the ages. It does not depend on how the errors are weighed.
    seen = float(np.quantile(predicted, 1 - older.mean()))
    # Of equally good cuts the middle one, so that one lucky record does not decide.
    least = min(cut.errors for cut in cuts)
    good = [cut for cut in cuts if cut.errors == least]
    return Border(true_age, seen, good[len(good) // 2], cuts, ages, predicted)


def borders(ages: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64]) -> list[Border]:
    """Return the borders of the official bins that the records have, the older border last."""
    found = [true for true in OFFICIAL.cuts if ages.min() < true <= ages.max()]
    if not found:
        low, high = ages.min(), ages.max()
        raise ConfigError(f"ages from {low:g} to {high:g} have no border at {OFFICIAL.cuts}")
    return [border(ages, predicted, true) for true in found]


def draw(one: Border, title: str) -> str:
    """Draw predicted ages of both sides, the errors of each cut, and the border, as SVG."""
    low, high = one.cuts[0].cut - 4, one.cuts[-1].cut + 4
    edges = np.arange(low, high + 1)
    older = one.ages >= one.true_age
    sides = [np.histogram(one.predicted[side], edges)[0] for side in (~older, older)]
    tallest = max(1, *(int(side.max()) for side in sides))
    most = max(1, *(cut.errors for cut in one.cuts))

    def x(age: float) -> float:
        return _LEFT + (age - low) / (high - low) * (_WIDTH - _LEFT - 10)

    def y(fraction: float) -> float:
        return _HEIGHT - _BOTTOM - fraction * (_HEIGHT - _BOTTOM - 30)

    parts = [f'<text x="{_LEFT}" y="16" font-weight="bold">{escape(title)}</text>']
    half = (x(1) - x(0)) / 2
    for number, (side, colour) in enumerate(zip(sides, (_BELOW, _ABOVE), strict=True)):
        for edge, count in zip(edges, side, strict=False):
            top = y(count / tallest)
            parts.append(
                f'<rect x="{x(edge) + number * half:.1f}" y="{top:.1f}" width="{half - 0.5:.1f}" '
                f'height="{y(0) - top:.1f}" fill="{colour}"/>'
            )
    points = " ".join(f"{x(cut.cut):.1f},{y(cut.errors / most):.1f}" for cut in one.cuts)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{_LINE}" stroke-width="2"/>')
    for age, dash, label in (
        (float(one.true_age), "2 3", f"true {one.true_age}"),
        (one.seen_age, "", f"seen {one.seen_age:.1f}"),
    ):
        parts.append(
            f'<line x1="{x(age):.1f}" x2="{x(age):.1f}" y1="24" y2="{y(0):.1f}" '
            f'stroke="{_LINE}" stroke-dasharray="{dash}"/>'
            f'<text x="{x(age) + 3:.1f}" y="{34 + 12 * bool(dash)}">{label}</text>'
        )
    parts += [
        f'<text x="{x(age):.1f}" y="{y(0) + 14:.1f}" text-anchor="middle">{age:g}</text>'
        for age in edges[::4]
    ]
    parts.append(
        f'<text x="{_LEFT}" y="{_HEIGHT - 4}">predicted age; <tspan fill="{_BELOW}">younger than '
        f'{one.true_age}</tspan>, <tspan fill="{_ABOVE}">{one.true_age} or older</tspan>, '
        f"line: wrong side by cut (highest {most:,})</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        + "".join(parts)
        + "</svg>\n"
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))
