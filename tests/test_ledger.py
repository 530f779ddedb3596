"""The rows of a dataset while they are worked out: all are there, in order, whatever ends a run."""

import random
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facecrop.commands.preprocess.ledger import LEDGER_SCHEMA, Ledger
from facecrop.commands.streams import Rows, held
from facecrop.errors import StoreError, TableError
from facecrop.images.rows import COLUMNS, Values
from facecrop.index import INDEX_FILE, read_table
from facecrop.labels.raw import RAW_COLUMNS, RawFile, Scan


def records(count: int) -> pa.Table:
    """Return what a raw folder of so many pictures tells."""
    files = [
        RawFile(
            f"{n // 7:04d}/{n % 7}.jpg", f"{n // 7:04d}", f"{n % 7}", None, "male", n, n, 1, 2, 3
        )
        for n in range(count)
    ]
    return Scan("profiles", Path(), files).table()


def finished(path: str, **changes: Any) -> Values:
    """Return the row of a record that has been worked on."""
    known = {"path": path, "status": "ok", "digest": path.encode().ljust(32)} | changes
    return tuple(known.get(name) for name in COLUMNS)


def nothing() -> Rows:
    return held(LEDGER_SCHEMA.empty_table())


def test_raw_and_worker_together_tell_every_column() -> None:
    assert {*COLUMNS, *RAW_COLUMNS} == set(LEDGER_SCHEMA.names)
    assert {*COLUMNS} & {*RAW_COLUMNS} == {"path"}
    assert len(set(COLUMNS)) == len(COLUMNS)


@settings(max_examples=20)
@given(st.integers(1, 1500), st.randoms(use_true_random=False), st.integers(1, 700))
def test_the_index_does_not_depend_on_the_order_of_the_work(
    count: int, chance: random.Random, at_a_time: int
) -> None:
    raw = records(count)
    paths = raw["path"].to_pylist()
    shuffled = chance.sample(paths, len(paths))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        (out / ".store").mkdir()
        ledger = Ledger(out)
        ledger.start(raw, nothing())
        for start in range(0, count, at_a_time):
            ledger.add([finished(path) for path in shuffled[start : start + at_a_time]])
        ledger.finish()
        index = read_table(out / INDEX_FILE)
        assert index["path"].to_pylist() == paths
        assert index["age_raw"].to_pylist() == list(range(count))
        assert index["digest"].to_pylist() == [path.encode().ljust(32) for path in paths]
        assert set(index["status"].to_pylist()) == {"ok"}


def test_all_rows_wait_before_the_first_pixel_and_finished_ones_survive_a_kill(
    tmp_path: Path,
) -> None:
    (tmp_path / ".store").mkdir()
    raw = records(10)
    killed = Ledger(tmp_path)
    killed.start(raw, nothing())
    assert read_table(tmp_path / INDEX_FILE)["status"].to_pylist() == ["pending"] * 10
    killed.add([finished("0001/1.jpg"), finished("0000/2.jpg")])
    killed.flush()
    left = Ledger(tmp_path).previous()
    assert left["path"].to_pylist() == raw["path"].to_pylist()
    done = [row["path"] for row in left.to_pylist() if row["status"] == "ok"]
    assert done == ["0000/2.jpg", "0001/1.jpg"]


def test_settled_rows_stay_and_rows_of_pictures_that_are_gone_go(tmp_path: Path) -> None:
    (tmp_path / ".store").mkdir()
    first = Ledger(tmp_path)
    first.start(records(9), nothing())
    first.add([finished(path, reason="face-by-prior") for path in records(9)["path"].to_pylist()])
    first.finish()
    known = Ledger(tmp_path).previous()
    second = Ledger(tmp_path)
    second.start(records(8), held(known.slice(0, 7)))
    second.add([finished("0001/0.jpg")])
    (summary,) = [rows for rows in second.finish()(["path", "reason"]) if len(rows)]
    assert summary["path"].to_pylist() == records(8)["path"].to_pylist()
    assert summary["reason"].to_pylist() == ["face-by-prior"] * 7 + [None]
    assert Ledger(tmp_path).previous().select(summary.column_names).equals(summary)


def test_a_journal_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".store").mkdir()
    ledger = Ledger(tmp_path)
    ledger.start(records(3), nothing())
    (tmp_path / ".store" / "rows").write_text("in the way")
    ledger.add([finished("0000/0.jpg")])
    with pytest.raises(StoreError, match="cannot be written"):
        ledger.flush()


def test_where_no_index_is_the_next_command_is_named(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"does not exist; run: facecrop preprocess RAW"):
        read_table(tmp_path / INDEX_FILE)
    (tmp_path / ".store" / "shards" / "1-of-2").mkdir(parents=True)
    with pytest.raises(TableError, match=r"does not exist yet; run: facecrop merge"):
        read_table(tmp_path / INDEX_FILE)
