"""`facecrop tune` on the command line."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecrop.cli.console import console, refuse_alone, table

if TYPE_CHECKING:
    from facecrop.commands.tune.command import TuneResult
    from facecrop.training.progress import Progress


def tune(
    out: Annotated[Path, typer.Argument(help="The dataset.", metavar="OUT", show_default=False)],
    preset: Annotated[
        str | None,
        typer.Option(help="What is not searched.", show_default="strong on a GPU, else small"),
    ] = None,
    space: Annotated[
        str, typer.Option(help="What is searched: a shipped space or a TOML file.")
    ] = "default",
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, KEY=VALUE; repeatable.")
    ] = None,
    study: Annotated[str, typer.Option(help="Name of the search.")] = "tune",
    trials: Annotated[int, typer.Option(min=1, help="Trials in all.")] = 20,
    metric: Annotated[str, typer.Option(help="f1, official_f1, accuracy or loss.")] = "f1",
    seed: Annotated[int, typer.Option(help="Of the search.")] = 0,
    split: Annotated[str, typer.Option(help="Name of the split.")] = "default",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    ignore_requires: Annotated[
        bool,
        typer.Option("--ignore-requires", help="Use a preset on a dataset it was not made for."),
    ] = False,
    engine: Annotated[
        str, typer.Option(help="serial, or ray: several trials at a time by Ray Tune.")
    ] = "serial",
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster: auto, or HOST:PORT.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Trials at a time on Ray.", show_default="its GPUs, else CPUs"),
    ] = None,
) -> None:
    """Search the settings that validation likes best, run after run."""
    from facecrop.cli.train import Reporter  # noqa: PLC0415 - keeps --help fast
    from facecrop.commands.tune.command import tune as library  # noqa: PLC0415 - keeps --help fast

    where = console()
    refuse_alone(
        ("--address", address is not None, engine == "ray", "--engine ray"),
        ("--workers", workers is not None, engine == "ray", "--engine ray"),
    )
    with Reporter(where, out, quiet=False) as report:
        result = library(
            out,
            preset=preset,
            space=space,
            settings=set_ or [],
            study=study,
            trials=trials,
            metric=metric,
            seed=seed,
            split=split,
            device=device,
            ignore_requires=ignore_requires,
            engine=engine,
            workers=workers,
            address=address,
            report=report if engine == "serial" else lambda told: report(_named(told)),
        )
    _print(result, out, preset)


def _named(progress: "Progress") -> "Progress":
    """Return it with the name of the run in its line, as several are in training."""
    return replace(progress, member=progress.run)


def _print(result: "TuneResult", out: Path, preset: str | None) -> None:
    where = console()
    keys = list(dict.fromkeys(key for one in result.trials for key in one.values))
    rows = [
        [
            one.run or "-",
            one.state,
            "-" if one.value is None else f"{one.value:.3f}",
            *(_shown(one.values.get(key)) for key in keys),
        ]
        for one in result.trials
    ]
    where.print(table(f"Search {result.study!r}", ["run", "", result.metric, *keys], rows))
    if result.best is not None:
        wanted = " ".join(f"--set {key}={value}" for key, value in result.best.values.items())
        where.print(f"best: run {result.best.run}", soft_wrap=True)
        chosen = f" --preset {preset}" if preset else ""
        where.print(f"next: facecrop train {out}{chosen} {wanted} --repeats 3", soft_wrap=True)


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)
