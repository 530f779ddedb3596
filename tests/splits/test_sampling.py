from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_datasets import names, seven_of, write_dataset

from facecrop.commands.split import read_settings, split
from facecrop.errors import ConfigError
from facecrop.index import read_table
from facecrop.labels.certificate import read_split
from facecrop.labels.sampling import class_weights

SCHEMES = ["none", "inverse", "sqrt", "effective", "oversample"]
COUNTS = st.lists(st.integers(0, 10_000), min_size=1, max_size=18).filter(any)


@given(COUNTS, st.sampled_from(SCHEMES))
def test_class_weights_sum_to_the_number_of_classes_that_are_there(
    counts: Any, scheme: Any
) -> None:
    weights = class_weights(np.array(counts), scheme)
    assert weights.sum() == pytest.approx(np.count_nonzero(counts))
    assert ((weights > 0) == (np.array(counts) > 0)).all()


@given(COUNTS, st.sampled_from(SCHEMES[1:]))
def test_a_rarer_class_never_counts_less(counts: Any, scheme: Any) -> None:
    there = np.array(sorted(filter(None, counts)))
    assert (np.diff(class_weights(there, scheme)) <= 1e-9).all()


def test_effective_numbers_are_those_of_the_paper() -> None:
    counts, beta = np.array([10, 1000]), 0.99
    effective = np.array([sum(beta**i for i in range(n)) for n in counts])  # its proposition 1
    expected = 1 / effective
    assert class_weights(counts, "effective", beta) == pytest.approx(expected * 2 / expected.sum())


def test_effective_lies_between_none_and_inverse() -> None:
    counts = np.array([83, 4085])
    assert class_weights(counts, "effective", 0) == pytest.approx(class_weights(counts, "none"))
    near_one = class_weights(counts, "effective", 1 - 1e-9)
    assert near_one == pytest.approx(class_weights(counts, "inverse"), rel=1e-3)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path, seven_of(*names(80), *names(20, "female", 60, 200)))


def rows(out: Path, **sampling: object) -> list[dict[str, Any]]:
    split(out, settings=read_settings({"sampling": sampling}))
    table = read_split(out, "default").table
    labels = read_table(out / "labels.parquet").select(["mask", "gender", "age_group"])
    for name in labels.column_names:
        table = table.append_column(name, labels[name])
    return list(table.to_pylist())


def test_without_sampling_every_record_counts_one(dataset: Path) -> None:
    assert {(row["kept"], row["weight"]) for row in rows(dataset)} == {(True, 1.0)}


def test_one_worn_picture_is_drawn_of_each_person_in_training_only(dataset: Path) -> None:
    table = rows(dataset, worn_per_person=1)
    drawn = [row for row in table if row["kept"] and row["part"] == "train"]
    assert len(drawn) == 80 * 3
    assert len({row["profile"] for row in drawn if row["mask"] == "worn"}) == 80
    assert (
        len({row["path"] for row in drawn if row["mask"] == "worn" and "mask1" in row["path"]}) < 40
    )
    assert all(row["kept"] for row in table if row["part"] == "val")


def test_undersampling_bounds_the_largest_class(dataset: Path) -> None:
    table = rows(dataset, undersample=2, axes=["gender"])
    drawn = [row["gender"] for row in table if row["kept"] and row["part"] == "train"]
    assert drawn.count("female") == 16 * 7
    assert drawn.count("male") == 2 * 16 * 7


def test_weighted_classes_weigh_alike(dataset: Path) -> None:
    table = rows(dataset, weights="inverse", worn_per_person=1)
    train = [row for row in table if row["kept"] and row["part"] == "train"]
    sums: dict[object, float] = {}
    for row in train:
        key = row["mask"], row["gender"]
        sums[key] = sums.get(key, 0) + row["weight"]
    assert np.ptp(list(sums.values())) < 1e-3
    assert np.mean([row["weight"] for row in train]) == pytest.approx(1)


def test_only_named_labels_are_weighed(dataset: Path) -> None:
    table = rows(dataset, weights="oversample", axes=["gender"], only=["female"])
    men = {row["weight"] for row in table if row["gender"] == "male" and row["part"] == "train"}
    women = {row["weight"] for row in table if row["gender"] == "female" and row["part"] == "train"}
    assert len(men) == len(women) == 1
    assert women.pop() > men.pop()


def test_validation_is_never_weighed(dataset: Path) -> None:
    table = rows(dataset, weights="inverse", undersample=1)
    assert {(row["kept"], row["weight"]) for row in table if row["part"] == "val"} == {(True, 1.0)}


@pytest.mark.parametrize("folds", [2, 5])
def test_with_folds_every_record_is_training_data_of_the_others(dataset: Path, folds: int) -> None:
    sampling = {"worn_per_person": 1, "weights": "effective"}
    wanted = {"strategy": "kfold", "folds": folds, "sampling": sampling}
    split(dataset, settings=read_settings(wanted))
    table = read_split(dataset, "default").table
    assert pc.sum(table["kept"]).as_py() == 100 * 3
    assert pc.mean(table["weight"].filter(table["kept"])).as_py() == pytest.approx(1)


def test_sampling_is_the_same_in_any_order_of_rows(tmp_path: Path) -> None:
    people = seven_of(*names(12))
    answers = []
    for number, order in enumerate((people, people[::-1])):
        table = rows(write_dataset(tmp_path / str(number), order), worn_per_person=2)
        answers.append({row["path"] for row in table if row["kept"]})
    assert answers[0] == answers[1]


def test_an_unknown_label_is_named() -> None:
    with pytest.raises(ConfigError, match="no label is called 'elderly'; choose from: worn"):
        read_settings({"sampling": {"only": ["elderly"]}})
