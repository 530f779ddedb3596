"""Proposals of an audit as a manifest, and what relabel makes of it."""

from dataclasses import replace
from pathlib import Path

import pytest
from made_datasets import record, write_dataset
from program import typed
from review_dataset import (
    HOSTILE,
    a_dataset,
    a_run,
    age_suspect,
    dark,
    gender_suspect,
    hostile_records,
    people,
    swapped,
)

from facecrop.checks.check import Issue, Proposal
from facecrop.commands.audit.command import AuditResult, propose
from facecrop.commands.relabel.command import relabel
from facecrop.errors import ConfigError
from facecrop.index import LABELS_FILE, read_table

NAMES = people(6)
FEMALE_45, FEMALE_22 = NAMES[1], NAMES[3]


def result(out: Path, *issues: Issue, accepted: frozenset[str] = frozenset()) -> AuditResult:
    return AuditResult(
        out=out,
        run=None,
        checks=(),
        skipped={},
        issues=issues,
        accepted=accepted,
        new=frozenset(),
        since=None,
        page=out / "audit" / "index.html",
    )


def labels_of(out: Path, profile: str) -> dict[str, dict[str, object]]:
    rows = read_table(out / LABELS_FILE).to_pylist()
    return {
        row["path"].rpartition("/")[2].partition(".")[0]: row
        for row in rows
        if row["path"].startswith(f"{profile}/")
    }


def a_mask(profile: str, stem: str, was: str, now: str, score: float) -> Issue:
    base = dark(profile, stem, score)
    return replace(base, check="mask-suspect", proposals=(Proposal("mask", was, now, stem),))


def test_what_is_proposed_is_what_relabel_does_once_and_for_all(tmp_path: Path) -> None:
    out, file = a_dataset(tmp_path / "set", NAMES), tmp_path / "all.csv"
    issues = [
        gender_suspect(FEMALE_45),
        age_suspect(FEMALE_45, "middle", "old"),
        swapped(FEMALE_22),
        a_mask(NAMES[0], "mask1", "worn", "none", 0.7),
        dark(NAMES[2]),
    ]
    made = propose(result(out, *issues), file)
    assert (len(made.corrections), made.left_out) == (4, 0)
    assert relabel(out, manifests=[str(file)]).images == 7 + 2 + 1
    hit = labels_of(out, FEMALE_45)["normal"]
    assert (hit["gender"], hit["age_group"]) == ("male", "old")
    exchanged = labels_of(out, FEMALE_22)
    assert (exchanged["incorrect_mask"]["mask"], exchanged["normal"]["mask"]) == (
        "none",
        "incorrect",
    )
    assert labels_of(out, NAMES[0])["mask1"]["mask"] == "none"
    assert relabel(out, manifests=[str(file)]).images == 0  # twice is once
    assert propose(result(out, *issues[:2]), file).left_out == 2  # as they are already


def test_of_two_findings_about_one_label_the_surer_one_is_proposed(tmp_path: Path) -> None:
    out, file = a_dataset(tmp_path / "set", NAMES), tmp_path / "all.csv"
    years = replace(age_suspect(FEMALE_45, "", ""), proposals=(Proposal("age", "45", "61"),))
    made = propose(
        result(
            out,
            a_mask(FEMALE_22, "normal", "none", "worn", 0.6),
            swapped(FEMALE_22, 0.97),
            replace(years, score=0.9),
            age_suspect(FEMALE_45, "middle", "young", 0.6),
        ),
        file,
    )
    assert [(row.field, row.now) for row in made.corrections] == [
        ("age", "61"),
        ("mask", "swap:normal"),
    ]
    assert made.left_out == 2
    assert relabel(out, manifests=[str(file)]).images == 7 + 2


def test_what_was_accepted_is_not_proposed(tmp_path: Path) -> None:
    out, issue = a_dataset(tmp_path / "set", NAMES), gender_suspect(FEMALE_45)
    made = propose(result(out, issue, accepted=frozenset({issue.key})), tmp_path / "all.csv")
    assert made.corrections == ()
    assert (tmp_path / "all.csv").read_text() == (
        "profile,name,field,was,now,reason,source,confidence\n"
    )


def test_what_a_group_was_is_its_official_bin_whatever_policy_is_active(tmp_path: Path) -> None:
    person = "000007_male_Asian_59"
    out, file = write_dataset(tmp_path / "set", [record(person, "normal")]), tmp_path / "all.csv"
    relabel(out, set_policy="threshold-58")
    made = propose(result(out, age_suspect(person, "old", "young")), file)
    assert [(row.was, row.now) for row in made.corrections] == [("middle", "young")]
    assert relabel(out, manifests=[str(file)]).images == 1


def test_names_that_are_markup_or_formulas_come_through(tmp_path: Path) -> None:
    rows = hostile_records()
    out, file = write_dataset(tmp_path / "set", rows), tmp_path / "all.csv"
    profile = str(rows[0]["profile"])
    issue = a_mask(profile, HOSTILE, "", "worn", 0.9)
    issue = replace(issue, reason="=1+1")
    propose(result(out, issue), file)
    assert "'=1+1" in file.read_text()
    relabel(out, manifests=[str(file)])
    hit = next(
        row["mask"]
        for row in read_table(out / LABELS_FILE).to_pylist()
        if row["path"].rpartition("/")[2].startswith(HOSTILE)
    )
    assert hit == "worn"


@pytest.mark.parametrize(
    ("name", "said"),
    [("all.parquet", "is a .csv file, got"), ("nowhere/all.csv", "does not exist; make it")],
)
def test_a_file_that_cannot_be_written_is_said_before_anything_else(
    name: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=said):
        propose(result(tmp_path), tmp_path / name)
    shown = typed("audit", tmp_path, "--propose", tmp_path / name)
    assert (shown.returncode, shown.stderr.count("\n")) == (1, 1)
    assert said in shown.stderr


def test_the_loop_is_closed_by_commands(tmp_path: Path) -> None:
    pytest.importorskip("cleanlab")
    everybody = people(40)
    out, file = a_dataset(tmp_path / "set", everybody), tmp_path / "all.csv"
    a_run(out, {everybody[1]: {"gender": "male"}})
    only = ("--check", "gender-suspect", "--run", "base")
    said = typed("audit", out, *only, "--propose", file)
    assert said.returncode == 0, said.stderr
    assert f"proposed:    1 correction ({file})" in said.stdout
    assert f"next:        facecrop relabel {out} --manifest {file}" in said.stdout
    assert typed("relabel", out, "--manifest", file).returncode == 0
    again = typed("audit", out, *only, "--propose", file)
    assert "proposed:    0 corrections" in again.stdout
    assert "next:" not in again.stdout
