"""The numbers of a dataset as one page that opens anywhere: no network, no other file."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from markupsafe import Markup

from facecrop.commands.pages import environment, style
from facecrop.commands.stats.charts import WIDE, Mark, Series, bars, heat, histogram
from facecrop.commands.stats.command import Stats, Summary
from facecrop.errors import StoreError
from facecrop.index import AGE_GROUPS, GENDERS, MASKS, write_atomic
from facecrop.labels.tallies import axis_imbalance, imbalance

_STYLES = ("one", "two")
_TICK = 5
"""Years between the numbers below the histogram of ages."""
_NUMBERS = {
    "width": "Width of the sources, pixels",
    "height": "Height of the sources, pixels",
    "brightness": "Brightness (mean luma)",
    "sharpness": "Sharpness (variance of the Laplacian)",
}
_CLASSES = [
    f"{mask} · {gender} · {group}" for mask in MASKS for gender in GENDERS for group in AGE_GROUPS
]


def write_page(stats: Stats, file: Path) -> None:
    """Write the page; the same numbers give the same bytes.

    Args:
        stats: What it shows.
        file: Where it goes.

    Raises:
        StoreError: The folder does not exist or cannot be written.
    """
    page = render_page(stats)
    try:
        write_atomic(file, lambda path: path.write_text(page, encoding="utf-8"))
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from None


def render_page(stats: Stats) -> str:
    """Return the page as HTML."""
    data = json.dumps(stats.as_json(), sort_keys=True).replace("<", "\\u003c")
    template = environment(trim=True).get_template("stats.html")
    return template.render(
        style=style("stats.css"),
        data=Markup(data),  # noqa: S704 - JSON without a "<"
        datasets=stats.datasets,
        names=_CLASSES,
        cells=[f"{gender} {group}" for gender in GENDERS for group in AGE_GROUPS],
        sections=[_section(summary) for summary in stats.datasets],
        numbers=_numbers(stats),
        beside=stats.side_by_side(),
        styles=_STYLES,
        imbalance=imbalance,
    )


def _section(summary: Summary) -> dict[str, Any]:
    active = summary.tallies[0]
    return {
        "summary": summary,
        "classes": bars(
            f"Kept images of each class under {active.policy}",
            list(zip(_CLASSES, active.images, strict=True)),
            WIDE,
        ),
        "ages": _ages(summary),
        "axes": [
            (
                axis,
                bars(f"Kept images by {axis}", list(counts.items())),
                axis_imbalance(counts),
            )
            for axis, counts in summary.axes["all"].items()
        ],
        "faces": _faces(summary),
    }


def _ages(summary: Summary) -> Markup | None:
    if not summary.ages:
        return None
    first, last = summary.ages[0][0], summary.ages[-1][0]
    by_age = dict(summary.ages)
    every = [by_age.get(age, [0, 0, 0]) for age in range(first, last + 1)]
    series = [
        Series(name, [row[place] for row in every], style)
        for place, (name, style) in enumerate(
            [("male", "one"), ("female", "two"), ("unknown", "three")]
        )
    ]
    active = summary.tallies[0]
    marks = [Mark(cut, f"from {cut}") for cut in active.cuts if first < cut <= last]
    shaded = [(age, age + 1) for age in active.drop if first <= age <= last]
    return histogram(
        f"People by age, {first} to {last}, with the cuts of {active.policy}",
        [float(age) for age in range(first, last + 2)],
        series,
        width=WIDE,
        ticks=[age for age in range(first, last + 1) if age % _TICK == 0],
        stacked=True,
        marks=marks,
        shaded=shaded,
    )


def _faces(summary: Summary) -> Markup | None:
    places = summary.faces["quantiles"]
    if not places:
        return None
    box = [places[side]["50"] for side in ("x0", "y0", "x1", "y1")]
    return heat(
        "Centres of face boxes in their pictures, and the median box", summary.faces["grid"], box
    )


def _numbers(stats: Stats) -> list[tuple[str, str, Markup | None]]:
    """Return name, title and chart of each measured number; two datasets share a chart."""
    result: list[tuple[str, str, Markup | None]] = []
    for name, title in _NUMBERS.items():
        spreads = [summary.numbers[name] for summary in stats.datasets]
        known = [one for one in spreads if one.count]
        if not known:
            result.append((name, title, None))
            continue
        edges = known[0].edges
        if len(known) > 1:
            low, high = min(one.edges[0] for one in known), max(one.edges[-1] for one in known)
            step = (high - low) / len(known[0].counts)
            edges = [low + step * place for place in range(len(known[0].counts) + 1)]
        series = [
            Series(summary.name, _rebinned(one.edges, one.counts, edges), _STYLES[place])
            for place, (summary, one) in enumerate(zip(stats.datasets, spreads, strict=True))
            if one.count
        ]
        result.append((name, title, histogram(title, edges, series)))
    return result


def _rebinned(old: list[float], counts: list[int], new: list[float]) -> list[float]:
    """Spread the counts of bins over other bins, each evenly over its width."""
    if old == new:
        return [float(count) for count in counts]
    result = [0.0] * (len(new) - 1)
    for low, high, count in zip(old, old[1:], counts, strict=False):
        for place, (start, end) in enumerate(pairwise(new)):
            shared = min(high, end) - max(low, start)
            if shared > 0:
                result[place] += count * shared / (high - low)
    return result
