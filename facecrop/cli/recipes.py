"""`facecrop recipes` on the command line."""

from typing import Annotated

import typer

from facecrop.cli.console import console, table


def recipes(
    name: Annotated[
        str | None, typer.Argument(help="Show this recipe whole, ready to be copied.")
    ] = None,
) -> None:
    """List the shipped recipes, or show one."""
    from facecrop.config import find_manifest  # noqa: PLC0415 - only when asked for

    if name is not None:
        typer.echo(find_manifest("recipe", name, "recipes").read_text(encoding="utf-8"), nl=False)
        return
    from facecrop.images.recipe import shipped_recipes  # noqa: PLC0415 - keeps --help fast

    console().print(
        table("", ["recipe", "what it is for"], [list(row) for row in shipped_recipes().items()])
    )
