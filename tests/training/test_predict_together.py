"""How several models decide together, and what is said where none of them can see."""

import numpy as np
import torch

from facecrop.labels.space import MASK_TASK, LabelSpace
from facecrop.training.answer import Answer
from facecrop.training.predict import Said, everybody, prior_of, together
from facecrop.training.predictions import marginals, space_of

CLASSES = len(MASK_TASK)


def answer_of(
    rows: np.ndarray, space: LabelSpace = MASK_TASK, correction: np.ndarray | None = None
) -> Answer:
    shift = None if correction is None else torch.from_numpy(correction)
    return Answer(space, torch.from_numpy(np.log(rows)), shift)


def test_one_model_answers_with_its_prior_correction_and_tells_its_own_probabilities() -> None:
    rng = np.random.default_rng(0)
    rows, prior = rng.dirichlet(np.ones(CLASSES), 40), rng.dirichlet(np.ones(CLASSES))
    said = Said(answer_of(rows, correction=np.log(prior)), prior)
    keys = tuple(map(str, range(40)))
    outcome = together([said], keys)
    assert outcome.classes.tolist() == said.answer.joint.tolist()
    assert outcome.classes.tolist() != rows.argmax(axis=1).tolist()
    np.testing.assert_allclose(outcome.distribution(), rows, atol=1e-12)
    assert together([said] * 3, keys).classes.tolist() == outcome.classes.tolist()


def test_models_of_one_label_each_answer_all_of_them() -> None:
    rng = np.random.default_rng(0)
    parts = {axis: rng.dirichlet(np.ones(len(words)), 6) for axis, words in MASK_TASK.axes}
    said = [
        Said(answer_of(rows, space_of([axis])), np.full(rows.shape[1], 1 / rows.shape[1]))
        for axis, rows in parts.items()
    ]
    outcome = together(said[::-1], tuple("abcdef"))
    assert outcome.space == MASK_TASK
    for axis, shares in marginals(outcome.distribution(), MASK_TASK).items():
        np.testing.assert_allclose(shares, parts[axis])
        assert outcome.of_axis(axis).classes.tolist() == parts[axis].argmax(axis=1).tolist()


def test_the_prior_answer_is_what_was_most_common_whatever_the_correction() -> None:
    prior = np.full(CLASSES, 0.01)
    prior[13] = 1 - 0.17
    said = Said(answer_of(np.full((1, CLASSES), 1 / CLASSES), correction=np.log(prior)), prior)
    assert prior_of([said]).classes.tolist() == [13]
    np.testing.assert_allclose(prior_of([said]).distribution(), prior[None])


def test_what_cannot_be_seen_gets_the_prior_unless_its_person_is_known() -> None:
    rng = np.random.default_rng(3)
    rows = rng.dirichlet(np.ones(CLASSES), 2)
    said = Said(answer_of(rows), rng.dirichlet(np.ones(CLASSES)))
    prior = prior_of([said])
    answered = together([said], ("b", "d"))
    keys, at = ("a", "b", "c", "d"), np.array([1, 3])
    alone = everybody(answered, at, keys, prior)
    np.testing.assert_allclose(alone.distribution()[[1, 3]], rows)
    np.testing.assert_allclose(alone.distribution()[0], said.prior)
    assert alone.classes[2] == prior.classes[0]
    shared = everybody(answered, at, keys, prior, ["p", "p", "q", "r"])
    np.testing.assert_allclose(shared.distribution().sum(axis=1), 1)
    np.testing.assert_allclose(shared.distribution()[2], said.prior)  # nobody knows q
    for axis in ("gender", "age_group"):
        np.testing.assert_allclose(
            shared.of_axis(axis).distribution()[0], answered.of_axis(axis).distribution()[0]
        )
        assert shared.of_axis(axis).classes[0] == answered.of_axis(axis).classes[0]
    np.testing.assert_allclose(
        shared.of_axis("mask").distribution()[0], prior.of_axis("mask").distribution()[0]
    )
    np.testing.assert_allclose(shared.distribution()[1], rows[0])
