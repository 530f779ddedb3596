"""`facecrop cache` on the command line."""

from pathlib import Path
from typing import Annotated

import typer

from facecrop.cli.console import console, size, table
from facecrop.cli.places import placed

cache_app = typer.Typer(
    help="What is kept beside a dataset to save time.", no_args_is_help=True, rich_markup_mode=None
)


@cache_app.command("size")
@placed
def cache_size(out: Annotated[Path, typer.Argument(help="The dataset.")]) -> None:
    """Show what the store of a dataset takes on disk, by kind and by what is in it."""
    from facecrop.commands import cache as library  # noqa: PLC0415 - only when asked for

    rows = [
        [row.kind, row.label, row.entries, size(row.size_bytes), "yes" if row.in_use else "no"]
        for row in library.cache_size(out)
    ]
    console().print(table("", ["kind", "of", "entries", "on disk", "in use"], rows))


@cache_app.command("prune")
@placed
def cache_prune(out: Annotated[Path, typer.Argument(help="The dataset.")]) -> None:
    """Delete what nothing refers to any more."""
    from facecrop.commands import cache as library  # noqa: PLC0415 - only when asked for

    freed = {kind: count for kind, count in library.cache_prune(out).items() if count}
    parts = ", ".join(f"{kind} {size(count)}" for kind, count in freed.items())
    console().print(f"{size(sum(freed.values()))} freed" + (f": {parts}" if parts else ""))
