"""What a preprocess run has to do: which profiles are settled, and which go to the workers.

Everything is compared by column: a run with nothing to do makes no object for a record.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from stat import S_ISREG

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.commands.ledger import LEDGER_SCHEMA
from facecrop.engines.work import Task
from facecrop.images.output import extra_file
from facecrop.images.picture import Item, Kept
from facecrop.index import RETRIED, Status
from facecrop.labels.layouts import Scan
from facecrop.labels.paths import crop_names, unescape
from facecrop.labels.raw import RAW_SCHEMA

_TRUST_NS = 2_000_000_000
"""A file touched less than this before the last scan may have changed since with equal times."""
_TASK_IMAGES = 28
"""Images of a task at most: enough to form batches."""
_TASKS_EACH = 8
"""Tasks for each worker at least, so that none is left alone with a long last one."""

_FACTS = ("size", "mtime_ns", "ctime_ns", "inode")
_CROP_FACTS = ("image", "image_sha256", "image_size", "image_mtime_ns", "render_key")

_Flags = NDArray[np.bool_]
"""(N,), one for each record."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The parts of a run.

    Args:
        settled: Rows that stay, in the ledger's schema, in the order of their paths.
        todo: What has to be worked on, a row for each record, profile after profile: what `Item`
            and `Kept` hold.
        ends: (P,), where each profile ends in `todo`.
        unread: Files whose unchanged size and times spared reading them.
    """

    settled: pa.Table
    todo: pa.Table
    ends: NDArray[np.int64]
    unread: int

    @property
    def images(self) -> int:
        """How many records have to be worked on."""
        return int(self.todo.num_rows)

    def tasks(self, workers: int) -> Iterator[Task]:
        """Yield the work in handy pieces: neighbouring profiles together."""
        enough = min(_TASK_IMAGES, self.images / (workers * _TASKS_EACH))
        start, ends = 0, list[int]()
        for end in self.ends.tolist():
            ends.append(end)
            if end - start >= enough or end == self.images:
                yield Task(self._profiles(start, ends))
                start, ends = end, []

    def sample(self, profiles: int) -> Task:
        """Return at most so many profiles, spread over all, as if nothing were kept of them."""
        starts = [0, *self.ends.tolist()]
        step = max(1, len(self.ends) // profiles)
        chosen = list(pairwise(starts))[::step][:profiles]
        bare = self.todo.select(["path", "target", "size", "mtime_ns", "digest"])
        return Task([_items(bare.slice(start, end - start)) for start, end in chosen])

    def _profiles(self, start: int, ends: list[int]) -> list[tuple[Item, ...]]:
        items = _items(self.todo.slice(start, ends[-1] - start))
        return [items[first - start : last - start] for first, last in pairwise([start, *ends])]


def _items(rows: pa.Table) -> tuple[Item, ...]:
    values = zip(*(column.to_pylist() for column in rows.columns), strict=True)
    return tuple(
        Item(
            path, unescape(path), target, size, mtime_ns, digest, Kept(*kept) if any(kept) else None
        )
        for path, target, size, mtime_ns, digest, *kept in values
    )


def plan_run(
    out: Path,
    scan: Scan,
    raw: pa.Table,
    previous: pa.Table,
    recipe: bytes,
    *,
    scanned_ns: int,
    extension: str,
    keep: frozenset[str],
    kept_before: frozenset[str],
    verify: bool,
    retry: bool = True,
) -> RunPlan:
    """Compare a raw folder with what is known of it.

    Args:
        out: The dataset.
        scan: RAW as it is now.
        raw: The same as a table (`Scan.table`).
        previous: What earlier runs found (`Ledger.previous`).
        recipe: Fingerprint of the recipe of this run.
        scanned_ns: When the last run scanned RAW, 0 if unknown.
        extension: Of the crops.
        keep: What to write beside the crops.
        kept_before: What the last run that came to its end wrote beside them.
        verify: Read every file and crop again.
        retry: Work again on records whose reason may have gone away.
    """
    paths = raw["path"]
    targets = crop_names(
        [file.profile for file in scan.files],
        [file.name for file in scan.files],
        [file.path for file in scan.files],
    )
    known = _Known(previous, paths)
    same = _unchanged(raw, known, scanned_ns) & (not verify)
    intact = _intact(out, known, verify=verify)
    beside = _have_extras(out, targets, keep)
    expected = pa.chunked_array([[f"images/{target}.{extension}" for target in targets]])
    done = (
        same
        & _flags(pc.equal(raw["profile"], known["profile"]))
        & _flags(pc.equal(known["recipe"], pa.scalar(recipe, known["recipe"].type)))
        & ~_flags(pc.is_in(known["status"], pa.array([Status.PENDING.value])))
        & ~(_flags(pc.is_in(known["reason"], pa.array(sorted(RETRIED)))) & retry)
        & (
            _flags(pc.equal(known["status"], Status.REJECT.value))
            | (intact & beside & _flags(pc.equal(known["image"], expected)))
        )
    )
    done &= keep <= kept_before  # else rejects may lack what is asked for, and no file says so
    settled, order, ends = _by_profile(raw["profile"], previous["profile"], done)
    todo = {
        "path": paths.take(order),
        "target": pa.array(targets, pa.string()).take(order),
        "size": raw["size"].take(order),
        "mtime_ns": raw["mtime_ns"].take(order),
        "digest": _where(same, known["digest"], order),
        **{name: _where(intact, known[name], order) for name in _CROP_FACTS},
        "extras_key": _where(beside, known["extras_key"], order),
    }
    return RunPlan(_settled(raw, previous, settled), pa.table(todo), ends, int(same.sum()))


def _by_profile(
    profiles: pa.ChunkedArray, before: pa.ChunkedArray, done: _Flags
) -> tuple[_Flags, NDArray[np.int64], NDArray[np.int64]]:
    """Tell settled profiles from others: all their records are done, and none has gone.

    Args:
        profiles: (N,), of each record.
        before: Of the records of earlier runs.
        done: (N,), records that need no work for themselves.

    Returns:
        (N,) whether the profile of each record is settled; the numbers of the M records of the
        others, profile after profile; (P,) where each of these P profiles ends among them.
    """
    profile = profiles.combine_chunks().dictionary_encode()
    number = profile.indices.to_numpy()
    whole = _count(before, profile.dictionary) == np.bincount(number)
    whole[number[~done]] = False
    settled = whole[number]
    order = np.argsort(number, kind="stable")
    order = order[~settled[order]]
    last = np.append(np.diff(number[order]) != 0, True)[: len(order)]
    return settled, order, np.flatnonzero(last) + 1


class _Known:
    """What earlier runs found about the records of RAW, column by column, null where nothing."""

    def __init__(self, previous: pa.Table, paths: pa.ChunkedArray) -> None:
        self._previous = previous
        self._places: pa.ChunkedArray | None = None
        if not previous["path"].equals(paths):
            self._places = pc.index_in(paths, value_set=previous["path"].combine_chunks())

    def __getitem__(self, name: str) -> pa.ChunkedArray:
        values = self._previous[name]
        return values if self._places is None else values.take(self._places)


def _unchanged(raw: pa.Table, known: _Known, scanned_ns: int) -> _Flags:
    """Return which files are surely as they were, without reading them."""
    touched = pc.max_element_wise(raw["mtime_ns"], raw["ctime_ns"])
    same = _flags(pc.less(touched, scanned_ns - _TRUST_NS))
    for fact in _FACTS:
        same &= _flags(pc.equal(raw[fact], known[fact]))
    return same


def _intact(out: Path, known: _Known, *, verify: bool) -> _Flags:
    """Return which crops are what was written: by size and time, else by their digest."""
    images = known["image"].to_pylist()
    size, written_ns = _on_disk(out, images)
    there: _Flags = (size >= 0) & _flags(pc.is_valid(known["render_key"]))
    intact: _Flags = (
        there
        & (size == _numbers(known["image_size"]))
        & (written_ns == _numbers(known["image_mtime_ns"]))
    )
    for number in np.flatnonzero(there if verify else there & ~intact):
        data = (out / images[number]).read_bytes()
        intact[number] = sha256(data).digest() == known["image_sha256"][number].as_py()
    return intact


def _have_extras(out: Path, targets: list[str], keep: frozenset[str]) -> _Flags:
    """Return where all that `--keep` asks for lies beside the crop."""
    there = np.ones(len(targets), np.bool_)
    for kind in keep:
        size, _ = _on_disk(out, [extra_file(kind, target) for target in targets])
        there &= size >= 0
    return there


def _on_disk(out: Path, names: Sequence[str | None]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return bytes and time of writing in ns of files below OUT, (N,) each, -1 where is none."""
    size, written_ns = np.full((2, len(names)), -1, np.int64)
    for number, name in enumerate(names):
        if name is None:
            continue
        try:
            facts = os.stat(f"{out}/{name}")  # noqa: PTH116 - a Path for each file takes as long
        except OSError:
            continue
        if S_ISREG(facts.st_mode):
            size[number], written_ns[number] = facts.st_size, facts.st_mtime_ns
    return size, written_ns


def _count(profiles: pa.ChunkedArray, names: pa.Array) -> NDArray[np.int64]:
    """Return how often each of some names occurs, (P,)."""
    counts = pc.value_counts(profiles)
    places = pc.index_in(names, value_set=counts.field("values"))
    return _numbers(counts.field("counts").take(places))


def _settled(raw: pa.Table, previous: pa.Table, settled: _Flags) -> pa.Table:
    """Return what was known of settled records, with what RAW says of them now."""
    if settled.all() and previous["path"].equals(raw["path"]):
        fresh, known = raw, previous
    else:
        fresh = raw.filter(pa.array(settled))
        known = previous.take(
            pc.index_in(fresh["path"], value_set=previous["path"].combine_chunks())
        )
    columns = [(fresh if name in RAW_SCHEMA.names else known)[name] for name in LEDGER_SCHEMA.names]
    return pa.table(columns, schema=LEDGER_SCHEMA)


def _where(flags: _Flags, values: pa.ChunkedArray, order: NDArray[np.int64]) -> pa.ChunkedArray:
    """Return values in another order, null where the flag of the record is not set."""
    return values.take(pa.array(order, mask=~flags[order]))


def _flags(values: pa.ChunkedArray) -> _Flags:
    return np.asarray(pc.fill_null(values, False).to_numpy(), np.bool_)


def _numbers(values: pa.Array) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(values, -1).to_numpy(), np.int64)
