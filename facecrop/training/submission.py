"""The competition's files: which pictures are asked for, and what is answered."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import pyarrow as pa

from facecrop.errors import ConfigError, TableError
from facecrop.labels.paths import escape
from facecrop.labels.space import MASK_TASK
from facecrop.training.prediction_files import write_rows
from facecrop.training.predictions import Predictions

IMAGE_ID, ANSWER = "ImageID", "ans"


@dataclass(frozen=True, slots=True)
class Submission:
    """The answers that were handed in.

    Args:
        file: Where.
        answers: How many rows.
        guessed: ImageIDs without a picture, which got the prior answer.
        unasked: Pictures that nobody asked for.
    """

    file: Path
    answers: int
    guessed: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()


def read_info(file: Path) -> tuple[str, ...]:
    """Return the ImageIDs that an `info.csv` asks for, in its order.

    Raises:
        TableError: It cannot be read, has no column `ImageID`, or asks for one twice.
    """
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{file} cannot be read: {error}") from None
    if not rows or not rows[0].get(IMAGE_ID):
        found = ", ".join(rows[0]) if rows else "no rows"
        raise TableError(f"{file} needs a column {IMAGE_ID!r}; found: {found}")
    ids = tuple(row[IMAGE_ID] or "" for row in rows)
    seen: set[str] = set()
    for line, image in enumerate(ids, 2):
        if not image or image in seen:
            raise TableError(f"{file}:{line}: {IMAGE_ID} {image!r} is empty or comes twice")
        seen.add(image)
    return ids


def find_info(raw: Path) -> Path | None:
    """Return the `info.csv` in a raw folder or beside it, if there is one."""
    places = (raw / "info.csv", raw.parent / "info.csv")
    return next((place for place in places if place.is_file()), None)


def write_submission(
    said: Predictions, file: Path, ids: Sequence[str] | None = None, prior: int = 0
) -> Submission:
    """Write `ImageID,ans`.

    Args:
        said: Answers all three labels.
        file: Where.
        ids: The ImageIDs asked for, in order: paths of pictures, or file names where that is
            enough; None: every picture, by its file name where these differ.
        prior: The class that is answered where there is no picture.

    Raises:
        ConfigError: The predictions lack a label.
        TableError: An ImageID means two pictures.
        StoreError: It cannot be written.
    """
    if said.space != MASK_TASK:
        raise ConfigError(
            f"a submission answers {', '.join(axis for axis, _ in MASK_TASK.axes)}; "
            f"these predictions know {', '.join(said.axes)} alone"
        )
    rows = dict(zip(said.keys, range(len(said.keys)), strict=True))
    by_name: dict[str, list[int]] = defaultdict(list)
    for key, row in rows.items():
        by_name[PurePosixPath(key).name].append(row)
    if ids is None:
        unique = len(by_name) == len(rows)
        ids = [PurePosixPath(key).name if unique else key for key in said.keys]
    found = [_row(image, rows, by_name) for image in ids]
    answers = [prior if row is None else int(said.classes[row]) for row in found]
    columns = {IMAGE_ID: pa.array(ids, pa.string()), ANSWER: pa.array(answers, pa.int64())}
    write_rows(pa.table(columns), file)
    asked = np.zeros(len(rows), bool)
    asked[[row for row in found if row is not None]] = True
    return Submission(
        file,
        len(ids),
        tuple(image for image, row in zip(ids, found, strict=True) if row is None),
        tuple(said.keys[row] for row in np.flatnonzero(~asked)),
    )


def _row(image: str, rows: dict[str, int], by_name: dict[str, list[int]]) -> int | None:
    path = escape(image)
    if path in rows:
        return rows[path]
    named = by_name.get(path, [])
    if len(named) > 1:
        raise TableError(f"{IMAGE_ID} {image!r} means {len(named)} pictures: give their paths")
    return named[0] if named else None
