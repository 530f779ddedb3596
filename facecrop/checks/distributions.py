"""How measured numbers are spread, and where faces lie in their pictures."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_QUANTILES = (0, 1, 5, 25, 50, 75, 95, 99, 100)
_BINS = 40
_GRID = 24


@dataclass(frozen=True, slots=True)
class Spread:
    """How numbers are spread.

    Args:
        count: How many are known.
        quantiles: Percent -> value.
        edges: Of the bins of the histogram, from the 1 % to the 99 % quantile; what lies beyond
            is counted in the outermost bins.
        counts: Numbers in each bin.
    """

    count: int
    quantiles: dict[str, float]
    edges: list[float]
    counts: list[int]


def spread(values: pa.ChunkedArray) -> Spread:
    """Return how numbers are spread; nulls are left out."""
    numbers = values.drop_null().to_numpy().astype(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return Spread(0, {}, [], [])
    found = np.percentile(numbers, _QUANTILES)
    low, high = found[_QUANTILES.index(1)], found[_QUANTILES.index(99)]
    edges = np.linspace(low, high, _BINS + 1) if high > low else np.array([low - 0.5, low + 0.5])
    counts, _ = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)
    quantiles = {
        f"{percent}": round(float(one), 3) for percent, one in zip(_QUANTILES, found, strict=True)
    }
    return Spread(
        len(numbers), quantiles, [round(edge, 4) for edge in edges.tolist()], counts.tolist()
    )


def face_places(index: pa.Table) -> dict[str, Any]:
    """Return where face boxes lie, as shares of width and height of the source.

    Args:
        index: (N,) rows with width, height and the face box.

    Returns:
        `count`; `quantiles` of x0, y0, x1, y1, width and height; `grid`, how many boxes have
        their centre in each cell of a grid, rows from top to bottom.
    """
    seen = pc.and_(pc.is_valid(index["face_x0"]), pc.greater(index["width"], 0))
    rows = index.filter(seen)
    size = {side: rows[side].to_numpy().astype(np.float64) for side in ("width", "height")}
    box = {
        side: rows[f"face_{side}"].to_numpy() / size["width" if side[0] == "x" else "height"]
        for side in ("x0", "y0", "x1", "y1")
    }
    box |= {"width": box["x1"] - box["x0"], "height": box["y1"] - box["y0"]}
    if not rows.num_rows:
        return {"count": 0, "quantiles": {}, "grid": []}
    x, y = (box["x0"] + box["x1"]) / 2, (box["y0"] + box["y1"]) / 2
    cells = [np.clip((part * _GRID).astype(int), 0, _GRID - 1) for part in (y, x)]
    grid = np.zeros((_GRID, _GRID), np.int64)
    np.add.at(grid, tuple(cells), 1)
    quantiles = {
        side: {
            f"{percent}": round(float(value), 4)
            for percent, value in zip(_QUANTILES, np.percentile(part, _QUANTILES), strict=True)
        }
        for side, part in box.items()
    }
    return {"count": rows.num_rows, "quantiles": quantiles, "grid": grid.tolist()}
