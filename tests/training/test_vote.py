"""Voting: what an ensemble answers, who is in it, and what its agreement with others tells."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from made_datasets import seven_of, write_dataset
from numpy.typing import NDArray
from program import typed
from sklearn.metrics import f1_score

import facecrop
from facecrop.commands.vote import shipped_votes
from facecrop.config import manifests_dir, read_toml
from facecrop.errors import ConfigError, TableError
from facecrop.labels.space import MASK_TASK, LabelSpace
from facecrop.training.agreement import (
    accuracy,
    agreement,
    agreements,
    bounds,
    estimate,
    macro_f1,
)
from facecrop.training.prediction_files import read_predictions, read_truth, write_predictions
from facecrop.training.predictions import Predictions, marginals, product, space_of
from facecrop.training.vote import best, closest, distance, vote

CLASSES = len(MASK_TASK)


def said(
    classes: list[int], name: str = "one", probabilities: NDArray[np.float64] | None = None
) -> Predictions:
    keys = tuple(f"{number}.jpg" for number in range(len(classes)))
    return Predictions(name, keys, MASK_TASK, np.array(classes, np.int64), probabilities)


def certain(rows: NDArray[np.float64], name: str = "one") -> Predictions:
    """Answers that are the most probable class of each row."""
    return said(rows.argmax(axis=1).tolist(), name, rows)


@st.composite
def members(draw: st.DrawFn, most: int = 5) -> list[Predictions]:
    """Draw up to `most` members' probabilities for a few pictures."""
    count, pictures = draw(st.integers(1, most)), draw(st.integers(1, 6))
    shape = (count, pictures, CLASSES)
    raw = draw(hnp.arrays(np.float64, shape, elements=st.floats(0.001, 1)))
    rows = raw / raw.sum(axis=2, keepdims=True)
    return [certain(one, f"m{number}") for number, one in enumerate(rows)]


# What a vote answers


@given(members(most=1), st.integers(1, 4), st.sampled_from(["hard", "soft"]))
def test_an_ensemble_of_copies_is_the_copy(one: list[Predictions], n: int, how: str) -> None:
    outcome = vote(one * n, how)  # type: ignore[arg-type]
    assert outcome.classes.tolist() == one[0].classes.tolist()
    if how == "soft":
        np.testing.assert_allclose(outcome.distribution(), one[0].distribution(), atol=1e-12)


@given(members(), st.randoms(use_true_random=False), st.sampled_from(["hard", "soft"]))
def test_the_order_of_members_matters_in_ties_alone(
    some: list[Predictions], random: object, how: str
) -> None:
    shuffled = list(some)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    first, second = vote(some, how), vote(shuffled, how)  # type: ignore[arg-type]
    np.testing.assert_allclose(first.distribution(), second.distribution(), atol=1e-12)
    ranked = np.sort(first.distribution(), axis=1)
    clear = ranked[:, -1] - ranked[:, -2] > 1e-6
    assert (first.classes == second.classes)[clear].all()


@given(
    st.lists(st.lists(st.integers(0, 17), min_size=4, max_size=4), min_size=1, max_size=5),
    st.data(),
)
def test_soft_is_hard_for_members_that_are_certain(
    rows: list[list[int]], data: st.DataObject
) -> None:
    some = [said(row, f"m{n}", np.eye(CLASSES)[row]) for n, row in enumerate(rows)]
    weights = data.draw(
        st.lists(st.sampled_from([0.1, 0.2, 0.3, 1.0]), min_size=len(some), max_size=len(some))
    )
    hard, soft = vote(some, "hard", weights), vote(some, "soft", weights)
    assert hard.classes.tolist() == soft.classes.tolist()
    np.testing.assert_allclose(hard.distribution(), soft.distribution(), atol=1e-12)


def test_the_majority_wins() -> None:
    outcome = vote([said([1, 2, 3]), said([1, 5, 4]), said([0, 5, 3])])
    assert outcome.classes.tolist() == [1, 5, 3]
    assert outcome.distribution()[0, [0, 1]].tolist() == pytest.approx([1 / 3, 2 / 3])


def test_a_tie_goes_to_the_highest_weight_then_to_the_member_named_first() -> None:
    assert vote([said([7]), said([3])]).classes.tolist() == [7]
    assert vote([said([3]), said([7])]).classes.tolist() == [3]
    # 3 has the weights 1 + 1 = 2 and 7 has 2: the single heavier member decides.
    assert vote([said([3]), said([7]), said([3])], weights=[1, 2, 1]).classes.tolist() == [7]


def test_weights_that_do_not_add_up_exactly_still_tie() -> None:
    """0.1 + 0.2 is not 0.3 in floating point."""
    outcome = vote([said([9]), said([9]), said([4])], weights=[0.1, 0.2, 0.3])
    assert outcome.classes.tolist() == [4]


def test_a_member_without_weight_has_no_say() -> None:
    assert vote([said([1]), said([2]), said([2])], weights=[1, 0, 0]).classes.tolist() == [1]


def test_soft_voting_hears_how_sure_members_are() -> None:
    sure, unsure = np.full(CLASSES, 0.1 / 17), np.full(CLASSES, 0.01)
    sure[4], unsure[8], unsure[4] = 0.9, 0.5, 0.34
    some = [certain(row[None] / row.sum()) for row in (sure, unsure, unsure)]
    assert vote(some, "hard").classes.tolist() == [8]
    assert vote(some, "soft").classes.tolist() == [4]


@given(members(most=3))
def test_voting_by_label_is_voting_on_each_label(some: list[Predictions]) -> None:
    whole = vote(some, by_label=True)
    for axis in whole.axes:
        alone = vote([one.of_axis(axis) for one in some])
        assert whole.of_axis(axis).classes.tolist() == alone.classes.tolist()


def test_members_that_answer_one_label_each_make_the_18_classes() -> None:
    truth = said([0, 5, 8, 17])
    outcome = vote([truth.of_axis("age_group"), truth.of_axis("mask"), truth.of_axis("gender")])
    assert outcome.space == MASK_TASK
    assert outcome.classes.tolist() == truth.classes.tolist()


def test_a_label_that_few_answer_has_these_as_voters() -> None:
    some = [said([0]), said([0]), said([17]).of_axis("age_group")]
    assert vote(some).classes.tolist() == [0]
    assert vote(some, weights=[1, 1, 3]).classes.tolist() == [2]  # worn male old
    with pytest.raises(ConfigError, match="nobody whose weight is positive answers mask"):
        vote(some, weights=[0, 0, 1])


def test_members_may_list_their_pictures_in_any_order() -> None:
    one = said([1, 2, 3])
    other = one.take(np.array([2, 0, 1]))
    assert vote([one, other]).classes.tolist() == [1, 2, 3]
    assert vote([other, one]).keys == other.keys


def test_members_that_know_other_pictures_are_refused() -> None:
    few = said([1], "few")
    with pytest.raises(TableError, match=r"'one' knows 1 pictures that 'few' does not.*1\.jpg"):
        vote([said([1, 2]), few])
    with pytest.raises(TableError, match="'one' knows 1 pictures that 'few' does not"):
        vote([few, said([1, 2])])


@pytest.mark.parametrize(
    "weights", [[1.0], [0.0, 0.0], [-1.0, 2.0], [float("inf"), 1.0], [float("nan"), 1.0]]
)
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(ConfigError, match="weights"):
        vote([said([1]), said([2])], weights=weights)


def test_a_vote_of_nobody_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one member"):
        vote([])


def test_a_prior_correction_of_one_member_answers_as_its_training_does() -> None:
    """Menon 2021: the largest p(y | x) / p(y)."""
    rng = np.random.default_rng(1)
    rows, prior = rng.dirichlet(np.ones(CLASSES), 50), rng.dirichlet(np.ones(CLASSES))
    corrected = (rows / prior).argmax(axis=1)
    assert vote([certain(rows)], "soft", divisor=prior).classes.tolist() == corrected.tolist()
    assert vote([certain(rows)], "soft").classes.tolist() != corrected.tolist()


# Who votes


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.data())
def test_the_best_are_not_worse_than_the_rest(scores: list[float], data: st.DataObject) -> None:
    count = data.draw(st.integers(1, len(scores)))
    chosen = best(scores, count)
    left = [score for number, score in enumerate(scores) if number not in chosen]
    assert len(set(chosen)) == count
    assert min(scores[number] for number in chosen) >= max(left, default=0)


def test_the_closest_is_the_one_with_the_known_shares() -> None:
    known = said([0, 0, 1, 2]).shares()
    some = [said([0, 0, 0, 0]), said([2, 1, 0, 0]), said([0, 0, 1, 1]), said([5, 6, 7, 8])]
    assert [distance(one, known) for one in some] == pytest.approx([0.5, 0, 0.25, 1])
    assert closest(some, known, 3) == [1, 2, 0]
    with pytest.raises(ConfigError, match="cannot choose 5 of 4"):
        closest(some, known, 5)
    with pytest.raises(ConfigError, match="gender alone"):
        closest([some[0].of_axis("gender")], known, 1)


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


# Agreement and scores


def test_agreement_is_the_share_of_equal_answers_in_common_labels() -> None:
    one, other = said([0, 1, 2, 3]), said([0, 1, 2, 9])
    assert agreement(one, other) == 0.75
    assert agreement(one.of_axis("age_group"), other) == 1  # 3 and 9 are both young
    assert np.isnan(agreement(one.of_axis("age_group"), other.of_axis("mask")))
    np.testing.assert_array_equal(agreements([one, other]), [[1, 0.75], [0.75, 1]])


@given(hnp.arrays(np.int64, (2, 30), elements=st.integers(0, 17)))
def test_macro_f1_is_that_of_scikit_learn(pair: NDArray[np.int64]) -> None:
    true, answered = pair
    ours = macro_f1(said(answered.tolist()), said(true.tolist()))
    assert ours == pytest.approx(f1_score(true, answered, average="macro", zero_division=0))


def test_scores_leave_out_pictures_without_a_truth() -> None:
    truth = said([1, -1, 3])
    assert accuracy(said([1, 2, 4]), truth) == 0.5
    assert macro_f1(said([1, 9, 3]), truth) == 1
    with pytest.raises(TableError, match="no picture with a known label in common"):
        accuracy(said([1, 2, 4]), said([-1, -1, -1]))


@given(
    hnp.arrays(np.int64, (3, 20), elements=st.integers(0, 3)),
)
def test_a_true_accuracy_is_always_within_the_bounds(triple: NDArray[np.int64]) -> None:
    true, known, new = (said(row.tolist()) for row in triple)
    low, high = bounds(accuracy(known, true), agreement(known, new))
    assert low - 1e-9 <= accuracy(new, true) <= high + 1e-9


def test_bounds_are_reached() -> None:
    true, known = said([0, 0, 0, 0]), said([0, 0, 1, 1])
    low, high = bounds(accuracy(known, true), 0.75)
    assert accuracy(said([1, 0, 1, 1]), true) == low
    assert accuracy(said([0, 0, 0, 1]), true) == high


def test_an_estimate_is_score_times_agreement_where_nothing_more_is_known() -> None:
    """Report 004's rule with its correction left at one."""
    best_one, other = said([1] * 10, "best"), said([1] * 8 + [2] * 2, "other")
    (found,) = estimate([best_one, other], {"best": 0.795})
    assert found.value == pytest.approx(0.795 * 0.8)
    assert found.error is None
    assert (found.reference, found.agreement) == ("best", 0.8)


def test_a_copy_of_the_best_is_estimated_at_its_score_whatever_was_fitted() -> None:
    some = [said([1] * 10, "best"), said([1] * 5 + [2] * 5, "half"), said([1] * 10, "copy")]
    (found,) = estimate(some, {"best": 0.8, "half": 0.7})
    assert found.value == pytest.approx(0.8)


def test_an_estimate_follows_scores_that_follow_its_rule_without_error() -> None:
    def one(same: int, name: str) -> Predictions:
        return said([1] * same + [2] * (10 - same), name)

    some = [one(10, "best"), one(8, "a"), one(5, "b"), one(6, "new")]
    rule = {"best": 0.8, "a": 0.8 * 0.8 + 0.3 * 0.2, "b": 0.8 * 0.5 + 0.3 * 0.5}
    (found,) = estimate(some, rule)
    assert found.value == pytest.approx(0.8 * 0.6 + 0.3 * 0.4)
    assert found.error == pytest.approx(0, abs=1e-12)
    (worse,) = estimate(some, rule | {"b": 0.2})
    assert worse.error is not None
    assert worse.error > 0.1


def test_an_estimate_needs_a_score() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        estimate([said([1])], {})
    with pytest.raises(ConfigError, match=r"\[0, 1\]"):
        estimate([said([1])], {"one": 79.5})


# Files


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


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return put


Write = Callable[[str, str], Path]


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


# The command


@pytest.fixture
def three(write: Write) -> list[Path]:
    head = "ImageID,ans\n"
    return [
        write("a.csv", head + "x.jpg,1\ny.jpg,2\nz.jpg,3\n"),
        write("b.csv", head + "z.jpg,3\ny.jpg,5\nx.jpg,4\n"),
        write("c.csv", head + "x.jpg,4\ny.jpg,5\nz.jpg,9\n"),
    ]


def test_the_command_writes_what_the_library_says(three: list[Path], tmp_path: Path) -> None:
    ended = typed("vote", *three, "--submission", tmp_path / "out.csv")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out.csv").read_text() == ("ImageID,ans\nx.jpg,4\ny.jpg,5\nz.jpg,3\n")
    result = facecrop.vote(three)
    assert result.said.classes.tolist() == [4, 5, 3]
    assert "hard vote of 3 members on 3 pictures" in ended.stdout
    assert [round(one.agreement, 4) for one in result.voters] == [0.3333, 1, 0.6667]


def test_the_best_by_score_vote_best_first(three: list[Path], write: Write) -> None:
    scores = write("scores.csv", "member,score\na,0.5\nb,0.2\nc,0.7\n")
    result = facecrop.vote(three, scores=scores, top=2)
    assert [voter.votes for voter in result.voters] == [True, False, True]
    assert result.said.classes.tolist() == [4, 5, 9]  # all ties: c is the better one
    with pytest.raises(ConfigError, match="the score of 'b' is not known"):
        facecrop.vote(three, scores={"a": 0.5, "c": 0.7}, top=2)


def test_votes_count_by_score_times_weight(three: list[Path]) -> None:
    scores = {"a": 0.9, "b": 0.4, "c": 0.4}
    result = facecrop.vote(three, scores=scores, weigh_by_score=True)
    assert result.said.classes.tolist() == [1, 2, 3]
    heavier = facecrop.vote(three, scores=scores, weigh_by_score=True, weights={"b": 2})
    assert [voter.weight for voter in heavier.voters] == pytest.approx([0.9, 0.8, 0.4])
    assert heavier.said.classes.tolist() == [4, 5, 3]
    with pytest.raises(ConfigError, match="no member 'd' to weigh"):
        facecrop.vote(three, weights={"d": 2})


def test_the_closest_to_the_truth_of_a_file_vote(three: list[Path]) -> None:
    result = facecrop.vote(three, closest=1, known=three[2])
    assert result.said.classes.tolist() == [4, 5, 9]
    assert [voter.distance for voter in result.voters] == pytest.approx([1, 1 / 3, 0])
    with pytest.raises(ConfigError, match="--closest needs --known"):
        facecrop.vote(three, closest=1)
    with pytest.raises(ConfigError, match="leave one out"):
        facecrop.vote(three, closest=1, top=1)


def test_members_and_outcome_are_scored_by_a_truth(three: list[Path], write: Write) -> None:
    truth = write(
        "t.csv",
        "path,mask,gender,age_group\nx.jpg,worn,female,middle\n"
        "y.jpg,worn,female,old\nz.jpg,worn,,old\n",
    )
    result = facecrop.vote(three, truth=truth)
    assert (result.f1, result.accuracy) == (1, 1)
    assert [voter.score for voter in result.voters] == [0, 1, 1]


def test_unknown_scores_are_estimated(three: list[Path]) -> None:
    ended = typed("vote", *three, "--estimate", "--scores", _scores(three[0].parent, "b,0.6"))
    assert "a: perhaps 0.2000" in ended.stdout
    assert "as an accuracy, between 0.0000 and 1.0000" in ended.stdout
    assert "hard: perhaps 0.6000" in ended.stdout


def _scores(folder: Path, line: str) -> Path:
    path = folder / "known.csv"
    path.write_text(f"member,score\n{line}\n")
    return path


def test_members_are_scored_by_the_validation_of_their_runs(three: list[Path]) -> None:
    runs = three[0].parent / "runs"
    for name, right in (("a", 1), ("b", 0)):
        (runs / name).mkdir(parents=True)
        pq.write_table(
            pa.table(
                {
                    "path": ["p"],
                    "part": ["val"],
                    "pred_gender": ["male"],
                    "target_gender": [["female", "male"][right]],
                }
            ),
            runs / name / "predictions.parquet",
        )
    result = facecrop.vote(three[:2], scores=runs, top=1)
    assert [voter.score for voter in result.voters] == [1, 0]
    with pytest.raises(TableError, match="to score 'c' by"):
        facecrop.vote(three, scores=runs, top=1)
    both = facecrop.vote([runs / "a", f"other={runs / 'b'}"])
    assert [voter.name for voter in both.voters] == ["a", "other"]
    assert both.said.axes == ("gender",)


def test_two_members_of_one_name_are_told_apart_by_naming_them(three: list[Path]) -> None:
    with pytest.raises(ConfigError, match="two members are called 'a'"):
        facecrop.vote([three[0], three[0]])
    result = facecrop.vote([three[0], f"again={three[0]}"])
    assert [voter.name for voter in result.voters] == ["a", "again"]


@pytest.mark.parametrize("arguments", [["--weight", "a"], ["--weight", "a=b"], ["--weight", "=1"]])
def test_a_weight_that_is_none_is_refused(three: list[Path], arguments: list[str]) -> None:
    ended = typed("vote", *three, *arguments)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "--weight needs NAME=NUMBER" in ended.stderr


def test_soft_voting_says_when_answers_were_not_the_most_probable(write: Write) -> None:
    rows = ["path,pred_gender,p_gender_male,p_gender_female", "a,male,0.4,0.6", "b,female,0.1,0.9"]
    file = write("g.csv", "\n".join(rows))
    assert facecrop.vote([file]).warnings == ()
    (warning,) = facecrop.vote([file], how="soft").warnings
    assert warning.startswith("50.0% of the answers of 'g' are not its most probable class")


def test_a_prior_correction_needs_known_shares_and_soft_votes(
    three: list[Path], write: Write
) -> None:
    with pytest.raises(ConfigError, match="needs --known"):
        facecrop.vote(three, how="soft", prior_correction=1)
    with pytest.raises(ConfigError, match="for soft voting"):
        facecrop.vote(three, prior_correction=1)
    common = "".join(f"{n},{3 if n < 8 else 9}\n" for n in range(10))
    known = write("known.csv", "path,class\n" + common)
    result = facecrop.vote(three, how="soft", known=known, prior_correction=1)
    assert result.said.classes.tolist() == [4, 5, 9]  # 3 has two of three votes, but is common


# Presets


def test_every_shipped_vote_is_listed_with_what_it_is() -> None:
    ended = typed("vote", "--presets")
    for name, about in shipped_votes().items():
        assert name in ended.stdout
        assert about.startswith("Report ")


def test_the_members_of_shipped_votes_are_shipped_presets() -> None:
    known = {path.stem for path in (manifests_dir() / "training").glob("*.toml")}
    for name in shipped_votes():
        data = read_toml(manifests_dir() / "training" / "votes" / f"{name}.toml")
        assert {one["name"] for one in data.get("members", [])} <= known


def test_report_000_votes_with_the_eight_best(write: Write) -> None:
    files = [write(f"m{n}.csv", f"ImageID,ans\nx,{n}\n") for n in range(10)]
    scores = {f"m{n}": n / 10 for n in range(10)}
    result = facecrop.vote(files, preset="000-top-8", scores=scores)
    assert [voter.name for voter in result.voters if not voter.votes] == ["m0", "m1"]
    assert (result.how, result.said.classes.tolist()) == ("hard", [9])


def test_report_003_chooses_by_the_leaderboard_or_by_the_distribution(write: Write) -> None:
    # Each file answers 18 pictures; the first four have ever more of the classes right.
    counts = read_toml(manifests_dir() / "training/votes/003-by-validation.toml")["known"]
    order = np.argsort(counts)[::-1]
    files, scores = [], {}
    for number in range(4):
        answers = [int(order[k % (4 * number + 2)]) for k in range(18)]
        rows = "".join(f"{k}.jpg,{answer}\n" for k, answer in enumerate(answers))
        files.append(write(f"m{number}.csv", "ImageID,ans\n" + rows))
        scores[f"m{number}"] = 1 - number / 10
    by_score = facecrop.vote(files, preset="003-by-leaderboard", scores=scores)
    assert [voter.votes for voter in by_score.voters] == [True, True, True, False]
    by_shares = facecrop.vote(files, preset="003-by-validation")
    distances = [voter.distance for voter in by_shares.voters]
    assert None not in distances
    worst = int(np.argmax(np.array(distances, float)))
    assert [voter.votes for voter in by_shares.voters] == [n != worst for n in range(4)]
    assert sum(counts) == 18_900


def test_a_preset_finds_its_members_in_a_folder_or_says_which_is_missing(tmp_path: Path) -> None:
    for number, name in enumerate(("003-a-mixup", "003-a-custom-cutmix")):
        (tmp_path / f"{name}.csv").write_text(f"ImageID,ans\nx,{number}\n")
    with pytest.raises(ConfigError, match="no predictions of the member '003-a-c-rembg'"):
        facecrop.vote([tmp_path], preset="003-final")
    (tmp_path / "mine.csv").write_text("ImageID,ans\nx,1\n")
    named = f"003-a-c-rembg={tmp_path / 'mine.csv'}"
    assert facecrop.vote([tmp_path, named], preset="003-final").said.classes.tolist() == [1]


def test_the_vote_needs_no_heavy_package() -> None:
    code = (
        "import sys, facecrop.commands.vote; print('torch' in sys.modules, 'timm' in sys.modules)"
    )
    import subprocess  # noqa: PLC0415 - this test alone
    import sys  # noqa: PLC0415

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "False"]


@given(members(most=3))
def test_a_vote_outside_ties_never_answers_what_nobody_answered(some: list[Predictions]) -> None:
    outcome = vote(some, "hard")
    assume(len(some) > 0)
    for row, answer in enumerate(outcome.classes):
        assert answer in {one.classes[row] for one in some}
