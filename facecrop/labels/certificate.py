"""Splits on disk, and the certificate that proves that none of them parts what belongs together."""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.config import validate
from facecrop.errors import ConfigError, TableError
from facecrop.index import (
    INDEX_FILE,
    LABELS_FILE,
    Status,
    read_names,
    read_table,
    write_atomic,
    write_batches,
)
from facecrop.labels.split_table import (
    SPLIT_SCHEMA,
    content_digests,
    count_cells,
    repeated,
    table_digest,
)
from facecrop.labels.splits import SplitSettings

FORMAT = 1
LABEL_COLUMNS = ("mask", "gender", "age", "age_group", "kept")
"""Columns of `labels.parquet` that splits depend on."""
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
    out: Path,
    name: str,
    rows: Iterable[pa.Table],
    settings: SplitSettings,
    facts: dict[str, Any],
) -> None:
    """Write a split and its certificate; the same split gives the same bytes.

    Args:
        out: The dataset.
        name: Of the split.
        rows: Parts of its table, with `SPLIT_SCHEMA`; each becomes a row group.
        settings: How it was made.
        facts: `links` (see `verify_split`), `set_aside`, `cells`, and what else is worth keeping.
    """
    file, certificate = split_files(out, name)
    file.parent.mkdir(exist_ok=True)
    write_batches(rows, SPLIT_SCHEMA, file)
    column = _columns(file)
    text = json.dumps(
        {
            "format": FORMAT,
            "settings": json.loads(settings.model_dump_json()),
            "split_sha256": table_digest(column),
            "records": len(column("fold")),
            "people": pc.count_distinct(column("profile")).as_py(),
            "groups": pc.count_distinct(column("group")).as_py(),
            **facts,
        },
        indent=1,
        ensure_ascii=False,
    )
    write_atomic(certificate, lambda path: path.write_text(text + "\n", encoding="utf-8"))


def _columns(file: Path) -> Callable[[str], pa.ChunkedArray]:
    """Return what reads single columns of a table, which may be larger than a memory."""
    return lambda name: read_table(file, [name])[name]


def read_split(out: Path, name: str, columns: Sequence[str] = SPLIT_SCHEMA.names) -> Split:
    """Read a split and its certificate without checking one against the other.

    Args:
        out: The dataset.
        name: Of the split.
        columns: Of its table, those that are wanted.

    Raises:
        TableError: One of them is missing or damaged.
    """
    file, certificate = split_files(out, name)
    if not file.exists():
        raise TableError(f"there is no split {name!r}; run: facecrop split {out} --name {name}")
    there = read_names(file)
    if missing := [column for column in SPLIT_SCHEMA.names if column not in there]:
        raise TableError(f"{file} has no column {missing[0]!r}; make the split anew")
    table = read_table(file, list(columns))
    try:
        facts = json.loads(certificate.read_text(encoding="utf-8"))
        settings = validate(SplitSettings, facts["settings"], str(certificate))
        known = facts["format"] == FORMAT
        known &= all(key in facts for key in ("split_sha256", "links", "set_aside", "cells"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TableError(f"{certificate} cannot be read ({error}); make the split anew") from None
    if not known:
        raise TableError(f"{certificate} is of another format; make the split anew")
    return Split(table, settings, facts)


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
    split = read_split(out, name, [])
    then, now = _columns(split_files(out, name)[0]), _columns(out / INDEX_FILE)
    refuse_pending(read_table(out / INDEX_FILE, ["status"]), out)
    if table_digest(then) != split.certificate["split_sha256"]:
        raise TableError(
            f"split {name!r} is not the one its certificate was written for; make it anew"
        )
    _check_records(then, out, name)
    if split.settings.strategy == "random":
        return [f"split {name!r} is random: it parts people, its validation scores are too good"]
    _check_apart(then, name)
    _check_links(then, split.certificate["links"], name)
    labels = read_table(out / LABELS_FILE, list(LABEL_COLUMNS))
    cells = count_cells(then("fold"), now("profile"), labels, now("status"))
    return _drift(split.certificate["cells"], cells)


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


def _check_records(then: Callable[[str], pa.ChunkedArray], out: Path, name: str) -> None:
    """Compare the records, who they show, and their bytes."""
    now = _columns(out / INDEX_FILE)
    before, paths = then("path"), now("path")
    if not before.equals(paths):
        new, gone = _absent(paths, before), _absent(before, paths)
        raise TableError(
            f"the dataset is not the one that split {name!r} was made of: {_some(new, 'new')}, "
            f"{_some(gone, 'gone')}; run: facecrop split {out} --extend {name} --name {name}"
        )
    del before, paths
    for column, what in (("profile", "show another person"), ("digest", "hold other bytes")):
        if column == "digest":
            today = content_digests(read_table(out / INDEX_FILE, ["digest", "phash", "status"]))
        else:
            today = now(column)
        before = then(column)
        changed = pc.fill_null(pc.not_equal(before, today), False)
        changed = pc.or_(changed, pc.xor(pc.is_null(before), pc.is_null(today)))
        if pc.any(changed).as_py():
            moved = then("path").filter(changed)
            raise TableError(
                f"{len(moved):,} records of split {name!r} now {what} ({moved[0].as_py()!r}); "
                f"run: facecrop split {out} --extend {name} --name {name}"
            )


def _absent(paths: pa.ChunkedArray, among: pa.ChunkedArray) -> list[str]:
    return list(
        paths.filter(pc.invert(pc.is_in(paths, value_set=among.combine_chunks()))).to_pylist()
    )


def _some(paths: Sequence[str], what: str) -> str:
    return f"{len(paths):,} {what}" + (f" ({paths[0]!r})" if paths else "")


def _check_apart(then: Callable[[str], pa.ChunkedArray], name: str) -> None:
    """Check that no person, no group and no bytes are in two folds."""
    fold = then("fold")
    for column, what in (("profile", "person"), ("group", "group"), ("digest", "content of")):
        rows = pa.table({"key": then(column), "fold": fold})
        if column == "digest":
            rows = rows.take(pa.array(repeated(rows["key"])))
        placed = rows.filter(pc.and_(pc.is_valid(rows["fold"]), pc.is_valid(rows["key"])))
        pairs = placed.group_by(["key", "fold"], use_threads=False).aggregate([])
        counts = pairs.group_by("key", use_threads=False).aggregate([([], "count_all")])
        several = counts.filter(pc.greater(counts["count_all"], 1))
        if several.num_rows:
            one, two = _parted(then, column, several["key"][0])
            raise TableError(
                f"split {name!r} leaks: the {what} {one!r} and {two!r} is one but lies in "
                f"two folds ({several.num_rows:,} such cases); make it anew"
            )


def _parted(then: Callable[[str], pa.ChunkedArray], column: str, key: pa.Scalar) -> tuple[str, str]:
    """Return the paths of the first record of a key, and of the first in another fold."""
    rows = pa.table({"path": then("path"), "key": then(column), "fold": then("fold")})
    rows = rows.filter(pc.and_(pc.equal(rows["key"], key), pc.is_valid(rows["fold"])))
    others = rows.filter(pc.not_equal(rows["fold"], rows["fold"][0]))
    return str(rows["path"][0].as_py()), str(others["path"][0].as_py())


def _check_links(
    then: Callable[[str], pa.ChunkedArray], links: Sequence[dict[str, Any]], name: str
) -> None:
    """Check that the duplicates proven when the split was made are together or set aside."""
    linked = pa.array(sorted({path for link in links for path in link["paths"]}), pa.string())
    rows = pa.table({"path": then("path"), "fold": then("fold")})
    rows = rows.filter(pc.is_in(rows["path"], value_set=linked))
    fold = dict(zip(rows["path"].to_pylist(), rows["fold"].to_pylist(), strict=True))
    for link in links:
        one, two = link["paths"]
        if None not in (fold.get(one), fold.get(two)) and fold[one] != fold[two]:
            raise TableError(
                f"split {name!r} leaks: {one!r} and {two!r} are one photograph ({link['kind']}) "
                "but lie in two folds; make it anew"
            )


def _drift(then: dict[str, dict[str, int]], now: dict[str, dict[str, int]]) -> list[str]:
    """Return what is worth saying about the people of each cell in each fold, then and now."""
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
