"""Which records the contact sheet shows: all that need a look, and a fair sample of the rest."""

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.index import Status

OK_CARDS = 100
"""Records that are `ok` and have a card."""
MOST_CARDS = 20_000
"""Cards on one page; of more fallbacks and rejects a sample is shown, and the page says so."""
MOST_PICTURES = 4_000
"""Cards with pictures on one page; the others say that theirs were left out."""
ON_SHEET = 50
"""Records on the sheet that is a picture."""

_SEED = "contact sheet"
_PART = 1 << 16
"""Paths that are objects at a time."""
_SHEET_SHARES = {Status.FALLBACK.value: 10, Status.REJECT.value: 5}
_SHEET_ORDER = (Status.OK.value, Status.FALLBACK.value, Status.REJECT.value)


@dataclass(frozen=True, slots=True)
class Pick:
    """Numbers of rows of the index.

    Args:
        cards: Rows with a card, ascending.
        pictured: Those of them whose pictures are on the page.
        sheet: Those on the sheet that is a picture, in its order.
    """

    cards: tuple[int, ...]
    pictured: frozenset[int]
    sheet: tuple[int, ...]


def pick(
    index: pa.Table, *, most_cards: int = MOST_CARDS, most_pictures: int = MOST_PICTURES
) -> Pick:
    """Choose records; the same for the same paths, statuses and reasons.

    Args:
        index: At least path, profile, status and reason.
        most_cards: Cards at most.
        most_pictures: Cards with pictures at most.
    """
    lots, profiles, reasons = (
        lots_of(index["path"]),
        *map(_coded, (index["profile"], index["reason"])),
    )
    ok, fallbacks, rejects = (
        np.flatnonzero(pc.equal(index["status"], status.value).to_numpy())
        for status in (Status.OK, Status.FALLBACK, Status.REJECT)
    )
    ok = spread(ok, lots, profiles, min(OK_CARDS, most_cards))
    doubtful = np.sort(np.concatenate([fallbacks, rejects]))
    doubtful = spread(doubtful, lots, reasons, most_cards - len(ok))
    more = spread(doubtful, lots, reasons, max(most_pictures - len(ok), 0))
    pictured = np.concatenate([ok[:most_pictures], more])
    shown = {
        Status.OK.value: ok[:most_pictures],
        Status.FALLBACK.value: spread(
            np.intersect1d(fallbacks, pictured), lots, profiles, ON_SHEET
        ),
        Status.REJECT.value: spread(np.intersect1d(rejects, pictured), lots, reasons, ON_SHEET),
    }
    return Pick(
        tuple(np.sort(np.concatenate([ok, doubtful])).tolist()),
        frozenset(pictured.tolist()),
        _sheet({status: rows.tolist() for status, rows in shown.items()}),
    )


def lots_of(paths: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Return (N, 2) numbers that put paths in an order which only they decide."""
    lots = [
        b"".join(_lot(path) for path in part.to_pylist())
        for chunk in paths.chunks
        for part in (chunk.slice(start, _PART) for start in range(0, len(chunk), _PART))
    ]
    return np.frombuffer(b"".join(lots), ">u8").astype(np.uint64).reshape(-1, 2)


def spread(
    rows: NDArray[np.int64], lots: NDArray[np.uint64], groups: NDArray[np.int32], count: int
) -> NDArray[np.int64]:
    """Choose rows in turn from each group, in an order that only the paths decide.

    Args:
        rows: To choose from.
        lots: (N, 2), of all rows of the index (`lots_of`).
        groups: (N,), to which group each row of the index belongs.
        count: How many to choose at most.
    """
    order = rows[np.lexsort((lots[rows, 1], lots[rows, 0]))]
    group = groups[order]
    together = np.argsort(group, kind="stable")
    number = np.arange(len(order))
    begins = np.append(True, np.diff(group[together]) != 0)[: len(order)]
    turn = np.empty_like(number)
    turn[together] = number - np.maximum.accumulate(np.where(begins, number, 0))
    return order[np.argsort(turn, kind="stable")[:count]]


def _coded(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """Return (N,) a number for each value, -1 for none."""
    chunks = column.dictionary_encode().chunks  # which share one dictionary, that of all
    numbers = [pc.fill_null(chunk.indices, -1).to_numpy() for chunk in chunks]
    return np.concatenate([np.empty(0, np.int32), *numbers])


def _sheet(shown: dict[str, list[int]]) -> tuple[int, ...]:
    """Fill the sheet: some of what went wrong, many that went well, then whatever there is."""
    chosen = {status: shown[status][:share] for status, share in _SHEET_SHARES.items()}
    room = ON_SHEET - sum(map(len, chosen.values()))
    for status in _SHEET_ORDER:
        have = len(chosen.setdefault(status, []))
        more = shown[status][have : have + room]
        chosen[status] = chosen[status] + more
        room -= len(more)
    return tuple(row for status in _SHEET_ORDER for row in chosen[status])


def _lot(path: str) -> bytes:
    return sha256(f"{_SEED}\n{path}".encode()).digest()[:16]
