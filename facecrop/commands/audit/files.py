"""What an audit leaves on disk: what it found, and what somebody accepted as it is."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from facecrop.checks.check import Issue, Proposal
from facecrop.checks.table import CHECKS
from facecrop.errors import ConfigError, StoreError, TableError
from facecrop.index import read_table, write_atomic, write_table
from facecrop.storage import place

FOLDER = "audit"
ISSUES = Path(FOLDER) / "issues.parquet"
ACCEPTED = Path(FOLDER) / "accepted.json"
"""Below the dataset."""

FORMAT = 1
_LEAST_DIGITS = 6
"""Of a key that is given in short."""
ALL = "all"

_S = pa.string()

ISSUES_SCHEMA = pa.schema(
    [
        ("check", _S), ("severity", _S), ("profile", _S), ("paths", pa.list_(_S)),
        ("reason", _S), ("score", pa.float64()), ("key", _S),
        (
            "proposals",
            pa.list_(
                pa.struct([("field", _S), ("was", _S), ("now", _S), ("name", _S), ("other", _S)])
            ),
        ),
        ("facts", _S),
    ]
)  # fmt: skip
"""Columns of `issues.parquet`, one row an issue, the worst first; `facts` is JSON."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """An issue that somebody looked at and left as it is.

    Args:
        key: Of the issue.
        check: That found it.
        about: The record, the profile or the reason, for people who read the file.
        reviewer: Who said so.
        reason: Why.
    """

    key: str
    check: str
    about: str
    reviewer: str
    reason: str


_Keyed = TypeVar("_Keyed", Issue, Accepted)


def write_issues(out: Path, issues: Iterable[Issue]) -> None:
    """Write `audit/issues.parquet`; the same issues give the same bytes.

    Raises:
        StoreError: It cannot be written.
    """
    make_folder(out)
    rows = [
        {
            "check": one.check,
            "severity": one.severity,
            "profile": one.profile,
            "paths": list(one.paths),
            "reason": one.reason,
            "score": one.score,
            "key": one.key,
            "proposals": [asdict(row) for row in one.proposals],
            "facts": json.dumps(dict(one.facts), ensure_ascii=False) if one.facts else None,
        }
        for one in issues
    ]
    write_table(pa.Table.from_pylist(rows, schema=ISSUES_SCHEMA), out / ISSUES)


def read_issues(file: Path) -> list[Issue]:
    """Read what an audit found.

    Args:
        file: `audit/issues.parquet` of a dataset, or a copy of it.

    Raises:
        TableError: It is not there, or is no such table.
    """
    if not file.exists():
        raise TableError(f"{file} does not exist; it is made by: facecrop audit OUT")
    table = read_table(file)
    if missing := [name for name in ISSUES_SCHEMA.names if name not in table.column_names]:
        raise TableError(f"{file} has no column {missing[0]!r}: it was not made by facecrop audit")
    return [_issue(row) for row in table.to_pylist()]


def _issue(row: dict[str, Any]) -> Issue:
    return Issue(
        row["check"],
        row["severity"],
        row["profile"],
        tuple(row["paths"]),
        row["reason"],
        row["score"],
        row["key"],
        tuple(Proposal(**one) for one in row["proposals"]),
        json.loads(row["facts"]) if row["facts"] else None,
    )


def read_accepted(out: Path) -> dict[str, Accepted]:
    """Return what was accepted, by key.

    Raises:
        TableError: The file cannot be read.
    """
    file = out / ACCEPTED
    if not file.exists():
        return {}
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise TableError(f"{file} is of another version of facecrop")
        rows = [Accepted(**row) for row in data["accepted"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(
            f"{file} cannot be read ({error}); mend it, or remove it to accept nothing"
        ) from None
    return {row.key: row for row in rows}


def accept(
    out: Path | str,
    keys: Sequence[str] = (),
    checks: Sequence[str] = (),
    *,
    reviewer: str = "",
    reason: str = "",
) -> list[Accepted]:
    """Accept what the last audit found as it is: later ones do not tell it again.

    Args:
        out: The dataset.
        keys: Of issues; their first digits are enough, as long as they mean one issue only.
        checks: All that these found; `all` for every check.
        reviewer: Who says so.
        reason: Why.

    Returns:
        What was accepted now and was not before.

    Raises:
        TableError: There was no audit yet, or its files cannot be read.
        ConfigError: Nothing has such a key, several have it, or a check found nothing.
    """
    out = place(out)
    found = read_issues(out / ISSUES)
    chosen = {issue.key: issue for key in keys for issue in [_by_key(found, key)]}
    for check in checks:
        of_check = [issue for issue in found if check in (issue.check, ALL)]
        if not of_check:
            known = ", ".join(sorted({issue.check for issue in found})) or "nothing"
            raise ConfigError(f"the last audit found nothing by {check!r}; it found: {known}")
        chosen |= {issue.key: issue for issue in of_check}
    rows = [
        Accepted(key, issue.check, issue.about, reviewer, reason) for key, issue in chosen.items()
    ]
    return add_accepted(out, rows)


def add_accepted(
    out: Path, rows: Sequence[Accepted], gone: Sequence[Accepted] = ()
) -> list[Accepted]:
    """Accept findings, and take back others; return what was not accepted before.

    Raises:
        TableError: What was accepted before cannot be read.
        StoreError: It cannot be written.
    """
    before = read_accepted(out)
    back = {one.key for one in gone} - {one.key for one in rows}
    now = {one.key: one for one in rows if one.key not in before}
    kept = [one for one in before.values() if one.key not in back]
    if now or len(kept) < len(before):
        write_accepted(out, [*kept, *now.values()])
    return list(now.values())


def withdraw(out: Path | str, keys: Sequence[str] = (), checks: Sequence[str] = ()) -> int:
    """Take back what was accepted: later audits tell it again.

    Args:
        out: The dataset.
        keys: Of what was accepted; their first digits are enough.
        checks: All that was accepted of these; `all` for every check.

    Returns:
        How many were taken back.

    Raises:
        TableError: The file cannot be read.
        ConfigError: Nothing was accepted that these mean.
    """
    out = place(out)
    before = read_accepted(out)
    gone = {_by_key(list(before.values()), key).key for key in keys}
    for check in checks:
        of_check = {row.key for row in before.values() if check in (row.check, ALL)}
        if not of_check:
            raise ConfigError(f"nothing of {check!r} was accepted")
        gone |= of_check
    write_accepted(out, [row for row in before.values() if row.key not in gone])
    return len(gone)


def _by_key(found: Sequence[_Keyed], key: str) -> _Keyed:
    hits = {one.key: one for one in found if one.key.startswith(key)}
    if len(key) < _LEAST_DIGITS or not hits:
        near = get_close_matches(key, [*CHECKS, ALL], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"no finding has the key {key!r}.{hint} Keys are in {ISSUES} and in facecrop "
            f"audit --json, {_LEAST_DIGITS} digits of one are enough"
        )
    if len(hits) > 1:
        raise ConfigError(
            f"{len(hits)} findings have keys that begin with {key!r}: give more of it"
        )
    return next(iter(hits.values()))


def write_accepted(out: Path, rows: Iterable[Accepted]) -> None:
    """Write `audit/accepted.json`; the same rows give the same bytes, in any order.

    Raises:
        StoreError: It cannot be written.
    """
    ordered = sorted(rows, key=lambda row: (row.check, row.about, row.key))
    data = {"format": FORMAT, "accepted": [asdict(row) for row in ordered]}
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    make_folder(out)
    write_atomic(out / ACCEPTED, lambda path: path.write_text(text, encoding="utf-8"))


def make_folder(out: Path) -> None:
    """Make the folder of what an audit leaves.

    Raises:
        StoreError: It cannot be made.
    """
    try:
        (out / FOLDER).mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"{out / FOLDER} cannot be written: {error.strerror}") from None
