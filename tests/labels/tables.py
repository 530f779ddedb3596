"""Tables and manifests for the tests of the labels track; no picture is needed."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from facecrop.index import INDEX_FILE, INDEX_SCHEMA, LABELS_FILE, read_table, write_table
from facecrop.labels.current import write_labels

SEVEN = ("incorrect_mask", "mask1", "mask2", "mask3", "mask4", "mask5", "normal")
COLUMNS = ("profile", "name", "field", "was", "now", "reason", "source", "confidence")


def said(stem: str) -> str | None:
    """What a file name of the mask task claims about the mask."""
    if stem.startswith("mask"):
        return "worn"
    return {"incorrect_mask": "incorrect", "normal": "none"}.get(stem)


def a_record(path: str, **given: object) -> dict[str, object]:
    """One row of an index; profile, name and raw labels as the path says, digest of the path."""
    profile, _, file = path.partition("/")
    parts = profile.split("_")
    claimed = len(parts) == 4
    return {
        "path": path,
        "profile": profile,
        "name": file.rpartition(".")[0],
        "digest": sha256(path.encode()).digest(),
        "mask_raw": said(file.rpartition(".")[0]),
        "gender_raw": parts[1] if claimed else None,
        "age_raw": int(parts[3]) if claimed else None,
        "status": "ok",
    } | given


def an_index(rows: Iterable[Mapping[str, object]]) -> pa.Table:
    """An index of these rows, sorted by path, null in every other column."""
    ordered = sorted(rows, key=lambda row: str(row["path"]))
    return pa.table(
        {name: [row.get(name) for row in ordered] for name in INDEX_SCHEMA.names},
        schema=INDEX_SCHEMA,
    )


def people(*profiles: str, stems: Sequence[str] = SEVEN) -> list[dict[str, object]]:
    """The records of profiles with the pictures of the mask task."""
    return [a_record(f"{profile}/{stem}.jpg") for profile in profiles for stem in stems]


def a_dataset(out: Path, rows: Iterable[Mapping[str, object]]) -> Path:
    """A dataset as preprocess leaves it, as far as labels are concerned."""
    out.mkdir(parents=True, exist_ok=True)
    write_table(an_index(rows), out / INDEX_FILE)
    write_labels(out)
    return out


def labels(out: Path) -> dict[str, dict[str, object]]:
    """The current labels of a dataset, by path."""
    return {row["path"]: row for row in read_table(out / LABELS_FILE).to_pylist()}


def a_manifest(file: Path, *rows: Sequence[str]) -> Path:
    """A CSV manifest; each row in the order of `COLUMNS`, what is missing at its end is empty."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(COLUMNS)
        writer.writerows([*row, *[""] * (len(COLUMNS) - len(row))] for row in rows)
    return file
