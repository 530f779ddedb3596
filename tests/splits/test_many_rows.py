"""What is done in parts, for tables that are too large to hold, gives what the whole would give."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_datasets import names, published, seven_of, write_dataset

from facecrop.commands.split import read_settings, split, verify_split
from facecrop.commands.stats.command import stats
from facecrop.labels.certificate import read_split
from facecrop.labels.people import people_of
from facecrop.labels.split_table import repeated, table_digest

DIGESTS = st.lists(st.none() | st.sampled_from([bytes([n]) * 32 for n in range(4)]), max_size=20)


@given(DIGESTS, DIGESTS)
def test_repeated_digests_are_those_that_come_twice(one: Any, two: Any) -> None:
    every = [*one, *two]
    column = pa.chunked_array([pa.array(part, pa.binary(32)) for part in (one, two)])
    twice = [row for row, digest in enumerate(every) if digest and every.count(digest) > 1]
    assert repeated(column).tolist() == twice
    assert repeated(column.slice(1)).tolist() == repeated(pa.chunked_array(
        [pa.array(every[1:], pa.binary(32))]
    )).tolist()  # fmt: skip


def test_what_people_hold_is_counted_alike_in_whatever_order_their_records_lie(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    n = 500
    who = rng.integers(0, 60, n)
    labels = pa.table({
        "mask": rng.choice(["worn", "incorrect", "none"], n),
        "gender": np.where(who % 2, "male", "female"),
        "age": pa.array(18 + who % 45, pa.int32()),
        "age_group": pa.array([None] * n, pa.string()),
    })  # fmt: skip
    profiles = pa.chunked_array([[f"p{one:02}" for one in who]])
    usable = rng.random(n) < 0.8
    whole = people_of(profiles, labels, usable)
    order = np.argsort(who, kind="stable")
    monkeypatch.setattr("facecrop.labels.people._PEOPLE_AT_ONCE", 7)
    parts = people_of(profiles.take(order), labels.take(order), usable[order])
    assert parts.profiles == whole.profiles
    assert np.array_equal(parts.kinds[parts.kind], whole.kinds[whole.kind])
    held = whole.kinds[whole.kind]
    assert held.sum() == n + 60 * round(n / 60)
    assert np.array_equal(whole.kinds, np.unique(held, axis=0))


def test_the_digest_of_a_split_does_not_depend_on_how_it_is_stored(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(30)))
    split(out)
    table = read_split(out, "default").table
    expected = sha256()
    for column in ("path", "profile", "group", "fold", "part", "kept", "weight"):
        for value in table[column].cast(pa.string()).to_pylist():
            expected.update((value or "").encode() + b"\0")
        expected.update(column.encode())
    for value in table["digest"].to_pylist():
        expected.update(value or b"-")
    parts = pa.concat_tables([table.slice(0, 5), table.slice(5)])
    for stored in (table, parts):
        assert table_digest(stored.column) == expected.hexdigest()


@pytest.mark.parametrize("strategy", ["stratified", "kfold", "random"])
def test_numbers_do_not_depend_on_how_many_rows_are_worked_on_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, strategy: str
) -> None:
    out = write_dataset(tmp_path, seven_of(*list(published())[::9]))
    split(out, settings=read_settings({"strategy": strategy}))
    whole = stats(out, pixels=False)
    monkeypatch.setattr("facecrop.labels.current.BATCH_ROWS", 100)
    assert stats(out, pixels=False) == whole
    monkeypatch.undo()
    monkeypatch.setattr("facecrop.commands.split.BATCH_ROWS", 100)
    before = read_split(out, "default").table
    split(out, settings=read_settings({"strategy": strategy}))
    assert read_split(out, "default").table.equals(before)
    verify_split(out)
