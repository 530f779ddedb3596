"""`facecrop models` on the command line."""

from typing import Annotated

import typer

from facecrop.cli.console import console, plural, size, table

models_app = typer.Typer(
    help="Model weights: what there is, their licences, fetching them ahead.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@models_app.command("list")
def models_list() -> None:
    """List the models facecrop knows, and which of them are on this machine."""
    from facecrop.commands import models as library  # noqa: PLC0415 - only when asked for

    rows = [
        [
            row.name,
            row.model.task,
            row.state,
            size(row.model.size) if row.model.size else "",
            row.model.licence,
            row.origin,
        ]
        for row in library.models_list()
    ]
    console().print(table("", ["model", "finds", "state", "size", "licence", "from"], rows))


@models_app.command("pull")
def models_pull(
    names: Annotated[list[str], typer.Argument(help="Model names, or the set 'embedded'.")],
    accept_licence: Annotated[
        list[str] | None, typer.Option(help="Name of a model whose licence forbids commercial use.")
    ] = None,
) -> None:
    """Fetch models ahead of time, so that a later run needs no network."""
    from facecrop.commands import models as library  # noqa: PLC0415 - only when asked for

    rows = library.models_pull(names, accept=accept_licence or [])
    console().print(f"{plural(len(rows), 'model')} ready:")
    console().print(table("", ["model", "file"], [[row.name, row.path] for row in rows]))


@models_app.command("licences")
def models_licences() -> None:
    """Show what the licences of the models allow."""
    from facecrop.commands import models as library  # noqa: PLC0415 - only when asked for

    rows = [
        [row.licence, row.commercial, ", ".join(row.models), " ".join(row.notes)]
        for row in library.models_licences()
    ]
    console().print(table("", ["licence", "commercial use", "models", "note"], rows))
