"""What preprocess and merge hold in memory of a record that stays as it is: some bytes, no object.

The files are those of `benchmarks/scale.py`, which lie on no disk.
"""

import gc
import os
import tracemalloc
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import pyarrow as pa
import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL, LARGE = 5_000, 13_000
PART = 500
"""Rows of a part of a stream: few, so that of both sizes as much is held of parts."""
MOST = {"resume": 300, "merge": 850, "other": 450}
"""Bytes a row. What RAW tells of it takes some 170; as objects it would be 400 more, and all that
is known of it is 480; what workers are told of it, 280."""


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[str, Callable[[Path, int], str]]:
    """Return the steps of the benchmark; what they pretend ends with the test."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setattr(os, "scandir", os.scandir)
    monkeypatch.setattr(os, "stat", os.stat)
    for name in ("_SMALL_ROWS", "_JOURNAL_ROWS", "WINDOW"):
        monkeypatch.setattr(f"facecrop.commands.preprocess.known.{name}", PART)
    monkeypatch.setattr("facecrop.commands.streams.WINDOW", PART)
    monkeypatch.setattr("facecrop.commands.spilled.HELD_ROWS", PART)
    monkeypatch.setattr(import_module("facecrop.commands.preprocess.run"), "results", None)
    monkeypatch.setattr("facecrop.labels.raw._PACKED_ROWS", PART)
    monkeypatch.setattr(import_module("scale_runs"), "GROUP", PART)
    found: dict[str, Callable[[Path, int], str]] = import_module("scale_tables").WORK
    return found


def peak(work: Callable[[], object]) -> int:
    """Return the most bytes that Python, numpy and Arrow held at once beyond what they had."""
    default = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(default)
    gc.collect()
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        work()
        _, traced = tracemalloc.get_traced_memory()
        held = pool.max_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(default)
    return traced + held


@pytest.mark.parametrize("step", list(MOST))
def test_memory_grows_by_some_bytes_for_each_record(
    steps: dict[str, Callable[[Path, int], str]], tmp_path: Path, step: str
) -> None:
    taken = {}
    for rows in (SMALL, LARGE):
        out = tmp_path / str(rows)
        steps["shards" if step == "merge" else "make"](out, rows)
        taken[rows] = peak(partial(steps[step], out, rows))
    growth = (taken[LARGE] - taken[SMALL]) / (LARGE - SMALL)
    assert growth < MOST[step], taken
