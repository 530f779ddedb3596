from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made_datasets import names, published, record, seven_of, write_dataset

from facecrop.commands.relabel.command import relabel
from facecrop.commands.split import read_settings, split
from facecrop.errors import TableError
from facecrop.index import AGE_GROUPS, read_table, write_table
from facecrop.training.records import Records, class_numbers, folds, read_records

WAYS = {
    "stratified": {},
    "profile": {"strategy": "profile"},
    "final": {"strategy": "final"},
    "kfold": {"strategy": "kfold", "folds": 4},
    "few worn": {"strategy": "kfold", "sampling": {"worn_per_person": 1}},
    "undersampled": {"sampling": {"undersample": 1}},
    "oversampled": {"sampling": {"weights": "oversample"}},
}


def with_crops(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    """Rows as if preprocess had cut something out of every picture."""
    return [{"image": f"images/{row['path']}", "image_sha256": row["digest"]} | row for row in rows]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    people = list(published())[::9]
    out = write_dataset(tmp_path_factory.mktemp("published"), with_crops(seven_of(*people)))
    relabel(out, set_policy="drop-57-59")
    for name, settings in WAYS.items():
        split(out, name, read_settings(settings))
    return out


def made(out: Path, rows: list[dict[str, object]]) -> Path:
    """A dataset of these rows and enough other people to split."""
    others = [record(one, "normal") for one in names(8, "female", 40, 900)]
    write_dataset(out, with_crops([*rows, *others]))
    split(out)
    return out


def by_path(records: Records) -> dict[str, int]:
    return {path: row for row, path in enumerate(records.paths.to_pylist())}


def test_records_are_rows_of_the_index_with_their_labels_and_their_place(dataset: Path) -> None:
    records = read_records(dataset, "kfold")
    assert len(records) == 300 * 7
    row = by_path(records)["000020_female_Asian_50/incorrect_mask.jpg"]
    assert records.profiles[row].as_py() == "000020_female_Asian_50"
    assert records.images[row] == "images/000020_female_Asian_50/incorrect_mask.jpg"
    assert records.labels.slice(row, 1).to_pylist() == [
        {
            "path": "000020_female_Asian_50/incorrect_mask.jpg",
            "mask": "incorrect",
            "gender": "female",
            "age": 50,
            "age_group": "middle",
            "official_group": "middle",
        }
    ]
    assert [records.classes[axis][row] for axis in ("mask", "gender", "age_group")] == [1, 1, 1]
    assert records.policy.name == "drop-57-59"
    assert records.axes == ("mask", "gender", "age_group")
    assert (np.bincount(records.persons) == 7).all()


@pytest.mark.parametrize("name", WAYS)
def test_nobody_of_validation_is_ever_trained_on(dataset: Path, name: str) -> None:
    records = read_records(dataset, name)
    for fold in folds(records):
        judged = np.concatenate([fold.val, fold.left_out])
        assert not set(records.persons[fold.train]) & set(records.persons[judged])
        assert not set(fold.train) & set(judged)
        assert len(fold.train)
        assert len(fold.val)


@pytest.mark.parametrize("name", WAYS)
def test_validation_sees_every_kept_record_whatever_sampling_draws(
    dataset: Path, name: str
) -> None:
    records = read_records(dataset, name)
    for fold in folds(records):
        assert set(fold.val) == set(np.flatnonzero(records.kept & (records.fold == fold.number)))


@pytest.mark.parametrize("name", ["kfold", "few worn"])
def test_folds_cover_every_record_once(dataset: Path, name: str) -> None:
    records = read_records(dataset, name)
    val = np.concatenate([fold.val for fold in folds(records)])
    assert sorted(val) == np.flatnonzero(records.kept).tolist()
    left_out = np.concatenate([fold.left_out for fold in folds(records)])
    assert sorted(left_out) == np.flatnonzero(~records.kept).tolist()


def test_a_split_in_two_has_one_validation(dataset: Path) -> None:
    (fold,) = folds(read_records(dataset, "stratified"))
    assert fold.number == 0


def test_ages_that_a_policy_drops_are_judged_by_the_official_bins_alone(dataset: Path) -> None:
    records = read_records(dataset, "stratified")
    (fold,) = folds(records)
    ages = np.array(records.labels["age"].to_pylist())
    assert len(fold.left_out)
    assert set(ages[fold.left_out]) <= {57, 58, 59}
    assert not {57, 58, 59} & set(ages[np.concatenate([fold.train, fold.val])])
    assert (records.classes["age_group"][fold.left_out] == -1).all()
    official = class_numbers(records.labels["official_group"], AGE_GROUPS)
    assert (official[fold.left_out] == 1).all()


def test_a_training_draws_what_sampling_kept(dataset: Path) -> None:
    records = read_records(dataset, "few worn")
    worn = records.classes["mask"] == 0
    for fold in folds(records):
        train = fold.train[worn[fold.train]]
        assert np.bincount(records.persons[train]).max() == 1
        assert np.bincount(records.persons[fold.val[worn[fold.val]]]).max() == 5


def test_weights_count_in_the_loss_or_in_drawing_never_in_both(dataset: Path) -> None:
    drawn = read_records(dataset, "oversampled")
    assert drawn.draw_weight is drawn.weight
    assert (drawn.loss_weight == 1).all()
    (fold,) = folds(drawn)
    assert len(set(drawn.weight[fold.train])) > 1
    counted = read_records(dataset, "undersampled")
    assert counted.draw_weight is None
    assert counted.loss_weight is counted.weight


def test_a_record_without_a_crop_or_a_label_or_set_aside_is_not_there(tmp_path: Path) -> None:
    one, two, three = names(3)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"profile,name,field,was,now\n{two},mask1,keep,yes,no\n")
    out = tmp_path / "out"
    made(
        out,
        [
            record(one, "mask1"),
            record(one, "mask2", status="reject", image=None),
            record(two, "mask1"),
            record(two, "mask2"),
            record(three, "holiday", gender_raw=None, age_raw=None),
        ],
    )
    relabel(out, manifests=[manifest])
    there = [path for path in by_path(read_records(out)) if not path.startswith("0009")]
    assert there == [f"{one}/mask1.jpg", f"{two}/mask2.jpg"]


def test_a_bin_that_was_set_by_hand_is_the_official_one(tmp_path: Path) -> None:
    by_age, by_hand = names(1, age=59), names(1, age=58, first=2)
    manifest = tmp_path / "manifest.csv"
    manifest.write_text(f"profile,name,field,was,now\n{by_hand[0]},,age_group,middle,old\n")
    out = made(tmp_path / "out", [record(one, "normal") for one in (*by_age, *by_hand)])
    relabel(out, manifests=[manifest], set_policy="threshold-58")
    labels = {row["path"]: row for row in read_records(out).labels.to_pylist()}
    of_age, of_hand = labels[f"{by_age[0]}/normal.jpg"], labels[f"{by_hand[0]}/normal.jpg"]
    assert (of_age["age_group"], of_age["official_group"]) == ("old", "middle")
    assert (of_hand["age_group"], of_hand["official_group"]) == ("old", "old")
    assert (of_age["age"], of_hand["age"]) == (59, None)  # 58 is what the hand said is wrong


def test_axes_without_a_label_are_not_learnt(tmp_path: Path) -> None:
    people = [record(one, "photo") for one in names(9)]
    out = write_dataset(tmp_path, with_crops(people))
    split(out)
    records = read_records(out)
    assert records.axes == ("gender", "age_group")
    assert (records.classes["mask"] == -1).all()


def test_a_broken_certificate_ends_a_training(tmp_path: Path) -> None:
    out = made(tmp_path, seven_of(*names(3)))
    file = out / "splits" / "default.parquet"
    table = read_table(file)
    moved = pa.array([0] * table.num_rows, pa.int32())
    write_table(table.set_column(4, "fold", moved), file)
    with pytest.raises(TableError, match="make it anew"):
        read_records(out)


def test_pending_records_end_a_training(tmp_path: Path) -> None:
    out = made(tmp_path, seven_of(*names(3)))
    index = read_table(out / "index.parquet")
    pending = pa.array(["pending", *index["status"].to_pylist()[1:]], pa.string())
    place = index.column_names.index("status")
    write_table(index.set_column(place, "status", pending), out / "index.parquet")
    with pytest.raises(TableError, match="still pending"):
        read_records(out)


def test_a_split_that_is_not_there_names_the_command_that_makes_it(tmp_path: Path) -> None:
    write_dataset(tmp_path, with_crops(seven_of(*names(3))))
    with pytest.raises(TableError, match="facecrop split"):
        read_records(tmp_path)


def test_nothing_to_learn_is_one_error(tmp_path: Path) -> None:
    people = [record(one, "x", gender_raw=None, age_raw=None) for one in names(9)]
    out = write_dataset(tmp_path, with_crops(people))
    split(out, settings=read_settings({"strategy": "profile"}))
    with pytest.raises(TableError, match="nothing to learn"):
        read_records(out)


def test_labels_of_other_records_are_refused(tmp_path: Path) -> None:
    out = made(tmp_path, seven_of(*names(3)))
    labels = read_table(out / "labels.parquet")
    order = pa.array([1, 0, *range(2, labels.num_rows)])
    write_table(labels.take(order), out / "labels.parquet")
    with pytest.raises(TableError, match="does not list the records"):
        read_records(out)


def test_a_random_split_leaks_and_says_so(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, with_crops(seven_of(*names(9))))
    split(out, settings=read_settings({"strategy": "random"}))
    records = read_records(out)
    (fold,) = folds(records)
    assert set(records.persons[fold.train]) & set(records.persons[fold.val])
    assert not set(fold.train) & set(fold.val)
    assert "random" in records.warnings[0]


def test_people_who_are_set_aside_are_nowhere(dataset: Path) -> None:
    records = read_records(dataset, "kfold")
    aside = records.persons == records.persons[0]
    records.fold[aside] = -1
    for fold in folds(records):
        assert not aside[np.concatenate([fold.train, fold.val, fold.left_out])].any()


def test_a_fold_without_training_or_validation_is_refused(dataset: Path) -> None:
    records = read_records(dataset, "stratified")
    records.fold[:] = 0
    with pytest.raises(TableError, match="no record for training"):
        folds(records)
    records.fold[:] = 1
    with pytest.raises(TableError, match="no record for validation"):
        folds(records)
