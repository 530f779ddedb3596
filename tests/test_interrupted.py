"""Runs that are stopped, asked or not, and what the same command makes of them afterwards."""

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from fakes import draw, write_png
from program import PROGRAM, environment
from runs import content

PROFILES, PICTURES = 42, 7


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures so large that 294 of them take a while."""
    raw = tmp_path_factory.mktemp("interrupted") / "raw"
    stems = ["normal", "incorrect_mask", *(f"mask{number}" for number in range(1, 6))]
    for person in range(PROFILES):
        for number, stem in enumerate(stems):
            image = draw(640, 480, shade=person % 40)
            image[:8, :8] = (person * 6, number * 30, 0)
            write_png(raw / f"{person:06d}_female_Asian_{20 + person}" / f"{stem}.jpg", image)
    return raw


@pytest.fixture(scope="module")
def whole(raw: Path) -> dict[str, str]:
    """The dataset of a run that nobody interrupted."""
    return completed(raw, raw.parent / "whole", "--engine", "serial")


def command(raw: Path, out: Path) -> list[str]:
    options = ["--recipe", "center-crop", "--workers", "2", "--no-contact"]
    return [*PROGRAM, "preprocess", str(raw), str(out), *options]


def completed(raw: Path, out: Path, *options: str) -> dict[str, str]:
    ended = subprocess.run(
        [*command(raw, out), *options],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return content(out)


def stopped(raw: Path, out: Path, sent: signal.Signals, crops: int) -> tuple[int, int, str]:
    """Send a signal to the program and its workers when so many crops are there.

    Returns:
        The exit code, the number of crops left behind, and what was said on standard error.
    """
    with subprocess.Popen(
        command(raw, out),
        env=environment(),
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and count_crops(out) < crops:
            time.sleep(0.02)
        os.killpg(process.pid, sent)
        _, said = process.communicate(timeout=60)
    return process.returncode, count_crops(out), said


def count_crops(out: Path) -> int:
    return sum(1 for _ in out.glob("images/*/*.jpg"))


def test_ctrl_c_ends_with_130_and_the_same_command_completes(
    raw: Path, whole: dict[str, str]
) -> None:
    out = raw.parent / "interrupted"
    code, crops, said = stopped(raw, out, signal.SIGINT, crops=1)
    assert code == 130, said
    assert 0 < crops < PROFILES * PICTURES, "the run was over before the signal came"
    assert "Traceback" not in said
    assert completed(raw, out) == whole


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_run_is_completed_to_the_same_bytes(
    seed: int, raw: Path, whole: dict[str, str]
) -> None:
    out = raw.parent / f"killed-{seed}"
    moment = random.Random(seed).randrange(1, PROFILES * PICTURES // 2)  # noqa: S311 - no secret
    code, crops, _ = stopped(raw, out, signal.SIGKILL, crops=moment)
    assert code == -signal.SIGKILL, "the run was over before the signal came"
    assert moment <= crops < PROFILES * PICTURES
    assert completed(raw, out) == whole
