from pathlib import Path

import hypothesis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_datasets import SEVEN, names, published, record, seven_of, texture, write_dataset

from facecrop.commands.split import read_settings, split, verify_split
from facecrop.errors import ConfigError, TableError
from facecrop.index import read_table, write_table
from facecrop.labels.certificate import read_split


def folds_of(out: Path, name: str = "default") -> dict[str, int | None]:
    table = read_split(out, name).table
    return dict(zip(table["profile"].to_pylist(), table["fold"].to_pylist(), strict=True))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("published"), seven_of(*published()))


def test_stratified_puts_540_of_the_published_people_into_validation(dataset: Path) -> None:
    result = split(dataset)
    assert sum(result.cells["0"].values()) == 540
    assert sum(result.cells["1"].values()) == 2160
    for cell, count in result.cells["0"].items():
        whole = count + result.cells["1"][cell]
        assert abs(count - 0.2 * whole) < 1


def test_five_folds_of_the_published_people_are_alike(dataset: Path) -> None:
    result = split(dataset, "five", read_settings({"strategy": "kfold"}))
    assert [sum(counts.values()) for counts in result.cells.values()] == [540] * 5
    for cell in result.cells["0"]:
        counts = [result.cells[str(fold)][cell] for fold in range(5)]
        assert max(counts) - min(counts) <= 1


def test_final_keeps_nearly_all_for_training(dataset: Path) -> None:
    result = split(dataset, "last", read_settings({"strategy": "final"}))
    assert sum(result.cells["0"].values()) == 135


def test_the_ages_that_a_policy_drops_lie_evenly_too(tmp_path: Path) -> None:
    people = [*names(60, "male", 25), *names(60, "male", 58, 100)]
    out = write_dataset(tmp_path, seven_of(*people))
    labels = read_table(out / "labels.parquet")
    kept = pa.array([age != 58 for age in labels["age"].to_pylist()])
    write_table(labels.set_column(5, "kept", kept), out / "labels.parquet")
    result = split(out)
    assert result.cells["0"] == {"male young": 12, "male middle (left out)": 12}


def test_nobody_is_parted_and_every_record_has_a_row(dataset: Path) -> None:
    split(dataset, "five", read_settings({"strategy": "kfold"}))
    table = read_split(dataset, "five").table
    assert table["path"] == read_table(dataset / "index.parquet")["path"]
    pairs = set(zip(table["profile"].to_pylist(), table["fold"].to_pylist(), strict=True))
    assert len(pairs) == 2700
    assert verify_split(dataset, "five") == []


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_split_shares_no_group(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    people = names(data.draw(st.integers(8, 20)))
    rows = [
        record(person, f"mask{number}", digest=bytes([data.draw(st.integers(0, 60))]) * 32)
        for person in people
        for number in range(data.draw(st.integers(1, 3)))
    ]
    out = write_dataset(tmp_path_factory.mktemp("made"), rows)
    try:
        split(out, settings=read_settings({"val_fraction": 0.3}))
    except ConfigError:  # all are one group
        hypothesis.assume(False)
    table = read_split(out, "default").table
    for key in ("group", "digest", "profile"):
        folds: dict[object, int] = {}
        for value, fold in zip(table[key].to_pylist(), table["fold"].to_pylist(), strict=True):
            assert folds.setdefault(value, fold) == fold


def test_the_same_seed_gives_the_same_split_in_any_order_of_rows(tmp_path: Path) -> None:
    rows = seven_of(*names(30), *names(20, "female", 40, 100), *names(10, "female", 60, 200))
    one = write_dataset(tmp_path / "one", rows)
    two = write_dataset(tmp_path / "two", rows[::-1])
    three = write_dataset(tmp_path / "three", rows)
    for out, seed in ((one, 3), (two, 3), (three, 4)):
        split(out, settings=read_settings({"strategy": "kfold", "seed": seed}))
    assert folds_of(one) == folds_of(two)
    assert folds_of(one) != folds_of(three)


def test_a_known_seed_gives_the_split_it_always_gave(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(6), *names(4, "female", 60, 100)))
    split(out)
    val = {name for name, fold in folds_of(out).items() if fold == 0}
    assert val == {"000006_male_Asian_25", "000102_female_Asian_60"}


def test_a_second_run_writes_the_same_bytes(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(10)))
    split(out)
    before = {file.name: file.read_bytes() for file in (out / "splits").iterdir()}
    split(out)
    assert before == {file.name: file.read_bytes() for file in (out / "splits").iterdir()}


def test_people_who_share_a_file_stay_together(tmp_path: Path) -> None:
    people = names(12)
    rows = seven_of(*people)
    for row in rows:
        if row["profile"] in people[:3] and row["name"] == "normal":
            row["digest"] = b"\1" * 32
    out = write_dataset(tmp_path, rows)
    result = split(out)
    folds = folds_of(out)
    assert len({folds[person] for person in people[:3]}) == 1
    assert result.links == {"bytes": 2}
    assert result.groups == 10


def test_files_that_show_nothing_join_nobody(tmp_path: Path) -> None:
    rows = seven_of(*names(10))
    for row in rows:
        if row["name"] == "mask5":
            row |= {"digest": b"\0" * 32, "phash": None, "status": "reject", "reason": "empty"}
    result = split(write_dataset(tmp_path, rows))
    assert result.groups == 10


def near_duplicates(tmp_path: Path, *, mirror: bool) -> tuple[Path, list[str]]:
    people = list(names(10))
    rows = [record(person, "normal") for person in people]
    crops = {str(row["path"]): texture(number, 120, 120) for number, row in enumerate(rows)}
    copy = crops[str(rows[0]["path"])][2:-2, 2:-2]
    crops[str(rows[7]["path"])] = np.ascontiguousarray(copy[:, ::-1] if mirror else copy)
    return write_dataset(tmp_path, rows, crops), people


@pytest.mark.parametrize("mirror", [False, True])
def test_people_with_one_photograph_in_two_versions_stay_together(
    tmp_path: Path, *, mirror: bool
) -> None:
    out, people = near_duplicates(tmp_path, mirror=mirror)
    result = split(out)
    folds = folds_of(out)
    assert folds[people[0]] == folds[people[7]]
    assert result.links == {"mirror" if mirror else "pixels": 1}
    assert result.groups == 9


def test_near_hashes_without_near_pixels_join_nobody(tmp_path: Path) -> None:
    people = list(names(10))
    rows = [record(person, "normal") for person in people]
    crops = {str(row["path"]): texture(number, 80, 80) for number, row in enumerate(rows)}
    out = write_dataset(tmp_path, rows, crops)
    index = read_table(out / "index.parquet")
    at = index.schema.get_field_index("phash")
    same = pa.array([1] * len(rows), pa.uint64())
    write_table(index.set_column(at, "phash", same), out / "index.parquet")
    result = split(out)
    assert result.candidates >= 45
    assert result.groups == 10


def test_where_very_many_pictures_look_alike_it_is_said_what_was_compared(tmp_path: Path) -> None:
    rows = [record(person, "normal") for person in names(300)]
    for number, row in enumerate(rows):
        row["phash"] = number
    result = split(write_dataset(tmp_path, rows))
    (warning,) = [one for one in result.warnings if "look alike" in one]
    assert "bits were compared, not 14; copies that are cropped may be missed" in warning
    assert result.candidates < 64 * 300


def test_a_large_group_is_reported(tmp_path: Path) -> None:
    people = names(20)
    rows = seven_of(*people)
    for row in rows:
        place = people.index(str(row["profile"]))
        if place < 7 and row["name"] in ("mask1", "mask2"):  # a chain: each shares with the next
            row["digest"] = bytes([place + (row["name"] == "mask2")]) * 32
    result = split(write_dataset(tmp_path, rows))
    assert [len(group) for group in result.large_groups] == [7]
    assert any("7 people are linked" in warning for warning in result.warnings)


def test_pending_records_are_refused(tmp_path: Path) -> None:
    rows = seven_of(*names(8))
    rows[3]["status"] = "pending"
    with pytest.raises(
        TableError, match=r"1 of 56 records .* pending; finish: facecrop preprocess"
    ):
        split(write_dataset(tmp_path, rows))


@pytest.mark.parametrize("people", [1, 4])
def test_fewer_people_than_folds_is_an_error_that_says_so(tmp_path: Path, people: int) -> None:
    out = write_dataset(tmp_path, seven_of(*names(people)))
    with pytest.raises(ConfigError, match=f"5 folds need at least 5 people .* there are {people}"):
        split(out, settings=read_settings({"strategy": "kfold"}))


def test_as_many_people_as_folds_leave_no_fold_empty(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(5)))
    split(out, settings=read_settings({"strategy": "kfold"}))
    assert set(folds_of(out).values()) == {0, 1, 2, 3, 4}


def test_one_person_with_most_of_the_pictures_does_not_upset_the_rest(tmp_path: Path) -> None:
    many = [record(names(1)[0], f"mask1-{number}", mask_raw="worn") for number in range(900)]
    out = write_dataset(tmp_path, [*many, *seven_of(*names(14, first=2))])
    result = split(out, settings=read_settings({"strategy": "kfold"}))
    assert min(sum(counts.values()) for counts in result.cells.values()) >= 1
    assert result.missing <= 2  # nobody else can fill the giant's fold


def test_unlabelled_people_can_be_split(tmp_path: Path) -> None:
    rows = [record(f"{number}_?_?_?", "a") for number in range(20)]
    result = split(write_dataset(tmp_path, rows))
    assert result.cells["0"] == {"? ?": 4}


def test_random_parts_people_and_says_so(dataset: Path) -> None:
    result = split(dataset, "leaky", read_settings({"strategy": "random"}))
    table = read_split(dataset, "leaky").table
    pairs = set(zip(table["profile"].to_pylist(), table["fold"].to_pylist(), strict=True))
    assert len(pairs) > 4000
    assert table["part"].to_pylist().count("val") == 3780
    assert "random" in result.warnings[0]
    assert "random" in verify_split(dataset, "leaky")[0]


def test_extending_moves_nobody_and_places_the_new(tmp_path: Path) -> None:
    old, new = names(40), [*names(10, first=500), *names(10, "female", 60, 600)]
    out = write_dataset(tmp_path, seven_of(*old))
    split(out, settings=read_settings({"seed": 5}))
    before = folds_of(out)
    write_dataset(out, seven_of(*old, *new))
    with pytest.raises(TableError, match=r"140 new .*0 gone; run: facecrop split .* --extend"):
        verify_split(out)
    result = split(out, extend="default")
    after = folds_of(out)
    assert {name: after[name] for name in old} == before
    assert sum(fold == 0 for fold in after.values()) == 12
    assert result.settings.seed == 5
    assert verify_split(out) == []


def test_a_new_person_who_bridges_is_set_aside_and_reported(tmp_path: Path) -> None:
    old = names(20)
    out = write_dataset(tmp_path, seven_of(*old))
    split(out)
    folds = folds_of(out)
    val = next(name for name in old if folds[name] == 0)
    train = next(name for name in old if folds[name] == 1)
    bridge, friend = names(2, first=900)
    rows = seven_of(*old, bridge, friend)
    digest = {(row["profile"], row["name"]): row["digest"] for row in rows}
    for row in rows:
        if row["profile"] == bridge and row["name"] in ("mask1", "mask2"):
            other = val if row["name"] == "mask1" else train
            row["digest"] = digest[other, "normal"]
        if (row["profile"], row["name"]) == (friend, "mask3"):
            row["digest"] = digest[train, "mask3"]
    write_dataset(out, rows)
    result = split(out, extend="default")
    after = folds_of(out)
    assert {name: after[name] for name in old} == folds
    assert after[bridge] is None
    assert after[friend] == 1
    assert result.set_aside == {bridge: sorted([val, train])}
    assert "bridge" in result.warnings[0]
    assert verify_split(out) == []


def test_two_old_people_who_turn_out_to_be_linked_cannot_be_extended(tmp_path: Path) -> None:
    old = names(20)
    rows = seven_of(*old)
    out = write_dataset(tmp_path, rows)
    split(out)
    folds = folds_of(out)
    val = next(name for name in old if folds[name] == 0)
    train = next(name for name in old if folds[name] == 1)
    for row in rows:
        if row["profile"] in (val, train) and row["name"] == "normal":
            row["digest"] = b"\7" * 32
    write_dataset(out, rows)
    with pytest.raises(ConfigError, match="show the same photograph but"):
        split(out, extend="default")


def test_extending_takes_no_other_settings(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(10)))
    split(out)
    with pytest.raises(ConfigError, match="keeps the settings"):
        split(out, settings=read_settings({"seed": 1}), extend="default")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden"])
def test_a_split_is_not_written_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="plain file name"):
        split(write_dataset(tmp_path, seven_of(*names(8))), name)


def test_seven_pictures_are_what_the_factory_says() -> None:
    assert sorted(SEVEN.values()) == ["incorrect", "none"] + ["worn"] * 5
