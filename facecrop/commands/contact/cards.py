"""One record of the contact sheet: what the index says of it, its pictures, its matte's outline."""

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facecrop.crops import crop_data
from facecrop.errors import TableError
from facecrop.images.codec import Limits, decode
from facecrop.images.findings import LANDMARKS, Alpha, unpack
from facecrop.images.frames import Box, Image
from facecrop.images.render.sheet import PICTURE_HEIGHT, PICTURE_WIDTH, Tile
from facecrop.images.render.thumbs import Marks, outline, shrink, thumbnail
from facecrop.index import REASONS, Status, read_columns
from facecrop.labels.paths import unescape
from facecrop.storage import readable
from facecrop.store import SCHEMA, Store

SOURCE_SIDE, CROP_SIDE = 256, 192
"""Longer sides of the embedded pictures, pixels."""

_ROWS = 1 << 16
"""Rows of the state that are read at a time."""
CARD_COLUMNS = [
    "path", "profile", "name", "digest", "width", "height", "status", "reason", "image",
    *(f"face_{side}" for side in ("x0", "y0", "x1", "y1", "score")), "face_source", "faces",
    *(f"{point}_{axis}" for point in LANDMARKS for axis in "xy"),
    *(f"person_{side}" for side in ("x0", "y0", "x1", "y1", "score")), "persons", "alpha_coverage",
    *(f"crop_{side}" for side in ("x0", "y0", "x1", "y1")), "rotation",
]  # fmt: skip
"""What a card is made from."""

_READABLE = frozenset({"no-person", "no-face", "face-too-small"})
"""Reasons of rejects whose pictures are shown. Others are not opened: some killed a worker."""
NOT_SEEN = {"sibling": "from another picture of the person", "prior": "guessed"}
"""Sources of face boxes that are no detectors, with what they are."""

FindMatte = Callable[[str, bytes | None], Alpha | None]
"""Takes a record's path and digest."""


@dataclass(frozen=True, slots=True)
class Card:
    """One record, ready for the page.

    Args:
        facts: What the page's script shows: plain values for JSON.
        pictures: Source and crop as JPEG in base64; None where there is none.
        tile: The same for the sheet that is a picture, if it was asked for.
    """

    facts: dict[str, Any]
    pictures: tuple[str | None, str | None]
    tile: Tile | None


class CardMaker:
    """Makes cards from rows of the index.

    Args:
        out: The dataset.
        raw_root: What the paths of records are relative to.
        limits: What decoding allows.
        find_matte: Finds a record's matte.
    """

    def __init__(self, out: Path, raw_root: Path, limits: Limits, find_matte: FindMatte) -> None:
        self.out, self.raw_root, self.limits = out, raw_root, limits
        self._find_matte = find_matte

    def make(self, row: Mapping[str, Any], *, with_tile: bool) -> Card:
        """Return the card of one row, with pictures as far as they can be read."""
        source, absent = self._source(row)
        crop = self._crop(row["image"])
        matte = self._find_matte(row["path"], row["digest"]) if source is not None else None
        marks = marks_of(row, matte)
        facts = facts_of(row, marks)
        if absent is not None:
            facts["absent"] = absent
        pictures = (_embedded(source, SOURCE_SIDE), _embedded(crop, CROP_SIDE))
        return Card(facts, pictures, _tile(row, source, crop, marks) if with_tile else None)

    def _source(self, row: Mapping[str, Any]) -> tuple[Image | None, str | None]:
        """Return a record's picture, or None and why there is none."""
        if row["status"] == Status.REJECT and row["reason"] not in _READABLE:
            return None, REASONS.get(row["reason"], "the picture was not read")
        try:
            data = (self.raw_root / unescape(row["path"])).read_bytes()
        except OSError:
            return None, "the file can no longer be read"
        if row["digest"] is not None and sha256(data).digest() != row["digest"]:
            return None, "the file has changed since it was processed"
        decoded = decode(data, self.limits)
        if decoded.image is None:
            return None, REASONS[decoded.reason or "corrupt"]
        return decoded.image, None

    def _crop(self, image: str | None) -> Image | None:
        if image is None:
            return None
        try:
            data = crop_data(self.out / image)
        except OSError:
            return None
        # What we wrote ourselves may be as small or as plain as the recipe made it.
        return decode(data, Limits(max_pixels=self.limits.max_pixels, min_side=1)).image


def marks_of(row: Mapping[str, Any], matte: Alpha | None) -> Marks:
    """Return what the index says was found, and the outline of the matte."""
    points = [(row[f"{name}_x"], row[f"{name}_y"]) for name in LANDMARKS]
    return Marks(
        face=_box(row, "face"),
        sure=row["face_source"] not in NOT_SEEN,
        landmarks=tuple((x, y) for x, y in points if x is not None and y is not None),
        person=_box(row, "person"),
        crop=_box(row, "crop"),
        rotation=row["rotation"] or 0.0,
        outline=() if matte is None else outline(matte),
    )


def facts_of(row: Mapping[str, Any], marks: Marks) -> dict[str, Any]:
    """Return what the page tells of a record, without what is not known; pixels of the source."""
    facts = {
        "path": row["path"],
        "profile": row["profile"],
        "status": row["status"],
        "reason": row["reason"],
        "image": row["image"],
        "width": row["width"],
        "height": row["height"],
        "detector": row["face_source"],
        "score": _rounded(row["face_score"], 3) if marks.sure else None,
        "faces": row["faces"],
        "persons": row["persons"],
        "personScore": _rounded(row["person_score"], 3),
        "coverage": _rounded(row["alpha_coverage"], 3),
        "rotation": _rounded(row["rotation"], 2) or None,
        "face": _numbers(marks.face),
        "person": _numbers(marks.person),
        "crop": _numbers(marks.crop),
        "guessed": None if marks.sure or marks.face is None else True,
        "landmarks": [[round(x, 1), round(y, 1)] for x, y in marks.landmarks] or None,
        "outline": "".join(
            "M" + "L".join(f"{x} {y}" for x, y in line) + "Z" for line in marks.outline
        )
        or None,
    }
    return {name: value for name, value in facts.items() if value is not None}


@contextmanager
def open_mattes(out: Path, paths: set[str]) -> Iterator[FindMatte]:
    """Give a function that finds the mattes of these records in the store.

    Without a store, or where it has lost a finding, it finds None: nothing depends on it.
    """
    keys = _alpha_keys(out, paths)
    store = Store(out / ".store")
    finders = [folder.name for folder in sorted(store.findings.glob("*")) if _has_alphas(folder)]
    if not keys or not finders:
        yield lambda _path, _digest: None
        return
    lookup = store.write_lookup(finders)
    try:

        def find(path: str, digest: bytes | None) -> Alpha | None:
            key = keys.get(path)
            if key is None or digest is None:
                return None
            packed = lookup.find(digest).get(key)
            finding = unpack(*packed) if packed is not None else None
            return finding if isinstance(finding, Alpha) else None

        yield find
    finally:
        lookup.path.unlink(missing_ok=True)


def _alpha_keys(out: Path, paths: set[str]) -> dict[str, bytes]:
    wanted = pa.array(sorted(paths), pa.string())
    found: dict[str, bytes] = {}
    try:
        for part in read_columns(out / ".store" / "state.parquet", ["path", "alpha_key"], _ROWS):
            some = part.filter(pc.is_in(part["path"], wanted))
            pairs = zip(some["path"].to_pylist(), some["alpha_key"].to_pylist(), strict=True)
            found |= {path: key for path, key in pairs if key is not None}
    except (TableError, ValueError, KeyError):
        return {}
    return found


def _has_alphas(folder: Path) -> bool:
    """Tell by the statistics of one fragment whether a finder makes mattes: others are not read."""
    for path in sorted(folder.glob("*.parquet")):
        try:
            facts = pq.read_metadata(readable(path, footer=True))
        except (pa.ArrowException, OSError):
            continue
        if facts.num_row_groups:
            column = facts.row_group(0).column(SCHEMA.get_field_index("alpha"))
            known = column.statistics
            return known is None or known.null_count < column.num_values
    return False


def _tile(row: Mapping[str, Any], source: Image | None, crop: Image | None, marks: Marks) -> Tile:
    size = PICTURE_HEIGHT, PICTURE_WIDTH
    small = None if source is None else shrink(source, *size)
    scale = 1.0 if source is None or small is None else small.shape[1] / source.shape[1]
    if row["status"] == Status.OK:
        score = "" if row["face_score"] is None else f" {row['face_score']:.2f}"
        text = f"{row['face_source'] or 'ok'}{score}"
    else:
        text = row["reason"] or row["status"]
    small_crop = None if crop is None else shrink(crop, *size)
    return Tile(small, small_crop, scale, marks, row["status"], row["path"], text)


def _embedded(image: Image | None, side: int) -> str | None:
    return None if image is None else b64encode(thumbnail(image, side)).decode()


def _box(row: Mapping[str, Any], kind: str) -> Box | None:
    corners = [row[f"{kind}_{side}"] for side in ("x0", "y0", "x1", "y1")]
    return None if None in corners else Box(*corners)


def _numbers(box: Box | None) -> list[float] | None:
    return None if box is None else [round(value, 1) for value in box.corners]


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
