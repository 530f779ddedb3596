"""The command line of `facecrop stats`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecrop.cli.console import console, table

if TYPE_CHECKING:
    from rich.console import Console

    from facecrop.commands.stats.command import Stats, Summary


def stats(
    out: Annotated[Path, typer.Argument(help="The dataset.", metavar="OUT", show_default=False)],
    other: Annotated[
        str | None,
        typer.Argument(
            help="A dataset to compare it with, or an age policy.",
            metavar="OTHER",
            show_default=False,
        ),
    ] = None,
    *,
    split: Annotated[str, typer.Option(help="Whose parts are told apart.")] = "default",
    pixels: Annotated[
        bool, typer.Option(help="Read the crops for mean and standard deviation.")
    ] = True,
    html: Annotated[
        Path | None, typer.Option(help="Write a page with charts.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")] = False,
) -> None:
    """Work out the numbers of a dataset, and of another to compare it with."""
    from facecrop.commands.stats import command  # noqa: PLC0415 - keeps --help fast

    found = command.stats(out, other, split=split, pixels=pixels)
    if html is not None:
        from facecrop.commands.stats.page import write_page  # noqa: PLC0415 - needs Jinja

        write_page(found, html)
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1, ensure_ascii=False))
        return
    where = console()
    for summary in found.datasets:
        _print_labels(where, summary)
    _print_beside(where, found)
    _print_pictures(where, found)
    if html is not None:
        where.print(f"page: {html}", markup=False, soft_wrap=True)


def _print_labels(where: "Console", summary: "Summary") -> None:
    from facecrop.labels.space import MASK_TASK  # noqa: PLC0415 - keeps --help fast
    from facecrop.labels.tallies import imbalance  # noqa: PLC0415 - keeps --help fast

    statuses = ", ".join(f"{count:,} {status}" for status, count in summary.statuses.items())
    head = f"{summary.name}: {summary.records:,} images ({statuses}) of {summary.people:,} people"
    where.print(head, markup=False)
    where.print()
    parts = list(summary.classes)
    rows = [
        [*MASK_TASK.decode(number).values(), *(summary.classes[part][number] for part in parts)]
        for number in range(len(MASK_TASK))
    ]
    where.print(table("Kept images by class", ["mask", "gender", "age group", *parts], rows))
    where.print()
    axes = [
        [axis.replace("_", " "), word, *(summary.axes[part][axis].get(word, 0) for part in parts)]
        for axis, words in summary.axes["all"].items()
        for word in words
    ]
    where.print(table("Kept images by label", ["axis", "label", *parts], axes))
    where.print()
    uneven = [
        [axis.replace("_", " "), *(_ratio(summary.imbalance[part][axis]) for part in parts)]
        for axis in summary.imbalance["all"]
    ]
    where.print(table("Imbalance", ["largest to smallest", *parts], uneven))
    where.print()
    names = ["policy", "old from", "people", "images", "smallest", "largest", "imbalance"]
    policies = [
        [
            one.policy + (" (active)" if one.active else ""),
            one.cuts[1],
            one.people_kept,
            one.kept,
            one.smallest,
            one.largest,
            _ratio(imbalance(one.images)),
        ]
        for one in summary.tallies
    ]
    where.print(table("Under every age policy", names, policies))
    where.print()
    _print_ages(where, summary)


def _print_ages(where: "Console", summary: "Summary") -> None:
    if not summary.ages:
        return
    first, width = summary.tallies[0], 50
    top = max(sum(counts) for _, counts in summary.ages)
    where.print(f"People by age (cuts of {first.policy})", style="bold", markup=False)
    before = -1
    for age, counts in summary.ages:
        for cut in first.cuts:
            if before < cut <= age:
                where.print(f"{'-' * 8} from {cut}", style="red")
        count = sum(counts)
        left_out = " (left out)" if age in first.drop else ""
        bar = "█" * max(round(width * count / top), 1)
        where.print(f"{age:>4} {bar} {count:,}{left_out}")
        before = age
    where.print()


def _print_pictures(where: "Console", found: "Stats") -> None:
    percents = ("1", "5", "25", "50", "75", "95", "99")
    several = len(found.datasets) > 1
    rows = [
        [
            name,
            *([summary.name] if several else []),
            *(f"{spread.quantiles[one]:.4g}" for one in percents),
        ]
        for name in ("width", "height", "brightness", "sharpness")
        for summary in found.datasets
        if (spread := summary.numbers[name]).count
    ]
    rows += [
        [
            f"face {side}",
            *([summary.name] if several else []),
            *(f"{values[one]:.3f}" for one in percents),
        ]
        for side in ("x0", "y0", "x1", "y1")
        for summary in found.datasets
        if (values := summary.faces["quantiles"].get(side))
    ]
    names = ["", *(["dataset"] if several else []), *(f"{one} %" for one in percents)]
    if rows:
        where.print(table("Sources (faces as shares of width and height)", names, rows))
        where.print()
    pooled = [
        [
            *([summary.name] if several else []),
            part,
            kind,
            f"{one.pixels:,.2f}",
            _triple(one.mean),
            _triple(one.std),
        ]
        for summary in found.datasets
        for part, both in summary.pixels.items()
        for kind, one in both.items()
    ]
    names = [
        *(["dataset"] if several else []),
        "part",
        "background",
        "million pixels",
        "mean",
        "std",
    ]
    if pooled:
        shown = [[*row[:-4], row[-4].split()[0], *row[-3:]] for row in pooled]
        where.print(table("Pixels of kept crops, pooled (R, G, B)", names, shown))


def _print_beside(where: "Console", found: "Stats") -> None:
    rows = [
        [
            one.axis.replace("_", " "),
            one.label,
            one.images[0],
            f"{one.shares[0]:.1%}",
            one.images[1],
            f"{one.shares[1]:.1%}",
            f"{100 * (one.shares[1] - one.shares[0]):+.1f}",
        ]
        for one in found.side_by_side()
    ]
    if rows:
        one, two = (summary.name for summary in found.datasets)
        names = ["axis", "label", one, "share", two, "share", "difference"]
        where.print(table("Side by side: kept images by label", names, rows))
        where.print()


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _triple(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4f}" for value in values)
