"""What a run hands to its workers: every record that needs work, once, profiles whole."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.commands.ledger import LEDGER_SCHEMA
from facecrop.commands.plan_run import RunPlan, plan_run
from facecrop.labels.raw import RawFile, Scan


def plan(profiles: list[int], out: Path = Path("nowhere")) -> RunPlan:
    """Return the plan of a first run over profiles of so many pictures each."""
    files = [
        RawFile(f"{p:03d}/{n}.jpg", f"{p:03d}", f"{n}", None, None, None, 9, 1, 1, n)
        for p, size in enumerate(profiles)
        for n in range(size)
    ]
    scan = Scan("profiles", Path(), files)
    return plan_run(
        out,
        scan,
        scan.table(),
        LEDGER_SCHEMA.empty_table(),
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


def test_profiles_whose_records_do_not_lie_together_are_worked_on_together() -> None:
    names = {"a/1.jpg": "x", "b/1.jpg": "y", "c/1.jpg": "x"}
    files = [
        RawFile(path, person, "1", None, None, None, 9, 1, 1, 1) for path, person in names.items()
    ]
    scan = Scan("table", Path(), files)
    found = plan_run(
        Path("nowhere"), scan, scan.table(), LEDGER_SCHEMA.empty_table(), b"r" * 32,
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
