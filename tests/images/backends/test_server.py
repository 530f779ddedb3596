import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from fakes import FailingFinder, FakeDetector, FakeMatte, draw, usual_face

from facecrop.errors import DeviceError
from facecrop.images.backends.server import RemoteFinder, connect, serve
from facecrop.images.findings import Finding
from facecrop.images.frames import Image
from facecrop.images.look.finder import Finder

PICTURES = [draw(face=usual_face().shift(number, 0), shade=number) for number in range(4)]


def no_weights(name: str) -> Path:
    raise KeyError(name)


def remote(settings: Any, addresses: Sequence[str]) -> RemoteFinder:
    local = FakeDetector().load(no_weights, "cpu") if "face" in settings.name else None
    local = local or settings.load(no_weights, "cpu")
    return RemoteFinder(settings, local, connect(addresses))


def look(finder: Finder, pictures: Sequence[Image]) -> list[Finding]:
    """Return what a finder says about pictures of one size, a full batch at a time."""
    found = []
    for start in range(0, len(pictures), finder.batch_size):
        batch = np.stack(
            [finder.prepare(image) for image in pictures[start : start + finder.batch_size]]
        )
        found += [finder.interpret(raw, *pictures[0].shape[:2]) for raw in finder.infer(batch)]
    return found


def test_a_server_says_what_the_same_finder_says_here_and_errors_travel() -> None:
    with serve(["cuda:0"], {}) as addresses:
        faces = FakeDetector()
        expected = look(faces.load(no_weights, "cpu"), PICTURES)
        assert look(remote(faces, addresses), PICTURES) == expected

        matte = FakeMatte()
        here, there = (
            look(finder, PICTURES)
            for finder in (matte.load(no_weights, "cpu"), remote(matte, addresses))
        )
        for one, other in zip(here, there, strict=True):
            assert np.array_equal(one.values, other.values)  # type: ignore[union-attr]  # alphas
            assert one.region == other.region  # type: ignore[union-attr]  # likewise

        for when in ("load", "infer"):
            for _ in range(2):  # the server goes on
                with pytest.raises(DeviceError, match=r"^the fake device is not there"):
                    look(remote(FailingFinder(kind="user", when=when), addresses), PICTURES)
        with pytest.raises(ZeroDivisionError) as caught:
            look(remote(FailingFinder(kind="bug"), addresses), PICTURES)
        assert "in infer" in caught.value.__notes__[0]
        assert look(remote(faces, addresses), PICTURES) == expected


def test_several_workers_are_served_side_by_side() -> None:
    faces = FakeDetector()
    expected = look(faces.load(no_weights, "cpu"), PICTURES)
    answers: dict[int, list[Finding]] = {}
    with serve(["cuda:0"], {}) as addresses:
        finders = [remote(faces, addresses) for _ in range(4)]

        def work(number: int) -> None:
            for _ in range(5):
                answers[number] = look(finders[number], PICTURES)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == dict.fromkeys(range(4), expected)


def test_each_device_has_a_server_and_all_are_gone_at_the_end() -> None:
    before = set(psutil.Process().children(recursive=True))
    with serve(["cuda:0", "cuda:1"], {}) as addresses:
        assert len(set(addresses)) == 2
        for address in addresses:
            assert look(remote(FakeDetector(), [address]), PICTURES[:1])
        finder = remote(FakeDetector(), addresses)
        servers = [
            child
            for child in set(psutil.Process().children(recursive=True)) - before
            if "spawn_main" in " ".join(child.cmdline())
        ]
        assert len(servers) == 2
    assert not any(server.is_running() for server in servers)
    with pytest.raises(DeviceError, match="the process that runs the models on the GPU died"):
        look(finder, PICTURES)
    with pytest.raises(DeviceError, match="the process that runs the models on the GPU is gone"):
        connect(addresses)


PARENT = """
import sys, time
sys.path[:0] = sys.argv[1:]
from facecrop.images.backends.server import serve

if __name__ == "__main__":
    with serve(["cuda:0"], {}) as addresses:
        print(addresses[0], flush=True)
        time.sleep(600)
"""


def test_a_server_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), str(Path(__file__).parents[2])]
    environment = {**os.environ, "TMPDIR": str(tmp_path)} if len(str(tmp_path)) < 60 else None
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        address = parent.stdout.readline().decode().strip()
        children = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert all(one.status() == psutil.STATUS_ZOMBIE for one in alive)
    with pytest.raises(DeviceError):
        connect([address])
