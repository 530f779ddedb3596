"""The command line of `facecrop split`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facecrop.cli.console import console, stages, table

if TYPE_CHECKING:
    from rich.table import Table

    from facecrop.commands.split import SplitResult


def split(
    out: Annotated[Path, typer.Argument(help="The dataset.", metavar="OUT", show_default=False)],
    name: Annotated[str, typer.Option(help="Of the split.")] = "default",
    strategy: Annotated[
        str | None,
        typer.Option(
            help="stratified, kfold, final, profile or random.", show_default="stratified"
        ),
    ] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(help="Share of people in validation.", show_default="0.2; final: 0.05"),
    ] = None,
    folds: Annotated[int | None, typer.Option(help="Of kfold.", show_default="5")] = None,
    seed: Annotated[
        int | None, typer.Option(help="Which of all good splits.", show_default="0")
    ] = None,
    worn_per_person: Annotated[
        int | None,
        typer.Option(help="Pictures with a worn mask drawn of each person.", show_default="all"),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            help="none, inverse, sqrt, effective or oversample, by class.", show_default="none"
        ),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(help="Of effective weights, below 1.", show_default="0.999"),
    ] = None,
    undersample: Annotated[
        float | None,
        typer.Option(
            help="Largest class drawn, as a multiple of the smallest.", show_default="off"
        ),
    ] = None,
    axes: Annotated[
        list[str] | None,
        typer.Option(help="Labels that make the classes; repeatable.", show_default="all three"),
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(help="Weigh records of this label alone; repeatable.")
    ] = None,
    augment: Annotated[
        list[str] | None, typer.Option(help="Augment records of this label more; repeatable.")
    ] = None,
    radius: Annotated[
        int | None,
        typer.Option(help="Bits by which hashes of near-duplicates may differ.", show_default="14"),
    ] = None,
    agreement: Annotated[
        float | None,
        typer.Option(help="How alike details of near-duplicates are, to 1.", show_default="0.9"),
    ] = None,
    extend: Annotated[
        str | None, typer.Option(help="An old split whose people keep their place.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Prove that the split still holds; write nothing.")
    ] = False,
) -> None:
    """Split a dataset into training and validation so that nobody is in both."""
    from facecrop.commands import split as command  # noqa: PLC0415 - keeps --help fast

    if check:
        _print_check(command.verify_split(out, name), name)
        return
    sampling = _given(
        worn_per_person=worn_per_person,
        weights=weights,
        beta=beta,
        undersample=undersample,
        axes=axes and tuple(axes),
        only=only and tuple(only),
        augment=augment and tuple(augment),
    )
    asked = _given(
        strategy=strategy,
        val_fraction=val_fraction,
        folds=folds,
        seed=seed,
        radius=radius,
        agreement=agreement,
        sampling=sampling,
    )
    settings = command.read_settings(asked) if asked else None
    with stages(console(), "steps") as show:
        result = command.split(out, name, settings, extend, report=show)
    _print_result(result)


def _given(**options: Any) -> dict[str, Any]:
    return {key: value for key, value in options.items() if value not in (None, {}, ())}


def _print_check(warnings: list[str], name: str) -> None:
    where = console()
    where.print(f"the certificate of split {name!r} holds")
    for warning in warnings:
        where.print(f"warning: {warning}", style="yellow", soft_wrap=True)


def _print_result(result: "SplitResult") -> None:
    where = console()
    if result.cells:
        where.print(_cells(result))
    joined = ", ".join(f"{count:,} by {kind}" for kind, count in result.links.items()) or "none"
    where.print(
        f"{result.people:,} people in {result.groups:,} groups; "
        f"duplicates between people: {joined} (of {result.candidates:,} pairs that look alike)"
    )
    if result.settings.strategy != "random":
        where.print(
            f"largest deviation of a class from its share: {result.share_deviation:.2%}, "
            f"of a fold from its size: {result.size_deviation:.2%}"
        )
    for warning in result.warnings:
        where.print(f"warning: {warning}", style="yellow", soft_wrap=True)


def _cell_order(cell: str) -> tuple[object, ...]:
    """Sort `male young` before `female young`, what is left out or unknown after the rest."""
    from facecrop.labels.tallies import AXES  # noqa: PLC0415 - keeps --help fast

    words = [*AXES["gender"], *AXES["age_group"]]
    gender, group, *aside = cell.split(" ", 2)
    places = [words.index(word) if word in words else len(words) for word in (gender, group)]
    return bool(aside), *places, cell


def _cells(result: "SplitResult") -> "Table":
    folds = list(result.cells)
    if result.settings.strategy == "kfold":
        heads = [fold if fold == "set aside" else f"fold {fold}" for fold in folds]
    else:
        heads = [{"0": "val", "1": "train"}.get(fold, fold) for fold in folds]
    cells = sorted({cell for counts in result.cells.values() for cell in counts}, key=_cell_order)
    rows = [[cell, *(result.cells[fold].get(cell, 0) for fold in folds)] for cell in cells]
    total: list[Any] = ["all", *(sum(result.cells[fold].values()) for fold in folds)]
    return table(f"People in split {result.name!r}", ["", *heads], [*rows, total])
