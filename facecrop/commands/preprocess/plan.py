"""What a preprocess run has to do: which profiles are settled, and which go to the workers.

RAW and what is known of it are read side by side, in the one order they share; a record that stays
as it is leaves a few bytes in memory, and no object.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.commands.preprocess.compare import ASKED, Comparison, Flags, Wanted, flags
from facecrop.commands.preprocess.known import LEDGER_SCHEMA
from facecrop.commands.preprocess.outcome import Outcome, Outcomes
from facecrop.commands.preprocess.targets import Targets
from facecrop.commands.preprocess.todo import KEPT, items_of, todo_of
from facecrop.commands.spilled import Spilled
from facecrop.commands.streams import Rows, matched, paired, windows
from facecrop.crops.places import Places
from facecrop.engines.work import Task
from facecrop.errors import StoreError
from facecrop.images.picture import Item
from facecrop.labels.raw import RAW_COLUMNS

_TRUST_NS = 2_000_000_000
"""A file touched less than this before the last scan may have changed since with equal times."""
_TASK_IMAGES = 28
"""Images of a task at most: enough to form batches."""
_TASKS_EACH = 8
"""Tasks for each worker at least, so that none is left alone with a long last one."""

_BARE = ["path", "target", "size", "mtime_ns", "digest"]
"""What work is that uses nothing again."""
_AT_STAKE = ["path", "image"]

_Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The parts of a run.

    Args:
        raw: What RAW tells of every record, with `RAW_SCHEMA`.
        known: What earlier runs found.
        settled: (N,), records whose rows stay.
        outcomes: What became of these.
        todo: What has to be worked on, a row for each record, profile after profile: what `Item`
            and `Kept` hold.
        order: (M,), the numbers of these records.
        ends: (P,), where each profile ends in `todo`.
        unread: Files whose unchanged size and times spared reading them.
        before: How many records were known.
        told: Whether RAW tells of all records what it told before, and of no others.
    """

    raw: pa.Table
    known: Rows
    settled: Flags
    outcomes: Mapping[Outcome, int]
    todo: Spilled
    order: _Numbers
    ends: _Numbers
    unread: int
    before: int
    told: bool

    @property
    def images(self) -> int:
        """How many records have to be worked on."""
        return len(self.order)

    def rows(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield columns of the rows that stay, as `streams.Rows`.

        Raises:
            StoreError: Some of them have gone since the plan was made.
        """
        start = 0
        for raw, known in paired(windows(self.raw.select(["path"])), self.known(names)):
            if not len(raw):
                continue
            stays = self.settled[start : start + len(raw)]
            start += len(raw)
            rows = matched(raw["path"], known)
            if not stays.all():
                rows = rows.filter(pa.array(stays))
            if rows["path"].null_count:
                raise StoreError("another run has changed what was known; run the command again")
            yield rows

    def at_stake(self) -> Spilled:
        """Return `path` and `image` of what was known and does not stay, by path."""
        found, start = Spilled(pa.schema([LEDGER_SCHEMA.field(name) for name in _AT_STAKE])), 0
        for raw, known in paired(windows(self.raw.select(["path"])), self.known(_AT_STAKE)):
            stays = self.settled[start : start + len(raw)]
            start += len(raw)
            if not (len(raw) == len(known) and stays.all()):
                settled = raw["path"].filter(pa.array(stays)).combine_chunks()
                found.add(known.filter(pc.invert(pc.is_in(known["path"], settled))))
        return found.close()

    def tasks(self, workers: int) -> Iterator[Task]:
        """Yield the work in handy pieces: neighbouring profiles together."""
        enough = min(_TASK_IMAGES, self.images / (workers * _TASKS_EACH))
        start, ends = 0, list[int]()
        for end in map(int, self.ends):
            ends.append(end)
            if end - start >= enough or end == self.images:
                yield Task(self._profiles(start, ends))
                start, ends = end, []

    def sample(self, profiles: int) -> Task:
        """Return at most so many profiles, spread over all, as if nothing were kept of them."""
        starts = [0, *self.ends.tolist()]
        step = max(1, len(self.ends) // profiles)
        chosen = list(pairwise(starts))[::step][:profiles]
        found = (self.todo.slice(start, end - start).select(_BARE) for start, end in chosen)
        return Task([items_of(rows) for rows in found])

    def _profiles(self, start: int, ends: list[int]) -> list[tuple[Item, ...]]:
        items = items_of(self.todo.slice(start, ends[-1] - start))
        return [items[first - start : last - start] for first, last in pairwise([start, *ends])]


def plan_run(
    out: Path,
    raw: pa.Table,
    known: Rows,
    recipe: bytes,
    *,
    scanned_ns: int,
    extension: str,
    keep: frozenset[str],
    kept_before: frozenset[str],
    verify: bool,
    retry: bool = True,
    places: Places | None = None,
) -> RunPlan:
    """Compare a raw folder with what is known of it.

    Args:
        out: The dataset.
        raw: RAW as it is now (`Scan.table`).
        known: What earlier runs found (`Ledger.known`).
        recipe: Fingerprint of the recipe of this run.
        scanned_ns: When the last run scanned RAW, 0 if unknown.
        extension: Of the crops.
        keep: What to write beside the crops.
        kept_before: What the last run that came to its end wrote beside them.
        verify: Read every file and crop again.
        retry: Work again on records whose reason may have gone away.
        places: Where crops lie that are not files; None: they are looked for.
    """
    targets = Targets(raw)
    trusted_ns = scanned_ns - _TRUST_NS
    wanted = Wanted(recipe, trusted_ns, extension, keep, kept_before, verify, retry)
    seen = _Seen(raw, known, Comparison(out, targets, wanted, places or Places(out)))
    settled, order, ends = seen.by_profile()
    return RunPlan(
        raw,
        known,
        settled,
        seen.outcomes(settled),
        todo_of(raw, known, targets, seen.usable(), order),
        order,
        ends,
        int(seen.same.sum()),
        seen.before,
        seen.told,
    )


class _Seen:
    """What came of comparing all records, a few bytes of each.

    Args:
        raw: What RAW tells of every record.
        known: What earlier runs found.
        comparison: Compares some of them at a time.
    """

    def __init__(self, raw: pa.Table, known: Rows, comparison: Comparison) -> None:
        self.raw, self.known = raw, known
        self.same, self.intact, self.beside, self.done, self._own = np.zeros(
            (5, raw.num_rows), np.bool_
        )
        self._outcome = np.zeros(raw.num_rows, np.int32)
        self._outcomes = Outcomes()
        self._others: list[pa.ChunkedArray] = []
        self.before, self.told = 0, True
        start = 0
        for left, right in paired(windows(raw), known(ASKED)):
            at = slice(start, start + len(left))
            start += len(left)
            self.before += len(right)
            self._look(left, right, at, comparison)

    def _look(self, raw: pa.Table, known: pa.Table, at: slice, comparison: Comparison) -> None:
        rows = matched(raw["path"], known)
        if rows is not known or not raw.equals(known.select(RAW_COLUMNS)):
            self.told = False
        # Of profiles that have lost a record, or given it to another, all are worked on again.
        self._own[at] = own = flags(pc.equal(raw["profile"], rows["profile"]))
        if own.sum() != len(known):
            found = pc.index_in(known["path"], value_set=raw["path"].combine_chunks())
            is_own = flags(pc.equal(raw["profile"].take(found), known["profile"]))
            self._others.append(known["profile"].filter(pa.array(~is_own)))
        if not len(raw):
            return
        compared = comparison.look(raw, rows, at.start)
        self.same[at], self.intact[at] = compared.same, compared.intact
        self.beside[at], self.done[at] = compared.beside, compared.done
        self._outcome[at] = self._outcomes(rows)

    def usable(self) -> Mapping[str, Flags]:
        """Return by column of what is known where it may be used again, if all has to be done."""
        return {
            name: {"digest": self.same, "extras_key": self.beside}.get(name, self.intact)
            for name in KEPT
        }

    def outcomes(self, settled: Flags) -> Mapping[Outcome, int]:
        """Count what became of settled records."""
        return self._outcomes.count(self._outcome[settled])

    def by_profile(self) -> tuple[Flags, _Numbers, _Numbers]:
        """Tell settled profiles from others: all their records are done, and none has gone.

        Returns:
            (N,) whether the profile of each record is settled; the numbers of the M records of the
            others, profile after profile; (P,) where each of these P profiles ends among them.
        """
        none = np.empty(0, np.int64)
        if self.done.all() and not self._others:  # so nobody need be counted
            return self.done, none, none
        number, people = _numbered(self.raw["profile"])
        count = np.bincount(number, minlength=len(people))
        before = np.bincount(number[self._own], minlength=len(people))
        others = pa.chunked_array(
            [one for part in self._others for one in part.chunks], pa.string()
        )
        places = pc.drop_null(pc.index_in(others, value_set=people)).to_numpy()
        before += np.bincount(places, minlength=len(people))
        whole = before == count
        whole[number[~self.done]] = False
        settled = whole[number]
        order = np.flatnonzero(~settled)
        order = order[np.argsort(number[order], kind="stable")]
        last = np.append(np.diff(number[order]) != 0, True)[: len(order)]
        return settled, order, np.flatnonzero(last) + 1


def _numbered(profiles: pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.Array]:
    """Return (N,) a number for the profile of each record, as they come; (P,) who that is."""
    chunks = profiles.dictionary_encode().chunks  # which share one dictionary, that of all
    numbers = [chunk.indices.to_numpy() for chunk in chunks]
    people = chunks[0].dictionary if chunks else pa.array([], pa.string())
    return np.concatenate([np.empty(0, np.int32), *numbers]), people
