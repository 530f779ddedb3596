"""What a preprocess run tells: as it goes on, and at its end."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.images.pipeline import Result
from facecrop.images.rows import COLUMNS
from facecrop.labels.layouts import Scan

_STATUS = COLUMNS.index("status")

OUTCOME = ("status", "reason", "face_source")
Outcome = tuple[str, str, str]
"""What became of a record: its `OUTCOME`, empty where it is null."""


class Outcomes:
    """What became of records, as numbers: there are few outcomes, and maybe many records."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def __call__(self, rows: pa.Table) -> NDArray[np.int32]:
        """Return the number of the outcome of each row, (N,), given `OUTCOME`."""
        columns = (rows[name].combine_chunks() for name in OUTCOME)
        text = pc.binary_join_element_wise(
            *columns, "\n", null_handling="replace", null_replacement=""
        ).dictionary_encode()
        known = [
            self._numbers.setdefault(one, len(self._numbers)) for one in text.dictionary.to_pylist()
        ]
        numbers: NDArray[np.int32] = np.array(known, np.int32)[text.indices.to_numpy()]
        return numbers

    def count(self, numbers: NDArray[np.int32]) -> dict[Outcome, int]:
        """Return how often each outcome is among these numbers."""
        counts = np.bincount(numbers, minlength=len(self._numbers)).tolist()
        return {
            (status, reason, source): count
            for text, count in zip(self._numbers, counts, strict=True)
            if count
            for status, reason, source in [text.split("\n")]
        }


def count_outcomes(parts: Iterable[pa.Table]) -> Mapping[Outcome, int]:
    """Count what became of the records of a stream of tables with `OUTCOME`."""
    outcomes, found = Outcomes(), Counter[Outcome]()
    for rows in parts:
        found.update(outcomes.count(outcomes(rows)))
    return found


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
        outcomes: Mapping[Outcome, int],
        progress: Progress,
        *,
        seconds: float,
        unread: int = 0,
        estimate: "Estimate | None" = None,
        contact: Path | None = None,
        orphans: int = 0,
    ) -> "PreprocessResult":
        """Sum up what became of the records."""
        statuses, reasons, sources = Counter[str](), Counter[tuple[str, str]](), Counter[str]()
        for (status, reason, source), count in outcomes.items():
            statuses[status] += count
            if reason:
                reasons[status, reason] += count
            if source:
                sources[source] += count
        return cls(
            out=out,
            scan=scan,
            recipe=recipe,
            images=scan.count,
            statuses=dict(statuses),
            reasons=dict(reasons),
            sources=dict(sources),
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
