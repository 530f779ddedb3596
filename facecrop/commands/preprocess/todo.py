"""What workers have to do, as a table: a row for each record, with what may be used again.

It is made before the first record is worked on: then the index is written anew, and tells nothing
of them any more. Of many records it does not stay in memory.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.commands import streams
from facecrop.commands.preprocess.compare import Flags
from facecrop.commands.preprocess.known import LEDGER_SCHEMA
from facecrop.commands.preprocess.targets import Targets
from facecrop.commands.spilled import Spilled
from facecrop.commands.streams import Rows, matched, paired, windows
from facecrop.images.picture import Item, Kept
from facecrop.labels.paths import unescape

KEPT = (
    "digest", "image", "image_sha256", "image_size", "image_mtime_ns", "render_key", "extras_key",
)  # fmt: skip
"""What is known of a record that has to be worked on: what `Item` and `Kept` hold."""
_SCHEMA = pa.schema(
    [
        ("path", pa.string()), ("target", pa.string()),
        ("size", pa.int64()), ("mtime_ns", pa.int64()),
        *(LEDGER_SCHEMA.field(name) for name in KEPT),
    ]
)  # fmt: skip


def todo_of(
    raw: pa.Table,
    known: Rows,
    targets: Targets,
    usable: Mapping[str, Flags],
    order: NDArray[np.int64],
) -> Spilled:
    """Return what has to be worked on, and what may be used again of what is known of it.

    Args:
        raw: What RAW tells of every record, (N,).
        known: What earlier runs found.
        targets: Where the crops belong.
        usable: By column of `KEPT`, (N,), where it may be used again.
        order: (M,), the numbers of the records, in the order of the rows asked for.
    """
    todo = Spilled(_SCHEMA)
    if not len(order):
        return todo
    rising = bool((np.diff(order) > 0).all())
    parts = []
    asked = np.zeros(len(raw), np.bool_)
    asked[order] = True
    none = {name: pa.nulls(streams.WINDOW, _SCHEMA.field(name).type) for name in KEPT}
    start = 0
    for left, right in paired(windows(raw), known(["path", *KEPT])):
        at = slice(start, start + len(left))
        start += len(left)
        mine = np.flatnonzero(asked[at])
        if not len(mine):
            continue
        rows = matched(left["path"], right)
        told = {name: left[name] for name in ("path", "size", "mtime_ns")}
        columns = told | {"target": targets.of(left, at.start)}
        if len(mine) < len(left):  # else memory is shared
            columns = {name: column.take(mine) for name, column in columns.items()}
        for name in KEPT:
            again = usable[name][at][mine]
            columns[name] = (
                rows[name].take(pa.array(mine, mask=~again))
                if again.any()
                else none[name].slice(0, len(mine))
            )
        part = pa.table(columns, schema=_SCHEMA)
        if rising:
            todo.add(part)
        else:
            parts.append(part)
    if parts:  # profiles whose records do not lie together: only what is held can be put in order
        whole = pa.concat_tables(parts).take(np.searchsorted(np.sort(order), order))
        for part in windows(whole):
            todo.add(part)
    return todo.close()


def items_of(rows: pa.Table) -> tuple[Item, ...]:
    """Return the work of some rows, as workers take it."""
    values = zip(*(column.to_pylist() for column in rows.columns), strict=True)
    return tuple(
        Item(
            path, unescape(path), target, size, mtime_ns, digest, Kept(*kept) if any(kept) else None
        )
        for path, target, size, mtime_ns, digest, *kept in values
    )
