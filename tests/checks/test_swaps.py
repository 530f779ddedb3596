"""Two exchanged labels are one finding; a single wrong one is another."""

import numpy as np

from facecrop.checks.swaps import Swaps, doubt_pairs

WORN, INCORRECT, NONE = range(3)
SEVEN = np.array([WORN] * 5 + [INCORRECT, NONE])
PEOPLE = 60


def weigh(given: np.ndarray, shown: np.ndarray, noise: float = 0.7, seed: int = 0) -> Swaps:
    """Weigh labels against what pictures show, with evidence that is noisy."""
    rng = np.random.default_rng(seed)
    log_p = 5 * np.eye(3)[shown.ravel()] + noise * rng.standard_normal((shown.size, 3))
    log_p -= log_p.mean(axis=1, keepdims=True)
    person = np.arange(len(shown)).repeat(shown.shape[1])
    return doubt_pairs(log_p, given.ravel(), person)


def everybody() -> np.ndarray:
    return np.tile(SEVEN, (PEOPLE, 1))


def found(result: Swaps) -> set[tuple[int, ...]]:
    likely = result.pairs[result.exchanged > 0.5]
    return {tuple(sorted(pair)) for pair in likely.tolist()}


def test_an_exchanged_pair_is_found_and_no_other() -> None:
    shown = everybody()
    for person in (3, 17):
        shown[person, [5, 6]] = shown[person, [6, 5]]
    result = weigh(everybody(), shown)
    assert found(result) == {(3 * 7 + 5, 3 * 7 + 6), (17 * 7 + 5, 17 * 7 + 6)}


def test_pictures_of_an_exchanged_pair_are_not_doubted_a_second_time() -> None:
    shown = everybody()
    shown[3, [5, 6]] = shown[3, [6, 5]]
    assert (weigh(everybody(), shown).wrong < 0.1).all()


def test_single_wrong_labels_are_no_exchange() -> None:
    shown = everybody()
    wrong = [4, 9, 20, 41]
    shown[wrong, 5] = WORN
    result = weigh(everybody(), shown)
    assert found(result) == set()
    assert np.flatnonzero(result.wrong > 0.5).tolist() == [7 * person + 5 for person in wrong]


def test_any_two_labels_can_be_exchanged() -> None:
    shown = everybody()
    shown[8, [1, 6]] = shown[8, [6, 1]]
    assert found(weigh(everybody(), shown)) == {(8 * 7 + 1, 8 * 7 + 6)}


def test_right_labels_are_not_doubted() -> None:
    result = weigh(everybody(), everybody(), noise=1.5)
    assert found(result) == set()
    assert (result.wrong > 0.5).sum() <= 1


def test_a_folder_of_everybody_has_no_pairs() -> None:
    given = np.tile(SEVEN, 40)[None]
    result = weigh(given, given)
    assert result.pairs.shape == (0, 2)
    assert len(result.wrong) == given.size


def test_no_pictures_no_doubts() -> None:
    nothing = np.zeros((0, 3))
    result = doubt_pairs(nothing, np.zeros(0, np.int64), np.zeros(0, np.int64))
    assert len(result.wrong) == len(result.exchanged) == 0
