"""Charts as inline SVG: bars, histograms and a map, in colours that the page's style decides."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDE, NARROW = 1160, 380
"""Widths of charts, in pixels where the page is as wide as it gets: over all columns, or in one."""
_HEIGHT, _LEFT, _BOTTOM, _TOP = 220, 48, 26, 12


@dataclass(frozen=True, slots=True)
class Series:
    """One row of a chart.

    Args:
        name: What the legend calls it.
        values: Its heights.
        style: Class of its bars in the style sheet.
    """

    name: str
    values: Sequence[float]
    style: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A line across a histogram.

    Args:
        at: Where, on the x axis.
        text: What stands beside it.
    """

    at: float
    text: str


def histogram(
    title: str,
    edges: Sequence[float],
    series: Sequence[Series],
    *,
    width: int = NARROW,
    ticks: Sequence[float] = (),
    stacked: bool = False,
    marks: Sequence[Mark] = (),
    shaded: Sequence[tuple[float, float]] = (),
) -> Markup:
    """Draw a histogram.

    Args:
        title: What a reader who does not see it is told.
        edges: (B + 1,) borders of the bins.
        series: One or more of B heights each.
        width: `WIDE` or `NARROW`.
        ticks: Where the x axis has numbers; none given: evenly.
        stacked: On top of each other; else side by side, each as a share of its own sum.
        marks: Lines to draw in.
        shaded: Ranges of x to shade.
    """
    heights = [list(one.values) for one in series]
    if not stacked and len(series) > 1:
        heights = [_shares(values) for values in heights]
    columns = list(zip(*heights, strict=True))
    top = max((sum(one) if stacked else max(one) for one in columns), default=0) or 1
    low, high = edges[0], edges[-1]
    scale = (width - _LEFT) / ((high - low) or 1)
    parts = [
        _rect(_LEFT + (start - low) * scale, _TOP, (end - start) * scale, _plot(), "shade")
        for start, end in shaded
    ]
    for place, column in enumerate(columns):
        x, wide = _LEFT + (edges[place] - low) * scale, (edges[place + 1] - edges[place]) * scale
        parts += (
            _stack(x, wide, column, series, top)
            if stacked
            else _beside(x, wide, column, series, top)
        )
    for mark in marks:
        x = _LEFT + (mark.at - low) * scale
        parts.append(
            f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8}" '
            f'y2="{_TOP + _plot():.1f}"/>'
            f'<text class="mark" x="{x - 4:.1f}" y="{_TOP}">{escape(mark.text)}</text>'
        )
    is_share = not stacked and len(series) > 1
    return _chart(
        title,
        [
            *parts,
            *_axis_y(top, width, is_share=is_share),
            *_axis_x(ticks or _even(low, high), low, high, scale),
        ],
        _HEIGHT,
        width,
    )


def _shares(values: Sequence[float]) -> list[float]:
    whole = sum(values) or 1
    return [value / whole for value in values]


def _stack(
    x: float, wide: float, column: Sequence[float], series: Sequence[Series], top: float
) -> list[str]:
    parts, below = [], 0.0
    for one, value in zip(series, column, strict=True):
        height = value / top * _plot()
        y = _TOP + _plot() - below - height
        if value:
            parts.append(
                _rect(x, y, max(wide - 1, 0.5), height, one.style, tip=f"{one.name}: {value:,g}")
            )
        below += height
    return parts


def _beside(
    x: float, wide: float, column: Sequence[float], series: Sequence[Series], top: float
) -> list[str]:
    each = max(wide - 1, 0.5) / len(series)
    return [
        _rect(
            x + place * each,
            _TOP + _plot() - value / top * _plot(),
            each,
            value / top * _plot(),
            one.style,
        )
        for place, (one, value) in enumerate(zip(series, column, strict=True))
        if value
    ]


def bars(title: str, rows: Sequence[tuple[str, int]], width: int = NARROW) -> Markup:
    """Draw lying bars, each with its name and number."""
    line, left = 24, max((8 * len(name) for name, _ in rows), default=0) + 8
    top = max((count for _, count in rows), default=0) or 1
    parts = []
    for place, (name, count) in enumerate(rows):
        y, wide = place * line + 4, (width - left - 70) * count / top
        parts.append(
            f'<text class="name" x="{left - 8}" y="{y + 13}">{escape(name)}</text>'
            f"{_rect(left, y, wide, line - 8, 'one')}"
            f'<text x="{left + wide + 6:.1f}" y="{y + 13}">{count:,}</text>'
        )
    return _chart(title, parts, max(len(rows), 1) * line + 4, width)


def heat(title: str, grid: Sequence[Sequence[int]], box: Sequence[float]) -> Markup:
    """Draw where things lie.

    Args:
        title: As in `histogram`.
        grid: Counts, rows from top to bottom.
        box: x0, y0, x1, y1 of the usual box, as shares of width and height.
    """
    side, n = 288, len(grid) or 1
    top = max((count for row in grid for count in row), default=0) or 1
    cell = side / n
    parts = [_rect(0, 0, side, side, "ground")]
    parts += [
        f'<rect class="heat" x="{x * cell:.1f}" y="{y * cell:.1f}" width="{cell:.2f}" '
        f'height="{cell:.2f}" fill-opacity="{(count / top) ** 0.5:.2f}"/>'
        for y, row in enumerate(grid)
        for x, count in enumerate(row)
        if count
    ]
    x0, y0, x1, y1 = (side * value for value in box)
    parts.append(
        f'<rect class="outline" x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" '
        f'height="{y1 - y0:.1f}"/>'
    )
    return _chart(title, parts, side, side)


def _plot() -> float:
    return _HEIGHT - _TOP - _BOTTOM


def _rect(x: float, y: float, width: float, height: float, style: str, *, tip: str = "") -> str:
    inside = f"<title>{escape(tip)}</title>" if tip else ""
    return (
        f'<rect class="{escape(style)}" x="{x:.1f}" y="{y:.1f}" width="{width:.2f}" '
        f'height="{height:.2f}">{inside}</rect>'
    )


def _axis_y(top: float, width: int, *, is_share: bool) -> list[str]:
    lines = []
    for share in (0, 0.5, 1):
        y = _TOP + _plot() * (1 - share)
        text = f"{top * share:.0%}" if is_share else f"{top * share:,.0f}"
        lines.append(
            f'<line class="grid" x1="{_LEFT}" x2="{width}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="name" x="{_LEFT - 6}" y="{y + 4:.1f}">{text}</text>'
        )
    return lines


def _even(low: float, high: float) -> list[float]:
    steps = 4
    return [low + (high - low) * step / steps for step in range(steps + 1)]


def _axis_x(ticks: Sequence[float], low: float, high: float, scale: float) -> list[str]:
    ends = {low: "start", high: "end"}
    return [
        f'<text x="{_LEFT + (value - low) * scale:.1f}" y="{_HEIGHT - 8}" '
        f'text-anchor="{ends.get(value, "middle")}">{_short(value)}</text>'
        for value in ticks
    ]


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"  # noqa: PLR2004 - two digits


def _chart(title: str, parts: Sequence[str], height: float, width: float) -> Markup:
    body = "".join(parts)
    return Markup(  # noqa: S704 - numbers and escaped text only
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(title)}">'
        f"{body}</svg>"
    )
