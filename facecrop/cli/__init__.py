"""The command line: parses, calls the library, prints. Only here are Typer and Rich known."""

import sys

import typer

from facecrop.cli.audit import audit
from facecrop.cli.cache import cache_app
from facecrop.cli.demo import demo
from facecrop.cli.explain import explain
from facecrop.cli.export import export
from facecrop.cli.merge import merge
from facecrop.cli.models import models_app
from facecrop.cli.places import placed
from facecrop.cli.predict import predict
from facecrop.cli.preprocess import preprocess
from facecrop.cli.recipes import recipes
from facecrop.cli.relabel import relabel
from facecrop.cli.runs import runs
from facecrop.cli.split import split
from facecrop.cli.stats import stats
from facecrop.cli.train import train
from facecrop.cli.tune import tune
from facecrop.cli.vote import vote
from facecrop.errors import FacecropError

app = typer.Typer(
    name="facecrop",
    help="Raw profile folders in; a clean, cached, explained face-attribute dataset out.",
    no_args_is_help=True,
    rich_markup_mode=None,  # the panels would triple the time that --help takes
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command()(placed(demo))
app.command()(placed(preprocess))
app.command()(placed(merge))
app.command()(placed(relabel))
app.command()(placed(split))
app.command()(placed(stats))
app.command()(placed(audit))
app.command()(placed(predict))
app.command()(placed(vote))
app.command()(placed(explain))
app.command()(placed(export))
app.command()(recipes)
app.command()(placed(train))
app.command()(placed(runs))
app.command()(placed(tune))
app.add_typer(models_app, name="models")
app.add_typer(cache_app, name="cache")


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version  # noqa: PLC0415 - only when asked for

        typer.echo(f"facecrop {version('facecrop')}")
        raise typer.Exit


@app.callback()
def _facecrop(
    *,
    version: bool = typer.Option(
        False, "--version", help="Print the version and end.", callback=_version, is_eager=True
    ),
) -> None:
    """Raw profile folders in; a clean, cached, explained face-attribute dataset out."""


def main() -> None:
    """Run the program; a user's mistake prints one line, a bug keeps its traceback."""
    try:
        app()
    except FacecropError as error:
        typer.secho(f"error: {error}", err=True, fg="red")
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.stderr.close()  # nobody listens any more (`facecrop … | head`): no second complaint
        sys.exit(0)
