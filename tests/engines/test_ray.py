"""The Ray engine: what every engine promises, on machines that come and go."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from works import Obedient, assert_tasks_are_asked_for_one_by_one

pytest.importorskip("ray", reason="the extra 'ray' is not installed")

from facecrop.engines.ray import RayEngine
from facecrop.engines.work import Task
from facecrop.errors import ConfigError, DeviceError, StoreError

pytestmark = [pytest.mark.timeout(600), pytest.mark.usefixtures("cluster")]


def results(
    folder: Path, tasks: Iterable[Task], workers: int | None = 1, broken: str = ""
) -> list[Any]:
    engine = RayEngine(workers=workers, timeout_s=20)
    return sorted(engine.map(partial(Obedient, folder, broken), tasks))


def closed(folder: Path) -> int:
    """Return how many workers were closed in good order."""
    return len(list(folder.glob("closed-*")))


def test_every_part_has_its_result_once_whoever_dies_over_it(tmp_path: Path) -> None:
    accident, lost = f"die-once:{tmp_path / 'died'}", f"orphan-once:{tmp_path / 'lost'}"
    tasks = [
        Task([["a"], ["b", "die", "c"], ["d"]]),
        Task([["e", accident]]),
        Task([["f"], ["g", lost], []]),
        Task([["die-later", "h"]], (frozenset(),)),
        *(Task([[f"{number}"]]) for number in range(9)),
    ]
    expected = [("a",), ("b", "suspect", "c"), ("d",), ("e", accident), ("f",), ("g", lost), ()]
    expected += [("suspect", "suspect"), *((f"{number}",) for number in range(9))]
    assert results(tmp_path, tasks, workers=None) == sorted(expected)
    assert 1 <= closed(tmp_path) <= 3


def test_a_part_that_loses_its_machine_again_and_again_is_not_opened_any_more(
    tmp_path: Path,
) -> None:
    found = results(tmp_path, [Task([["a", "orphan"], ["b"]]), Task([["c"]])], workers=2)
    assert found == [("b",), ("c",), ("suspect", "suspect")]


def test_errors_come_from_afar_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug in a fake") as bug:
        results(tmp_path, [Task([["a", "bug"]])])
    assert "in answer" in bug.value.__notes__[0]
    with pytest.raises(DeviceError, match=r"^the fake device is not there; plug it in$") as mistake:
        results(tmp_path, [Task([["user"]])])
    assert not hasattr(mistake.value, "__notes__")


def test_what_goes_wrong_at_the_very_end_is_not_lost(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the disk is full; make room"):
        results(tmp_path, [Task([["a"]])], broken="close")


def test_stopping_closes_the_work_and_leaves_no_process(tmp_path: Path) -> None:
    tasks = [Task([["pid"]]), Task([["pid"]]), *[Task([["sleep:0.05"] * 2000])] * 2]
    run = RayEngine(workers=2).map(partial(Obedient, tmp_path), tasks)
    pids = [next(run)[0], next(run)[0]]
    run.close()
    assert closed(tmp_path) == len(set(pids))
    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    assert psutil.wait_procs(left, timeout=20)[1] == []


def test_tasks_are_asked_for_one_by_one_as_workers_become_free(tmp_path: Path) -> None:
    assert_tasks_are_asked_for_one_by_one(
        partial(RayEngine(workers=1).map, partial(Obedient, tmp_path))
    )


def test_without_a_task_nobody_connects_to_anything(tmp_path: Path) -> None:
    assert results(tmp_path, [], workers=2) == []


def test_an_address_where_nobody_answers_is_said_soon(tmp_path: Path) -> None:
    engine = RayEngine(workers=1, address="127.0.0.1:1")
    with pytest.raises(
        ConfigError, match=r"no Ray cluster at 127.0.0.1:1 .*; start one with: ray start"
    ):
        list(engine.map(partial(Obedient, tmp_path), [Task([["a"]])]))
