"""`facecrop runs` on the command line."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from facecrop.cli.console import console, table


def runs(
    out: Annotated[Path, typer.Argument(help="The dataset.", metavar="OUT", show_default=False)],
    sort: Annotated[
        str, typer.Option(help="name, f1, official_f1, accuracy or val_loss.")
    ] = "name",
    json_: Annotated[bool, typer.Option("--json", help="Print them as JSON.")] = False,
) -> None:
    """Compare the trainings of a dataset."""
    from facecrop.commands import runs as library  # noqa: PLC0415 - keeps --help fast

    found = library.runs(out, sort)
    if json_:
        typer.echo(json.dumps([asdict(row) for row in found], indent=1))
        return
    where = console()
    if not found:
        where.print(f"no runs in {out}; make one: facecrop train {out}", soft_wrap=True)
        return
    rows: list[list[object]] = [
        [
            row.name,
            row.preset,
            row.backbone,
            row.loss,
            row.trainings,
            row.epochs,
            "" if row.epoch is None else row.epoch + 1,
            *(_score(row.scores, key) for key in ("f1", "official_f1", "accuracy", "val_loss")),
            "" if row.finished else "unfinished",
        ]
        for row in found
    ]
    columns = ["run", "preset", "backbone", "loss", "trainings", "epochs", "best"]
    columns += ["F1", "official F1", "accuracy", "val loss", ""]
    where.print(table("", columns, rows))


def _score(scores: dict[str, float], key: str) -> str:
    value = scores.get(key)
    return "" if value is None else f"{value:.3f}"
