import json
from pathlib import Path

import pyarrow as pa
import pytest
from made_datasets import names, record, seven_of, texture, write_dataset

from facecrop.commands.relabel.command import relabel
from facecrop.commands.split import read_settings, split, verify_split
from facecrop.errors import ConfigError, TableError
from facecrop.index import read_table, write_table
from facecrop.labels.certificate import read_split, write_split


@pytest.fixture
def out(tmp_path: Path) -> Path:
    result = write_dataset(tmp_path / "out", seven_of(*names(30), *names(30, "female", 58, 100)))
    split(result)
    return result


def change_index(out: Path, column: str, row: int, value: object) -> None:
    index = read_table(out / "index.parquet")
    values = index[column].to_pylist()
    values[row] = value
    at = index.schema.get_field_index(column)
    changed = pa.array(values, index.schema.field(column).type)
    write_table(index.set_column(at, index.schema.field(column), changed), out / "index.parquet")


def test_relabelling_does_not_break_it_but_drift_is_told(out: Path) -> None:
    relabel(out, set_policy="threshold-58")
    warnings = verify_split(out)
    assert len(warnings) == 1
    assert "labels changed since the split was made" in warnings[0]


def test_new_crops_do_not_break_it(out: Path) -> None:
    change_index(out, "image", 0, "images/new.jpg")
    change_index(out, "recipe", 0, b"\1" * 32)
    assert verify_split(out) == []


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("digest", b"\5" * 32, "1 records of split 'default' now hold other bytes"),
        ("profile", "000999_male_Asian_25", "1 records of split 'default' now show another person"),
        ("path", "elsewhere.jpg", "1 new .'elsewhere.jpg'., 1 gone"),
        ("status", "pending", "still pending"),
    ],
)
def test_a_change_of_what_it_proves_is_named(
    out: Path, column: str, value: object, message: str
) -> None:
    change_index(out, column, 5, value)
    with pytest.raises(TableError, match=message):
        verify_split(out)


def test_an_edited_split_is_refused(out: Path) -> None:
    file = out / "splits" / "default.parquet"
    table = read_table(file)
    folds = pa.array([0] * table.num_rows, pa.int32())
    write_table(table.set_column(4, "fold", folds), file)
    with pytest.raises(TableError, match="not the one its certificate was written for"):
        verify_split(out)


def rewritten(out: Path, column: str, rows: list[int], value: object) -> None:
    """Change some rows of a split and write a certificate that says so: a solver gone wrong."""
    made = read_split(out, "default")
    values = made.table[column].to_pylist()
    for row in rows:
        values[row] = value
    at = made.table.schema.get_field_index(column)
    field = made.table.schema.field(column)
    table = made.table.set_column(at, field, pa.array(values, field.type))
    facts = {key: made.certificate[key] for key in ("links", "set_aside", "cells")}
    write_split(out, "default", [table], made.settings, facts)


def test_a_person_in_two_folds_is_found(out: Path) -> None:
    fold = read_split(out, "default").table["fold"][0].as_py()
    rewritten(out, "fold", [0], 1 - fold)
    with pytest.raises(TableError, match=r"leaks: the person .* two folds"):
        verify_split(out)


def test_bytes_in_two_folds_are_found(tmp_path: Path) -> None:
    rows = seven_of(*names(10))
    for row in rows:
        if row["profile"] in names(2) and row["name"] == "normal":
            row["digest"] = b"\1" * 32
    out = write_dataset(tmp_path, rows)
    split(out)
    table = read_split(out, "default").table
    mine = [at for at, name in enumerate(table["profile"].to_pylist()) if name == names(2)[0]]
    rewritten(out, "fold", mine, 1 - table["fold"][mine[0]].as_py())
    rewritten(out, "group", mine, "somebody")
    with pytest.raises(TableError, match=r"leaks: the content of .* two folds"):
        verify_split(out)


def test_a_duplicate_in_two_folds_is_found(tmp_path: Path) -> None:
    rows = [record(person, "normal") for person in names(10)]
    crops = {str(row["path"]): texture(number) for number, row in enumerate(rows)}
    crops[str(rows[4]["path"])] = crops[str(rows[1]["path"])]
    out = write_dataset(tmp_path, rows, crops)
    split(out)
    fold = read_split(out, "default").table["fold"][4].as_py()
    rewritten(out, "fold", [4], 1 - fold)
    rewritten(out, "group", [4], "somebody")
    with pytest.raises(TableError, match=r"one photograph .pixels. but lie in two folds"):
        verify_split(out)


def test_no_split_is_an_error_with_the_command_that_makes_one(out: Path) -> None:
    with pytest.raises(TableError, match=r"no split 'other'; run: facecrop split .* --name other"):
        verify_split(out, "other")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9, "settings": {}}', "{"])
def test_a_damaged_certificate_is_refused(out: Path, text: str) -> None:
    (out / "splits" / "default.certificate.json").write_text(text)
    with pytest.raises((TableError, ConfigError), match="certificate"):
        verify_split(out)


def test_it_is_read_by_people_too(out: Path) -> None:
    certificate = json.loads((out / "splits" / "default.certificate.json").read_text())
    assert certificate["people"] == 60
    assert certificate["settings"]["strategy"] == "stratified"
    assert certificate["cells"]["0"] == {"male young": 6, "female middle": 6}


def test_set_names_of_axes_survive_the_certificate(out: Path) -> None:
    wanted = read_settings({"sampling": {"axes": ["gender"], "augment": ["old"]}})
    split(out, "sampled", wanted)
    assert read_split(out, "sampled").settings == wanted
