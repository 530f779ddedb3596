"""One step of `scale.py` in a process of its own: makes tables of many rows, or works on them.

python benchmarks/scale_tables.py STEP OUT ROWS
"""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
from scale_files import EACH, crop_facts, folders, profile, raw_facts
from scale_runs import first, merge, other, plan, resume, run_over, shards, update

from facecrop.commands.preprocess.known import STATE_FILE, STATE_SCHEMA
from facecrop.index import INDEX_FILE, INDEX_SCHEMA, write_batches

WORN = {"incorrect_mask": "incorrect", "normal": "none"}
CORRECTIONS = 1000
TWINS = 10_000
"""One record in so many has the bytes of the one before it, of somebody else or not."""


def index_batches(rows: int, recipe: bytes) -> Iterator[pa.Table]:
    """Yield the index batch by batch, every column filled, the same each time."""
    for start, people, stems in folders(rows):
        numbers = np.arange(start, start + len(people), dtype=np.uint64)
        yield _batch(np.random.default_rng([start, rows]), numbers, people, stems, recipe)


def _batch(
    rng: np.random.Generator,
    numbers: "np.ndarray[Any, np.dtype[np.uint64]]",
    people: list[str],
    stems: list[str],
    recipe: bytes,
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
        **raw_facts(numbers),
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


def state_batches(rows: int, recipe: bytes) -> Iterator[pa.Table]:
    """Yield the state that belongs to the index."""
    start = 0
    for batch in index_batches(rows, recipe):
        yield state_of(batch, start)
        start += len(batch)


def state_of(batch: pa.Table, start: int) -> pa.Table:
    n = len(batch)
    facts = crop_facts(np.arange(start, start + n, dtype=np.uint64))
    gone = batch["image"].is_null().to_numpy()
    keys = np.where(gone, None, batch["image_sha256"].to_numpy())
    columns = {
        "path": batch["path"],
        **{name: pa.array(values, mask=gone) for name, values in facts.items()},
        "render_key": pa.array(keys, pa.binary(32)),
        "extras_key": pa.nulls(n, pa.binary(32)),
        "alpha_key": pa.nulls(n, pa.binary(32)),
    }
    return pa.table(columns, schema=STATE_SCHEMA)


def make(out: Path, rows: int) -> str:
    """Make the tables of a dataset all of which is done."""
    from facecrop.labels.current import write_labels

    out.mkdir(parents=True)
    run = run_over(out, 1)
    write_batches(index_batches(rows, run.fingerprint), INDEX_SCHEMA, out / INDEX_FILE, rows=rows)
    write_labels(out)
    size = sum(file.stat().st_size for file in out.rglob("*.parquet"))
    (out / ".store").mkdir()
    write_batches(state_batches(rows, run.fingerprint), STATE_SCHEMA, out / STATE_FILE, rows=rows)
    run.memory.write(run.scanned_ns, frozenset())
    return f"{size / 1e6:,.0f} MB, {size / rows:.0f} bytes a row"


def relabel(out: Path, rows: int) -> str:
    from facecrop.commands.relabel.command import relabel as command

    manifest = out / "corrections.csv"
    people = -(-rows // EACH)
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
    from facecrop.commands.relabel.command import relabel as command

    return f"took back {len(command(out, undo=1).undone)} of {rows:,} rows' applications"


def split_by_bytes(out: Path, rows: int) -> str:
    return split(out, rows, radius=0)


def split(out: Path, rows: int, **settings: int) -> str:
    from facecrop.commands.split import read_settings
    from facecrop.commands.split import split as command

    _without_pictures()
    result = command(out, settings=read_settings(settings))
    return (
        f"{result.groups:,} groups of {rows:,} rows, links {result.links}, "
        f"{result.candidates:,} pairs of near hashes"
    )


def _without_pictures() -> None:
    """Have every crop that is asked for missing at once."""

    def none(_compared: Any, rows: Any) -> Iterator[tuple[int, str | None]]:
        return ((place, None) for place in range(len(rows)))

    patch("facecrop.checks.duplicates._Compared.draw", none).start()


def extend(out: Path, rows: int) -> str:
    from facecrop.commands.split import split as command

    _without_pictures()
    result = command(out, name="grown", extend="default")
    return f"{result.people:,} people of {rows:,} rows kept their folds"


def verify(out: Path, rows: int) -> str:
    from facecrop.commands.split import verify_split

    return f"holds over {rows:,} rows, {len(verify_split(out))} notes"


def stats(out: Path, rows: int) -> str:
    from facecrop.commands.stats.command import stats as command

    (summary,) = command(out, pixels=False).datasets
    return f"{summary.people:,} people, {summary.records:,} of {rows:,} records"


WORK = {
    "make": make,
    "relabel": relabel,
    "undo": undo,
    "bytes": split_by_bytes,
    "split": split,
    "extend": extend,
    "verify": verify,
    "stats": stats,
    "resume": resume,
    "plan": plan,
    "update": update,
    "first": first,
    "other": other,
    "shards": shards,
    "merge": merge,
}

if __name__ == "__main__":
    step, folder, count = sys.argv[1:]
    print(WORK[step](Path(folder).resolve(), int(count)))
