"""The contact sheet: one page and one picture that show what became of a dataset's images."""

import json
import tomllib
from base64 import b64encode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facecrop.commands.contact.cards import (
    CARD_COLUMNS,
    NOT_SEEN,
    CardMaker,
    facts_of,
    marks_of,
    open_mattes,
)
from facecrop.commands.contact.pick import MOST_CARDS, MOST_PICTURES, ON_SHEET, Pick, pick
from facecrop.commands.pages import TEMPLATES, environment
from facecrop.crops import in_tars
from facecrop.errors import StoreError, TableError
from facecrop.images.codec import Limits, encode
from facecrop.images.render.sheet import Tile, draw_sheet
from facecrop.index import (
    CARD_FILE,
    INDEX_FILE,
    REASONS,
    Status,
    read_columns,
    read_table,
    write_atomic,
)
from facecrop.storage import read_range
from facecrop.tables import files_of

_VERSION = 1
"""Raised when the same index gives another page or picture and the templates stay the same."""
_ROWS = 1 << 14
"""Rows of the index that are read at a time."""
_BLOCK = 50
"""Cards whose pictures are unpacked together when the reader comes to them."""
_STATUSES = (Status.OK, Status.FALLBACK, Status.REJECT, Status.PENDING)
_MARK = '<meta name="facecrop-made-from" content="'


def write_contact(
    out: Path,
    raw_root: Path,
    limits: Limits,
    *,
    most_cards: int = MOST_CARDS,
    most_pictures: int = MOST_PICTURES,
) -> Path:
    """Draw the contact sheet of a dataset, unless the one there shows just this index.

    `contact/index.html` holds all it needs: it opens from a folder, without a network. Beside it
    lies `contact.png`, a sheet of 50 records. The same input gives the same bytes.

    Args:
        out: The dataset.
        raw_root: What the paths of records are relative to.
        limits: What may be decoded.
        most_cards: Records with a card, at most; the page says what it leaves out.
        most_pictures: Cards with pictures, at most; likewise.

    Returns:
        The path of the page.

    Raises:
        TableError: There is no index, or it cannot be read.
        StoreError: The sheet cannot be written.
    """
    name = _recipe_name(out)
    next(read_columns(out / INDEX_FILE, ["path"], 1), None)  # which says what to do without one
    files = not in_tars(out)
    settings = f"{_VERSION} {name} {most_cards} {most_pictures}" + ("" if files else " in tars")
    key = _key(out / INDEX_FILE, settings)
    page, picture = out / "contact" / "index.html", out / "contact" / "contact.png"
    if _made_from(page) == key and picture.exists():
        return page
    index = read_table(out / INDEX_FILE, ["path", "profile", "status", "reason", "face_source"])
    chosen = pick(index, most_cards=most_cards, most_pictures=most_pictures)
    rows = _rows_of(out / INDEX_FILE, chosen.cards)
    facts = _page_facts(index, chosen, name) | {"key": key, "files": files}
    try:
        page.parent.mkdir(exist_ok=True)
        with open_mattes(out, set(rows["path"].to_pylist())) as find_matte:
            cards = _Cards(rows, chosen, CardMaker(out, raw_root, limits, find_matte))
            write_atomic(page, lambda temporary: _write_page(temporary, facts, cards))
        sheet = draw_sheet(cards.sheet(), "Contact sheet", _headline(facts))
        data = encode(sheet, "png", 0)
        write_atomic(picture, lambda temporary: temporary.write_bytes(data))
    except OSError as error:
        raise StoreError(f"{page.parent} cannot be written: {error.strerror}") from None
    return page


@dataclass
class _Cards:
    """The cards, made one after the other while the page is written: pictures are not held.

    Args:
        rows: Of the index, those with a card.
        chosen: Which they are.
        maker: Makes them.
    """

    rows: pa.Table
    chosen: Pick
    maker: CardMaker
    records: list[dict[str, Any]] = field(default_factory=list)
    tiles: dict[int, Tile] = field(default_factory=dict)
    bytes: int = 0

    def blocks(self) -> Iterator[str]:
        """Yield the pictures of so many cards at a time, as JSON."""
        block: list[tuple[str | None, str | None]] = []
        count, on_sheet = 0, frozenset(self.chosen.sheet)
        for number, row in zip(self.chosen.cards, _row_dicts(self.rows), strict=True):
            if number not in self.chosen.pictured:
                self.records.append(facts_of(row, marks_of(row, None)))
                continue
            card = self.maker.make(row, with_tile=number in on_sheet)
            self.records.append(card.facts | {"picture": count})
            if card.tile is not None:
                self.tiles[number] = card.tile
            block.append(card.pictures)
            count += 1
            if len(block) == _BLOCK:
                yield self._packed(block)
                block = []
        if block:
            yield self._packed(block)

    def sheet(self) -> list[Tile]:
        """Return the records of the sheet that is a picture, after all blocks were asked for."""
        return [self.tiles[number] for number in self.chosen.sheet]

    @property
    def kilobytes(self) -> int:
        """What one card with pictures adds to the page, on average."""
        facts = len(json.dumps(self.records)) * len(self.chosen.pictured)
        total = self.bytes + facts / max(len(self.records), 1)
        return round(total / max(len(self.chosen.pictured), 1) / 1000)

    def _packed(self, block: Sequence[tuple[str | None, str | None]]) -> str:
        text = json.dumps(block, separators=(",", ":"))
        self.bytes += len(text)
        return text


def _write_page(path: Path, facts: Mapping[str, Any], cards: _Cards) -> None:
    templates = environment()
    script = templates.get_template("contact.js").render()
    # Only this very script may run, whatever a path or profile is called.
    digest = b64encode(sha256(script.encode()).digest()).decode()
    stream = templates.get_template("contact.html").stream(
        facts,
        cards=cards,
        script=script,
        script_digest=digest,
        style=templates.get_template("contact.css").render(),
        block_size=_BLOCK,
    )
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(stream)


def _page_facts(index: pa.Table, chosen: Pick, recipe: str) -> dict[str, Any]:
    """Return what the top of the page tells: counts over the whole dataset."""
    statuses = _counts(index["status"])
    cards = _counts(index["status"].take(pa.array(chosen.cards, pa.int64())))
    return {
        "recipe": recipe,
        "images": len(index),
        "profiles": pc.count_distinct(index["profile"]).as_py(),
        "statuses": [(one.value, statuses[one.value]) for one in _STATUSES if statuses[one.value]],
        "cards_of": cards,
        "status_counts": statuses,
        "reasons": [
            (reason, REASONS.get(reason, ""), count)
            for reason, count in _counts(index["reason"]).most_common()
        ],
        "detectors": _counts(index["face_source"]).most_common(),
        "pictured": len(chosen.pictured),
        "card_count": len(chosen.cards),
        "on_sheet": min(ON_SHEET, len(chosen.sheet)),
        "texts": REASONS,
        "not_seen": NOT_SEEN,
    }


def _headline(facts: Mapping[str, Any]) -> str:
    parts = [f"{count:,} {status}" for status, count in facts["statuses"]]
    return "   ·   ".join([f"recipe {facts['recipe']}", f"{facts['images']:,} images", *parts])


def _counts(column: pa.ChunkedArray) -> Counter[str]:
    """Count the values of a column, nulls apart; equally frequent ones in alphabetical order."""
    counted = sorted(
        (one["values"], one["counts"]) for one in column.drop_null().value_counts().to_pylist()
    )
    return Counter(dict(counted))


def _row_dicts(table: pa.Table) -> Iterator[dict[str, Any]]:
    for batch in table.to_batches(max_chunksize=_BLOCK):
        yield from batch.to_pylist()


def _recipe_name(out: Path) -> str:
    try:
        card = tomllib.loads((out / CARD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "custom"
    return str(card.get("recipe_name", "custom"))


def _key(index: Path, settings: str) -> str:
    """Return what identifies a page: the bytes of the index, the templates and the settings."""
    digests = list(map(_digest, [*files_of(index), *sorted(TEMPLATES.glob("contact.*"))]))
    return sha256(" ".join([settings, *digests]).encode()).hexdigest()


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror or error}") from None


def _rows_of(index: Path, numbers: Sequence[int]) -> pa.Table:
    """Return what cards tell of some rows of the index, given in order."""
    wanted, found, start = np.array(numbers, np.int64), [], 0
    for part in read_columns(index, CARD_COLUMNS, _ROWS):
        first, last = np.searchsorted(wanted, [start, start + len(part)])
        found.append(part.take(wanted[first:last] - start))
        start += len(part)
    return pa.concat_tables(found) if found else read_table(index, CARD_COLUMNS)


def _made_from(page: Path) -> str | None:
    """Return the key that a page carries in its first lines, or None."""
    try:
        head = read_range(page, 0, 1000).decode(errors="replace")
    except OSError:
        return None
    return head.partition(_MARK)[2].partition('"')[0] or None
