"""Tables that may be too large to hold: streams of parts, all in the order of their paths.

Index, state and journals are written in the one order that RAW is listed in, so they are compared,
joined and merged as they are read, and what is in memory at a time is some parts of each.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.errors import TableError

WINDOW = 1 << 14
"""Rows of a part, where nothing else decides."""

Rows = Callable[[Sequence[str]], Iterator[pa.Table]]
"""Given names of columns, `path` among them, yields these of all rows, by path, each path once.

There is always a part, which may be without rows.
"""


@dataclass(frozen=True, slots=True)
class Source:
    """Rows that are merged with others.

    Args:
        first: No path comes before this one; it need not be there.
        rows: The rows.
        place: Where they are, for messages.
    """

    first: str
    rows: Rows
    place: str = "a table"


class _Cursor:
    """Where the reading of a stream stands."""

    def __init__(self, parts: Iterable[pa.Table], place: str = "a table") -> None:
        self._parts = iter(parts)
        self._place = place
        self._part: pa.Table | None = None
        self.none: pa.Table = pa.table({})
        """A table with the columns of the stream and without rows."""
        self.last: str | None = None
        """The last path of the part in hand; None at the end."""
        self._next()

    def _next(self) -> None:
        before, self.last = self.last, None
        for part in self._parts:
            self.none = part.slice(0, 0)
            if part.num_rows:
                self._check(part["path"], before)
                self._part, self.last = part, part["path"][-1].as_py()
                return
        self._part = None

    def _check(self, paths: pa.ChunkedArray, before: str | None) -> None:
        """Refuse what is in no order: rows would be taken for missing."""
        joined = paths.combine_chunks()
        rises = pc.less(joined.slice(0, len(joined) - 1), joined.slice(1))
        if not pc.all(rises, min_count=0).as_py() or not (
            before is None or before < joined[0].as_py()
        ):
            raise TableError(
                f"{self._place} is not in the order of its paths, as it was written; "
                "move it away and run the command again"
            )

    def upto(self, bound: str | None) -> pa.Table | None:
        """Return the rows in hand that do not come after a path (None: all), and go on."""
        if self._part is None or self.last is None:
            return None
        if bound is None or self.last <= bound:
            part = self._part
            self._next()
            return part
        count = _count_upto(self._part["path"], bound)
        part, self._part = self._part.slice(0, count), self._part.slice(count)
        return part if count else None


def _count_upto(paths: pa.ChunkedArray, bound: str) -> int:
    """Return how many of the paths, in order, do not come after one."""
    low, high = 0, len(paths)
    while low < high:
        middle = (low + high) // 2
        if paths[middle].as_py() <= bound:
            low = middle + 1
        else:
            high = middle
    return low


def windows(table: pa.Table) -> Iterator[pa.Table]:
    """Yield a table in parts, at least one."""
    return (table.slice(start, WINDOW) for start in range(0, max(table.num_rows, 1), WINDOW))


def held(table: pa.Table) -> Rows:
    """Return rows that are in memory."""
    return lambda names: windows(table.select(list(names)))


def paired(
    left: Iterable[pa.Table], right: Iterable[pa.Table]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Yield the parts of two streams that cover the same paths, side by side.

    Args:
        left: With a column `path`, of at least one part.
        right: Likewise.

    Yields:
        Rows of either; where only one has some, a table without rows for the other.
    """
    one, other = _Cursor(left), _Cursor(right)
    while one.last is not None or other.last is not None:
        bound = min(last for last in (one.last, other.last) if last is not None)
        mine, its = one.upto(bound), other.upto(bound)
        yield one.none if mine is None else mine, other.none if its is None else its


def matched(paths: pa.ChunkedArray, rows: pa.Table) -> pa.Table:
    """Return for each of some paths its row, null where there is none."""
    own = rows["path"]
    if own.equals(paths):
        return rows
    return rows.take(pc.index_in(paths, value_set=own.combine_chunks()))


def merged(sources: Sequence[Source], names: Sequence[str]) -> Iterator[pa.Table]:
    """Yield the rows of several sources in one order; of equal paths that of the last source.

    A source is opened when its first path is reached, so that many which follow each other take no
    more memory than one.
    """
    waiting = sorted(enumerate(sources), key=lambda one: one[1].first, reverse=True)
    opened: dict[int, _Cursor] = {}
    while waiting or opened:
        bound = min((cursor.last for cursor in opened.values() if cursor.last), default=None)
        while waiting and (bound is None or waiting[-1][1].first <= bound):
            number, source = waiting.pop()
            cursor = _Cursor(source.rows(names), source.place)
            if cursor.last is not None:
                opened[number] = cursor
                bound = cursor.last if bound is None else min(bound, cursor.last)
        parts = [opened[number].upto(bound) for number in sorted(opened)]
        opened = {number: cursor for number, cursor in opened.items() if cursor.last is not None}
        if some := [part for part in parts if part is not None]:
            yield newest(some)


def newest(parts: Sequence[pa.Table]) -> pa.Table:
    """Return the last row of each path over all parts, sorted by path.

    A single part is taken to be so already.
    """
    return parts[0] if len(parts) == 1 else last_of_each(pa.concat_tables(parts))


def last_of_each(rows: pa.Table) -> pa.Table:
    """Return the last row of each path, sorted by path."""
    rows = rows.combine_chunks()
    rows = rows.take(pc.sort_indices(rows["path"]))
    if len(rows) < 2:  # noqa: PLR2004 - one row has no neighbour
        return rows
    paths = rows["path"].combine_chunks()
    last = pa.array([True])
    is_last = pa.concat_arrays([pc.not_equal(paths.slice(0, len(rows) - 1), paths.slice(1)), last])
    return rows.filter(is_last)


def rebatched(parts: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the same rows, so many at a time, each column in one piece."""
    waiting: list[pa.Table] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += part.num_rows
        if size < rows:
            continue
        table = pa.concat_tables(waiting)
        whole = size - size % rows
        for start in range(0, whole, rows):
            yield table.slice(start, rows).combine_chunks()
        waiting, size = [table.slice(whole)], size - whole
    if size:
        yield pa.concat_tables(waiting).combine_chunks()


class Along:
    """A stream that is read along with another one of as many rows.

    Args:
        parts: The stream.
    """

    def __init__(self, parts: Iterable[pa.Table]) -> None:
        self._parts = iter(parts)
        self._waiting: list[pa.Table] = []

    def take(self, rows: int) -> pa.Table:
        """Return the next so many rows; fewer at the end."""
        while sum(map(len, self._waiting)) < rows:
            part = next(self._parts, None)
            if part is None:
                break
            self._waiting.append(part)
        table = pa.concat_tables(self._waiting)
        self._waiting = [table.slice(rows)]
        return table.slice(0, rows)
