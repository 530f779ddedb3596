"""Intervals by person: as wide as people differ, not as pictures do."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor

from facecrop.training.intervals import interval
from facecrop.training.metrics import accuracy


def people(n: int, pictures: int, seed: int = 0) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
    """People whose pictures are either all right or all wrong."""
    rng = np.random.default_rng(seed)
    true = np.repeat(rng.integers(0, 3, n), pictures)
    wrong = np.repeat(rng.random(n) < 0.3, pictures)
    chosen = np.where(wrong, (true + 1) % 3, true)
    return torch.from_numpy(true), torch.from_numpy(chosen), np.repeat(np.arange(n), pictures)


def test_an_interval_is_that_of_drawing_persons_with_all_their_records() -> None:
    true, chosen, persons = people(20, 3)
    drawn = []
    rng = np.random.default_rng(5)
    for times in rng.multinomial(20, np.full(20, 1 / 20), size=50):
        rows = np.repeat(np.arange(60), times[persons])
        drawn.append(f1_score(true[rows], chosen[rows], average="macro"))
    low, high = np.quantile(drawn, [0.05, 0.95])
    found = interval(true, chosen, persons, 3, n=50, seed=5, level=0.9)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert found.score == pytest.approx(f1_score(true, chosen, average="macro"))


def test_an_interval_over_records_would_be_too_narrow() -> None:
    true, chosen, persons = people(60, 7)
    by_person = interval(true, chosen, persons, 3, metric=accuracy)
    by_record = interval(true, chosen, np.arange(len(true)), 3, metric=accuracy)
    assert by_person.high - by_person.low > 2 * (by_record.high - by_record.low)


def test_an_interval_of_accuracy_has_the_width_of_its_standard_error() -> None:
    true, chosen, persons = people(400, 1)
    found = interval(true, chosen, persons, 3, metric=accuracy, n=2000)
    error = np.sqrt(found.score * (1 - found.score) / 400)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_an_interval_is_the_same_for_the_same_seed_and_for_persons_by_name() -> None:
    true, chosen, persons = people(15, 2)
    names = [f"{person:06d}" for person in persons]
    assert interval(true, chosen, persons, 3, n=70) == interval(true, chosen, names, 3, n=70)
    assert interval(true, chosen, persons, 3, n=70) != interval(
        true, chosen, names, 3, n=70, seed=1
    )


def test_unknown_records_are_in_no_interval() -> None:
    true, chosen, persons = people(15, 2)
    more = torch.cat([true, torch.full((4,), -1)]), torch.cat([chosen, torch.zeros(4).long()])
    found = interval(*more, np.concatenate([persons, [90, 91, 92, 93]]), 3, n=70)
    assert found == interval(true, chosen, persons, 3, n=70)


def test_an_interval_of_nobody_is_unknown() -> None:
    nothing = torch.tensor([], dtype=torch.int64)
    assert np.isnan(interval(nothing, nothing, [], 3).low)
