"""`facecrop vote` on the command line."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facecrop.cli.console import console, plural, table
from facecrop.errors import ConfigError

if TYPE_CHECKING:
    from facecrop.commands.vote.command import VoteResult

_MATRIX = 12
"""More members than these do not fit side by side."""


def vote(
    members: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files of predictions (NAME=FILE names one) or run folders; with a preset, "
            "folders in which its members' predictions lie."
        ),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="A shipped vote or a TOML file.")] = None,
    presets: Annotated[bool, typer.Option("--presets", help="List the shipped votes.")] = False,
    how: Annotated[
        str | None,
        typer.Option(help="hard counts answers, soft averages probabilities.", show_default="hard"),
    ] = None,
    by_label: Annotated[bool, typer.Option("--by-label", help="Vote on each label alone.")] = False,
    weight: Annotated[
        list[str] | None, typer.Option(help="Of one member, NAME=NUMBER; repeatable.")
    ] = None,
    weigh_by_score: Annotated[
        bool, typer.Option("--weigh-by-score", help="A vote counts as much as its member scored.")
    ] = False,
    scores: Annotated[
        Path | None,
        typer.Option(help="CSV member,score; or a folder of runs: their validation macro-F1."),
    ] = None,
    top: Annotated[
        int | None, typer.Option(min=1, help="Only so many vote, those with the best scores.")
    ] = None,
    closest: Annotated[
        int | None,
        typer.Option(min=1, help="Only so many vote, distributed most like --known."),
    ] = None,
    known: Annotated[
        Path | None, typer.Option(help="A dataset or file whose classes are as common as expected.")
    ] = None,
    prior_correction: Annotated[
        float | None,
        typer.Option(help="Soft voting divides by the known shares to this power, then chooses."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="A dataset or file of true labels, to score by.")
    ] = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Estimate unknown scores by agreement with known.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write predictions here, .csv or .parquet.")
    ] = None,
    submission: Annotated[Path | None, typer.Option(help="Write ImageID,ans here.")] = None,
) -> None:
    """Let the predictions of several models decide together."""
    from facecrop.commands.vote import command as library  # noqa: PLC0415 - keeps --help fast

    if presets:
        rows = list(library.shipped_votes().items())
        console().print(table("", ["vote", "what it is"], rows))
        return
    result = library.vote(
        members or [],
        preset=preset,
        how=how,
        by_label=by_label,
        weights=_parse(weight or []),
        weigh_by_score=weigh_by_score,
        scores=scores,
        top=top,
        closest=closest,
        known=known,
        prior_correction=prior_correction,
        truth=truth,
        estimate=estimate,
        out=out,
        submission=submission,
    )
    _print(result)


def _parse(weights: list[str]) -> dict[str, float]:
    parsed = {}
    for text in weights:
        name, _, number = text.rpartition("=")
        try:
            parsed[name] = float(number)
        except ValueError:
            name = ""
        if not name:
            raise ConfigError(f"--weight needs NAME=NUMBER, got {text!r}")
    return parsed


def _print(result: "VoteResult") -> None:
    where = console()
    rows = [
        [
            voter.name,
            "yes" if voter.votes else "no",
            f"{voter.weight:g}" if voter.votes else "",
            _share(voter.score),
            _share(voter.distance),
            _share(voter.agreement),
        ]
        for voter in result.voters
    ]
    heads = ["member", "votes", "weight", "score", "distance", "agrees"]
    kept = [place for place in range(len(heads)) if any(row[place] for row in rows)]
    where.print(
        table(
            "", [heads[place] for place in kept], [[row[place] for place in kept] for row in rows]
        )
    )
    if 1 < len(result.voters) <= _MATRIX:
        names = [*(voter.name for voter in result.voters), "vote"]
        cells = [
            [name, *map(_share, row)]
            for name, row in zip(names, result.agreements.tolist(), strict=True)
        ]
        numbers = [*(str(number) for number in range(1, len(names))), "vote"]
        where.print(table("agreement, share of pictures", ["", *numbers], cells))
    voters = sum(voter.votes for voter in result.voters)
    per_label = ", each label alone" if result.by_label else ""
    where.print(
        f"{result.how} vote of {plural(voters, 'member')}{per_label} on "
        f"{plural(len(result.said.keys), 'picture')}; equal classes go to the highest weight, then "
        "to the member named first",
        soft_wrap=True,
    )
    if result.f1 is not None and result.accuracy is not None:
        where.print(f"macro-F1 {result.f1:.4f}, accuracy {result.accuracy:.4f}")
    for one in result.estimates:
        error = f" ± {one.error:.3f}" if one.error is not None else ""
        where.print(
            f"{one.name}: perhaps {one.value:.4f}{error} (agrees with {one.reference} on "
            f"{one.agreement:.2%}; as an accuracy, between {one.low:.4f} and {one.high:.4f})",
            soft_wrap=True,
        )
    for warning in result.warnings:
        where.print(f"warning: {warning}", style="yellow", soft_wrap=True)
    for file in result.written:
        where.print(f"written: {file}", soft_wrap=True)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
