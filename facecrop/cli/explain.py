"""`facecrop explain` on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecrop.cli.console import bar, console, plural, table

if TYPE_CHECKING:
    from facecrop.commands.explain.command import ExplainResult


def explain(
    run: Annotated[Path, typer.Argument(help="OUT/runs/NAME.", metavar="RUN", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Argument(
            help="Another dataset of the same recipe; none: the run's validation records.",
            metavar="[OUT]",
            show_default=False,
        ),
    ] = None,
    record: Annotated[
        list[str] | None,
        typer.Option(
            help="Path of a record to show; repeatable.", show_default="the most wrong ones"
        ),
    ] = None,
    wrong: Annotated[int, typer.Option(min=0, help="How many of the most wrong ones.")] = 12,
    sample: Annotated[int, typer.Option(min=0, help="How many records the numbers are of.")] = 200,
    label: Annotated[
        list[str] | None,
        typer.Option(
            help="mask, gender, age_group, or class for all; repeatable.", show_default="each label"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write to.", show_default="RUN/explain")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 16,
) -> None:
    """Show where a trained model looks, as pictures and as numbers."""
    from facecrop.commands.explain import command as library  # noqa: PLC0415 - keeps --help fast

    where = console()
    with bar(where, "explain", "images") as show:
        result = library.explain(
            run,
            data,
            records=record or (),
            wrong=wrong,
            sample=sample,
            labels=label or (),
            out=out,
            device=device,
            batch_size=batch_size,
            report=show,
        )
    _print(result)


def _print(result: "ExplainResult") -> None:
    where = console()
    rows = [
        [spread.question, part, f"{heat:.3f}", f"{chance:.3f}", f"{heat / max(chance, 1e-9):.2f}"]
        for spread in result.spreads
        for part, chance in spread.chance.items()
        for heat in (spread.heat[part],)
    ]
    if rows:
        heads = ["label", "part", "share of heat", "share of area", "times chance"]
        where.print(table("", heads, rows))
    for spread in result.spreads:
        if spread.left_out:
            where.print(
                f"{spread.question}: {plural(spread.records, 'record')} counted, "
                f"{spread.left_out:,} left out (no heat, or face or alpha unknown)"
            )
    if any("outside" in spread.heat for spread in result.spreads):
        where.print("no alphas were kept: person and background cannot be told apart")
    if result.shown:
        where.print(f"look at it: {result.sheet}", soft_wrap=True)
    where.print(f"written: {result.table}", soft_wrap=True)
