"""`facecrop train` on the command line."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from facecrop.cli.console import console, duration, plural, refuse_alone, table
from facecrop.errors import StoreError

if TYPE_CHECKING:
    from rich.console import Console

    from facecrop.commands.train.command import Preset, Progress, TrainResult


def train(
    out: Annotated[
        Path | None, typer.Argument(help="The dataset.", metavar="OUT", show_default=False)
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A shipped preset (--presets) or a TOML file.",
            show_default="strong on a GPU, else small",
        ),
    ] = None,
    presets: Annotated[
        bool, typer.Option("--presets", help="List the shipped presets, and end.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting, KEY=VALUE, such as optim.lr=3e-4; repeatable."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="The same as --set optim.epochs=N.")
    ] = None,
    no_pretrained: Annotated[
        bool, typer.Option("--no-pretrained", help="Start from random weights.")
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(help="Of the run, OUT/runs/NAME.", show_default="the preset's"),
    ] = None,
    split: Annotated[str, typer.Option(help="Name of the split; default is made.")] = "default",
    folds: Annotated[
        str, typer.Option(help="Which fold is validation, or all: each in turn.")
    ] = "0",
    repeats: Annotated[
        int, typer.Option(min=1, help="Trainings, with seeds from the preset's on.")
    ] = 1,
    resume: Annotated[
        str | None, typer.Option(help="Name of a run to go on with.", metavar="NAME")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    save_every: Annotated[
        float, typer.Option(min=0, help="Minutes between checkpoints within an epoch.")
    ] = 10.0,
    wandb: Annotated[
        str | None,
        typer.Option(help="Report to this project of Weights & Biases too.", metavar="PROJECT"),
    ] = None,
    ignore_requires: Annotated[
        bool,
        typer.Option("--ignore-requires", help="Use a preset on a dataset it was not made for."),
    ] = False,
    engine: Annotated[
        str, typer.Option(help="local, or ray: folds and repeats beside each other.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster: auto, or HOST:PORT.")
    ] = None,
    preview_augment: Annotated[
        Path | None,
        typer.Option(help="Draw what augmentation does into this PNG, and end.", metavar="FILE"),
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON and nothing else.")
    ] = False,
) -> None:
    """Train a model on a dataset, judged by people it has never seen."""
    from facecrop.commands.train import command as library  # noqa: PLC0415 - keeps --help fast

    where = console()
    refuse_alone(("--address", address is not None, engine == "ray", "--engine ray"))
    if presets:
        _print_presets(where, library.shipped_presets())
        return
    if out is None:
        raise typer.BadParameter("OUT must be given", param_hint="OUT")
    settings = [*(set_ or [])]
    settings += [f"optim.epochs={epochs}"] if epochs is not None else []
    settings += ["model.pretrained=false"] if no_pretrained else []
    if preview_augment is not None:
        library.preview_augment(out, preview_augment, preset=preset, settings=settings, split=split)
        where.print(f"look at it:  {preview_augment}", soft_wrap=True)
        return
    with Reporter(where, out, quiet=json_ or not library.is_first_process()) as report:
        result = library.train(
            out,
            preset=preset,
            settings=settings,
            name=name,
            split=split,
            folds=folds,
            repeats=repeats,
            resume=resume,
            device=device,
            save_every=save_every,
            wandb=wandb,
            ignore_requires=ignore_requires,
            engine=engine,
            address=address,
            report=report,
        )
    if not library.is_first_process():
        return
    if json_:
        typer.echo(json.dumps(asdict(result) | {"run": str(result.run)}, indent=1))
    else:
        _print_result(where, out, result)


class Reporter:
    """A bar with loss, F1, speed and time left on a terminal; a line for each epoch anywhere."""

    def __init__(self, where: "Console", out: Path, *, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn  # noqa: PLC0415 - slow to import

        self._where, self._out, self._quiet = where, out, quiet
        self._run = ""
        self._bar = Progress(
            TextColumn("[bold]{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[said]}"),
            console=where,
            transient=True,
            disable=quiet or not where.is_terminal,
        )
        self._task = self._bar.add_task("train", total=1, said="starting")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._bar.stop()
        if kind in (KeyboardInterrupt, StoreError) and self._run and not self._quiet:
            cure = f"facecrop train {self._out} --resume {self._run}"
            self._where.print(f"run {self._run} has not ended; go on with: {cure}", soft_wrap=True)

    def __call__(self, progress: "Progress") -> None:
        """Show how far a training is."""
        self._run = progress.run
        if self._quiet:
            return
        member = f"{progress.member} " if progress.member else ""
        self._bar.update(
            self._task,
            description=f"{member}{progress.stage}",
            completed=progress.done,
            total=progress.total,
            said=_live(progress),
        )
        if progress.ended is not None:
            self._where.print(member + _epoch_line(progress), soft_wrap=True)


def _live(progress: "Progress") -> str:
    if progress.stage == "crops":
        return f"{progress.done:,}/{progress.total:,} crops decoded"
    said = [f"epoch {progress.epoch + 1}/{progress.epochs}"]
    said += [f"loss {progress.loss:.3f}"] if progress.loss is not None else []
    said += [f"best F1 {progress.best['f1']:.3f}"] if "f1" in progress.best else []
    said += [f"{progress.images_per_second:,.0f} images/s"] if progress.images_per_second else []
    said += [f"{duration(progress.seconds_left)} left"] if progress.seconds_left else []
    return "  ".join(said)


def _epoch_line(progress: "Progress") -> str:
    row = progress.ended or {}
    words = {"train_loss": "loss", "val_loss": "val loss", "f1": "F1", "official_f1": "official F1"}
    said = [f"{word} {row[key]:.3f}" for key, word in words.items() if key in row]
    best = "  best" if progress.best.get("epoch") == row.get("epoch") else ""
    return (
        f"epoch {progress.epoch + 1}/{progress.epochs}  {'  '.join(said)}  "
        f"{progress.images_per_second:,.0f} images/s{best}"
    )


def _print_presets(where: "Console", presets: "list[Preset]") -> None:
    rows = [
        [one.name, one.about, one.settings.model.backbone, one.loss, one.score or "-"]
        for one in presets
    ]
    shown = table("", ["preset", "what it is", "backbone", "loss", "reported"], rows)
    shown.columns[0].no_wrap = True  # it is what will be typed
    where.print(shown)


def _print_result(where: "Console", out: Path, result: "TrainResult") -> None:
    if result.members:
        keys = ["f1", "official_f1", "accuracy"]
        rows: list[list[object]] = [
            [name, one["epoch"] + 1, one["epochs"], *(_score(one["scores"], key) for key in keys)]
            for name, one in result.members.items()
        ]
        where.print(table("", ["training", "best epoch", "of", "F1", "official F1", "acc."], rows))
    words = {
        "f1": "macro-F1, active age policy",
        "official_f1": "macro-F1, official bins",
        "accuracy": "accuracy",
        "f1_mask": "macro-F1 of mask",
        "f1_gender": "macro-F1 of gender",
        "f1_age_group": "macro-F1 of age group",
    }
    rows = [
        [words[key], _score(result.scores, key), _interval(result, key)]
        for key in words
        if key in result.scores
    ]
    people = f"{plural(result.records, 'record')} of {result.people:,} people never seen"
    where.print(table(people, ["", "score", "95 % interval over people"], rows))
    for warning in result.warnings:
        where.print(f"warning: {warning}", style="yellow", soft_wrap=True)
    epochs = "" if result.epoch is None else f", best epoch {result.epoch + 1} of {result.epochs}"
    where.print(f"run {result.name}: {duration(result.seconds)}{epochs}", soft_wrap=True)
    where.print(f"look at it:  {result.run / 'index.html'}", soft_wrap=True)
    where.print(f"next:        facecrop runs {out}", soft_wrap=True)


def _score(scores: dict[str, float], key: str) -> str:
    value = scores.get(key)
    return "-" if value is None else f"{value:.3f}"


def _interval(result: "TrainResult", key: str) -> str:
    if key not in result.intervals:
        return ""
    low, high = result.intervals[key]
    return f"{low:.3f} to {high:.3f}"
