"""What a check is, and what it reports."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from facecrop.checks.material import Material

Severity = Literal["error", "warning"]
Field = Literal["mask", "gender", "age", "age_group", "keep"]
Need = Literal["crops", "raw", "predictions", "split", "matte", "embeddings", "hidden"]


@dataclass(frozen=True, slots=True)
class Proposal:
    """How a label should be corrected: a row of a manifest, but for its reason.

    Args:
        field: The label.
        was: Its present value as manifests write it.
        now: What it should be; for two pictures whose masks are exchanged, `swap`.
        name: File stem of the picture, None for what belongs to the person.
        other: Of a swap, the stem of the second picture.
    """

    field: Field
    was: str
    now: str
    name: str | None = None
    other: str | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong, or may be.

    Args:
        check: Slug of the check.
        severity: `error`: provably wrong; `warning`: worth a look.
        profile: The person, or the folder; empty where it is about the whole dataset.
        paths: Records that show it, the clearest first; empty where it is about no record.
        reason: One sentence with the values that it is about, not escaped.
        score: In [0, 1]; how sure it is, and so its rank.
        key: What stays the same as long as it is the same issue, see `issue_key`.
        proposals: Corrections that would mend it.
        facts: Numbers and words behind it, such as probabilities by class.
    """

    check: str
    severity: Severity
    profile: str
    paths: tuple[str, ...]
    reason: str
    score: float
    key: str
    proposals: tuple[Proposal, ...] = ()
    facts: Mapping[str, float | str] | None = None

    @property
    def about(self) -> str:
        """The record, the profile or the reason, for people to read."""
        return self.paths[0] if self.paths else self.profile or self.reason


@dataclass(frozen=True, slots=True)
class Check:
    """Something that can be wrong with a dataset, and how it is found.

    Args:
        name: Slug: what a user names it by, and what reports count.
        title: What it looks for, in a few words.
        severity: The worst that it reports.
        cure: What to do about it: a command, or what to look at.
        needs: What it cannot do without.
        find: Yields what is wrong.
    """

    name: str
    title: str
    severity: Severity
    cure: str
    needs: tuple[Need, ...]
    find: Callable[["Material"], Iterator[Issue]]


def issue_key(check: str, *parts: str | bytes | None) -> str:
    """Return what identifies an issue, 32 hex digits.

    Args:
        check: Slug of the check.
        parts: What makes it this issue: digests of the pictures, the label at the time. Paths are
            left out where digests are known, so that what was accepted stays so after a rename.
    """
    whole = sha256(check.encode())
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part or b""
        whole.update(len(raw).to_bytes(8, "big") + raw)
    return whole.hexdigest()[:32]
