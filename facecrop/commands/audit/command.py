"""`facecrop audit`: what is still wrong with a dataset, found, ranked, and ready to be repaired."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.checks.check import Issue, issue_key
from facecrop.checks.material import Limits, Material, Report
from facecrop.checks.table import CHECKS
from facecrop.commands.audit.engine import looking
from facecrop.commands.audit.files import (
    ISSUES,
    Accepted,
    accept,
    read_accepted,
    read_issues,
    withdraw,
    write_issues,
)
from facecrop.commands.audit.limits import breaches, read_fail_on, read_limits
from facecrop.commands.audit.material import gather, missing_for
from facecrop.commands.audit.page import write_audit_page
from facecrop.commands.audit.propose import Proposals, check_manifest, propose
from facecrop.commands.audit.result import SEVERITIES, AuditResult
from facecrop.commands.audit.reviewed import accept_review
from facecrop.commands.audit.train import train_for_audit, train_without
from facecrop.engines.choice import check_engine
from facecrop.errors import ConfigError, MissingExtraError, TableError
from facecrop.index import INDEX_FILE, read_table
from facecrop.labels.certificate import refuse_pending
from facecrop.registry import no_such
from facecrop.storage import place

__all__ = [
    "Accepted",
    "AuditResult",
    "Proposals",
    "accept",
    "accept_review",
    "audit",
    "breaches",
    "check_manifest",
    "propose",
    "read_fail_on",
    "read_limits",
    "train_for_audit",
    "train_without",
    "withdraw",
]

PREVIOUS = "previous"


def audit(
    out: Path | str,
    run: str | None = None,
    *,
    checks: Sequence[str] = (),
    off: Sequence[str] = (),
    since: str | None = None,
    limits: Limits | None = None,
    faces: Path | None = None,
    engine: str = "local",
    address: str | None = None,
    report: Report | None = None,
) -> AuditResult:
    """Find what is still wrong with a dataset, rank it, and write the page to repair it on.

    Everything that is at hand is looked at: without a run the checks of labels are skipped, without
    a face recognition model those of persons, and the result says what is missing.

    Args:
        out: The dataset.
        run: Name of the run whose out-of-fold predictions are used; None: the one that has most.
        checks: Names of those to run; none means all.
        off: Names of those to leave out.
        since: `previous`: only what the last audit did not find counts; a date such as 2026-11-21:
            only what concerns pictures whose files arrived or changed since; or the
            `issues.parquet` of an earlier audit.
        limits: Where measured numbers begin to be worth a look.
        faces: A face recognition model, ONNX, that takes (1, 3, 112, 112) RGB; None: the one in the
            models folder, if there is one.
        engine: What looks at the pictures: `local`, or `ray`; both find the same.
        address: Of the Ray cluster, `auto` or `host:6379`, whose machines all see RAW and OUT; None
            for that of RAY_ADDRESS, else for a Ray on this machine.
        report: Told how the slow passes go on.

    Raises:
        TableError: A table is missing or damaged, or records are still pending.
        ConfigError: There is no such check, run, date or engine, or no check is left.
    """
    out = place(out)
    check_engine(engine, address)
    refuse_pending(read_table(out / INDEX_FILE, ["status"]), out)
    names = _names(checks, off)
    before = _before(out, since)
    material = replace(gather(out, run, faces), off=frozenset(off), report=report)
    material = material if limits is None else replace(material, limits=limits)
    with looking(out, material.raw, engine, address) as each:
        return _audit(replace(material, each=each), names, before, since)


def _audit(
    material: Material,
    names: Sequence[str],
    before: frozenset[str] | datetime | None,
    since: str | None,
) -> AuditResult:
    out = material.out
    ran, skipped, found = [], {}, []
    for name in names:
        check = CHECKS.load(name)
        if missing := [text for need in check.needs if (text := missing_for(material, need))]:
            skipped[name] = "; ".join(missing)
            continue
        try:
            found += _numbered(list(check.find(material)))
        except MissingExtraError as error:
            skipped[name] = str(error)
        else:
            ran.append(check)
    issues = tuple(sorted(found, key=_rank))
    accepted = frozenset(read_accepted(out))
    write_issues(out, sorted([*issues, *_not_asked(out, names)], key=_rank))
    page = write_audit_page(out, issues, material, ran, accepted)
    return AuditResult(
        out=out,
        run=None if material.run is None else material.run.name,
        checks=tuple(ran),
        skipped=skipped,
        issues=issues,
        accepted=accepted & {issue.key for issue in issues},
        new=_new(material, issues, before),
        since=since,
        page=page,
        shortcuts=material.shortcuts if "shortcut" in names else (),
    )


def _names(checks: Sequence[str], off: Sequence[str]) -> list[str]:
    known = list(CHECKS)
    for name in (*checks, *off):
        if name not in known:
            raise no_such("check", name, known)
    left = [name for name in known if name in (checks or known) and name not in off]
    if not left:
        raise ConfigError(
            f"no check is left to run: --off leaves out {', '.join(dict.fromkeys(off))}"
        )
    return left


def _numbered(issues: list[Issue]) -> list[Issue]:
    """Return the issues of a check with keys of their own: the same bytes may lie in two places."""
    seen: Counter[str] = Counter()
    result = []
    for issue in sorted(issues, key=lambda one: (one.profile, one.paths, one.reason)):
        number = seen[issue.key]
        seen[issue.key] += 1
        key = issue_key(issue.check, issue.key, str(number)) if number else issue.key
        result.append(replace(issue, key=key))
    return result


def _rank(issue: Issue) -> tuple[object, ...]:
    worst = SEVERITIES.index(issue.severity)
    return (
        worst,
        -issue.score,
        list(CHECKS).index(issue.check),
        issue.profile,
        issue.paths,
        issue.key,
    )


def _not_asked(out: Path, names: Sequence[str]) -> list[Issue]:
    """Return what the last audit found by checks that this one was not asked for."""
    try:
        found = read_issues(out / ISSUES)
    except TableError:
        return []
    known = set(CHECKS) - set(names)
    return [issue for issue in found if issue.check in known]


def _before(out: Path, since: str | None) -> frozenset[str] | datetime | None:
    """Return what is not new: keys, or a moment; None where there is nothing to compare with."""
    if since not in (None, PREVIOUS):
        if since.endswith(".parquet"):
            return frozenset(issue.key for issue in read_issues(Path(since)))
        try:
            return datetime.fromisoformat(since).astimezone()
        except ValueError:
            raise ConfigError(
                f"--since takes a date such as 2026-11-21, {PREVIOUS!r}, or the issues.parquet of "
                f"an earlier audit, got {since!r}"
            ) from None
    if since is None and not (out / ISSUES).exists():
        return None
    try:
        return frozenset(issue.key for issue in read_issues(out / ISSUES))
    except TableError:
        if since is None:
            return None
        raise


def _new(
    material: Material, issues: Sequence[Issue], before: frozenset[str] | datetime | None
) -> frozenset[str]:
    if before is None:
        return frozenset()
    if isinstance(before, frozenset):
        return frozenset(issue.key for issue in issues) - before
    # A copy keeps the time of its content; that of its inode tells when it came here.
    moment = int(before.timestamp() * 1e9)
    index = material.index
    latest = pc.max_element_wise(index["mtime_ns"], index["ctime_ns"])
    late = index.filter(pc.fill_null(pc.greater_equal(latest, pa.scalar(moment)), False))
    paths, profiles = (set(late[name].to_pylist()) for name in ("path", "profile"))
    return frozenset(
        issue.key
        for issue in issues
        if (paths & set(issue.paths) if issue.paths else issue.profile in {"", *profiles})
    )
