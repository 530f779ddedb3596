"""The command line of `facecrop relabel`."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facecrop.cli.console import console, plural, refuse_alone, table

if TYPE_CHECKING:
    from rich.table import Table

    from facecrop.commands.relabel.command import RelabelResult

_MANY = 200
"""Lines that a table prints; the rest is counted."""


def relabel(
    out: Annotated[
        Path | None, typer.Argument(help="The dataset.", metavar="OUT", show_default=False)
    ] = None,
    steps: Annotated[
        int | None, typer.Argument(help="With --undo: how many.", metavar="N", min=1)
    ] = None,
    manifests: Annotated[
        list[str] | None,
        typer.Option("--manifest", "-m", help="A shipped manifest or a file; repeatable."),
    ] = None,
    set_policy: Annotated[
        str | None, typer.Option(help="A shipped age policy or a TOML file.")
    ] = None,
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Pass over people that are not in OUT.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would change, write nothing.")
    ] = False,
    undo: Annotated[
        bool,
        typer.Option(
            "--undo", help="Take back the newest application; OUT --undo N: the N newest."
        ),
    ] = False,
    reset: Annotated[bool, typer.Option("--reset", help="Take back everything.")] = False,
    who: Annotated[
        str | None, typer.Option(help="Whom the history names.", show_default="the user")
    ] = None,
    log: Annotated[bool, typer.Option("--log", help="Print what was ever changed.")] = False,
    listing: Annotated[
        bool, typer.Option("--list", help="Print the shipped manifests and policies.")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(
            help="Write the corrections that hold, or those of --from-labelstudio, as a manifest."
        ),
    ] = None,
    from_labelstudio: Annotated[
        Path | None,
        typer.Option(
            help="What Label Studio exported, JSON or JSON-MIN; with --export.", metavar="FILE"
        ),
    ] = None,
    latest: Annotated[
        bool,
        typer.Option(
            "--latest", help="With --from-labelstudio: of answers that differ, the newest counts."
        ),
    ] = False,
    suggest_policy: Annotated[
        bool,
        typer.Option("--suggest-policy", help="Show the ages at which a run sees the borders."),
    ] = False,
    run: Annotated[str | None, typer.Option(help="With --suggest-policy: which run.")] = None,
) -> None:
    """Correct the labels of a dataset, all or nothing; every change can be undone."""
    changes = bool(manifests or set_policy or undo or reset)
    refuse_alone(
        ("--dry-run", dry_run, changes, "--manifest, --set-policy, --undo or --reset"),
        ("--who", who is not None, changes, "--manifest, --set-policy, --undo or --reset"),
        ("--skip-missing", skip_missing, bool(manifests), "--manifest"),
        ("--run", run is not None, suggest_policy, "--suggest-policy"),
        ("--latest", latest, from_labelstudio is not None, "--from-labelstudio"),
        ("N", steps is not None, undo, "--undo"),
    )
    if listing:
        _print_list()
        return
    if out is None:
        raise typer.BadParameter("the dataset is missing", param_hint="OUT")
    if from_labelstudio is not None and export is None:
        raise typer.BadParameter("say where the manifest goes: --export", param_hint="--export")
    asked = [bool(manifests or set_policy), undo, reset, log, export is not None, suggest_policy]
    if sum(asked) != 1:
        raise typer.BadParameter(
            "give one of --manifest/--set-policy, --undo, --reset, --log, --export, "
            "--suggest-policy, --list"
        )
    if log:
        _print_log(out)
    elif export is not None and from_labelstudio is not None:
        _print_answers(out, from_labelstudio, export, latest=latest)
    elif export is not None:
        _print_export(out, export)
    elif suggest_policy:
        _print_suggestion(out, run)
    else:
        from facecrop.commands.relabel import command  # noqa: PLC0415 - keeps --help fast

        result = command.relabel(
            out,
            manifests=manifests or (),
            set_policy=set_policy,
            skip_missing=skip_missing,
            dry_run=dry_run,
            undo=(steps or 1) if undo else None,
            reset=reset,
            who=who,
        )
        _print_result(result, taken_back=undo or reset, corrected=bool(manifests))


def _print_result(result: "RelabelResult", *, taken_back: bool, corrected: bool) -> None:
    where = console()
    if result.dry_run and result.changes.num_rows:
        where.print(_diff(result))
    if result.regrouped:
        where.print(_regrouped(result))
    would = "would change" if result.dry_run else "changed"
    if taken_back and not result.undone:
        where.print("nothing was changed, so there is nothing to take back")
    elif result.undone:
        back = "would be taken back" if result.dry_run else "taken back"
        where.print(f"{back}: application {', '.join(map(str, result.undone))}")
    elif corrected:
        where.print(
            f"{plural(result.rows, 'row')} {would} {plural(result.images, 'image')}"
            f"; already so: {result.already:,}; skipped: {result.skipped:,}"
        )
    if result.policy != result.policy_was:
        names = f"{result.policy_was.name} -> {result.policy.name}"
        where.print(f"age policy: {names}", markup=False)
    elif not (taken_back or corrected):
        where.print(f"age policy: {result.policy.name}, as it was", markup=False)
    if result.orphans.num_rows:
        where.print(_orphans(result.orphans.to_pylist()))


def _diff(result: "RelabelResult") -> "Table":
    """Return one line for each person or image and field that would change."""
    lines: Counter[tuple[str, ...]] = Counter()
    for row in result.changes.to_pylist():
        thing = row["profile"] if row["scope"] == "profile" else row["path"]
        place = f"{row['manifest']}:{row['line']}"
        lines[place, thing, row["field"], row["was"] or "", row["now"]] += 1
    names = ["where", "person or image", "field", "was", "now", "images"]
    shown = table(
        "What would change", names, [[*line, count] for line, count in list(lines.items())[:_MANY]]
    )
    if len(lines) > _MANY:
        shown.caption = f"and {len(lines) - _MANY:,} more"
    return shown


def _regrouped(result: "RelabelResult") -> "Table":
    """Return how the groups change with everything that the command does, policy and all."""
    was, now = result.regrouped
    rows = [[group, was.get(group, 0), now.get(group, 0)] for group in dict.fromkeys([*was, *now])]
    names = ["kept images", result.policy_was.name, result.policy.name]
    return table("What the age policy would change", names, rows)


def _orphans(rows: list[dict[str, Any]]) -> "Table":
    return table(
        "Corrections whose person or image is not in the dataset any more",
        ["application", "image then", "field", "now"],
        [[row["application"], row["path"], row["field"], row["now"]] for row in rows[:_MANY]],
    )


def _print_log(out: Path) -> None:
    from facecrop.commands.relabel.command import relabel_log  # noqa: PLC0415 - keeps --help fast

    rows = [
        [
            one.number,
            f"{one.when:%Y-%m-%d %H:%M:%S}",
            one.who,
            one.action + (f" {', '.join(map(str, one.undoes))}" if one.undoes else ""),
            one.manifests,
            one.images,
            one.policy or "",
            "yes" if one.holds else "no",
        ]
        for one in relabel_log(out)
    ]
    names = ["no.", "when (UTC)", "who", "what", "manifests", "images", "policy", "holds"]
    console().print(table("", names, rows) if rows else "nothing was changed yet")


def _print_list() -> None:
    from facecrop.commands.relabel.command import relabel_list  # noqa: PLC0415 - keeps --help fast

    manifests, policies = relabel_list()
    where = console()
    where.print(
        table(
            "Shipped manifests (--manifest)",
            ["manifest", "rows", "file"],
            [[manifest.name, manifest.rows, manifest.file] for manifest in manifests],
        )
    )
    where.print(
        table(
            "Age policies (--set-policy)",
            ["policy", "middle from", "old from", "left out"],
            [[policy.name, *policy.cuts, ", ".join(map(str, policy.drop))] for policy in policies],
        )
    )


def _print_export(out: Path, file: Path) -> None:
    from facecrop.commands.relabel.command import relabel_export  # noqa: PLC0415 - keeps --help fast

    count = plural(relabel_export(out, file), "correction")
    console().print(f"{file}: {count}", markup=False, soft_wrap=True)


def _print_answers(out: Path, file: Path, manifest: Path, *, latest: bool) -> None:
    from facecrop.commands.relabel.labelstudio import relabel_from_labelstudio  # noqa: PLC0415 - keeps --help fast

    found = relabel_from_labelstudio(out, file, manifest, latest=latest)
    where = console()
    count = plural(found.corrections, "correction")
    answers = f"{plural(found.answers, 'answer')} to {plural(found.tasks, 'task')}"
    where.print(f"{manifest}: {count} from {answers}", soft_wrap=True)
    if found.corrections:
        where.print(f"next: facecrop relabel {out} --manifest {manifest}", soft_wrap=True)


def _print_suggestion(out: Path, run: str | None) -> None:
    from facecrop.commands.relabel.command import suggest_policy  # noqa: PLC0415 - keeps --help fast

    found = suggest_policy(out, run=run)
    where = console()
    for border in found.borders:
        where.print(
            table(
                f"{found.run}: predicted age as the border at {border.true_age} "
                f"({found.records:,} records out of fold)",
                ["cut", "called older", "missed", "wrongly older", "errors", "labelled older"],
                [
                    [
                        f"{cut.cut:g}",
                        cut.called_older,
                        cut.missed,
                        cut.false,
                        cut.errors,
                        cut.labelled_older,
                    ]
                    for cut in border.cuts
                ],
            )
        )
        where.print(
            f"{border.true_age} is seen at {border.seen_age:.1f}; "
            f"fewest errors with a cut at {border.best.cut:g}: {border.best.errors:,}"
        )
    policy = found.policy
    where.print(f"policy: {policy.name} (cuts = {list(policy.cuts)})", markup=False)
    if found.shipped:
        use = f"facecrop relabel {out} --set-policy {policy.name}"
    else:
        use = (
            f"a file with: cuts = {list(policy.cuts)}, and facecrop relabel {out} --set-policy FILE"
        )
    where.print(f"to use it: {use}", markup=False, soft_wrap=True)
    where.print(f"picture: {found.picture}", markup=False, soft_wrap=True)
