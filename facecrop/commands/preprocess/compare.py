"""What has become of records since the last run: compared by column, some thousands at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.commands.preprocess.targets import Targets
from facecrop.crops.places import Places
from facecrop.images.output import extra_file
from facecrop.index import RETRIED, Status
from facecrop.labels.raw import RAW_COLUMNS
from facecrop.storage import found_in

_FACTS = ("size", "mtime_ns", "ctime_ns", "inode")
ASKED = (
    *RAW_COLUMNS, "recipe", "status", "reason", "face_source",
    "image", "image_sha256", "image_size", "image_mtime_ns", "render_key",
)  # fmt: skip
"""What is asked of what earlier runs found."""

Flags = NDArray[np.bool_]
"""(N,), one for each record."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a run asks of a record that is to stay as it is.

    Args:
        recipe: Fingerprint of the recipe.
        trusted_ns: A file touched before this is known by its times.
        extension: Of the crops.
        keep: What to write beside the crops.
        kept_before: What the last run that came to its end wrote beside them.
        verify: Read every file and crop again.
        retry: Work again on records whose reason may have gone away.
    """

    recipe: bytes
    trusted_ns: int
    extension: str
    keep: frozenset[str]
    kept_before: frozenset[str]
    verify: bool
    retry: bool = True


@dataclass(frozen=True, slots=True)
class Compared:
    """What was found out about some records.

    Args:
        same: (N,), the file is surely as it was, without reading it.
        intact: (N,), the crop is what was written.
        beside: (N,), all that is kept lies beside it.
        done: (N,), no work is needed for the record itself.
    """

    same: Flags
    intact: Flags
    beside: Flags
    done: Flags


class Comparison:
    """Compares RAW and the files of a dataset with what earlier runs found.

    Args:
        out: The dataset.
        targets: Where the crops belong.
        wanted: What the run asks for.
        places: Where crops lie that are not files.
    """

    def __init__(self, out: Path, targets: Targets, wanted: Wanted, places: Places) -> None:
        self._out, self._targets, self._wanted, self._places = out, targets, wanted, places
        self._facts = found_in(out)

    def look(self, raw: pa.Table, known: pa.Table, start: int) -> Compared:
        """Compare some neighbouring records.

        Args:
            raw: What RAW tells of them, (N,).
            known: What earlier runs found, with `ASKED`, (N,), null where nothing.
            start: The number of the first of them.
        """
        wanted = self._wanted
        targets = self._targets.of(raw, start)
        same = _unchanged(raw, known, wanted.trusted_ns) & (not wanted.verify)
        intact = self._intact(known)
        beside = self._have_extras(targets)
        expected = pc.binary_join_element_wise(
            pc.binary_join_element_wise("images", targets, "/"), wanted.extension, "."
        )
        retried = pc.is_in(known["reason"], pa.array(sorted(RETRIED)))
        done = (
            same
            & flags(pc.equal(raw["profile"], known["profile"]))
            & flags(pc.equal(known["recipe"], pa.scalar(wanted.recipe, known["recipe"].type)))
            & ~flags(pc.equal(known["status"], Status.PENDING.value))
            & ~(flags(retried) & wanted.retry)
            & (
                flags(pc.equal(known["status"], Status.REJECT.value))
                | (intact & beside & flags(pc.equal(known["image"], expected)))
            )
        )
        done &= wanted.keep <= wanted.kept_before  # else rejects may lack it, and no file says so
        return Compared(same, intact, beside, done)

    def _intact(self, known: pa.Table) -> Flags:
        """Return which crops are what was written: by size and time, else by their digest."""
        packed: Flags = self._places.locate(known["image_sha256"]) >= 0
        packed &= flags(pc.is_valid(known["render_key"]))
        images = pc.if_else(pa.array(~packed), known["image"], None).to_pylist()
        size, written_ns = self._on_disk(images)
        there: Flags = (size >= 0) & flags(pc.is_valid(known["render_key"]))
        intact: Flags = (
            there
            & (size == _numbers(known["image_size"]))
            & (written_ns == _numbers(known["image_mtime_ns"]))
        )
        for number in np.flatnonzero(there if self._wanted.verify else there & ~intact).tolist():
            data = (self._out / images[number]).read_bytes()
            intact[number] = sha256(data).digest() == known["image_sha256"][number].as_py()
        return intact | packed

    def _have_extras(self, targets: pa.Array) -> Flags:
        """Return where all that `--keep` asks for lies beside the crop."""
        there = np.ones(len(targets), np.bool_)
        for kind in self._wanted.keep:
            size, _ = self._on_disk([extra_file(kind, one) for one in targets.to_pylist()])
            there &= size >= 0
        return there

    def _on_disk(self, names: Sequence[str | None]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return bytes and time of writing in ns of files below OUT, (N,) each, -1 where is none.

        In object storage the time is a stamp (`storage.File`).
        """
        both = (number for facts in self._facts(names) for number in facts)
        told = np.fromiter(both, np.int64, 2 * len(names)).reshape(-1, 2)
        return told[:, 0], told[:, 1]


def _unchanged(raw: pa.Table, known: pa.Table, trusted_ns: int) -> Flags:
    """Return which files are surely as they were, without reading them."""
    touched = pc.max_element_wise(raw["mtime_ns"], raw["ctime_ns"])
    same = flags(pc.less(touched, trusted_ns))
    for fact in _FACTS:
        same &= flags(pc.equal(raw[fact], known[fact]))
    return same


def flags(values: pa.ChunkedArray) -> Flags:
    """Return booleans as (N,) bool, null as False."""
    return np.array(pc.fill_null(values, False).to_numpy(), np.bool_)


def _numbers(values: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(values, -1).to_numpy(), np.int64)
