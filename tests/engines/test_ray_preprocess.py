"""Preprocess on a cluster whose machines come and go: the same bytes as on one machine."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from fakes import CrashingFinder, draw, mark, usual_face, write_png, write_profiles
from program import PROGRAM, environment
from runs import content, recipe, rows, run, trust

pytest.importorskip("ray", reason="the extra 'ray' is not installed")

from clusters import add_node

from facecrop.commands.preprocess.command import PreprocessResult, preprocess

pytestmark = pytest.mark.timeout(600)


def on_ray(raw: Path, out: Path, **options: Any) -> PreprocessResult:
    return preprocess(raw, out, **{"engine": "ray", "contact": False} | options)


def test_machines_may_come_and_go_and_the_dataset_is_that_of_one_machine(
    cluster: Any, tmp_path: Path
) -> None:
    raw = write_profiles(tmp_path / "raw", 14)
    write_png(sorted(raw.rglob("mask1.png"))[5], mark(draw(face=usual_face())))
    poisoned = recipe(CrashingFinder(), background=False)
    # What a machine had not written yet of the crops for a tar is lost with it, and made again.
    tars = {"store_as": "shards", "shard_size": 9}
    run(raw, tmp_path / "whole", recipe=poisoned, workers=1, **tars)
    gone: list[Any] = []

    def meanwhile(_: object) -> None:
        if not gone:
            gone.append(min(cluster.worker_nodes, key=str))
            cluster.remove_node(gone[0], allow_graceful=False)
            add_node(cluster)

    on_ray(raw, tmp_path / "out", recipe=poisoned, report=meanwhile, **tars)
    assert gone
    assert content(tmp_path / "out") == content(tmp_path / "whole")
    assert [row["reason"] for row in rows(tmp_path / "out") if row["reason"]] == ["decoder-crash"]
    trust(tmp_path / "out")
    again = on_ray(raw, tmp_path / "out", recipe=poisoned, workers=1)
    assert again.progress.total == 3, "only the profile of the picture that may be better now"
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_a_driver_that_is_killed_leaves_no_worker_and_the_next_one_completes(
    cluster: Any, tmp_path: Path
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    for person in range(30):
        for number in range(4):
            image = draw(640, 480, shade=person)
            image[:8, :8] = (person * 6, number * 30, 0)
            write_png(raw / f"{person:06d}_female_Asian_20" / f"mask{number + 1}.jpg", image)
    preprocess(raw, tmp_path / "whole", recipe="center-crop", engine="serial", contact=False)
    command = [*PROGRAM, "preprocess", str(raw), str(out), "--recipe", "center-crop"]
    command += ["--engine", "ray", "--address", cluster.address, "--workers", "2"]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as driver:
        while driver.poll() is None and crops(out) < 4:
            time.sleep(0.02)
        driver.send_signal(signal.SIGKILL)
        _, said = driver.communicate(timeout=120)
    assert driver.returncode == -signal.SIGKILL, said
    deadline = time.monotonic() + 120
    while (still := crops(out)) != (time.sleep(2), crops(out))[1]:
        assert time.monotonic() < deadline, "workers go on without a driver"
    assert 4 <= still < 120
    result = on_ray(raw, out, recipe="center-crop", workers=1)
    assert result.statuses == {"ok": 120}
    assert content(out) == content(tmp_path / "whole")


def crops(out: Path) -> int:
    return sum(1 for _ in out.glob("images/*/*.jpg"))
