"""Datasets made up of numbers, with tiny crops where pixels are needed, for splits and stats."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa

from facecrop.images.codec import encode
from facecrop.images.frames import Image
from facecrop.images.look.quality import quality
from facecrop.index import INDEX_FILE, INDEX_SCHEMA, write_table
from facecrop.labels.current import write_labels

SEVEN = {f"mask{number}": "worn" for number in range(1, 6)} | {
    "incorrect_mask": "incorrect",
    "normal": "none",
}

# Age:men/women among the 2,700 people whose labels are public.
HISTOGRAM = """
18:41/151 19:207/200 20:80/187 21:27/14 22:37/21 23:40/32 24:31/31 25:35/47 26:27/17 27:6/9
28:12/13 29:6/10 30:10/7 31:2/1 32:3/4 33:3/2 34:2/11 35:7/12 36:1/7 37:2/1 38:5/9 39:0/6 40:5/15
41:7/0 42:2/11 43:8/10 44:1/12 45:7/20 46:5/9 47:1/9 48:11/28 49:6/25 50:20/60 51:19/44 52:29/49
53:17/47 54:24/58 55:33/67 56:47/76 57:37/69 58:50/109 59:46/39 60:83/109
"""
CONSENSUS = [
    *(f"00{number}_female_Asian_18" for number in range(6359, 6365)),
    "004432_male_Asian_43", "001498-1_male_Asian_23", "005223_male_Asian_22",
    "000020_female_Asian_50", "004418_male_Asian_20", "005227_male_Asian_22",
]  # fmt: skip


def published() -> Iterator[str]:
    """Directory names of 2,700 people; those of the consensus are real, the others made up."""
    yield from CONSENSUS
    number = 10_000
    for entry in HISTOGRAM.split():
        age, _, counts = entry.partition(":")
        for gender, count in zip(("male", "female"), map(int, counts.split("/")), strict=True):
            known = sum(name.endswith(f"_{gender}_Asian_{age}") for name in CONSENSUS)
            for _ in range(count - known):
                number += 1
                yield f"{number:06d}_{gender}_Asian_{age}"


def record(profile: str, stem: str, **given: object) -> dict[str, object]:
    """One row of an index: labels as the names say, bytes and hash of its own."""
    path = f"{profile}/{stem}.jpg"
    _, gender, _, age = profile.split("_")
    digest = sha256(path.encode()).digest()
    row: dict[str, object] = {
        "path": path,
        "profile": profile,
        "name": stem,
        "digest": digest,
        "phash": int.from_bytes(digest[:8], "big"),
        "mask_raw": SEVEN.get(stem),
        "gender_raw": gender if gender in ("male", "female") else None,
        "age_raw": int(age) if age.isdigit() else None,
        "status": "ok",
        "width": 384,
        "height": 512,
    }
    return row | given


def seven_of(*profiles: str) -> list[dict[str, object]]:
    """The records of people with the seven pictures of the mask task."""
    return [record(profile, stem) for profile in profiles for stem in SEVEN]


def write_dataset(
    out: Path,
    rows: Iterable[Mapping[str, object]],
    crops: Mapping[str, Image] | None = None,
) -> Path:
    """Write a dataset as preprocess leaves it, as far as splits and stats are concerned.

    Args:
        out: Where.
        rows: As `record` returns them; kept in the order given.
        crops: Pixels by path; they are stored without loss, and hashed.
    """
    out.mkdir(parents=True, exist_ok=True)
    table = [dict(row) for row in rows]
    for row in table:
        pixels = (crops or {}).get(str(row["path"]))
        if pixels is not None:
            image = f"images/{row['profile']}/{row['name']}.png"
            (out / image).parent.mkdir(parents=True, exist_ok=True)
            (out / image).write_bytes(encode(pixels, "png", 95))
            row |= {"image": image, "phash": quality(pixels).phash}
    columns = {name: [row.get(name) for row in table] for name in INDEX_SCHEMA.names}
    write_table(pa.table(columns, schema=INDEX_SCHEMA), out / INDEX_FILE)
    write_labels(out)
    return out


def texture(seed: int, height: int = 64, width: int = 64, blob: float = 6) -> Image:
    """A picture that resembles no other: smooth random shapes."""
    import cv2  # noqa: PLC0415 - only where pixels are made

    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), blob * width / 200)
    low, high = smooth.min(), smooth.max()
    return np.asarray((smooth - low) / (high - low) * 255, np.uint8)


def names(count: int, gender: str = "male", age: int = 25, first: int = 1) -> Sequence[str]:
    """Directory names of people of one kind."""
    return [f"{first + number:06d}_{gender}_Asian_{age}" for number in range(count)]
