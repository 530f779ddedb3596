"""Splits on disk, and the certificate that proves that none of them parts what belongs together."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.config import validate
from facecrop.errors import ConfigError, TableError
from facecrop.index import INDEX_FILE, LABELS_FILE, Status, read_table, write_atomic, write_table
from facecrop.labels.split_table import SPLIT_SCHEMA, content_digests, count_cells, table_digest
from facecrop.labels.splits import SplitSettings

FORMAT = 1
_DRIFT = 0.01
"""Change of a class's share of validation that is worth a warning."""


@dataclass(frozen=True, slots=True)
class Split:
    """A split as it was written.

    Args:
        table: With `SPLIT_SCHEMA`.
        settings: How it was made.
        certificate: The JSON beside it.
    """

    table: pa.Table
    settings: SplitSettings
    certificate: dict[str, Any]


def split_files(out: Path, name: str) -> tuple[Path, Path]:
    """Return where a split and its certificate lie.

    Raises:
        ConfigError: The name is no plain file name.
    """
    if not name or name.startswith(".") or any(char in name for char in "/\\\0"):
        raise ConfigError(f"a split's name must be a plain file name, got {name!r}")
    folder = out / "splits"
    return folder / f"{name}.parquet", folder / f"{name}.certificate.json"


def write_split(
    out: Path, name: str, table: pa.Table, settings: SplitSettings, facts: dict[str, Any]
) -> None:
    """Write a split and its certificate; the same split gives the same bytes.

    Args:
        out: The dataset.
        name: Of the split.
        table: With `SPLIT_SCHEMA`.
        settings: How it was made.
        facts: `links` (see `verify_split`), `set_aside`, `cells`, and what else is worth keeping.
    """
    file, certificate = split_files(out, name)
    file.parent.mkdir(exist_ok=True)
    text = json.dumps(
        {
            "format": FORMAT,
            "settings": json.loads(settings.model_dump_json()),
            "split_sha256": table_digest(table),
            "records": table.num_rows,
            "people": pc.count_distinct(table["profile"]).as_py(),
            "groups": pc.count_distinct(table["group"]).as_py(),
            **facts,
        },
        indent=1,
        ensure_ascii=False,
    )
    write_table(table, file)
    write_atomic(certificate, lambda path: path.write_text(text + "\n", encoding="utf-8"))


def read_split(out: Path, name: str) -> Split:
    """Read a split and its certificate without checking one against the other.

    Raises:
        TableError: One of them is missing or damaged.
    """
    file, certificate = split_files(out, name)
    if not file.exists():
        raise TableError(f"there is no split {name!r}; run: facecrop split {out} --name {name}")
    table = read_table(file)
    if missing := [column for column in SPLIT_SCHEMA.names if column not in table.column_names]:
        raise TableError(f"{file} has no column {missing[0]!r}; make the split anew")
    try:
        facts = json.loads(certificate.read_text(encoding="utf-8"))
        settings = validate(SplitSettings, facts["settings"], str(certificate))
        known = facts["format"] == FORMAT
        known &= all(key in facts for key in ("split_sha256", "links", "set_aside", "cells"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{certificate} cannot be read ({error}); make the split anew") from None
    if not known:
        raise TableError(f"{certificate} is of another format; make the split anew")
    return Split(table.select(SPLIT_SCHEMA.names), settings, facts)


def verify_split(out: Path, name: str = "default") -> list[str]:
    """Prove that a split still parts nothing that belongs together; trainers call this first.

    Checked are people, the bytes behind every record, and the duplicate links that were proven
    when it was made, not labels or crops: relabelling and new crops do not break it.

    Args:
        out: The dataset.
        name: Of the split.

    Returns:
        What is worth knowing although the certificate holds: labels that drifted, a split that
        leaks on purpose.

    Raises:
        TableError: The certificate does not hold; the message names the first thing that broke.
    """
    split = read_split(out, name)
    index = read_table(out / INDEX_FILE, ["path", "profile", "digest", "phash", "status"])
    refuse_pending(index, out)
    if table_digest(split.table) != split.certificate["split_sha256"]:
        raise TableError(
            f"split {name!r} is not the one its certificate was written for; make it anew"
        )
    _check_records(split, index, out, name)
    if split.settings.strategy == "random":
        return [f"split {name!r} is random: it parts people, its validation scores are too good"]
    _check_apart(split.table, name)
    _check_links(split, name)
    return _drift(split, index, read_table(out / LABELS_FILE))


def refuse_pending(index: pa.Table, out: Path) -> None:
    """Raise if preprocess did not get to every record.

    Raises:
        TableError: Some rows are pending; their number.
    """
    pending = pc.sum(pc.equal(index["status"], Status.PENDING)).as_py() or 0
    if pending:
        raise TableError(
            f"{pending:,} of {index.num_rows:,} records in {out} are still pending; "
            f"finish: facecrop preprocess RAW {out}"
        )


def _check_records(split: Split, index: pa.Table, out: Path, name: str) -> None:
    """Compare the records, who they show, and their bytes."""
    table = split.table
    if not table["path"].combine_chunks().equals(index["path"].combine_chunks()):
        new = _absent(index["path"], table["path"])
        gone = _absent(table["path"], index["path"])
        raise TableError(
            f"the dataset is not the one that split {name!r} was made of: {_some(new, 'new')}, "
            f"{_some(gone, 'gone')}; run: facecrop split {out} --extend {name} --name {name}"
        )
    for column, what in (("profile", "show another person"), ("digest", "hold other bytes")):
        then, now = table[column], content_digests(index) if column == "digest" else index[column]
        changed = pc.fill_null(pc.not_equal(then, now), False)
        changed = pc.or_(changed, pc.xor(pc.is_null(then), pc.is_null(now)))
        if pc.any(changed).as_py():
            paths = table["path"].filter(changed)
            raise TableError(
                f"{len(paths):,} records of split {name!r} now {what} ({paths[0].as_py()!r}); "
                f"run: facecrop split {out} --extend {name} --name {name}"
            )


def _absent(paths: pa.ChunkedArray, among: pa.ChunkedArray) -> list[str]:
    return list(
        paths.filter(pc.invert(pc.is_in(paths, value_set=among.combine_chunks()))).to_pylist()
    )


def _some(paths: Sequence[str], what: str) -> str:
    return f"{len(paths):,} {what}" + (f" ({paths[0]!r})" if paths else "")


def _check_apart(table: pa.Table, name: str) -> None:
    """Check that no person, no group and no bytes are in two folds."""
    for column, what in (("profile", "person"), ("group", "group"), ("digest", "content of")):
        placed = table.filter(pc.and_(pc.is_valid(table["fold"]), pc.is_valid(table[column])))
        pairs = placed.group_by([column, "fold"], use_threads=False).aggregate([])
        counts = pairs.group_by(column, use_threads=False).aggregate([([], "count_all")])
        several = counts.filter(pc.greater(counts["count_all"], 1))
        if several.num_rows:
            key = several[column][0]
            rows = placed.filter(pc.equal(placed[column], key))
            one, two = rows["path"][0].as_py(), _other_fold(rows)
            raise TableError(
                f"split {name!r} leaks: the {what} {one!r} and {two!r} is one but lies in "
                f"two folds ({several.num_rows:,} such cases); make it anew"
            )


def _other_fold(rows: pa.Table) -> str:
    others = rows.filter(pc.not_equal(rows["fold"], rows["fold"][0]))
    return str(others["path"][0].as_py())


def _check_links(split: Split, name: str) -> None:
    """Check that the duplicates proven when the split was made are together or set aside."""
    fold = dict(zip(split.table["path"].to_pylist(), split.table["fold"].to_pylist(), strict=True))
    for link in split.certificate["links"]:
        one, two = link["paths"]
        if None not in (fold.get(one), fold.get(two)) and fold[one] != fold[two]:
            raise TableError(
                f"split {name!r} leaks: {one!r} and {two!r} are one photograph ({link['kind']}) "
                "but lie in two folds; make it anew"
            )


def _drift(split: Split, index: pa.Table, labels: pa.Table) -> list[str]:
    then = split.certificate["cells"]
    now = count_cells(split.table["fold"], index["profile"], labels, index["status"])
    if now == then:
        return []
    change, cell = max(
        (abs(_share(now, cell) - _share(then, cell)), cell)
        for counts in (now, then)
        for cell in {*counts.get("0", {})} | {"male young"}
    )
    text = f"labels changed since the split was made; {cell!r} is {_share(now, cell):.1%} of "
    text += f"validation, it was {_share(then, cell):.1%}"
    return [text if change >= _DRIFT else f"{text}: hardly any difference"]


def _share(cells: dict[str, dict[str, int]], cell: str) -> float:
    counts = cells.get("0", {})
    return counts.get(cell, 0) / max(sum(counts.values()), 1)
