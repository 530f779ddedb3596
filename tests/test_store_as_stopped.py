"""A run that is stopped loses nothing, wherever that is, and the same command completes it."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from fakes import write_profiles
from runs import content, recipe, rows, run

from facecrop.crops import crop_data
from facecrop.index import Status

SIZE = 2
TRIED = 5
"""How many of the steps a run is stopped at; it has some hundred."""
STEPS = ("replace", "rename", "unlink", "rmdir")


class _DeadError(BaseException):
    """The process does nothing any more."""


@contextmanager
def dying_at(step: int) -> Iterator[list[int]]:
    """Let a process die before its nth change of a folder; whatever it does then has no effect."""
    count = [0]
    with pytest.MonkeyPatch.context() as patch:
        for place, name in [(Path, one) for one in STEPS] + [(shutil, "rmtree")]:
            really = getattr(place, name)

            def step_or_die(*given: Any, really: Any = really, **options: Any) -> Any:
                count[0] += 1
                if count[0] >= step:
                    raise _DeadError
                return really(*given, **options)

            patch.setattr(place, name, step_or_die)
        yield count


def moments(steps: int) -> list[int]:
    """Return some of the steps: the first and the last, and others in between."""
    return sorted({round(1 + (steps - 1) * part / TRIED) for part in range(TRIED + 1)})


def test_a_stopped_run_is_completed_to_the_same_bytes(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 2)
    options: dict[str, Any] = {"store_as": "shards", "shard_size": SIZE}
    with dying_at(sys.maxsize) as steps:
        run(raw, tmp_path / "whole", **options)
    assert steps[0] > len(rows(tmp_path / "whole"))
    for step in moments(steps[0]):
        out = tmp_path / f"out-{step}"
        with pytest.raises(_DeadError), dying_at(step):
            run(raw, out, **options)
        run(raw, out, **options)
        assert content(out) == content(tmp_path / "whole"), f"stopped at step {step}"
        assert not (out / ".store" / "crops").exists()


@pytest.mark.parametrize(("was", "now"), [("files", "shards"), ("shards", "files")])
def test_a_stopped_change_of_home_keeps_every_crop(tmp_path: Path, was: str, now: str) -> None:
    raw = write_profiles(tmp_path / "raw", 2)
    size = {"files": {}, "shards": {"shard_size": SIZE}}
    begun, whole = tmp_path / "begun", tmp_path / "whole"
    run(raw, begun, store_as=was, **size[was])
    shutil.copytree(begun, whole)
    with dying_at(sys.maxsize) as steps:
        run(raw, whole, store_as=now, **size[now])
    for step in moments(steps[0]):
        out = tmp_path / f"out-{step}"
        shutil.copytree(begun, out)
        with pytest.raises(_DeadError), dying_at(step):
            run(raw, out, store_as=now, **size[now])
        assert all(
            sha256(crop_data(out / row["image"])).digest() == row["image_sha256"]
            for row in rows(out)
            if row["status"] != Status.PENDING
        ), f"stopped at step {step}"
        assert not run(raw, out, store_as=now, **size[now]).progress.calls
        assert content(out) == content(whole), f"stopped at step {step}"


def test_a_stopped_run_can_be_completed_in_the_other_way(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 2)
    run(raw, tmp_path / "whole", recipe=recipe(margin=0.5))
    run(raw, tmp_path / "begun", store_as="shards", shard_size=SIZE)
    shutil.copytree(tmp_path / "begun", tmp_path / "counted")
    with dying_at(sys.maxsize) as steps:
        run(raw, tmp_path / "counted", recipe=recipe(margin=0.5))
    for step in moments(steps[0]):
        out = tmp_path / f"out-{step}"
        shutil.copytree(tmp_path / "begun", out)
        with pytest.raises(_DeadError), dying_at(step):
            run(raw, out, recipe=recipe(margin=0.5))
        run(raw, out, store_as="files", recipe=recipe(margin=0.5))
        assert content(out) == content(tmp_path / "whole"), f"stopped at step {step}"
        assert not (out / "images" / "shards.parquet").exists()
