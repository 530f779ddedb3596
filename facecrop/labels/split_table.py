"""The table of a split: its columns, how it is put together, and what is counted in it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.index import Status
from facecrop.labels.balance import Deviation, deviation
from facecrop.labels.groups import same_value_links
from facecrop.labels.people import Numbers, People, people_of, usable_rows
from facecrop.labels.splits import Placement

_AT_ONCE = 1 << 16

SPLIT_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("profile", pa.string()),
        ("digest", pa.binary(32)),
        ("group", pa.string()),
        ("fold", pa.int32()),
        ("part", pa.string()),
        ("kept", pa.bool_()),
        ("weight", pa.float32()),
    ]
)
"""Columns of `splits/<name>.parquet`, the rows of the index in its order.

`digest` is null where the file shows nothing. `group` is the first profile of those that must not
be parted; `fold` and `part` are null for people that were set aside; `part` is `val` in fold 0.
`kept` and `weight` say what sampling draws for training; validation uses every record that
`labels.parquet` keeps.
"""


SPLIT_FROM = ("path", "profile", "digest", "phash", "status")
"""Columns of the index that the table of a split is made from."""


def split_rows(
    index: Iterable[pa.Table],
    people: People,
    placement: Placement,
    *,
    folds: Numbers,
    kept: NDArray[np.bool_],
    weights: NDArray[np.float32],
) -> Iterator[pa.Table]:
    """Put a split together, batch by batch.

    Args:
        index: Batches of (N,) rows in all, with `SPLIT_FROM`.
        people: Of the same rows.
        placement: Where they go.
        folds: (N,) each record's fold, -1 where it is set aside.
        kept: (N,) what sampling draws.
        weights: (N,) how much each record counts.

    Yields:
        With `SPLIT_SCHEMA`, each column in one piece.
    """
    profiles = pa.array(people.profiles, pa.string())
    start = 0
    for batch in index:
        rows = slice(start, start + batch.num_rows)
        start = rows.stop
        fold, aside = folds[rows], folds[rows] < 0
        columns = [
            batch["path"].combine_chunks(),
            batch["profile"].combine_chunks(),
            content_digests(batch).combine_chunks(),
            profiles.take(pa.array(placement.groups[people.of_rows[rows]])),
            pa.array(fold.astype(np.int32), mask=aside),
            pa.array(np.where(fold == 0, "val", "train"), pa.string(), mask=aside),
            pa.array(kept[rows] & ~aside),
            pa.array(np.where(aside, 0, weights[rows]).astype(np.float32)),
        ]
        yield pa.Table.from_arrays(columns, schema=SPLIT_SCHEMA)


def old_folds(people: People, table: pa.Table) -> Numbers:
    """Return the fold each person had, -1 for new ones and those that were set aside."""
    names = pa.array(people.profiles, pa.string())
    person = pc.fill_null(pc.index_in(table["profile"], value_set=names), -1).to_numpy()
    fold = pc.fill_null(table["fold"], -1).to_numpy()
    known = (person >= 0) & (fold >= 0)
    result = np.full(len(names), -1, np.int64)
    result[person[known]] = fold[known]
    return result


def placed_deviation(people: People, placement: Placement, shares: Sequence[float]) -> Deviation:
    """Return how far folds are from the whole, over people and their pictures by class."""
    return deviation(people.held_by(placement.folds, len(shares)), np.array(shares))


def groups_over(people: People, placement: Placement, size: int) -> tuple[int, list[list[str]]]:
    """Return how many groups there are, and the profiles of those of more people than `size`."""
    names, sizes = np.unique(placement.groups, return_counts=True)
    members = [np.flatnonzero(placement.groups == group) for group in names[sizes > size]]
    return len(names), [[people.profiles[one] for one in rows.tolist()] for rows in members]


def table_digest(column: Callable[[str], pa.ChunkedArray]) -> str:
    """Return what identifies the content of a split, 64 hex digits, however it is stored.

    Args:
        column: Gives each column of the table; it is asked for one after the other.
    """
    digest = sha256()
    for name in ("path", "profile", "group", "fold", "part", "kept", "weight"):
        for chunk in column(name).chunks:
            for part in _pieces(chunk):
                digest.update(_joined(pc.fill_null(part.cast(pa.string()), ""), b"\0") + b"\0")
        digest.update(name.encode())
    for chunk in column("digest").chunks:
        for part in _pieces(chunk):
            digest.update(_joined(pc.fill_null(part.cast(pa.binary()), b"-"), b""))
    return digest.hexdigest()


def _pieces(chunk: pa.Array) -> Iterator[pa.Array]:
    """Yield a chunk in pieces of some thousand rows; an empty one as it is."""
    for start in range(0, max(len(chunk), 1), _AT_ONCE):
        yield chunk.slice(start, _AT_ONCE)


def _joined(values: pa.Array, between: bytes) -> bytes:
    """Return the bytes of all values, with others in between."""
    every = pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
    joined = pc.binary_join(every, pa.scalar(between, values.type))[0]
    return bytes(joined.as_buffer() or b"")


def count_cells(
    folds: pa.ChunkedArray, profiles: pa.ChunkedArray, labels: pa.Table, status: pa.ChunkedArray
) -> dict[str, dict[str, int]]:
    """Return the people of each cell, `male young` and so on, in each fold; a record each row."""
    people = people_of(profiles, labels, usable_rows(status, labels["kept"]))
    return cells_of_folds(people, pc.fill_null(folds, -1).to_numpy())


def cells_of_folds(people: People, folds: Numbers) -> dict[str, dict[str, int]]:
    """Return the people of each cell in each fold, given the fold of each record, -1 for none."""
    fold = np.full(len(people.profiles), -1, np.int64)
    fold[people.of_rows] = folds
    result: dict[str, dict[str, int]] = {}
    for number in np.unique(fold).tolist():
        counts = np.bincount(people.cells[fold == number], minlength=len(people.cell_names))
        there = {people.cell_names[cell]: int(counts[cell]) for cell in np.flatnonzero(counts)}
        result["set aside" if number < 0 else str(number)] = there
    return result


def content_digests(index: pa.Table) -> pa.ChunkedArray:
    """Return the digest of each record that shows something, null for the others.

    Empty files, pages of one colour and error messages in place of a picture are alike in many
    profiles without anybody being the same person; they have no perceptual hash.

    Args:
        index: (N,) rows with digest, phash and status.
    """
    has_crop = pc.is_in(
        index["status"], value_set=pa.array([Status.OK, Status.FALLBACK], pa.string())
    )
    shows = pc.or_(pc.is_valid(index["phash"]), has_crop)
    return pc.if_else(shows, index["digest"], pa.scalar(None, pa.binary(32)))


def digest_links(digests: pa.ChunkedArray, persons: Numbers) -> list[tuple[int, int]]:
    """Return rows of different persons whose files are identical; see `same_value_links`."""
    rows = repeated(digests)
    codes = pc.dictionary_encode(digests.take(pa.array(rows)).combine_chunks()).indices
    pairs = same_value_links(codes.to_numpy().astype(np.int64), persons[rows])
    return [(int(rows[first]), int(rows[second])) for first, second in pairs]


def repeated(digests: pa.ChunkedArray) -> Numbers:
    """Return the rows whose digest other rows seem to have as well, rising; null is none.

    Digests are told apart by their first eight bytes, so that only a few have to be compared in
    full: a dictionary of all would take more memory than they do.
    """
    known = np.flatnonzero(pc.is_valid(digests).to_numpy())
    heads = [_heads(chunk.drop_null()) for chunk in digests.chunks]
    head = np.concatenate([np.zeros(0, np.uint64), *heads])
    order = np.argsort(head, kind="stable")
    ordered = head[order]
    again = np.zeros(len(ordered), np.bool_)
    same = ordered[1:] == ordered[:-1]
    again[1:] |= same
    again[:-1] |= same
    return np.asarray(np.sort(known[order[again]]), np.int64)


def _heads(digests: pa.Array) -> NDArray[np.uint64]:
    """Return the first eight bytes of each digest of 32 bytes."""
    words = np.frombuffer(digests.buffers()[1] or b"", np.uint64)
    return words[4 * digests.offset : 4 * (digests.offset + len(digests)) : 4]
