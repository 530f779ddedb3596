"""What a run hands to its workers: every record that needs work, once, profiles whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.commands.preprocess.ledger import LEDGER_SCHEMA
from facecrop.commands.preprocess.plan import RunPlan, plan_run
from facecrop.commands.streams import held
from facecrop.errors import StoreError
from facecrop.labels.raw import RawFile, Scan


def plan(profiles: list[int], out: Path = Path("nowhere")) -> RunPlan:
    """Return the plan of a first run over profiles of so many pictures each."""
    files = [
        RawFile(f"{p:03d}/{n:02d}.jpg", f"{p:03d}", f"{n}", None, None, None, 9, 1, 1, n)
        for p, size in enumerate(profiles)
        for n in range(size)
    ]
    scan = Scan("profiles", Path(), files)
    return plan_run(
        out,
        scan.table(),
        held(LEDGER_SCHEMA.empty_table()),
        b"r" * 32,
        scanned_ns=0,
        extension="jpg",
        keep=frozenset(),
        kept_before=frozenset(),
        verify=False,
    )


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 9))
def test_tasks_hold_every_record_once_and_profiles_whole(profiles: list[int], workers: int) -> None:
    whole = plan(profiles)
    parts = [part for task in whole.tasks(workers) for part in task.parts]
    assert [len(part) for part in parts] == profiles
    paths = [item.path for part in parts for item in part]
    assert sorted(paths) == sorted(set(paths))
    assert len(paths) == whole.images == sum(profiles)
    assert all(len({item.path[:3] for item in part}) == 1 for part in parts)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=60), st.integers(1, 5))
def test_a_sample_is_spread_over_the_whole(profiles: list[int], count: int) -> None:
    task = plan(profiles).sample(count)
    assert len(task.parts) == min(count, len(profiles))
    assert all(item.kept is None for part in task.parts for item in part)


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_profiles_whose_records_do_not_lie_together_are_worked_on_together(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr("facecrop.labels.raw._PACKED_ROWS", rows)
    monkeypatch.setattr("facecrop.commands.streams.WINDOW", rows)
    names = {"a/1.jpg": "x", "b/1.jpg": "y", "c/1.jpg": "x"}
    files = [
        RawFile(path, person, "1", None, None, None, 9, 1, 1, 1) for path, person in names.items()
    ]
    scan = Scan("table", Path(), files)
    found = plan_run(
        Path("nowhere"), scan.table(), held(LEDGER_SCHEMA.empty_table()), b"r" * 32,
        scanned_ns=0, extension="jpg", keep=frozenset(), kept_before=frozenset(), verify=False,
    )  # fmt: skip
    parts = [part for task in found.tasks(1) for part in task.parts]
    assert [[item.path for item in part] for part in parts] == [
        ["a/1.jpg", "c/1.jpg"],
        ["b/1.jpg"],
    ]


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_no_worker_is_left_alone_with_a_long_last_task(workers: int) -> None:
    tasks = list(plan([7] * 40).tasks(workers))
    share = 7 * 40 / (8 * workers)
    assert max(sum(map(len, task.parts)) for task in tasks) < share + 7


def test_rows_that_have_gone_since_the_plan_was_made_are_not_taken_for_waiting(
    tmp_path: Path,
) -> None:
    files = [RawFile(f"p/{n}.jpg", "p", f"{n}", None, None, None, 9, 1, 1, n) for n in range(3)]
    raw = Scan("profiles", Path(), files).table()
    facts = {name: raw[name] for name in raw.column_names} | {
        "status": pa.array(["reject"] * 3), "recipe": pa.array([b"r" * 32] * 3, pa.binary(32)),
    }  # fmt: skip
    known = pa.table(
        [facts.get(field.name, pa.nulls(3, field.type)) for field in LEDGER_SCHEMA],
        schema=LEDGER_SCHEMA,
    )
    readings = iter([held(known), held(known), held(known.slice(1))])

    def read(names: Sequence[str]) -> Iterator[pa.Table]:
        return next(readings)(names)

    found = plan_run(
        tmp_path, raw, read, b"r" * 32,
        scanned_ns=10**12, extension="jpg", keep=frozenset(), kept_before=frozenset(), verify=False,
    )  # fmt: skip
    assert (found.images, found.told, found.before, found.unread) == (0, True, 3, 3)
    assert [rows.num_rows for rows in found.rows(["path", "status"])] == [3]
    with pytest.raises(StoreError, match="another run has changed what was known; run"):
        list(found.rows(["path", "status"]))
