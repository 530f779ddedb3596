"""One step of `scale.py` in a process of its own: makes tables of many rows, or works on them.

python benchmarks/scale_tables.py STEP OUT ROWS
"""

import csv
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from facecrop.commands.ledger import STATE_SCHEMA
from facecrop.index import INDEX_FILE, INDEX_SCHEMA, write_batches

STEMS = ("incorrect_mask", "mask1", "mask2", "mask3", "mask4", "mask5", "normal")
WORN = {"incorrect_mask": "incorrect", "normal": "none"}
BATCH = 1 << 12
"""Rows of a row group, as preprocess writes them."""
CORRECTIONS = 1000
LINKS = 50_000
"""Names of one file; common file systems allow 65,000."""
TWINS = 10_000
"""One record in so many has the bytes of the one before it, of somebody else or not."""
ALBUM = 70
"""Pictures of a profile where there are files: folders take more of a disk than names."""
RECIPE = "raw"


def profile(person: int) -> str:
    return f"{person:08d}_{'fe' * (person % 2)}male_Asian_{18 + person * 7919 % 43}"


def names(rows: int, each: int) -> Iterator[tuple[int, list[str], list[str]]]:
    """Yield first row, profiles and stems of batches, in the order of their paths."""
    stems = STEMS if each == len(STEMS) else [f"{number:02d}" for number in range(each)]
    for start in range(0, rows, BATCH):
        numbers = range(start, min(start + BATCH, rows))
        yield start, [profile(n // each) for n in numbers], [stems[n % each] for n in numbers]


def index_batches(rows: int, each: int, recipe: bytes) -> Iterator[pa.Table]:
    """Yield the index batch by batch, every column filled, the same each time."""
    for start, people, stems in names(rows, each):
        yield _batch(np.random.default_rng([start, rows]), people, stems, recipe)


def _batch(
    rng: np.random.Generator, people: list[str], stems: list[str], recipe: bytes
) -> pa.Table:
    n = len(people)
    reject = rng.random(n) < 0.01
    digests = rng.integers(0, 256, (n, 32), np.uint8)
    twins = np.flatnonzero(rng.integers(0, TWINS, n) == 0)
    digests[twins] = digests[twins - 1]
    columns: dict[str, Any] = {
        "path": [f"{who}/{stem}.jpg" for who, stem in zip(people, stems, strict=True)],
        "profile": people,
        "name": stems,
        "digest": _bytes(digests),
        "mask_raw": [WORN.get(stem, "worn") for stem in stems],
        "gender_raw": [who.split("_")[1] for who in people],
        "age_raw": [int(who[-2:]) for who in people],
        "size": rng.integers(20_000, 60_000, n),
        "mtime_ns": rng.integers(1, 1 << 60, n),
        "ctime_ns": rng.integers(1, 1 << 60, n),
        "inode": np.sort(rng.integers(1, 1 << 32, n)).astype(np.uint64),
        "width": np.full(n, 384, np.int32),
        "height": np.full(n, 512, np.int32),
        "phash": pa.array(rng.integers(0, 1 << 64, n, np.uint64), mask=reject),
        "status": np.where(reject, "reject", "ok").tolist(),
        "reason": np.where(reject, "no-face", None).tolist(),
        "recipe": pa.array([recipe] * n, pa.binary(32)),
        "image": [
            None if gone else f"images/{who}/{stem}.jpg"
            for who, stem, gone in zip(people, stems, reject.tolist(), strict=True)
        ],
        "image_sha256": _bytes(rng.integers(0, 256, (n, 32), np.uint8)),
        "face_source": ["blazeface-short"] * n,
        "faces": np.ones(n, np.int32),
        "persons": np.ones(n, np.int32),
    }
    for field in INDEX_SCHEMA:
        if field.name in columns:
            continue
        values = rng.integers(0, 512 * 16, n) / 16  # boxes are stored in sixteenths of a pixel
        columns[field.name] = values.astype(field.type.to_pandas_dtype())
    return pa.table(
        [pa.array(columns[field.name], field.type) for field in INDEX_SCHEMA], schema=INDEX_SCHEMA
    )


def _bytes(values: "np.ndarray[Any, np.dtype[np.uint8]]") -> pa.Array:
    buffer = pa.py_buffer(np.ascontiguousarray(values).tobytes())
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(32), len(values), [None, buffer])


def make(out: Path, rows: int) -> str:
    from facecrop.labels.current import write_labels

    out.mkdir(parents=True)
    write_batches(index_batches(rows, len(STEMS), bytes(32)), INDEX_SCHEMA, out / INDEX_FILE)
    write_labels(out)
    size = sum(file.stat().st_size for file in out.iterdir())
    return f"{size / 1e6:,.0f} MB, {size / rows:.0f} bytes a row"


def relabel(out: Path, rows: int) -> str:
    from facecrop.commands.relabel import relabel as command

    manifest = out / "corrections.csv"
    people = -(-rows // len(STEMS))
    other = {"male": "female", "female": "male"}
    with manifest.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["profile", "name", "field", "was", "now"])
        for number in range(CORRECTIONS // 2):
            who = profile(number * (people // CORRECTIONS))
            was = who.split("_")[1]
            writer.writerow([who, "", "gender", was, other[was]])
            writer.writerow([who, "mask1", "mask", "worn", "none"])
    result = command(out, manifests=[manifest], set_policy="threshold-58")
    return f"{result.rows} rows changed {result.images} images"


def undo(out: Path, rows: int) -> str:
    from facecrop.commands.relabel import relabel as command

    return f"took back {len(command(out, undo=1).undone)} of {rows:,} rows' applications"


def split_by_bytes(out: Path, rows: int) -> str:
    return split(out, rows, radius=0)


def split(out: Path, rows: int, **settings: int) -> str:
    from facecrop.commands.split import read_settings
    from facecrop.commands.split import split as command

    result = command(out, settings=read_settings(settings))
    return (
        f"{result.groups:,} groups of {rows:,} rows, links {result.links}, "
        f"{result.candidates:,} pairs of near hashes"
    )


def extend(out: Path, rows: int) -> str:
    from facecrop.commands.split import split as command

    result = command(out, name="grown", extend="default")
    return f"{result.people:,} people of {rows:,} rows kept their folds"


def verify(out: Path, rows: int) -> str:
    from facecrop.commands.split import verify_split

    return f"holds over {rows:,} rows, {len(verify_split(out))} notes"


def stats(out: Path, rows: int) -> str:
    from facecrop.commands.stats import stats as command

    (summary,) = command(out, pixels=False).datasets
    return f"{summary.people:,} people, {summary.records:,} of {rows:,} records"


def make_files(out: Path, rows: int) -> str:
    """Make RAW, the crops, and tables that say that all of it is done."""
    raw = out.with_name(f"{out.name}-raw")
    out.mkdir(parents=True)
    for folder in (raw, out / "images"):
        folder.mkdir()
        _link(folder, out, rows)
    run = _run(raw, out)
    facts = {file.name: file.stat() for file in out.glob("source-*")}
    (out / ".store").mkdir(exist_ok=True)
    write_batches(_done(rows, run.fingerprint, facts), INDEX_SCHEMA, out / INDEX_FILE)
    state = (_state(batch, facts) for batch in index_batches(rows, ALBUM, bytes(32)))
    write_batches(state, STATE_SCHEMA, out / ".store" / "state.parquet")
    run.memory.write(time.time_ns() + 10**10, frozenset())
    return ""


def _link(folder: Path, out: Path, rows: int) -> None:
    for start, people, stems in names(rows, ALBUM):
        for number, who, stem in zip(range(start, rows), people, stems, strict=False):
            source = out / f"source-{folder.name}-{number // LINKS}"
            if number % LINKS == 0:
                source.write_bytes(b"x")
            if stem == "00":
                (folder / who).mkdir()
            os.link(source, folder / who / f"{stem}.jpg")


def _facts(folder: str, start: int, n: int, facts: dict[str, os.stat_result]) -> list[Any]:
    return [facts[f"source-{folder}-{number // LINKS}"] for number in range(start, start + n)]


def _done(rows: int, recipe: bytes, facts: dict[str, os.stat_result]) -> Iterator[pa.Table]:
    start = 0
    for batch in index_batches(rows, ALBUM, recipe):
        known = _facts(f"{rows}-raw", start, len(batch), facts)
        start += len(batch)
        columns = {name: batch[name] for name in INDEX_SCHEMA.names}
        columns["mask_raw"] = pa.nulls(len(batch), pa.string())
        columns["size"] = pa.array([one.st_size for one in known])
        columns["mtime_ns"] = pa.array([one.st_mtime_ns for one in known])
        columns["ctime_ns"] = pa.array([one.st_ctime_ns for one in known])
        columns["inode"] = pa.array([one.st_ino for one in known], pa.uint64())
        yield pa.table(columns, schema=INDEX_SCHEMA)


def _state(batch: pa.Table, facts: dict[str, os.stat_result]) -> pa.Table:
    (crop,) = {(one.st_size) for name, one in facts.items() if name.startswith("source-images")}
    n = len(batch)
    key = pa.array([bytes(32)] * n, pa.binary(32))
    return pa.table(
        [
            batch["path"], pa.array([crop] * n), _written(batch, facts), key,
            pa.nulls(n, pa.binary(32)), pa.nulls(n, pa.binary(32)),
        ],
        schema=STATE_SCHEMA,
    )  # fmt: skip


def _written(batch: pa.Table, facts: dict[str, os.stat_result]) -> pa.Array:
    rows = [
        int(path[:8]) * ALBUM + int(path.rpartition("/")[2][:2])
        for path in batch["path"].to_pylist()
    ]
    return pa.array([facts[f"source-images-{row // LINKS}"].st_mtime_ns for row in rows])


def _run(raw: Path, out: Path) -> Any:
    from facecrop.commands.preprocess_run import Run
    from facecrop.images.recipe import load_recipe

    run = Run(
        raw, out, name=RECIPE, recipe=load_recipe(RECIPE), layout="profiles", keep=frozenset()
    )
    run.resolve("cpu", {}, offline=True)
    return run


def resume(out: Path, rows: int) -> str:
    from facecrop.commands.preprocess import preprocess

    raw = out.with_name(f"{out.name}-raw")
    result = preprocess(raw, out, recipe=RECIPE, layout="profiles", contact=False, offline=True)
    if result.progress.total or result.images != rows:
        raise SystemExit(f"{result.progress.total} of {result.images} images had to be worked on")
    return f"{result.unread:,} files unread, none worked on"


WORK = {
    "make": make,
    "make-files": make_files,
    "relabel": relabel,
    "undo": undo,
    "bytes": split_by_bytes,
    "split": split,
    "extend": extend,
    "verify": verify,
    "stats": stats,
    "resume": resume,
}

if __name__ == "__main__":
    step, folder, count = sys.argv[1:]
    print(WORK[step](Path(folder).resolve(), int(count)))
