"""Predictions: their spaces, and the files that hold them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_datasets import seven_of, write_dataset
from made_votes import CLASSES, Write, members, writer

from facecrop.errors import ConfigError, TableError
from facecrop.labels.space import MASK_TASK, LabelSpace
from facecrop.training.prediction_files import read_predictions, read_truth, write_predictions
from facecrop.training.predictions import Predictions, marginals, product, space_of

# Spaces


@given(members(most=1))
def test_marginals_sum_up_what_the_classes_decode_to(one: list[Predictions]) -> None:
    joint = one[0].distribution()
    for axis, shares in marginals(joint, MASK_TASK).items():
        words = dict(MASK_TASK.axes)[axis]
        for place, word in enumerate(words):
            mine = [k for k in range(CLASSES) if MASK_TASK.decode(k)[axis] == word]
            np.testing.assert_allclose(shares[:, place], joint[:, mine].sum(axis=1))


def test_a_product_has_its_factors_as_marginals() -> None:
    rng = np.random.default_rng(0)
    factors = {axis: rng.dirichlet(np.ones(len(words)), 5) for axis, words in MASK_TASK.axes}
    joint = product(factors, MASK_TASK)
    np.testing.assert_allclose(joint.sum(axis=1), 1)
    for axis, shares in marginals(joint, MASK_TASK).items():
        np.testing.assert_allclose(shares, factors[axis])


@pytest.mark.parametrize(
    "axes", [("gender",), ("mask", "age_group"), ("mask", "gender", "age_group")]
)
def test_answers_of_one_label_are_what_the_class_decodes_to(axes: tuple[str, ...]) -> None:
    space: LabelSpace = space_of(axes)
    keys = tuple(map(str, range(len(space))))
    every = Predictions("one", keys, space, np.arange(len(space)))
    for axis in axes:
        words = dict(MASK_TASK.axes)[axis]
        answers = [words[place] for place in every.of_axis(axis).classes]
        assert answers == [space.decode(k)[axis] for k in range(len(space))]


# Files


@pytest.fixture
def write(tmp_path: Path) -> Write:
    return writer(tmp_path)


@given(members(most=1), st.sampled_from([".csv", ".parquet"]))
def test_predictions_survive_their_files(
    tmp_path_factory: pytest.TempPathFactory, one: list[Predictions], ending: str
) -> None:
    file = tmp_path_factory.mktemp("said") / f"m0{ending}"
    write_predictions(one[0], file)
    read = read_predictions(file)
    assert (read.name, read.keys, read.space) == ("m0", one[0].keys, MASK_TASK)
    assert read.classes.tolist() == one[0].classes.tolist()
    np.testing.assert_allclose(read.distribution(), one[0].distribution(), atol=1e-12)


def test_a_submission_is_a_file_of_predictions(write: Write) -> None:
    read = read_predictions(write("s.csv", "ImageID,ans\n0123.jpg,13\n4567.jpg,0\n"))
    assert read.keys == ("0123.jpg", "4567.jpg")
    assert (read.key, read.classes.tolist(), read.probabilities) == ("ImageID", [13, 0], None)


def test_names_made_of_digits_stay_names(write: Write) -> None:
    assert read_predictions(write("s.csv", "path,class\n007,1\n")).keys == ("007",)


def test_one_label_may_be_all_that_is_said(write: Write) -> None:
    text = "path,p_gender_male,p_gender_female\na,0.25,0.75\nb,0.5,0.5\n"
    read = read_predictions(write("g.csv", text))
    assert read.axes == ("gender",)
    assert read.classes.tolist() == [1, 0]


def test_answers_go_before_the_most_probable(write: Write) -> None:
    """A class may be chosen by more than its probability, such as a prior correction."""
    text = "path,pred_gender,p_gender_male,p_gender_female\na,male,0.25,0.75\n"
    assert read_predictions(write("g.csv", text)).classes.tolist() == [0]


def test_of_a_run_the_validation_rows_are_read_and_repeats_averaged(tmp_path: Path) -> None:
    table = pa.table(
        {
            "path": ["a", "b", "a", "b"],
            "part": ["val", "train", "val", "val"],
            "repeat": [0, 0, 1, 1],
            "target_gender": ["male", "male", "male", None],
            "pred_gender": ["male", "male", "female", "female"],
            "p_gender_male": [0.6, 1.0, 0.3, 0.2],
            "p_gender_female": [0.4, 0.0, 0.7, 0.8],
        }
    )
    pq.write_table(table, tmp_path / "predictions.parquet")
    read = read_predictions(tmp_path / "predictions.parquet")
    assert read.keys == ("a", "b")
    np.testing.assert_allclose(read.distribution(), [[0.45, 0.55], [0.2, 0.8]])
    assert read.classes.tolist() == [1, 1]
    truth = read_truth(tmp_path / "predictions.parquet")
    assert (truth.keys, truth.classes.tolist()) == (("a", "b"), [0, -1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class\na,1\n", "has no column 'path' or 'ImageID'; found: file, class"),
        ("path,size\na,1\n", "has neither answers"),
        ("path,class\n", "has no rows"),
        ("path,class\na,18\n", r"class must be in \[0, 18\), got 18"),
        ("path,class\na,-1\n", r"must be in \[0, 18\), got -1"),
        ("path,class\na,old\n", "must be whole numbers"),
        ("path,class\na,1\nb,\n", "'b' has no answer"),
        ("path,class\na,1\na,2\n", "says two things about 'a'"),
        ("path,pred_gender\na,man\n", "gender must be one of male, female, got 'man'"),
        ("path,p_gender_male\na,1\n", "has 'p_gender_male' but no 'p_gender_female'"),
        ("path,p_gender_male,p_gender_female\na,0.5,0.6\n", "row 1: .*sum to 1"),
        ("path,p_gender_male,p_gender_female\na,-0.5,1.5\n", "row 1: .*must be probabilities"),
        ("path,p_gender_male,p_gender_female\na,x,1\n", "is not a number"),
        ("path,class\na,1,2\n", "cannot be read"),
    ],
)
def test_a_file_that_cannot_vote_says_why(write: Write, text: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        read_predictions(write("bad.csv", text))


def test_a_file_of_another_kind_or_none_at_all_says_why(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.csv or \.parquet"):
        read_predictions(write("bad.txt", "path,class\n"))
    with pytest.raises(TableError, match="does not exist"):
        read_predictions(tmp_path / "nowhere.csv")


def test_a_dataset_is_a_truth(tmp_path: Path) -> None:
    out = write_dataset(
        tmp_path / "out", seven_of("000001_male_Asian_20", "000002_female_Asian_60")
    )
    truth = read_truth(out)
    assert len(truth.keys) == 14
    assert sorted(truth.classes.tolist()) == sorted([0] * 5 + [6, 12] + [5] * 5 + [11, 17])
    assert truth.shares()[[0, 5, 6]].tolist() == pytest.approx([5 / 14, 5 / 14, 1 / 14])
