"""`facecrop merge` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from facecrop.cli.console import console, duration, plural
from facecrop.cli.preprocess import print_left, print_outcomes, print_scan


def merge(
    out: Annotated[Path, typer.Argument(help="The dataset that all shards have written.")],
    allow_missing: Annotated[
        bool,
        typer.Option("--allow-missing", help="Merge what there is; other rows are pending."),
    ] = False,
    contact: Annotated[bool, typer.Option(help="Draw the contact sheet.")] = True,
) -> None:
    """Make one dataset of what shards have worked out."""
    from facecrop.commands import merge as library  # noqa: PLC0415 - keeps --help fast

    result = library.merge(out, allow_missing=allow_missing, contact=contact)
    where, statuses = console(), result.statuses
    print_scan(where, result)
    pending = statuses.get("pending", 0)
    where.print(
        f"{plural(result.images, 'image')}: {statuses.get('ok', 0):,} ok, "
        f"{statuses.get('fallback', 0):,} fallback, {statuses.get('reject', 0):,} rejected"
        + (f", {pending:,} pending" if pending else "")
        + f"; merged in {duration(result.seconds)}",
        soft_wrap=True,
    )
    print_outcomes(where, result)
    print_left(where, result)
