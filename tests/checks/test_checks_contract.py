"""What every check in the table must do, whoever wrote it."""

import re
from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import get_args

import pytest
from checked import face
from made_datasets import names, record, seven_of, write_dataset
from program import CHECKOUT

from facecrop.checks.check import Check, Issue, Need
from facecrop.checks.material import Material
from facecrop.checks.table import CHECKS
from facecrop.commands.audit.command import audit
from facecrop.commands.audit.material import missing_for
from facecrop.commands.split import split

HOSTILE = "<img src=x onerror=alert(1)>\x1b[2J"


@pytest.fixture(params=list(CHECKS))
def check(request: pytest.FixtureRequest) -> Check:
    return CHECKS.load(request.param)


def sound(out: Path) -> Path:
    people = [*names(4), *names(4, "female", 45, 20), *names(4, "male", 63, 40)]
    rows = seven_of(*people)
    crops = {str(row["path"]): face(number % 12) for number, row in enumerate(rows[::7])}
    return write_dataset(out, rows, crops)


def without_crops(out: Path) -> Path:
    return write_dataset(out, seven_of(*names(3)))


def one_record(out: Path) -> Path:
    row = record("a_?_b_?", "x", mask_raw=None, width=None, height=None, phash=None, digest=None)
    return write_dataset(out, [row])


def all_rejects(out: Path) -> Path:
    rows = seven_of(*names(3))
    for row in rows:
        row |= {"status": "reject", "reason": "empty", "phash": None, "width": None, "height": None}
    return write_dataset(out, rows)


def hostile(out: Path) -> Path:
    profile = f"000001_male_{HOSTILE}_30"
    rows = [record(profile, stem, status="reject", reason="corrupt") for stem in (HOSTILE, "b")]
    return write_dataset(out, rows)


DATASETS = (sound, without_crops, one_record, all_rejects, hostile)


def found(check: Check, out: Path) -> list[Issue]:
    material = Material(out, splits=tuple(file.stem for file in (out / "splits").glob("*.parquet")))
    if any(missing_for(material, need) for need in check.needs):
        return []
    issues = check.find(material)
    assert isinstance(issues, Iterator)
    return list(issues)


def test_its_name_is_that_of_the_table_and_its_words_are_there(check: Check) -> None:
    assert check.name in list(CHECKS)
    assert CHECKS.load(check.name) is check
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", check.name)
    assert check.title[0].islower()
    assert check.title[-1] != "."
    assert check.cure
    assert check.severity in {"error", "warning"}
    assert set(check.needs) <= set(get_args(Need))


@pytest.mark.parametrize("make", DATASETS, ids=lambda make: make.__name__)
def test_it_survives_any_dataset_and_what_it_reports_is_whole(
    check: Check, make: object, tmp_path: Path
) -> None:
    out = make(tmp_path / "out")  # type: ignore[operator]  # one of DATASETS
    if make is sound:
        split(out)
    issues = found(check, out)
    known = set(Material(out).index["path"].to_pylist())
    profiles = {"", *Material(out).index["profile"].to_pylist()}
    for issue in issues:
        assert issue.check == check.name
        assert check.severity in {issue.severity, "error"}
        assert set(issue.paths) <= known
        assert issue.profile in profiles
        assert 0 <= issue.score <= 1
        assert re.fullmatch(r"[0-9a-f]{32}", issue.key)
        assert issue.reason
        assert issue.reason[-1] != "."
        assert all(
            isfinite(value) for value in (issue.facts or {}).values() if isinstance(value, float)
        )


def test_it_finds_the_same_twice(check: Check, tmp_path: Path) -> None:
    out = all_rejects(tmp_path / "out")
    assert found(check, out) == found(check, out)


@pytest.mark.parametrize("name", ["several-people", "fallback"])
def test_what_is_said_of_a_picture_outlives_a_renamed_folder(name: str, tmp_path: Path) -> None:
    check = CHECKS.load(name)
    rows = seven_of(*names(2))
    for row in rows:
        row |= {"status": "fallback", "reason": "face-by-prior", "faces": 2, "persons": 1}
    before = {issue.key for issue in found(check, write_dataset(tmp_path / "a", rows))}
    for row in rows:
        row["profile"] = f"renamed_{row['profile']}"
        row["path"] = f"renamed_{row['path']}"
    assert {issue.key for issue in found(check, write_dataset(tmp_path / "b", rows))} == before
    assert len(before) == 14


@pytest.mark.parametrize("make", DATASETS, ids=lambda make: make.__name__)
def test_the_keys_of_an_audit_are_its_issues_own(make: object, tmp_path: Path) -> None:
    out = make(tmp_path / "out")  # type: ignore[operator]  # one of DATASETS
    result = audit(out)
    keys = [issue.key for issue in result.issues]
    assert len(keys) == len(set(keys))
    assert {check.name for check in result.checks} | set(result.skipped) == set(CHECKS)


def test_identical_files_have_issues_of_their_own_that_stay_the_same(tmp_path: Path) -> None:
    rows = seven_of(*names(2))
    for row in rows:
        row |= {"digest": b"d" * 32, "status": "reject", "reason": "blank", "phash": None}
    out = write_dataset(tmp_path / "out", rows)
    first, second = audit(out, checks=("no-face",)), audit(out, checks=("no-face",))
    assert len({issue.key for issue in first.issues}) == 14
    assert first.issues == second.issues
    assert second.new == frozenset()


def test_every_check_is_documented_with_its_severity() -> None:
    text = (CHECKOUT / "docs" / "audit.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| (error|warning) \|", text, re.MULTILINE))
    assert rows == {name: CHECKS.load(name).severity for name in CHECKS}
