"""Where crops lie that are not files of their own: in tars, or waiting to be packed into some.

A crop is found by its digest, whatever it is called. What is known of each is some 24 bytes.
"""

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.crops import FOLDER, SHARDS_FILE, in_tars, spool
from facecrop.errors import StoreError, TableError
from facecrop.fragments import prefixes
from facecrop.index import read_columns, read_table, write_atomic
from facecrop.storage import is_remote, on_disk, read_range

FACTS = Path(".store", "tars.json")
"""Size and stamp of each tar as it was written: an unchanged one is not read to be trusted."""

_NOTHING = tuple(np.empty(0, kind) for kind in (np.uint64, np.int32, np.int64, np.int64))
_AT_ONCE = 1 << 16
"""Rows that are read at a time."""
_Rows = tuple[str, pa.Table]
"""A file below OUT, and crops in it: their sha256, offset and size."""


class Places:
    """Where crops lie, by content; only those that are there and are what was written.

    Args:
        out: The dataset.
        spools: Folders where crops wait to be packed; None: all there are.
        verify: Read every tar, whatever its size and time say.
    """

    def __init__(
        self, out: Path, spools: Iterable[Path] | None = None, *, verify: bool = False
    ) -> None:
        self.out = out
        self.whole: set[str] = set()
        """Names of the tars of which every crop is as it was written."""
        self._facts: dict[str, tuple[int, int]] = {}
        self._files: list[str] = []
        self._gone: set[int] = set()
        # The newest come first: what was made again stands before what it was made for.
        if spools is None:
            spools = [out / spool.FOLDER, *sorted((out / ".store").glob(f"shards/*/{spool.NAME}"))]
        found = chain(_of_spools(out, spools), self._of_tars(verify=verify))
        parts = [_NOTHING, *(self._numbers(*one) for one in found)]
        prefix, self._file, self._offset, self._size = map(np.concatenate, zip(*parts, strict=True))
        self._order = np.argsort(prefix, kind="stable")
        self._prefix = prefix[self._order]
        self._copies: Path | None = None

    def __len__(self) -> int:
        """Return how many crops there are."""
        return len(self._prefix)

    def locate(self, digests: pa.ChunkedArray) -> NDArray[np.int64]:
        """Return where crops with these digests are, (N,): a number for `read`, -1 if nowhere.

        Digests are compared by their first eight bytes: what `read` returns has all of them.
        """
        result = np.full(len(digests), -1, np.int64)
        valid = np.asarray(pc.is_valid(digests).to_numpy())
        if not len(self) or not valid.any():
            return result
        wanted = prefixes(digests.drop_null())
        at = np.searchsorted(self._prefix, wanted).clip(max=len(self) - 1)
        result[valid] = np.where(self._prefix[at] == wanted, self._order[at], -1)
        if self._gone:
            result[np.isin(result, list(self._gone))] = -1
        return result

    def read(self, number: int, digest: bytes) -> bytes | None:
        """Return a crop; None if it is not there any more, or is another one: forgotten then.

        Args:
            number: As `locate` says.
            digest: sha256 of its bytes.
        """
        try:
            file = self._here(self._files[self._file[number]])
            data = read_range(file, int(self._offset[number]), int(self._size[number]))
        except OSError:
            data = b""
        if sha256(data).digest() == digest:
            return data
        self._gone.add(number)
        return None

    @contextmanager
    def at_hand(self) -> Iterator[None]:
        """Hold what is read in a folder for temporary files, for as long as many crops are read.

        Only of object storage: one request for a file, not one for each crop in it.
        """
        if not is_remote(self.out):
            yield
            return
        with tempfile.TemporaryDirectory(prefix="facecrop-") as folder:
            self._copies = Path(folder)
            try:
                yield
            finally:
                self._copies = None

    def remember(self) -> None:
        """Note which tars need not be read to be trusted: those that are whole."""
        known = {name: list(self._facts[name]) for name in sorted(self.whole)}
        if known != _remembered(self.out):
            path = self.out / FACTS
            write_atomic(path, lambda there: there.write_text(json.dumps(known)))

    def take(self, written: list[str], names: set[str]) -> None:
        """Take note of tars that have just been written, and of which there are now."""
        self._facts.update(zip(written, _tar_facts(self.out, written), strict=True))
        self.whole = names

    def _numbers(self, file: str, rows: pa.Table) -> tuple[NDArray[Any], ...]:
        """Return what is kept of crops in a file, (n,) each: digest, file, offset, size."""
        if not self._files or self._files[-1] != file:
            self._files.append(file)
        return (
            prefixes(rows["sha256"]),
            np.full(len(rows), len(self._files) - 1, np.int32),
            rows["offset"].to_numpy(),
            rows["size"].to_numpy(),
        )

    def _here(self, name: str) -> Path:
        """Return a file, or the copy of it that is `at_hand`, made once."""
        if self._copies is None:
            return self.out / name
        copy = self._copies / name.replace("/", "-")
        if not copy.exists():
            data = (self.out / name).read_bytes()
            try:
                copy.write_bytes(data)
            except OSError as error:
                copy.unlink(missing_ok=True)
                raise StoreError(
                    f"{copy.parent} cannot hold a copy of {self.out / name} "
                    f"({error.strerror or error}); set TMPDIR to a folder with more room"
                ) from None
        return copy

    def _of_tars(self, *, verify: bool) -> Iterator[_Rows]:
        """Yield the crops in each tar that are as they were written."""
        if not in_tars(self.out):
            return
        remembered = {} if verify else _remembered(self.out)
        table, broken = self.out / SHARDS_FILE, set[str]()
        try:
            told = read_columns(table, ["shard"], _AT_ONCE)
            names = list(dict.fromkeys(name for part in told for name in _names(part)))
            facts = self._facts = dict(zip(names, _tar_facts(self.out, names), strict=True))
            for part in read_columns(table, ["shard", "offset", "size", "sha256"], _AT_ONCE):
                for name in _names(part):
                    rows = part.filter(pc.equal(part["shard"], name))
                    if remembered.get(name) != list(facts[name]):
                        sound = _as_written(self.out / FOLDER / name, rows)
                        broken |= set() if all(sound) else {name}
                        rows = rows.filter(pa.array(sound, pa.bool_()))
                    yield f"{FOLDER}/{name}", rows
        except TableError:  # damaged: what it does not tell is made again
            broken |= self._facts.keys()
        self.whole = self._facts.keys() - broken


def _names(rows: pa.Table) -> list[str]:
    return list(pc.unique(rows["shard"]).to_pylist())


def _tar_facts(out: Path, names: list[str]) -> list[tuple[int, int]]:
    """Return size and stamp of tars, -1 and -1 of one that is not there."""
    return list(on_disk(out, [f"{FOLDER}/{name}" for name in names]))


def _remembered(out: Path) -> dict[str, list[int]]:
    try:
        known = json.loads((out / FACTS).read_text())
        return {str(name): [int(number) for number in facts] for name, facts in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _as_written(tar: Path, rows: pa.Table) -> list[bool]:
    """Return which crops of a tar are those that the table of places names."""
    try:
        data = memoryview(tar.read_bytes())
    except OSError:
        return [False] * len(rows)
    columns = (rows[name].to_pylist() for name in ("offset", "size", "sha256"))
    return [
        sha256(data[offset : offset + size]).digest() == digest
        for offset, size, digest in zip(*columns, strict=True)
    ]


def _of_spools(out: Path, folders: Iterable[Path]) -> Iterator[_Rows]:
    """Yield the crops that wait to be packed; what was not written whole is nothing."""
    tables = [table for folder in folders for table in folder.glob(f"*{spool.TABLE}")]
    tables.sort(key=lambda table: table.name, reverse=True)
    names = [table.with_suffix(spool.DATA).relative_to(out).as_posix() for table in tables]
    for table, name, (size, _) in zip(tables, names, on_disk(out, names), strict=True):
        try:
            rows = read_table(table).cast(spool.SCHEMA)
        except (TableError, ValueError):
            continue
        if pc.sum(rows["size"]).as_py() == size:
            yield name, rows
