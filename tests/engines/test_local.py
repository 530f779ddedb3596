import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from works import Obedient, assert_tasks_are_asked_for_one_by_one

from facecrop.engines.local import LocalEngine
from facecrop.engines.serial import SerialEngine
from facecrop.engines.work import Task
from facecrop.errors import DeviceError, StoreError, WorkerError

shapes = st.lists(st.lists(st.integers(0, 3), max_size=3), max_size=4)


def results(
    folder: Path, tasks: Iterable[Task], workers: int = 1, broken: str = "", timeout_s: float = 60
) -> list[Any]:
    engine = LocalEngine(workers=workers, timeout_s=timeout_s)
    return sorted(engine.map(partial(Obedient, folder, broken), tasks))


def closed(folder: Path) -> int:
    """Return how many workers were closed in good order."""
    return len(list(folder.glob("closed-*")))


@settings(max_examples=4)
@given(shapes, st.integers(1, 3))
def test_every_part_has_its_result_exactly_once(shape: list[list[int]], workers: int) -> None:
    tasks = [
        Task(
            [[f"{task}-{part}-{number}" for number in range(size)] for part, size in enumerate(of)]
        )
        for task, of in enumerate(shape)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = results(folder, tasks, workers)
        assert found == sorted(tuple(part) for task in tasks for part in task.parts)
        assert closed(folder) == min(workers, len(tasks))
        assert found == sorted(SerialEngine().map(partial(Obedient, folder), tasks))


def test_no_task_makes_no_process(tmp_path: Path) -> None:
    assert results(tmp_path, [], workers=2) == []
    assert closed(tmp_path) == 0


def test_a_worker_that_is_killed_once_costs_nothing(tmp_path: Path) -> None:
    deadly = f"die-once:{tmp_path / 'died'}"
    found = results(tmp_path, [Task([["a"], ["b", deadly, "c"], ["d"]]), Task([["e"]])])
    assert found == [("a",), ("b", deadly, "c"), ("d",), ("e",)]


def test_a_picture_that_kills_again_is_a_suspect_and_no_other_is(tmp_path: Path) -> None:
    tasks = [Task([["a"], ["b", "die", "c"], ["d"]]), Task([["e"]])]
    found = results(tmp_path, tasks, workers=2)
    assert found == [("a",), ("b", "suspect", "c"), ("d",), ("e",)]
    assert closed(tmp_path) >= 1


def test_where_the_open_picture_was_not_the_cause_its_whole_profile_is_suspect(
    tmp_path: Path,
) -> None:
    found = results(tmp_path, [Task([["die-later", "a", "b"]], (frozenset(),)), Task([["c"]])])
    assert found == [("c",), ("suspect", "suspect", "suspect")]


def test_workers_that_die_whatever_they_are_given_end_the_run(tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=r"killed by signal 9 .* use fewer workers"):
        results(tmp_path, [Task([["a"]], (frozenset(),))], broken="make")


def test_a_worker_that_hangs_is_killed_and_its_picture_a_suspect(tmp_path: Path) -> None:
    tasks = [Task([["a", "sleep:600", "b"]], (frozenset(),))]
    assert results(tmp_path, tasks, timeout_s=5) == [("a", "suspect", "b")]


def test_a_worker_that_dies_idle_loses_no_task(tmp_path: Path) -> None:
    def slowly() -> Iterator[Task]:
        yield Task([["die-soon:0.2"]])
        time.sleep(1)  # so that it dies while it waits for its next task
        yield Task([["a"]])
        yield Task([["b"]])

    assert results(tmp_path, slowly()) == [("a",), ("b",), ("die-soon:0.2",)]


def test_a_worker_that_dies_after_its_last_word_is_replaced(tmp_path: Path) -> None:
    tasks = [Task([["die-soon:0.2"]]), Task([["a"]]), Task([["b"]])]
    run = LocalEngine(workers=1).map(partial(Obedient, tmp_path), tasks)
    assert next(run) == ("die-soon:0.2",)
    time.sleep(1)  # so that its last word is heard after its death
    assert list(run) == [("a",), ("b",)]


def test_a_bug_keeps_its_type_and_its_traceback(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug in a fake") as caught:
        results(tmp_path, [Task([["a", "bug"]])])
    (note,) = caught.value.__notes__
    assert note.startswith("in a worker process:\nTraceback")
    assert "in answer" in note


def test_a_mistake_of_the_users_keeps_its_type_and_stays_one_line(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"^the fake device is not there; plug it in$") as caught:
        results(tmp_path, [Task([["user"]]), Task([["sleep:0.1"]])], workers=2)
    assert not hasattr(caught.value, "__notes__")
    assert multiprocessing.active_children() == []


def test_an_error_that_cannot_travel_arrives_as_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="UnpicklableError: cannot travel") as caught:
        results(tmp_path, [Task([["unpicklable"]])])
    assert "in answer" in caught.value.__notes__[0]


def test_what_goes_wrong_at_the_very_end_is_not_lost(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the disk is full; make room"):
        results(tmp_path, [Task([["a"]])], broken="close")


def test_stopping_closes_the_work_of_all_workers_and_leaves_none(tmp_path: Path) -> None:
    tasks = [Task([[f"quick-{number}"], *[["sleep:0.05"] * 2000]]) for number in range(2)]
    run = LocalEngine(workers=2).map(partial(Obedient, tmp_path), tasks)
    assert {next(run), next(run)} == {("quick-0",), ("quick-1",)}
    run.close()
    assert closed(tmp_path) == 2
    assert multiprocessing.active_children() == []


def test_stopping_does_not_wait_for_a_worker_that_hangs(tmp_path: Path) -> None:
    run = LocalEngine(workers=1).map(partial(Obedient, tmp_path), [Task([["a"], ["sleep:600"]])])
    assert next(run) == ("a",)
    run.close()
    assert multiprocessing.active_children() == []


def test_tasks_are_asked_for_one_by_one_as_workers_become_free(tmp_path: Path) -> None:
    assert_tasks_are_asked_for_one_by_one(
        partial(LocalEngine(workers=1).map, partial(Obedient, tmp_path))
    )


def test_workers_have_one_thread_each_and_leave_ctrl_c_to_the_parent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    found = results(tmp_path, [Task([["surroundings"]])])
    assert found == [(("1", signal.SIG_IGN, True),)]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


PARENT = """
import sys
from functools import partial
from pathlib import Path
sys.path[:0] = sys.argv[2:]
from works import Obedient, assert_tasks_are_asked_for_one_by_one
from facecrop.engines.local import LocalEngine
from facecrop.engines.work import Task

if __name__ == "__main__":
    tasks = [Task([["pid"], *[["sleep:0.05"]] * 2000])]
    for (answer,) in LocalEngine(workers=1).map(partial(Obedient, Path(sys.argv[1])), tasks):
        print(answer, flush=True)
"""


def test_workers_end_with_their_parent_however_that_ends(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), str(tmp_path), str(Path(__file__).parents[1])]
    last_words = tmp_path / "stderr"
    with (
        last_words.open("w") as stderr,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as parent,
    ):
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    gone, alive = psutil.wait_procs([worker], timeout=20)
    assert gone or [one.status() for one in alive] == [psutil.STATUS_ZOMBIE]
    assert "Traceback" not in last_words.read_text()
