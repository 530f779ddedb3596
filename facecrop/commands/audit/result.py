"""What an audit found, as a value."""

from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from facecrop.checks.check import Check, Issue
from facecrop.checks.shortcut import Shortcut

SEVERITIES = ("error", "warning")
"""The worst first."""
_EXAMPLES = 3


@dataclass(frozen=True)
class AuditResult:
    """What an audit found.

    Args:
        out: The dataset.
        run: Name of the run whose predictions were used, None without one.
        checks: Those that ran.
        skipped: Those that could not, each with what is missing.
        issues: All that was found, also what was accepted earlier: the worst first.
        accepted: Keys of those that were.
        new: Keys of those that were not found the last time, or concern pictures that came since.
        since: Since when something is new, if that was asked; then only that counts.
        page: The review page.
        shortcuts: How well runs tell labels that did not see faces, whatever comes of it.
    """

    out: Path
    run: str | None
    checks: tuple[Check, ...]
    skipped: dict[str, str]
    issues: tuple[Issue, ...]
    accepted: frozenset[str]
    new: frozenset[str]
    since: str | None
    page: Path
    shortcuts: tuple[Shortcut, ...] = ()

    @cached_property
    def open(self) -> tuple[Issue, ...]:
        """What is not accepted and, if it was asked since when, new."""
        return tuple(
            issue
            for issue in self.issues
            if issue.key not in self.accepted and (self.since is None or issue.key in self.new)
        )

    @property
    def counts(self) -> dict[str, int]:
        """How many open findings there are, by severity."""
        return dict(Counter(issue.severity for issue in self.open))

    def by_check(self) -> list[dict[str, Any]]:
        """Return what each check that ran is, and how much it found."""
        found = Counter(issue.check for issue in self.open)
        accepted = Counter(one.check for one in self.issues if one.key in self.accepted)
        new = Counter(one.check for one in self.open if one.key in self.new)
        return [
            {
                "name": check.name,
                "title": check.title,
                "severity": check.severity,
                "cure": check.cure,
                "found": found[check.name],
                "new": new[check.name],
                "accepted": accepted[check.name],
            }
            for check in self.checks
        ]

    def as_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        return {
            "dataset": str(self.out),
            "run": self.run,
            "since": self.since,
            "page": str(self.page),
            "counts": self.counts,
            "checks": self.by_check(),
            "skipped": self.skipped,
            "shortcuts": [one.as_json() for one in self.shortcuts],
            "issues": [_plain(issue, new=issue.key in self.new) for issue in self.open],
        }

    def examples(self, check: str) -> list[str]:
        """Return a few of what a check found: its records, or profiles."""
        return [one.about for one in self.open if one.check == check][:_EXAMPLES]


def _plain(issue: Issue, *, new: bool) -> dict[str, Any]:
    return {
        "key": issue.key,
        "check": issue.check,
        "severity": issue.severity,
        "profile": issue.profile,
        "paths": list(issue.paths),
        "reason": issue.reason,
        "score": issue.score,
        "new": new,
        "proposals": [asdict(one) for one in issue.proposals],
        "facts": dict(issue.facts) if issue.facts else {},
    }
