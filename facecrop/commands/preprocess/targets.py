"""Where the crops of very many records belong, without a text for each of them in memory."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.commands.streams import windows
from facecrop.labels.paths import LONGEST_NAME, crop_names, same_name

_Numbers = NDArray[np.int64]


class Targets:
    """Where each record's crop lies, as `labels.paths.crop_names` says it.

    Nearly all are called `<profile>/<name>`. Those that may clash are found by a hash of their
    names (8 bytes a record), and only they are named by the rules for clashes.

    Args:
        raw: With `RAW_SCHEMA`.
    """

    def __init__(self, raw: pa.Table) -> None:
        self._other: dict[int, str] = {}
        parts = list(windows(raw.select(["path", "profile", "name"])))
        hashes = np.concatenate([_hashes(_wanted(part).to_pylist()) for part in parts])
        ordered = np.sort(hashes)
        twice = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        long = _numbers(parts, "path")
        if not len(twice) and not len(long):
            return
        odd = set(np.flatnonzero(np.isin(hashes, twice)).tolist())
        # Those that get an extension may then be called what another was called all along.
        extended = [
            f"{target}{path[path.rfind('.') :].lower()}"
            for target, path in self._names(parts, sorted(odd))
        ]
        odd |= set(np.flatnonzero(np.isin(hashes, _hashes(extended))).tolist())
        odd |= {*long.tolist(), *_numbers(parts, "profile").tolist()}
        rows = raw.select(["profile", "name", "path"]).take(pa.array(sorted(odd), pa.int64()))
        named = crop_names(*(column.to_pylist() for column in rows.columns))
        self._other = dict(zip(sorted(odd), named, strict=True))
        self._numbers: _Numbers = np.array(sorted(odd), np.int64)

    def of(self, rows: pa.Table, start: int) -> pa.Array:
        """Return the targets of neighbouring records.

        Args:
            rows: The records, (N,), with `profile` and `name`.
            start: The number of the first of them.
        """
        wanted = _wanted(rows)
        if not self._other:
            return wanted
        first, last = np.searchsorted(self._numbers, [start, start + len(rows)]).tolist()
        if first == last:
            return wanted
        names = wanted.to_pylist()
        for number in self._numbers[first:last].tolist():
            names[number - start] = self._other[number]
        return pa.array(names, pa.string())

    @staticmethod
    def _names(parts: Sequence[pa.Table], numbers: Sequence[int]) -> Iterator[tuple[str, str]]:
        """Yield what records are called if nothing clashes, and their paths."""
        start, at = 0, 0
        for part in parts:
            while at < len(numbers) and numbers[at] < start + len(part):
                row = part.slice(numbers[at] - start, 1)
                yield _wanted(row)[0].as_py(), row["path"][0].as_py()
                at += 1
            start += len(part)


def _wanted(rows: pa.Table) -> pa.Array:
    profile, name = rows["profile"].combine_chunks(), rows["name"].combine_chunks()
    return pc.binary_join_element_wise(profile, name, "/")


def _hashes(names: Sequence[str]) -> _Numbers:
    return np.fromiter(map(hash, map(same_name, names)), np.int64, len(names))


def _numbers(parts: Sequence[pa.Table], name: str) -> _Numbers:
    """Return the numbers of records with more bytes in a column than a file name may have."""
    sizes = [pc.binary_length(part[name]).to_numpy() for part in parts]
    return np.flatnonzero(np.concatenate(sizes) > LONGEST_NAME)
