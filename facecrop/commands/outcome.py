"""What a preprocess run tells: as it goes on, and at its end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.images.pipeline import Result
from facecrop.images.rows import COLUMNS
from facecrop.labels.layouts import Scan

_STATUS = COLUMNS.index("status")


@dataclass(slots=True)
class Progress:
    """Where a run stands: given to `report` as it goes on, and summed up in its result.

    Args:
        total: Images that have to be worked on.
        done: Images worked on so far.
        cached: Images of these for which no model had to run.
        statuses: Images worked on, by status.
    """

    total: int = 0
    done: int = 0
    cached: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    decodes: int = 0

    def add(self, result: Result) -> None:
        """Count what a worker has done."""
        self.done += len(result.rows)
        self.cached += 0 if result.tally.calls else len(result.rows)
        self.statuses.update(row[_STATUS] for row in result.rows)
        self.seconds.update(result.tally.seconds)
        self.calls.update(result.tally.calls)
        self.decodes += result.tally.decodes


@dataclass(frozen=True, slots=True)
class PreprocessResult:
    """What a dataset holds after a run, and what the run did.

    Args:
        out: The dataset.
        scan: RAW as it was found.
        recipe: Name of the recipe, as asked for.
        images: Records in the index.
        statuses: Records by status.
        reasons: Records by status and reason.
        sources: Chosen faces by detector.
        unread: Files that were not read, because nothing about them has changed.
        progress: What the run did.
        seconds: How long it took, wall clock.
        estimate: In a dry run what the work would take, going by a few images tried; else None.
        contact: The contact sheet, or None if none was asked for.
        orphans: Label corrections whose picture is in RAW no more; they are kept for its return.
    """

    out: Path
    scan: Scan
    recipe: str
    images: int
    statuses: Mapping[str, int]
    reasons: Mapping[tuple[str, str], int]
    sources: Mapping[str, int]
    unread: int
    progress: Progress
    seconds: float
    estimate: "Estimate | None" = None
    contact: Path | None = None
    orphans: int = 0

    @classmethod
    def of(
        cls,
        out: Path,
        scan: Scan,
        recipe: str,
        rows: pa.Table,
        progress: Progress,
        *,
        seconds: float,
        unread: int = 0,
        estimate: "Estimate | None" = None,
        contact: Path | None = None,
        orphans: int = 0,
    ) -> "PreprocessResult":
        """Count what the rows of a run tell: its columns status, reason and face_source."""
        outcomes = rows.select(["status", "reason"]).group_by(["status", "reason"])
        reasons = outcomes.aggregate([([], "count_all")]).to_pylist()
        return cls(
            out=out,
            scan=scan,
            recipe=recipe,
            images=len(scan.files),
            statuses=_counts(rows["status"]),
            reasons={
                (row["status"], row["reason"]): row["count_all"] for row in reasons if row["reason"]
            },
            sources=_counts(rows["face_source"]),
            unread=unread,
            progress=progress,
            seconds=seconds,
            estimate=estimate,
            contact=contact,
            orphans=orphans,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the work of a dry run would take.

    Args:
        tried: How many images were worked through to tell, into a folder that is gone again.
        seconds: Wall clock, with the workers asked for, loading of models included.
        size_bytes: Of crops and findings.
    """

    tried: int
    seconds: float
    size_bytes: int


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each value occurs, nulls left out."""
    counts = pc.value_counts(column.drop_null())
    return dict(
        zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    )
