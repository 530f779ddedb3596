"""What `facecrop audit` says in a terminal."""

from typing import TYPE_CHECKING

from facecrop.cli.console import plural, table
from facecrop.cli.pictures import Pictures, draw

if TYPE_CHECKING:
    from rich.console import Console

    from facecrop.checks.check import Issue
    from facecrop.commands.audit.command import AuditResult

_WIDE = 160
"""Characters of a terminal from which there is room for more than one example."""
_SHOWN_KEY = 12
"""Digits of a key that are printed: enough for `--accept`."""


def print_checks(where: "Console", result: "AuditResult") -> None:
    """Print what each check found, what none found, and what could not be checked."""
    checks = result.by_check()
    examples = 3 if where.width >= _WIDE else 1
    rows = [
        [
            one["name"],
            one["found"],
            *([one["new"]] if result.new or result.since else []),
            *([one["accepted"]] if result.accepted else []),
            _worst(result, one["name"]),
            visible(", ".join(result.examples(one["name"])[:examples])),
            one["cure"],
        ]
        for one in checks
        if one["found"] or one["accepted"]
    ]
    columns = [
        "check",
        "found",
        *(["new"] if result.new or result.since else []),
        *(["accepted"] if result.accepted else []),
        "severity",
        "examples",
        "cure",
    ]
    if rows:
        shown = table("", columns, rows)
        shown.columns[columns.index("examples")].justify = "left"  # names may begin with digits
        where.print(shown)
    quiet = [one["name"] for one in checks if not (one["found"] or one["accepted"])]
    if quiet:
        where.print(f"nothing by:  {', '.join(quiet)}", soft_wrap=True)
    for why in dict.fromkeys(result.skipped.values()):
        names = ", ".join(name for name, one in result.skipped.items() if one == why)
        where.print(f"skipped:     {names} ({why})", soft_wrap=True)
    for line in _shortcuts(result):
        where.print(line, soft_wrap=True)
    errors = result.counts.get("error", 0)
    warnings = result.counts.get("warning", 0)
    newly = " new" if result.since else ""
    where.print(
        f"{plural(errors, f'{newly} error'.strip())}, "
        f"{plural(warnings, f'{newly} warning'.strip())}; the page: {result.page}",
        soft_wrap=True,
    )


def _shortcuts(result: "AuditResult") -> list[str]:
    """Return what each run without faces tells, a line each."""
    lines: dict[str, list[str]] = {}
    for one in result.shortcuts:
        mine = one.without
        whole = f", whole pictures {one.whole.balanced:.2f}" if one.whole else ""
        lines.setdefault(one.words, []).append(
            f"{one.axis.replace('_', ' ')} {mine.balanced:.2f} ({mine.low:.2f} to {mine.high:.2f}; "
            f"chance {one.chance:.2f}{whole})"
        )
    return [f"shortcuts:   from {seen}: {'; '.join(said)}" for seen, said in lines.items()]


def _worst(result: "AuditResult", check: str) -> str:
    severities = {one.severity for one in result.open if one.check == check}
    return "error" if "error" in severities else "warning" if severities else "-"


def print_records(where: "Console", result: "AuditResult", most: int, how: Pictures) -> None:
    """Print the records with the most doubtful first, as many as asked for, with their crops."""
    from facecrop.commands.audit.crops import crops_of  # noqa: PLC0415 - keeps --help fast

    records: dict[str, list[Issue]] = {}
    for issue in result.open:
        about = issue.paths[0] if issue.paths else issue.profile or "the dataset"
        records.setdefault(about, []).append(issue)
    shown = list(records.items())[:most]
    crops = crops_of(result.out, [about for about, _ in shown]) if how is not Pictures.NONE else {}
    for number, (about, issues) in enumerate(shown, 1):
        where.print()
        if about in crops:
            where.file.write(draw(crops[about], how))
        where.print(f"{number}. {visible(about)}", style="bold", soft_wrap=True)
        for one in issues:
            new = " new" if one.key in result.new else ""
            where.print(
                f"   {one.severity}{new} {one.check} {one.score:.2f}: {visible(one.reason)} "
                f"[{one.key[:_SHOWN_KEY]}]",
                soft_wrap=True,
            )
    if len(records) > most:
        where.print(f"\nand {plural(len(records) - most, 'record')} more: --most N, or the page")


def visible(text: str) -> str:
    r"""Return what people wrote without what would command a terminal.

    >>> visible("a" + chr(27) + "[2J.jpg")
    'a\\\\x1b[2J.jpg'
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )
