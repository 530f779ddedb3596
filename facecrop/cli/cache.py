"""`facecrop cache` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from facecrop.cli.console import console, size, table

cache_app = typer.Typer(
    help="The store of findings beside a dataset.", no_args_is_help=True, rich_markup_mode=None
)


@cache_app.command("size")
def cache_size(out: Annotated[Path, typer.Argument(help="The dataset.")]) -> None:
    """Show what the findings of a dataset take on disk, by finder."""
    from facecrop.commands import cache as library  # noqa: PLC0415 - only when asked for

    rows = [
        [row.label, row.findings, size(row.size_bytes), "yes" if row.in_use else "no"]
        for row in library.cache_size(out)
    ]
    console().print(
        table("", ["finder", "findings", "on disk", "used by the current recipe"], rows)
    )


@cache_app.command("prune")
def cache_prune(out: Annotated[Path, typer.Argument(help="The dataset.")]) -> None:
    """Delete the findings that the dataset's current recipe does not use."""
    from facecrop.commands import cache as library  # noqa: PLC0415 - only when asked for

    console().print(f"{size(library.cache_prune(out))} freed")
