"""What earlier runs found out about the records of a dataset, wherever they have left it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from facecrop.commands.preprocess.parts import find_parts
from facecrop.commands.streams import (
    WINDOW,
    Rows,
    Source,
    last_of_each,
    matched,
    merged,
    paired,
)
from facecrop.errors import StoreError, TableError
from facecrop.index import INDEX_FILE, INDEX_SCHEMA, read_columns
from facecrop.labels.shards import Shard
from facecrop.storage import readable

STATE_SCHEMA = pa.schema(
    [
        ("path", pa.string()), ("image_size", pa.int64()), ("image_mtime_ns", pa.int64()),
        ("render_key", pa.binary(32)),
        ("extras_key", pa.binary(32)), ("alpha_key", pa.binary(32)),
    ]
)  # fmt: skip
LEDGER_SCHEMA = pa.schema([*INDEX_SCHEMA, *list(STATE_SCHEMA)[1:]])
"""Columns of the journal: those of the index, then those of the state."""


STATE_FILE, JOURNAL = Path(".store", "state.parquet"), Path(".store", "rows")


_SMALL_ROWS = 1 << 15
"""A journal of at most so many rows is read as a whole."""
_JOURNAL_ROWS = 1 << 12
"""Of larger ones so many are read at a time: there may be as many as shards."""


class Known:
    """What earlier runs found, newest row of each path: `streams.Rows` of `LEDGER_SCHEMA`.

    It is read anew each time it is called.

    Args:
        out: The dataset.
        shard: Whose rows; None for all.
        paths: Of journals that are newer than the index, oldest first; None for all there are.
    """

    def __init__(
        self, out: Path, shard: Shard | None = None, paths: Sequence[Path] | None = None
    ) -> None:
        self._sources = [Source("", lambda names: _index(out, shard, names), str(out / INDEX_FILE))]
        found = map(journal, journals(out, shard) if paths is None else paths)
        self._sources += [
            Source(one.first, _own(one.rows, shard), one.place) for one in found if one
        ]

    def __call__(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """Yield these columns, `path` among them.

        Raises:
            TableError: The index cannot be read.
            StoreError: The system would not let a journal be read, which may be whole.
        """
        yield LEDGER_SCHEMA.empty_table().select(list(names))
        yield from merged(self._sources, names)


def journals(out: Path, shard: Shard | None) -> list[Path]:
    """Return the tables of finished rows that may tell of a shard's records, oldest first."""
    folders = [out / JOURNAL]
    folders += [
        part.rows
        for part in find_parts(out)
        if shard is None or part.shard == shard or part.shard.count != shard.count
    ]
    return by_age(path for folder in folders for path in folder.glob("*.parquet"))


def by_age(paths: Iterable[Path]) -> list[Path]:
    """Return files, the oldest first; those that have just been removed are left out."""
    ages = []
    for path in paths:
        try:
            ages.append((path.stat().st_mtime_ns, path))
        except FileNotFoundError:
            continue  # put together with others by the shard it belongs to
    return [path for _, path in sorted(ages)]


def read_rows(paths: Iterable[Path]) -> Iterator[pa.Table]:
    """Read tables of finished rows; what a power failure has torn is removed: it is worked out.

    Raises:
        StoreError: The system would not let a table be read, which may be whole.
    """
    for path in paths:
        try:
            rows = pq.read_table(readable(path), pre_buffer=False).cast(LEDGER_SCHEMA)
        except FileNotFoundError:
            continue  # put together with others by the shard it belongs to
        except (pa.ArrowException, OSError) as error:
            _remove_damaged(path, error)
            continue
        yield rows


def _remove_damaged(path: Path, error: Exception) -> None:
    """Remove a table whose bytes are wrong; one that the system would not read is left alone."""
    number = getattr(error, "errno", None)
    if number is not None:
        raise StoreError(
            f"{path} cannot be read: {os.strerror(number)}; run the command again"
        ) from None
    path.unlink(missing_ok=True)


def _own(rows: Rows, shard: Shard | None) -> Rows:
    """Return the rows of a shard's profiles; without a shard, all of them."""
    if shard is None:
        return rows

    def own(names: Sequence[str]) -> Iterator[pa.Table]:
        for part in rows([*names, *{"profile"}.difference(names)]):
            profile = part["profile"].combine_chunks().dictionary_encode()
            mine = [shard.holds(name) for name in profile.dictionary.to_pylist()]
            yield part.filter(pa.array(mine, pa.bool_()).take(profile.indices)).select(list(names))

    return own


def _index(out: Path, shard: Shard | None, names: Sequence[str]) -> Iterator[pa.Table]:
    """Yield rows of the index, joined with the state where that is asked for."""
    if not (out / INDEX_FILE).exists():
        return
    of_state = [name for name in names if name not in INDEX_SCHEMA.names]
    index = _own(lambda names: _read(out / INDEX_FILE, names, INDEX_SCHEMA), shard)
    rows = index([name for name in names if name in INDEX_SCHEMA.names])
    if not of_state:
        yield from rows
        return
    for left, right in paired(rows, _state(out, ["path", *of_state])):
        if len(left):
            found = matched(left["path"], right)
            both = {name: (found if name in of_state else left)[name] for name in names}
            yield pa.table(both)


def _state(out: Path, names: Sequence[str]) -> Iterator[pa.Table]:
    """Yield rows of the state; none if it cannot be read: what it tells is worked out again."""
    yield STATE_SCHEMA.empty_table().select(list(names))
    try:
        yield from _read(out / STATE_FILE, names, STATE_SCHEMA)
    except (TableError, ValueError, KeyError):
        return


def _read(path: Path, names: Sequence[str], schema: pa.Schema) -> Iterator[pa.Table]:
    own = pa.schema([schema.field(name) for name in names])
    for part in read_columns(path, list(names), WINDOW):
        yield part.select(own.names).cast(own)


def journal(path: Path) -> Source | None:
    """Return the rows of a journal; None if it has gone or was damaged."""
    try:
        facts = pq.read_metadata(readable(path, footer=True))
    except FileNotFoundError:
        return None  # put together with others by the shard it belongs to
    except (pa.ArrowException, OSError) as error:
        _remove_damaged(path, error)
        return None
    if facts.num_rows <= _SMALL_ROWS:
        return Source(_first(facts), lambda names: _small(path, names), str(path))
    return Source(_first(facts), lambda names: _large(path, names), str(path))


def _first(facts: pq.FileMetaData) -> str:
    """Return the first path of a table, as far as is written down."""
    number = facts.schema.names.index("path") if "path" in facts.schema.names else None
    told = [
        None if number is None else facts.row_group(group).column(number).statistics
        for group in range(facts.num_row_groups)
    ]
    known = [one.min for one in told if one is not None and one.has_min_max]
    return str(min(known)) if known and len(known) == len(told) else ""


def _small(path: Path, names: Sequence[str]) -> Iterator[pa.Table]:
    for rows in read_rows([path]):
        yield last_of_each(rows).select(list(names))


def _large(path: Path, names: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of a table that was written in order.

    Raises:
        StoreError: It cannot be read; if its bytes are wrong it is removed.
    """
    own = pa.schema([LEDGER_SCHEMA.field(name) for name in names])
    try:
        with pq.ParquetFile(readable(path), pre_buffer=False) as file:
            for batch in file.iter_batches(_JOURNAL_ROWS, columns=list(names)):
                yield pa.Table.from_batches([batch]).select(own.names).cast(own)
    except FileNotFoundError:
        return
    except (pa.ArrowException, OSError) as error:
        _remove_damaged(path, error)
        raise StoreError(f"{path} was damaged, and is removed; run the command again") from None
