"""`facecrop audit` on the command line."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NamedTuple

import typer

from facecrop.cli.audit_print import print_checks, print_records
from facecrop.cli.console import console, plural, refuse_alone, stages
from facecrop.cli.pictures import Pictures, detect
from facecrop.errors import ConfigError, LimitError

if TYPE_CHECKING:
    from rich.console import Console

    from facecrop.commands.audit.command import AuditResult
    from facecrop.training.settings.train import Hide

_MOST = 20


def audit(
    out: Annotated[Path, typer.Argument(help="The dataset.", metavar="OUT", show_default=False)],
    show_errors: Annotated[
        bool,
        typer.Option("--show-errors", help="List the records, the worst first, with pictures."),
    ] = False,
    most: Annotated[int, typer.Option(min=1, help="With --show-errors: how many records.")] = _MOST,
    check: Annotated[
        list[str] | None, typer.Option(help="Only this check; repeatable.", metavar="NAME")
    ] = None,
    off: Annotated[
        list[str] | None, typer.Option(help="All but this check; repeatable.", metavar="NAME")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Only what is new: since a date, the previous audit, or an issues.parquet.",
            metavar="DATE|previous|FILE",
        ),
    ] = None,
    fail_on: Annotated[
        list[str] | None,
        typer.Option(
            help="End with exit code 3 if there are any, or more than N; repeatable.",
            metavar="error|warning|CHECK=N",
        ),
    ] = None,
    accept: Annotated[
        list[str] | None,
        typer.Option(
            help="Accept what the last audit found, then end: a check, a key, all, review "
            "(decided with --serve), or the decisions that the page saved; repeatable.",
            metavar="WHAT",
        ),
    ] = None,
    withdraw: Annotated[
        list[str] | None,
        typer.Option(help="Take an acceptance back; likewise.", metavar="WHAT"),
    ] = None,
    propose: Annotated[
        Path | None,
        typer.Option(
            help="Write all corrections that are proposed as a manifest for facecrop relabel.",
            metavar="FILE",
        ),
    ] = None,
    reviewer: Annotated[str, typer.Option(help="With --accept: who says so.")] = "",
    reason: Annotated[str, typer.Option(help="With --accept: why.")] = "",
    run: Annotated[
        str | None,
        typer.Option(
            help="Whose predictions judge the labels.", show_default="that of most records"
        ),
    ] = None,
    train: Annotated[
        bool, typer.Option("--train", help="Train the preset small on all folds first.")
    ] = False,
    shortcuts: Annotated[
        Literal["face", "person"] | None,
        typer.Option(help="Train on pictures without the face, or the person, first."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="With --train: trainings of each fold.")] = 1,
    device: Annotated[str, typer.Option(help="Of trainings: auto, cpu or cuda.")] = "auto",
    engine: Annotated[
        str, typer.Option(help="local, or ray: for pictures and trainings.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(help="Of the Ray cluster: auto, or HOST:PORT.")
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(help="A face recognition model (SFace, ONNX).", metavar="FILE"),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="One limit, such as dark=0.2; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    pictures: Annotated[
        Pictures, typer.Option(help="How the terminal shows pictures.")
    ] = Pictures.AUTO,
    serve: Annotated[
        bool,
        typer.Option("--serve", help="Show the page; decisions go into OUT/audit/review.csv."),
    ] = False,
    json_: Annotated[
        bool, typer.Option("--json", help="Print all of it as JSON and nothing else.")
    ] = False,
) -> None:
    """Find what is still wrong with a dataset, rank it, and write the page to repair it on."""
    from facecrop.commands.audit import command as library  # noqa: PLC0415 - keeps --help fast

    where = console()
    refuse_alone(
        ("--reviewer", bool(reviewer), bool(accept), "--accept"),
        ("--reason", bool(reason), bool(accept), "--accept"),
        ("--repeats", repeats > 1, train, "--train"),
        ("--address", address is not None, engine == "ray", "--engine ray"),
    )
    if accept or withdraw:
        _refuse_beside_decisions({
            "--show-errors": show_errors, "--check": check, "--off": off, "--since": since,
            "--fail-on": fail_on, "--propose": propose, "--run": run, "--train": train,
            "--shortcuts": shortcuts, "--faces": faces, "--set": set_, "--serve": serve,
            "--json": json_, "--engine": engine != "local", "--address": address,
        })  # fmt: skip
        _decide(where, out, accept or [], withdraw or [], reviewer=reviewer, reason=reason)
        return
    limits = library.read_limits(set_ or [])
    library.read_fail_on(fail_on or [])  # before anything takes its time
    if propose is not None:
        library.check_manifest(propose)
    how = _How(device, engine, address)
    if train:
        run = _train(where, out, how, repeats=repeats, quiet=json_)
    if shortcuts:
        _train(where, out, how, hidden=shortcuts, quiet=json_)
    with stages(where, "pictures") as show:
        result = library.audit(
            out,
            run,
            checks=check or (),
            off=off or (),
            since=since,
            limits=limits,
            faces=faces,
            engine=engine,
            address=address,
            report=None if json_ else show,
        )
    if json_:
        typer.echo(json.dumps(result.as_json(), indent=1, ensure_ascii=False))
    else:
        print_checks(where, result)
        if show_errors:
            shown = detect() if pictures is Pictures.AUTO else pictures
            print_records(where, result, most, shown)
    if propose is not None:
        _propose(where, result, propose, quiet=json_)
    if serve:
        _serve(where, out)
    if passed := library.breaches(result, fail_on or ()):
        raise LimitError("; ".join(passed))


def _refuse_beside_decisions(options: Mapping[str, object]) -> None:
    """End if there is an option that nothing would come of: decisions audit nothing."""
    if given := [name for name, value in options.items() if value]:
        raise ConfigError(
            f"--accept and --withdraw only decide and audit nothing: give {', '.join(given)} in a "
            "command of its own"
        )


def _decide(
    where: "Console",
    out: Path,
    accept: Sequence[str],
    withdraw: Sequence[str],
    *,
    reviewer: str,
    reason: str,
) -> None:
    from facecrop.checks.table import CHECKS  # noqa: PLC0415 - keeps --help fast
    from facecrop.commands.audit import command as library  # noqa: PLC0415 - keeps --help fast

    def parts(words: Sequence[str]) -> tuple[list[str], list[str]]:
        checks = [word for word in words if word in {*CHECKS, "all"}]
        return [word for word in words if word not in checks], checks

    reviews = [word for word in accept if word == "review" or word.endswith(".json")]
    accept = [word for word in accept if word not in reviews]
    for review in reviews:
        file = None if review == "review" else Path(review)
        done = library.accept_review(out, file, reviewer=reviewer, reason=reason)
        where.print(f"accepted: {plural(len(done), 'finding')} (audit/accepted.json)")
    if accept:
        done = library.accept(out, *parts(accept), reviewer=reviewer, reason=reason)
        where.print(f"accepted: {plural(len(done), 'finding')} (audit/accepted.json)")
    if withdraw:
        count = library.withdraw(out, *parts(withdraw))
        where.print(f"taken back: {plural(count, 'finding')}")


def _propose(where: "Console", result: "AuditResult", file: Path, *, quiet: bool) -> None:
    from facecrop.commands.audit import command as library  # noqa: PLC0415 - keeps --help fast

    made = library.propose(result, file)
    if quiet:
        return
    words = f"proposed:    {plural(len(made.corrections), 'correction')} ({file})"
    if made.left_out:
        words += f"; left out: {plural(made.left_out, 'finding')} that a surer one contradicts"
    where.print(words, soft_wrap=True)
    if made.corrections:
        where.print(f"next:        facecrop relabel {result.out} --manifest {file}", soft_wrap=True)


class _How(NamedTuple):
    """What trainings run on."""

    device: str
    engine: str
    address: str | None


def _train(
    where: "Console",
    out: Path,
    how: _How,
    *,
    quiet: bool,
    repeats: int = 1,
    hidden: "Hide | None" = None,
) -> str:
    from facecrop.cli.train import Reporter  # noqa: PLC0415 - keeps --help fast
    from facecrop.commands.audit import command as library  # noqa: PLC0415 - keeps --help fast

    with Reporter(where, out, quiet=quiet) as report:
        if hidden is not None:
            return library.train_without(out, hidden, **how._asdict(), report=report)
        return library.train_for_audit(out, repeats=repeats, **how._asdict(), report=report)


def _serve(where: "Console", out: Path) -> None:
    from threading import Event  # noqa: PLC0415 - only when asked for

    from facecrop.commands.audit.serve import MANIFEST, serve_audit  # noqa: PLC0415 - keeps --help fast

    with serve_audit(out) as address:
        where.print(f"open:        {address}", soft_wrap=True)
        where.print(f"decisions:   {out / MANIFEST}   (end with Ctrl-C)", soft_wrap=True)
        where.file.flush()  # whoever reads it from a pipe waits for the address
        try:
            Event().wait()
        except KeyboardInterrupt:
            where.print(f"next:        facecrop relabel {out} --manifest {out / MANIFEST}")
