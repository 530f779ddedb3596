"""The published people of the mask task: counts by class under each policy, before and after."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tables import a_dataset, people

from facecrop.commands.relabel import relabel
from facecrop.index import LABELS_FILE, read_table
from facecrop.labels.space import MASK_TASK

# Age:men/women among the 2,700 people whose labels are public.
HISTOGRAM = """
18:41/151 19:207/200 20:80/187 21:27/14 22:37/21 23:40/32 24:31/31 25:35/47 26:27/17 27:6/9
28:12/13 29:6/10 30:10/7 31:2/1 32:3/4 33:3/2 34:2/11 35:7/12 36:1/7 37:2/1 38:5/9 39:0/6 40:5/15
41:7/0 42:2/11 43:8/10 44:1/12 45:7/20 46:5/9 47:1/9 48:11/28 49:6/25 50:20/60 51:19/44 52:29/49
53:17/47 54:24/58 55:33/67 56:47/76 57:37/69 58:50/109 59:46/39 60:83/109
"""
CONSENSUS = [
    *(f"00{number}_female_Asian_18" for number in range(6359, 6365)),
    "004432_male_Asian_43", "001498-1_male_Asian_23", "005223_male_Asian_22",
    "000020_female_Asian_50", "004418_male_Asian_20", "005227_male_Asian_22",
]  # fmt: skip


def published() -> Iterator[str]:
    """Directory names of 2,700 people; those of the consensus are real, the others made up."""
    left = list(CONSENSUS)
    yield from left
    number = 10_000
    for entry in HISTOGRAM.split():
        age, _, counts = entry.partition(":")
        for gender, count in zip(("male", "female"), map(int, counts.split("/")), strict=True):
            known = sum(name.endswith(f"_{gender}_Asian_{age}") for name in left)
            for _ in range(count - known):
                number += 1
                yield f"{number:06d}_{gender}_Asian_{age}"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_dataset(tmp_path_factory.mktemp("published"), people(*published()))


def class_counts(out: Path) -> list[int]:
    table = read_table(out / LABELS_FILE)
    numbers = MASK_TASK.encode_table(table)
    assert ((numbers >= 0) == table["kept"].to_numpy()).all()
    return np.bincount(numbers[numbers >= 0], minlength=18).tolist()


def images(*cells: int) -> list[int]:
    """Images of the 18 classes from people by gender and age group: five, one, one a person."""
    return [files * people_in for files in (5, 1, 1) for people_in in cells]


@pytest.mark.parametrize(
    ("policy", "cells", "smallest", "largest"),
    [
        ("official", (549, 410, 83, 732, 817, 109), 83, 4085),
        ("threshold-59", (549, 364, 129, 732, 778, 148), 129, 3890),
        ("threshold-58", (549, 314, 179, 732, 669, 257), 179, 3660),
        ("threshold-57", (549, 277, 216, 732, 600, 326), 216, 3660),
        ("drop-57-59", (549, 277, 83, 732, 600, 109), 83, 3660),
        ("drop-17-20-and-57-59", (221, 277, 83, 194, 600, 109), 83, 3000),
    ],
)
def test_every_policy_gives_the_published_counts(
    dataset: Path, policy: str, cells: tuple[int, ...], smallest: int, largest: int
) -> None:
    relabel(dataset, set_policy=policy)
    counts = class_counts(dataset)
    assert counts == images(*cells)
    assert (min(counts), max(counts)) == (smallest, largest)


def test_the_consensus_changes_the_published_number_of_images(dataset: Path) -> None:
    relabel(dataset, reset=True)
    assert class_counts(dataset) == images(549, 410, 83, 732, 817, 109)
    result = relabel(dataset, manifests=["consensus"])
    assert (result.rows, result.images) == (12, 69)
    # A swap exchanges one image of two classes, which leaves both counts as they were.
    assert class_counts(dataset) == images(553, 409, 83, 728, 818, 109)
    assert relabel(dataset, manifests=["consensus"]).images == 0
    relabel(dataset, reset=True)
