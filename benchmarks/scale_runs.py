"""The steps of `scale.py` that list files: preprocess and merge, over files that lie on no disk."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scale_files import pretend

from facecrop.commands.preprocess.known import LEDGER_SCHEMA

SHARDS = 8
GROUP = 1 << 12
"""Rows of a row group, as shards pack their rows."""
RECIPE, OTHER = "raw", "center-crop"


def _raw(out: Path) -> Path:
    raw = out.with_name(f"{out.name}-raw")
    raw.mkdir(exist_ok=True)
    return raw


def run_over(
    out: Path, rows: int, *, changed: int = 0, shard: Any = None, recipe: str = RECIPE
) -> Any:
    """Return a run over pictures that are on no disk."""
    from facecrop.commands.preprocess.run import Run
    from facecrop.images.recipe import load_recipe

    raw = _raw(out)
    pretend(raw, out, rows, changed=changed)
    run = Run(
        raw, out, name=recipe, recipe=load_recipe(recipe), layout="profiles",
        keep=frozenset(), shard=shard,
    )  # fmt: skip
    run.resolve("cpu", {}, offline=True)
    return run


def resume(out: Path, rows: int) -> str:
    from facecrop.commands.preprocess.command import preprocess

    raw = _raw(out)
    pretend(raw, out, rows)
    result = preprocess(raw, out, recipe=RECIPE, layout="profiles", contact=False, offline=True)
    if result.progress.total or result.images != rows or result.unread != rows:
        raise SystemExit(f"{result.progress.total} of {result.images} images had to be worked on")
    return f"{result.unread:,} files unread, none worked on"


def plan(out: Path, rows: int) -> str:
    from facecrop.commands.preprocess.command import preprocess

    raw = _raw(out)
    pretend(raw, out, rows, changed=1)
    result = preprocess(raw, out, recipe=RECIPE, layout="profiles", offline=True, dry_run=True)
    return f"{result.progress.total:,} of {rows:,} pictures would be worked on"


def update(out: Path, rows: int) -> str:
    """Work on what has changed, with workers that answer at once."""
    return _worked(out, run_over(out, rows, changed=1), rows)


def first(out: Path, rows: int) -> str:
    """Work on everything, with workers that answer at once, into another dataset."""
    other = out.with_name(f"{out.name}-first")
    shutil.rmtree(other, ignore_errors=True)
    (other / ".store").mkdir(parents=True)
    return _worked(other, run_over(other, rows), rows)


def other(out: Path, rows: int) -> str:
    """Work on everything because the recipe is another one, in a copy of the dataset."""
    copy = out.with_name(f"{out.name}-other")
    shutil.rmtree(copy, ignore_errors=True)
    (copy / ".store").mkdir(parents=True)
    for place in ("index.parquet", "labels.parquet", ".store/state.parquet", ".store/run.json"):
        whole = out / place
        if whole.is_dir():
            shutil.copytree(whole, copy / place)
        else:
            shutil.copy(whole, copy / place)
    return _worked(copy, run_over(copy, rows, recipe=OTHER), rows)


def _worked(out: Path, run: Any, rows: int) -> str:
    from facecrop.commands.preprocess import run as preprocess_run
    from facecrop.images.look.looker import Tally
    from facecrop.images.pipeline import Result
    from facecrop.images.rows import COLUMNS

    asked, recipe = {name: COLUMNS.index(name) for name in COLUMNS}, run.fingerprint

    def row(item: Any) -> tuple[Any, ...]:
        image = f"images/{item.target}.jpg"
        facts = os.stat(f"{out}/{image}")  # noqa: PTH116 - the one that tells of files not there
        values: list[Any] = [None] * len(COLUMNS)
        found = {
            "path": item.path, "digest": bytes(32), "status": "ok", "recipe": recipe,
            "image": image, "image_sha256": bytes(32), "render_key": bytes(32),
            "image_size": facts.st_size, "image_mtime_ns": facts.st_mtime_ns,
        }  # fmt: skip
        for name, value in found.items():
            values[asked[name]] = value
        return tuple(values)

    def answers(_means: Any, _job: Any, _devices: Any, tasks: Any, _log: Any) -> Iterator[Result]:
        for task in tasks:
            for part in task.parts:
                yield Result(tuple(map(row, part)), Tally())

    patch.object(preprocess_run, "results", answers).start()
    result = run.do(verify=False, contact=False, report=None, started=time.perf_counter())
    return f"{result.progress.done:,} of {rows:,} pictures worked on"


def shards(out: Path, rows: int) -> str:
    """Make what shards leave for their merge, in another dataset."""
    from scale_tables import index_batches, state_of

    from facecrop.commands.preprocess.parts import Part
    from facecrop.labels.shards import Shard

    other = _sharded(out)
    shutil.rmtree(other, ignore_errors=True)
    (other / ".store").mkdir(parents=True)
    run = run_over(other, 1)
    parts = [Part.of(other, Shard(number + 1, SHARDS)) for number in range(SHARDS)]
    for part in parts:
        part.rows.mkdir(parents=True)
        part.write_card(run._card())  # noqa: SLF001 - as the run of a shard does
        part.memory.write(run.scanned_ns, frozenset())
    with ExitStack() as stack:
        writers = [
            stack.enter_context(
                pq.ParquetWriter(part.rows / "rows.parquet", LEDGER_SCHEMA, compression="zstd")
            )
            for part in parts
        ]
        waiting: list[list[pa.Table]] = [[] for _ in writers]
        start, own = 0, {part.shard: number for number, part in enumerate(parts)}
        for batch in index_batches(rows, run.fingerprint):
            state = state_of(batch, start)
            start += len(batch)
            people = batch["profile"].to_pylist()
            whose = {who: own[Shard.of(who, SHARDS)] for who in set(people)}
            number = np.array([whose[who] for who in people])
            table = pa.table({**_columns(batch), **_columns(state)}, schema=LEDGER_SCHEMA)
            for at, writer in enumerate(writers):
                waiting[at].append(table.filter(pa.array(number == at)))
                if sum(map(len, waiting[at])) >= GROUP:
                    writer.write_table(pa.concat_tables(waiting[at]))
                    waiting[at] = []
        for rest, writer in zip(waiting, writers, strict=True):
            if rest:
                writer.write_table(pa.concat_tables(rest))
    return f"{SHARDS} shards"


def _columns(table: pa.Table) -> dict[str, Any]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _sharded(out: Path) -> Path:
    return out.with_name(f"{out.name}-shards")


def merge(out: Path, rows: int) -> str:
    from facecrop.commands.merge import merge as command

    out = _sharded(out)
    pretend(_raw(out), out, rows)
    result = command(out, contact=False)
    return f"{result.images:,} rows of {SHARDS} shards"
