"""The published people of the mask task: counts by class under each policy, before and after."""

from pathlib import Path

import numpy as np
import pytest
from made_datasets import published
from tables import a_dataset, people

from facecrop.commands.relabel.command import relabel
from facecrop.index import LABELS_FILE, read_table
from facecrop.labels.space import MASK_TASK


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
