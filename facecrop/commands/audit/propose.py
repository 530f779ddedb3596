"""What an audit would correct, as a manifest that `facecrop relabel` takes as it is."""

from dataclasses import dataclass
from pathlib import Path

from facecrop.checks.check import Issue, Proposal
from facecrop.commands.audit.result import AuditResult
from facecrop.errors import ConfigError
from facecrop.labels.manifests import SWAP, Correction, write_manifest
from facecrop.labels.members import Record, image_named, people_now

_ALIKE = {"age": "age_group"}
"""Fields that say the same: only one of them is corrected."""


@dataclass(frozen=True, slots=True)
class Proposals:
    """What became of an audit's proposals.

    Args:
        corrections: Rows of the manifest.
        left_out: Findings whose label a surer one corrects already, or is already as they wish.
    """

    corrections: tuple[Correction, ...]
    left_out: int


def propose(result: AuditResult, file: Path | str) -> Proposals:
    """Write a manifest that accepts every correction that an audit proposes.

    Only findings that are open count: what was accepted as it is stays so, and with `since`, what
    is not new. Where two findings would correct one label, the surer one does. What a label was is
    what it is now, as manifests count it; the confidence of a row is the finding's score.

    Args:
        result: Of the audit.
        file: The manifest to write, `.csv`; an earlier one is overwritten.

    Raises:
        ConfigError: See `check_manifest`.
        StoreError: It cannot be written.
    """
    file = Path(file)
    check_manifest(file)
    issues = [issue for issue in result.open if issue.proposals]
    members = people_now(result.out, {issue.profile for issue in issues})
    taken: set[tuple[str, str | None, str]] = set()
    rows, left_out = [], 0
    for issue in sorted(issues, key=lambda one: -one.score):
        wanted = [_correction(issue, one, members[issue.profile]) for one in issue.proposals]
        claims = {
            claim
            for one in issue.proposals
            for claim in _claims(issue.profile, one, members[issue.profile])
        }
        if taken & claims or not any(wanted):
            left_out += 1
            continue
        taken |= claims
        rows += [one for one in wanted if one is not None]
    rows.sort(key=lambda row: (row.profile, row.name or "", row.field))
    write_manifest(file, rows)
    return Proposals(tuple(rows), left_out)


def check_manifest(file: Path) -> None:
    """Raise if proposals cannot be written to a file of that name, before anything takes its time.

    Raises:
        ConfigError: The name is not that of a CSV file, or its folder is not there.
    """
    if file.suffix.lower() != ".csv":
        raise ConfigError(f"a manifest of proposals is a .csv file, got {str(file)!r}")
    if not file.parent.is_dir():
        raise ConfigError(f"the folder of {str(file)!r} does not exist; make it, or name another")


def _claims(
    profile: str, wish: Proposal, records: list[Record]
) -> list[tuple[str, str | None, str]]:
    """Return the labels that a proposal would change."""
    field = _ALIKE.get(wish.field, wish.field)
    if wish.name is None:
        return [(profile, None, field)]
    names = [wish.name] if wish.other is None else [wish.name, wish.other]
    return [(profile, image_named(name, records).path, field) for name in names]


def _correction(issue: Issue, wish: Proposal, records: list[Record]) -> Correction | None:
    """Return a proposal as a row of a manifest, None if the label is already so."""
    record = records[0] if wish.name is None else image_named(wish.name, records)
    was, now = getattr(record, wish.field), wish.now
    if wish.other is not None:  # swaps start from the raw words
        was, now = record.mask_raw, f"{SWAP}{wish.other}"
    if was == now:
        return None
    return Correction(
        issue.profile,
        wish.name,
        wish.field,
        was,
        now,
        issue.reason,
        f"facecrop audit, {issue.check}",
        f"{issue.score:.2f}",
    )
