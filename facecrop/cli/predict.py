"""`facecrop predict` on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecrop.cli.console import console, plural, stages, table

if TYPE_CHECKING:
    from facecrop.commands.predict.command import PredictResult

_NAMED = 5


def predict(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="OUT/runs/NAME; several vote softly.", metavar="RUN...", show_default=False
        ),
    ],
    data: Annotated[
        Path,
        typer.Argument(help="Raw pictures, or a dataset.", metavar="RAW|OUT", show_default=False),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Write predictions here, .csv or .parquet.")
    ] = None,
    submission: Annotated[Path | None, typer.Option(help="Write ImageID,ans here.")] = None,
    info: Annotated[
        Path | None,
        typer.Option(help="The ImageIDs asked for.", show_default="info.csv in RAW or beside it"),
    ] = None,
    tta: Annotated[
        list[str] | None,
        typer.Option(
            help="Views that answer too: flip, shake; repeatable; or none.",
            show_default="the run's own",
        ),
    ] = None,
    by_person: Annotated[
        bool,
        typer.Option("--by-person", help="Pictures of a profile agree about gender and age."),
    ] = False,
    bins: Annotated[
        str, typer.Option(help="Age groups of the answer: policy (those learnt) or official.")
    ] = "policy",
    work: Annotated[
        Path | None,
        typer.Option(help="Keep the crops of raw pictures here.", show_default="the run's dataset"),
    ] = None,
    layout: Annotated[str, typer.Option(help="auto, profiles, flat, table or utkface.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, help="Pictures at a time.")] = 64,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; one a core by default.")
    ] = None,
    engine: Annotated[
        str, typer.Option(help="What preprocesses: local processes, or serial.")
    ] = "local",
    weights: Annotated[
        list[str] | None,
        typer.Option(help="A model file of your own for the recipe, NAME=FILE; repeatable."),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing from anywhere.")
    ] = False,
) -> None:
    """Predict mask, gender and age group of new pictures with trained models."""
    from facecrop.commands.predict import command as library  # noqa: PLC0415 - keeps --help fast
    from facecrop.images.models import parse_own  # noqa: PLC0415 - keeps --help fast

    where = console()
    if tta and "none" in tta and len(tta) > 1:
        raise typer.BadParameter("none goes alone: without other views", param_hint="--tta")
    with stages(where, "images") as show:
        result = library.predict(
            runs,
            data,
            out=out,
            submission=submission,
            info=info,
            tta=() if tta == ["none"] else tta,
            by_person=by_person,
            bins=bins,
            work=work,
            layout=layout,
            device=device,
            batch_size=batch_size,
            workers=workers,
            engine=engine,
            weights=parse_own(weights or []),
            offline=offline,
            report=show,
        )
    _print(result)


def _print(result: "PredictResult") -> None:
    where = console()
    count = len(result.said.keys)
    rejects = sum(result.rejects.values())
    counts = ", ".join(f"{number:,} {status}" for status, number in sorted(result.statuses.items()))
    where.print(f"{plural(count, 'image')} by {plural(result.models, 'model')}: {counts}")
    if rejects:
        answer = ", ".join(result.prior.values())
        where.print(table("", ["rejected because", "images"], sorted(result.rejects.items())))
        where.print(
            f"{plural(rejects, 'image')} cannot be seen: answered with the class most common in "
            f"training ({answer})",
            soft_wrap=True,
        )
    handed = result.submission
    if handed is not None:
        where.print(f"{plural(handed.answers, 'answer')} handed in")
        for names, what in (
            (handed.guessed, "asked for without a picture: answered as one that cannot be seen"),
            (handed.unasked, "that nobody asked for: left out"),
        ):
            if names:
                more = ", …" if len(names) > _NAMED else ""
                shown = ", ".join(names[:_NAMED])
                where.print(f"{plural(len(names), 'image')} {what} ({shown}{more})", soft_wrap=True)
    for warning in result.warnings:
        where.print(f"warning: {warning}", style="yellow", soft_wrap=True)
    for file in result.files:
        where.print(f"written: {file}", soft_wrap=True)
