"""`facecrop preprocess` on the command line."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self, TextIO

import typer

from facecrop.cli.console import bar, console, duration, plural, refuse_alone, size, table
from facecrop.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from facecrop.commands.preprocess.command import PreprocessResult, Progress

_SHOWN_PARTS = 12


def preprocess(
    raw: Annotated[
        Path, typer.Argument(help="Folder of raw profiles, or a table that names pictures.")
    ],
    out: Annotated[Path, typer.Argument(help="The dataset: made, or brought up to date.")],
    recipe: Annotated[
        str, typer.Option(help="A shipped recipe (facecrop recipes) or a TOML file.")
    ] = "embedded",
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="One setting of the recipe, KEY=VALUE; repeatable."),
    ] = None,
    layout: Annotated[str, typer.Option(help="auto, profiles, flat, table or utkface.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes; one a core by default.")
    ] = None,
    device: Annotated[
        str, typer.Option(help="auto, cpu, cuda, or several: cuda:0,cuda:1.")
    ] = "auto",
    engine: Annotated[
        str, typer.Option(help="What runs the work: local processes, a ray cluster, or serial.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster: auto, or HOST:PORT.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(help="Keep beside the crops: alpha, boxes; repeatable.")
    ] = None,
    store_as: Annotated[
        str | None,
        typer.Option(help="Crops as files, or as shards: many in a tar file; else as before."),
    ] = None,
    shard_size: Annotated[
        int | None, typer.Option(min=1, help="With --store-as shards: crops of a tar at most.")
    ] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="Of the crops: jpg, png or webp.")
    ] = None,
    quality: Annotated[int | None, typer.Option(help="Of the crops, 1 to 100.")] = None,
    weights: Annotated[
        list[str] | None, typer.Option(help="A model file of your own, NAME=FILE; repeatable.")
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Fetch nothing from anywhere.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every file and crop again.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")
    ] = False,
    contact: Annotated[bool, typer.Option(help="Draw the contact sheet.")] = True,
    shard: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="One part of so many, 2/8; then: facecrop merge OUT."),
    ] = None,
    max_rejects: Annotated[
        int | None, typer.Option(min=0, help="End with exit code 3 if there are more.")
    ] = None,
    log_json: Annotated[
        Path | None, typer.Option(help="Write events as JSON lines to this file.")
    ] = None,
) -> None:
    """Turn raw profile folders into a clean, cached, explained dataset."""
    from facecrop.commands.preprocess import command as library  # noqa: PLC0415 - keeps --help fast
    from facecrop.images.models import parse_own  # noqa: PLC0415 - keeps --help fast

    out_console = console()
    tars = shard_size is not None and (store_as or library.stored_as(out)) == "shards"
    refuse_alone(
        ("--address", address is not None, engine == "ray", "--engine ray"),
        ("--shard-size", shard_size is not None, tars, "--store-as shards"),
    )
    settings = [*(set_ or [])]
    settings += [f"encode.format={json.dumps(format_)}"] if format_ is not None else []
    settings += [f"encode.quality={quality}"] if quality is not None else []
    with bar(out_console, "preprocess", "images") as show, _Log(log_json) as log:
        show(0, 0, "starting")

        def report(progress: "Progress") -> None:
            show(progress.done, progress.total, _counts(progress))
            log.write("progress", progress)

        result = library.preprocess(
            raw,
            out,
            recipe=recipe,
            settings=settings,
            layout=layout,
            workers=workers,
            device=device,
            engine=engine,
            address=address,
            keep=keep or (),
            store_as=store_as,
            shard_size=shard_size,
            weights=parse_own(weights or []),
            offline=offline,
            verify=verify,
            dry_run=dry_run,
            contact=contact,
            shard=shard,
            report=report,
        )
        log.write(
            "end",
            result.progress,
            images=result.images,
            statuses=dict(result.statuses),
            seconds=round(result.seconds, 3),
        )
    _print_result(out_console, result, shard)
    library.check_rejects(result, max_rejects)


def _counts(progress: "Progress") -> str:
    counts = "  ".join(f"{status} {count:,}" for status, count in sorted(progress.statuses.items()))
    return f"{counts}  cached {progress.cached:,}"


class _Log:
    """Writes events as JSON lines to a file, if one was asked for."""

    def __init__(self, path: Path | None) -> None:
        self._file = _open(path) if path else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file:
            self._file.close()

    def write(self, kind: str, progress: "Progress", **facts: object) -> None:
        """Write one event."""
        if self._file:
            event = {
                "event": kind,
                "total": progress.total,
                "done": progress.done,
                "cached": progress.cached,
                "statuses": dict(progress.statuses),
            }
            self._file.write(json.dumps(event | facts) + "\n")
            self._file.flush()


def _open(log: Path) -> TextIO:
    try:
        return log.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--log-json {str(log)!r} cannot be written: {error.strerror}") from None


def _print_result(where: "Console", result: "PreprocessResult", shard: str | None) -> None:
    print_scan(where, result)
    if result.estimate is not None:
        _print_dry_run(where, result)
        return
    statuses, progress = result.statuses, result.progress
    where.print(
        f"{plural(result.images, 'image')}: {statuses.get('ok', 0):,} ok, "
        f"{statuses.get('fallback', 0):,} fallback, {statuses.get('reject', 0):,} rejected; "
        f"{progress.done:,} worked on in {duration(result.seconds)}"
        + (f" ({progress.done / result.seconds:,.0f} a second)" if progress.done else "")
        + f", {result.images - progress.done:,} as they were",
        soft_wrap=True,
    )
    print_outcomes(where, result)
    if progress.seconds:
        spent = sum(progress.seconds.values())
        parts = [
            [part, f"{100 * seconds / spent:.0f} %", progress.calls.get(part, "")]
            for part, seconds in progress.seconds.most_common(_SHOWN_PARTS)
        ]
        where.print(table("", ["part", "of the workers' time", "model calls"], parts))
    print_left(where, result)
    if shard is not None:
        where.print(f"next:        the other shards, then facecrop merge {result.out}")
        return
    if not result.scan.claims:
        return
    where.print(
        f"next:        facecrop relabel {result.out} --manifest FILE   facecrop split {result.out}",
        soft_wrap=True,
    )


def print_outcomes(where: "Console", result: "PreprocessResult") -> None:
    """Print how many records came to which end, and why."""
    from facecrop.index import REASONS  # noqa: PLC0415 - needs pyarrow

    rows: list[list[object]] = [
        ["ok", "", f"face by {source}", count]
        for source, count in result.sources.items()
        if source not in ("sibling", "prior")
    ]
    rows += [
        [status, reason, REASONS[reason], count]
        for (status, reason), count in sorted(result.reasons.items())
    ]
    if rows:
        where.print(table("", ["status", "reason", "what it means", "images"], rows))


def print_left(where: "Console", result: "PreprocessResult") -> None:
    """Print what is left to look at."""
    if result.orphans:
        where.print(
            f"{plural(result.orphans, 'label correction')} without a picture "
            f"(facecrop relabel {result.out} --log)",
            soft_wrap=True,
        )
    if result.contact:
        where.print(f"look at it:  {result.contact}", soft_wrap=True)


def print_scan(where: "Console", result: "PreprocessResult") -> None:
    """Print what lies in RAW."""
    scan = result.scan
    where.print(
        f"{plural(scan.count, 'image')} of {plural(scan.profiles, 'profile')}, "
        f"layout {scan.layout}, recipe {result.recipe}"
    )
    if scan.ignored:
        ignored = ", ".join(f"{reason} {count:,}" for reason, count in sorted(scan.ignored.items()))
        count = sum(scan.ignored.values())
        entries = "1 entry" if count == 1 else f"{count:,} entries"
        where.print(f"ignored {entries}: {ignored} (scan.json)")
    if scan.missing or scan.extra or scan.empty_profiles:
        where.print(
            f"profiles with missing pictures {len(scan.missing):,}, "
            f"with extra ones {len(scan.extra):,}, empty {len(scan.empty_profiles):,} (scan.json)"
        )


def _print_dry_run(where: "Console", result: "PreprocessResult") -> None:
    todo = result.progress.total
    where.print(f"would work on {plural(todo, 'image')}; {result.images - todo:,} stay as they are")
    estimate = result.estimate
    if todo and estimate is not None:
        where.print(
            f"about {duration(estimate.seconds)} and {size(estimate.size_bytes)} of disk, "
            f"going by {plural(estimate.tried, 'image')} just tried"
        )
