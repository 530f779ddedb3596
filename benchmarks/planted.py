"""Datasets of drawn people with planted label errors, and trainings on them, made once each."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from facecrop.labels.space import MASK_TASK

Classes = NDArray[np.int64]

_SHOWN = 2000
"""Characters of what a failed command said last."""


def facecrop(*words: object) -> float:
    """Run a command as a user does; return the seconds that it took.

    Raises:
        SystemExit: It failed; what it said.
    """
    command = [sys.executable, "-m", "facecrop", *map(str, words)]
    print("$ facecrop", *words[:3], "…", flush=True)
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        said = f"{done.stdout[-_SHOWN:]}\n{done.stderr[-_SHOWN:]}"
        raise SystemExit(f"{' '.join(command)}\n{said}")
    return time.perf_counter() - began


def make_dataset(place: Path, profiles: int, seed: int, rates: Mapping[str, float]) -> Path:
    """Draw people and make a dataset of them, unless it is there; return the dataset.

    Args:
        place: Folder of both, `raw` and `dataset`.
        profiles: How many people.
        seed: Of the people and the errors.
        rates: Fraction of people by the option of `facecrop demo` that plants it: `wrong-gender`,
            `wrong-age`, `swapped`.
    """
    raw, out = place / "raw", place / "dataset"
    if not raw.with_name("raw.truth.csv").exists():
        place.mkdir(parents=True, exist_ok=True)
        options = [word for name, rate in rates.items() for word in (f"--{name}", rate)]
        facecrop("demo", raw, "--profiles", profiles, "--seed", seed, *options)
    if not (out / "images" / "metadata.parquet").exists():
        facecrop("preprocess", raw, out, "--no-contact")
    return out


def train_once(out: Path, name: str, settings: Sequence[str], *options: object) -> Path:
    """Train the preset `small`, go on where it was interrupted, or leave it; return the run."""
    run = out / "runs" / name
    if (run / "predictions.parquet").exists():
        return run
    if run.exists():
        facecrop("train", out, "--resume", name)
    else:
        chosen = [f"--set={one}" for one in settings]
        facecrop("train", out, "--preset", "small", "--name", name, *chosen, *options)
    return run


def answers(file: Path, out: Path) -> tuple[Classes, Classes, list[str]]:
    """Return what was drawn and what was said of each picture, in the official bins, and whose.

    Args:
        file: As `facecrop predict` writes it.
        out: The dataset that was predicted, its labels as drawn.

    Raises:
        SystemExit: They do not belong together.
    """
    said = pq.read_table(file)
    labels = pq.read_table(out / "labels.parquet")
    if said["path"].to_pylist() != labels["path"].to_pylist():
        raise SystemExit(f"{file} does not answer the records of {out}")
    truth = MASK_TASK.encode_table(labels).astype(np.int64)
    people = [path.rpartition("/")[0] for path in labels["path"].to_pylist()]
    return truth, said["class"].to_numpy().astype(np.int64), people
