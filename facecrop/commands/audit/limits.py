"""Limits that a user sets: where numbers are worth a look, and how many findings are too many."""

from collections import Counter
from collections.abc import Sequence

from facecrop.checks.material import Limits
from facecrop.checks.table import CHECKS
from facecrop.commands.audit.result import SEVERITIES, AuditResult
from facecrop.config import override, validate
from facecrop.errors import ConfigError
from facecrop.registry import no_such


def read_limits(assignments: Sequence[str]) -> Limits:
    """Return the limits with single ones changed.

    Args:
        assignments: `dark=0.2`.

    Raises:
        ConfigError: There is no such limit, or its value makes no sense.
    """
    return validate(Limits, override({}, assignments), "limits of the audit")


def read_fail_on(limits: Sequence[str]) -> dict[str, int]:
    """Return how many findings are allowed, by severity or check.

    Args:
        limits: `error`, `warning`, or `CHECK=N`.

    Raises:
        ConfigError: There is no such check, or its number is none.
    """
    allowed = {}
    for limit in limits:
        name, equals, number = limit.partition("=")
        if name not in (*SEVERITIES, *CHECKS):
            raise no_such("check or severity", name, [*SEVERITIES, *CHECKS])
        if equals and not number.isdecimal():
            raise ConfigError(f"--fail-on {name}=N needs a whole number, got {number!r}")
        allowed[name] = int(number) if equals else 0
    return allowed


def breaches(result: AuditResult, fail_on: Sequence[str]) -> list[str]:
    """Return which limits were passed, a sentence each.

    What was accepted does not count; with `since`, neither does what is not new.

    Args:
        result: Of an audit.
        fail_on: As in `read_fail_on`; `warning` counts errors too, as the worse.

    Raises:
        ConfigError: A limit makes no sense, or its check could not run or was not asked to: a guard
            that sleeps is worse than none.
    """
    found = Counter(issue.check for issue in result.open)
    found["error"] = sum(issue.severity == "error" for issue in result.open)
    found["warning"] = len(result.open)
    passed = []
    for name, most in read_fail_on(fail_on).items():
        if name not in SEVERITIES and name not in {check.name for check in result.checks}:
            why = result.skipped.get(name, "it was not asked to")
            raise ConfigError(f"--fail-on {name}: this check did not run: {why}")
        if found[name] > most:
            what = {"error": "errors", "warning": "errors and warnings"}.get(name, name)
            passed.append(f"{what}: {found[name]:,} found, {most:,} allowed")
    return passed
