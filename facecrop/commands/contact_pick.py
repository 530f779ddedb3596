"""Which records the contact sheet shows: all that need a look, and a fair sample of the rest."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import pyarrow as pa

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
    paths, profiles = index["path"].to_pylist(), index["profile"].to_pylist()
    reasons = index["reason"].to_pylist()
    by_status: dict[str, list[int]] = defaultdict(list)
    for row, status in enumerate(index["status"].to_pylist()):
        by_status[status].append(row)
    fallbacks, rejects = by_status[Status.FALLBACK], by_status[Status.REJECT]
    ok = spread(by_status[Status.OK], paths, profiles, min(OK_CARDS, most_cards))
    doubtful = spread(sorted([*fallbacks, *rejects]), paths, reasons, most_cards - len(ok))
    pictured = [
        *ok[:most_pictures],
        *spread(doubtful, paths, reasons, max(most_pictures - len(ok), 0)),
    ]
    has_picture = set(pictured)
    shown = {
        Status.OK.value: ok[:most_pictures],
        Status.FALLBACK.value: spread(
            [row for row in fallbacks if row in has_picture], paths, profiles, ON_SHEET
        ),
        Status.REJECT.value: spread(
            [row for row in rejects if row in has_picture], paths, reasons, ON_SHEET
        ),
    }
    return Pick(tuple(sorted([*ok, *doubtful])), frozenset(pictured), _sheet(shown))


def spread(
    rows: Sequence[int], paths: Sequence[str], groups: Sequence[str | None], count: int
) -> list[int]:
    """Choose rows in turn from each group, in an order that only the paths decide.

    Args:
        rows: To choose from.
        paths: Of all rows of the index.
        groups: To which group each row of the index belongs.
        count: How many to choose at most.
    """
    taken: Counter[str | None] = Counter()
    turns: list[tuple[int, int, int]] = []
    for row in sorted(rows, key=lambda row: _lot(paths[row])):
        turns.append((taken[groups[row]], len(turns), row))
        taken[groups[row]] += 1
    return [row for _, _, row in sorted(turns)[:count]]


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
    return sha256(f"{_SEED}\n{path}".encode()).digest()
