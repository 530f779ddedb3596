"""Rows that may be too many for memory: what is read is what was added, wherever it lay."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.commands.spilled import Spilled
from facecrop.errors import StoreError

SCHEMA = pa.schema([("path", pa.string()), ("digest", pa.binary(4))])


def rows(start: int, count: int) -> pa.Table:
    numbers = range(start, start + count)
    return pa.table(
        [[f"{n:04d}" for n in numbers], [None if n % 3 else n.to_bytes(4) for n in numbers]],
        schema=SCHEMA,
    )


def spilled(sizes: list[int]) -> tuple[Spilled, pa.Table]:
    found, start = Spilled(SCHEMA), 0
    for size in sizes:
        found.add(rows(start, size))
        start += size
    return found.close(), rows(0, start)


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facecrop.commands.spilled.HELD_ROWS", 20)


@given(st.lists(st.integers(0, 9), max_size=12), st.data())
def test_what_is_read_is_what_was_added(sizes: list[int], data: st.DataObject) -> None:
    found, whole = spilled(sizes)
    assert len(found) == len(whole)
    assert pa.concat_tables(found(["digest", "path"])).equals(whole.select(["digest", "path"]))
    if len(whole):
        start = data.draw(st.integers(0, len(whole) - 1))
        count = data.draw(st.integers(1, len(whole) - start))
        assert found.slice(start, count).equals(whole.slice(start, count))


def test_it_is_read_in_several_places_at_once() -> None:
    found, whole = spilled([9] * 5)
    one, other = found(["path"]), found(["path"])
    both = [(next(one), next(other)) for _ in range(6)]
    assert all(left.equals(right) for left, right in both)
    assert pa.concat_tables([left for left, _ in both]).equals(whole.select(["path"]))


def test_a_file_is_used_for_many_rows_alone_and_its_absence_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert len(spilled([9, 9])[0]) == 18
    with pytest.raises(StoreError, match=r"gone cannot be written: No such file or directory"):
        spilled([9, 9, 9])
