"""What earlier runs found out about the records of a dataset, wherever they have left it."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facecrop.commands.parts import find_parts
from facecrop.errors import StoreError, TableError
from facecrop.index import INDEX_FILE, INDEX_SCHEMA, read_batches, read_table
from facecrop.labels.shards import Shard

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


def read_known(out: Path, shard: Shard | None) -> pa.Table:
    """Return what earlier runs found, newest row of each path, in `LEDGER_SCHEMA`.

    Args:
        out: The dataset.
        shard: Whose rows; None for all.
    """
    index = _index(out) if shard is None else _index_of(out, shard)
    return newest([index, *(_own(rows, shard) for rows in read_rows(journals(out, shard)))])


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
            rows = pq.read_table(path, pre_buffer=False).cast(LEDGER_SCHEMA)
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


def newest(parts: Sequence[pa.Table]) -> pa.Table:
    """Return the last row of each path over all parts, sorted by path."""
    if len(parts) == 1:
        return parts[0]
    rows = pa.concat_tables(parts).combine_chunks()
    rows = rows.take(pc.sort_indices(rows["path"]))
    if len(rows) < 2:  # noqa: PLR2004 - one row has no neighbour
        return rows
    paths = rows["path"].combine_chunks()
    last = pa.array([True])
    is_last = pa.concat_arrays([pc.not_equal(paths.slice(0, len(rows) - 1), paths.slice(1)), last])
    return rows.filter(is_last)


def _own(rows: pa.Table, shard: Shard | None) -> pa.Table:
    """Return the rows of a shard's profiles."""
    if shard is None:
        return rows
    profile = rows["profile"].combine_chunks().dictionary_encode()
    mine = [shard.holds(name) for name in profile.dictionary.to_pylist()]
    return rows.filter(pa.array(mine, pa.bool_()).take(profile.indices))


def _index(out: Path) -> pa.Table:
    if not (out / INDEX_FILE).exists():
        return LEDGER_SCHEMA.empty_table()
    index = read_table(out / INDEX_FILE).select(INDEX_SCHEMA.names).cast(INDEX_SCHEMA)
    try:
        state = read_table(out / STATE_FILE).cast(STATE_SCHEMA)
    except (TableError, ValueError):
        state = STATE_SCHEMA.empty_table()
    return _with_state(index, state)


def _index_of(out: Path, shard: Shard) -> pa.Table:
    """Return the rows of the index that are a shard's, without ever holding the others."""
    if not (out / INDEX_FILE).exists():
        return LEDGER_SCHEMA.empty_table()
    mine = [
        _own(rows.select(INDEX_SCHEMA.names).cast(INDEX_SCHEMA), shard)
        for rows in read_batches(out / INDEX_FILE)
    ]
    index = pa.concat_tables([INDEX_SCHEMA.empty_table(), *mine])
    paths = index["path"].combine_chunks()
    try:
        found = [
            rows.filter(pc.is_in(rows["path"], paths)).cast(STATE_SCHEMA)
            for rows in read_batches(out / STATE_FILE)
        ]
    except (TableError, ValueError):
        found = []
    return _with_state(index, pa.concat_tables([STATE_SCHEMA.empty_table(), *found]))


def _with_state(index: pa.Table, state: pa.Table) -> pa.Table:
    """Join the state to the rows of the index, null where there is none."""
    if state["path"].equals(index["path"]):
        joined = index
        for field in list(STATE_SCHEMA)[1:]:
            joined = joined.append_column(field, state[field.name])
        return joined
    joined = index.join(state, "path").sort_by("path")
    return joined.select(LEDGER_SCHEMA.names).cast(LEDGER_SCHEMA)
