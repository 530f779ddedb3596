"""The label checks on a dataset with a run: what they find, say and propose, and what mends it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from made_datasets import SEVEN, record, write_dataset

from facecrop.checks.check import Issue
from facecrop.checks.material import Limits, Material
from facecrop.checks.table import CHECKS
from facecrop.commands.relabel.command import relabel
from facecrop.index import (
    AGE_GROUPS,
    GENDERS,
    INDEX_FILE,
    LABELS_FILE,
    MASKS,
    read_table,
    write_table,
)
from facecrop.labels.ages import OFFICIAL
from facecrop.labels.manifests import SWAP, Correction, write_manifest

NAMES = ("gender-suspect", "age-suspect", "mask-suspect", "swapped-masks")
AGES = (20, 24, 28, 40, 48, 52, 55, 58, 60)
WORDS = {"gender": GENDERS, "age_group": AGE_GROUPS, "mask": MASKS}
REPEATS = 3

Truth = dict[str, dict[str, object]]


def profile(number: int, gender: str | None = None, age: int | None = None) -> str:
    gender = gender or GENDERS[number % 2]
    return f"{number:06d}_{gender}_Asian_{age or AGES[number % len(AGES)]}"


def everybody(wrong: Mapping[int, str] | None = None, count: int = 90) -> list[str]:
    """Directory names of people; some have others than they should."""
    return [(wrong or {}).get(number, profile(number)) for number in range(count)]


def dataset(
    out: Path,
    names: list[str],
    shown: Mapping[str, str] | None = None,
    *,
    years: bool = True,
    given: Callable[[dict[str, object]], dict[str, object]] = lambda row: row,
) -> Material:
    """Write a dataset and a run whose models know everybody's number, and so who they are.

    Args:
        out: Where.
        names: Profiles.
        shown: What a picture, `number/stem`, really shows: a mask state.
        years: Whether the models say years.
        given: Changes rows of the index.
    """
    rows = [given(record(name, stem)) for name in names for stem in SEVEN]
    write_dataset(out, sorted(rows, key=lambda row: str(row["path"])))
    rng = np.random.default_rng(0)
    said = []
    for repeat in range(REPEATS):
        for name in names:
            number = int(name[:6])
            age = AGES[number % len(AGES)]
            for stem, mask in SEVEN.items():
                really = {
                    "gender": GENDERS[number % 2],
                    "age_group": str(OFFICIAL.group(age)),
                    "mask": (shown or {}).get(f"{number}/{stem}", mask),
                }
                row: dict[str, object] = {
                    "path": f"{name}/{stem}.jpg", "profile": name, "repeat": repeat,
                    "fold": number % 5, "part": "val",
                }  # fmt: skip
                for axis, words in WORDS.items():
                    p = np.exp(5 * np.eye(len(words))[words.index(really[axis])])
                    p *= np.exp(0.4 * rng.standard_normal(len(words)))
                    row |= {
                        f"p_{axis}_{w}": float(s) for w, s in zip(words, p / p.sum(), strict=True)
                    }
                if years:
                    row["pred_age"] = 40 + 0.8 * (age - 40) + 2 * rng.standard_normal()
                said.append(row)
    # Of people that it learnt from, a model says what it was told: that must not count.
    learnt = [row | {"part": "train", "p_gender_male": 1.0, "p_gender_female": 0.0} for row in said]
    run = out / "runs" / "folds"
    run.mkdir(parents=True)
    write_table(pa.Table.from_pylist(said + learnt), run / "predictions.parquet")
    return Material(out, run=run)


def found(material: Material) -> dict[str, list[Issue]]:
    return {name: list(CHECKS.load(name).find(material)) for name in NAMES}


def only(material: Material, name: str) -> Issue:
    """Return the one issue there is, of the check that should find it."""
    issues = found(material)
    assert {check: len(some) for check, some in issues.items() if some} == {name: 1}
    return issues[name][0]


def test_right_labels_are_not_doubted(tmp_path: Path) -> None:
    assert not any(found(dataset(tmp_path, everybody())).values())


def test_a_wrong_gender_is_one_finding_about_the_person(tmp_path: Path) -> None:
    wrong = profile(7, gender="male")  # number 7 is female
    issue = only(dataset(tmp_path, everybody({7: wrong})), "gender-suspect")
    assert issue.profile == wrong
    assert sorted(issue.paths) == sorted(f"{wrong}/{stem}.jpg" for stem in SEVEN)
    assert issue.reason == ("labelled male, seen as female in 21 of 21 predictions of 7 pictures")
    assert [(one.field, one.was, one.now, one.name) for one in issue.proposals] == [
        ("gender", "male", "female", None)
    ]
    assert 0.9 < issue.score <= 1
    assert issue.facts is not None
    assert issue.facts["seen as"] == "female"


@pytest.mark.parametrize("said", ["years", "groups"])
def test_a_wrong_age_is_found_whether_the_model_says_years_or_groups(
    tmp_path: Path, said: str
) -> None:
    wrong = profile(9, age=56)  # number 9 is 20
    material = dataset(tmp_path, everybody({9: wrong}), years=said == "years")
    issue = only(material, "age-suspect")
    assert issue.profile == wrong
    assert issue.reason.startswith("labelled 56 years (middle), seen as 2")
    assert "(young)" in issue.reason
    assert [(one.field, one.was, one.now) for one in issue.proposals] == [
        ("age_group", "middle", "young")
    ]


def test_an_age_on_the_other_side_of_a_border_is_not_doubted(tmp_path: Path) -> None:
    names = everybody({2: profile(2, age=31), 11: profile(11, age=30), 8: profile(8, age=59)})
    assert not any(found(dataset(tmp_path, names)).values())


def test_an_age_far_off_within_its_group_is_corrected_in_years(tmp_path: Path) -> None:
    issue = only(dataset(tmp_path, everybody({7: profile(7, age=33)})), "age-suspect")
    (proposal,) = issue.proposals
    assert (proposal.field, proposal.was) == ("age", "33")
    assert abs(int(proposal.now) - 58) <= 4


def test_a_wrong_mask_is_about_one_picture(tmp_path: Path) -> None:
    issue = only(dataset(tmp_path, everybody(), {"12/incorrect_mask": "worn"}), "mask-suspect")
    assert issue.paths == (f"{profile(12)}/incorrect_mask.jpg",)
    (proposal,) = issue.proposals
    assert (proposal.was, proposal.now, proposal.name) == ("incorrect", "worn", "incorrect_mask")


def test_exchanged_masks_are_one_finding_with_a_swap(tmp_path: Path) -> None:
    shown = {"12/incorrect_mask": "none", "12/normal": "incorrect"}
    issue = only(dataset(tmp_path, everybody(), shown), "swapped-masks")
    assert issue.paths == tuple(
        f"{profile(12)}/{stem}.jpg" for stem in ("incorrect_mask", "normal")
    )
    (proposal,) = issue.proposals
    assert (proposal.field, proposal.was, proposal.now) == ("mask", "incorrect", "swap")
    assert (proposal.name, proposal.other) == ("incorrect_mask", "normal")


def test_where_labels_were_changed_already_a_swap_is_two_corrections(tmp_path: Path) -> None:
    right = dataset(tmp_path, everybody())
    manifest = tmp_path / "swap.csv"
    swap = Correction(profile(12), "incorrect_mask", "mask", "incorrect", f"{SWAP}normal")
    write_manifest(manifest, [swap])
    relabel(right.out, manifests=[manifest])
    again = Material(right.out, run=right.run)
    issue = only(again, "swapped-masks")
    assert {(one.name, one.was, one.now) for one in issue.proposals} == {
        ("normal", "incorrect", "none"),
        ("incorrect_mask", "none", "incorrect"),
    }


def corrections(issues: list[Issue]) -> list[Correction]:
    return [
        Correction(
            issue.profile,
            one.name,
            one.field,
            one.was,
            f"{SWAP}{one.other}" if one.now == "swap" else one.now,
            "audit",
        )
        for issue in issues
        for one in issue.proposals
    ]


def test_what_is_proposed_can_be_done_and_then_nothing_is_doubted(tmp_path: Path) -> None:
    names = everybody({7: profile(7, gender="male"), 9: profile(9, age=56)})
    shown = {
        "12/incorrect_mask": "none", "12/normal": "incorrect",
        **{f"{number}/incorrect_mask": "worn" for number in (31, 44, 58)},
    }  # fmt: skip
    material = dataset(tmp_path, names, shown)
    issues = found(material)
    assert [len(issues[name]) for name in NAMES] == [1, 1, 3, 1]
    manifest = tmp_path / "found.csv"
    write_manifest(manifest, corrections([one for some in issues.values() for one in some]))
    relabel(material.out, manifests=[manifest])
    assert not any(found(Material(material.out, run=material.run)).values())


def test_people_without_a_year_are_doubted_by_their_group(tmp_path: Path) -> None:
    material = dataset(tmp_path, everybody())
    manifest = tmp_path / "wrong.csv"
    write_manifest(manifest, [Correction(profile(9), None, "age_group", "young", "middle")])
    relabel(material.out, manifests=[manifest])
    issue = only(Material(material.out, run=material.run), "age-suspect")
    assert issue.reason == "labelled middle, seen as young in 7 pictures"
    assert [(one.was, one.now) for one in issue.proposals] == [("middle", "young")]


def test_a_finding_keeps_its_key_when_folders_are_renamed_and_loses_it_when_relabelled(
    tmp_path: Path,
) -> None:
    wrong = profile(7, gender="male")

    def moved(row: dict[str, object]) -> dict[str, object]:
        return row | {"digest": bytes(f"{str(row['path'])[:6]}{row['name']:26}", "ascii")}

    one = dataset(tmp_path / "one", everybody({7: wrong}), given=moved)
    other = dataset(tmp_path / "other", everybody({7: profile(7, "male", 59)}), given=moved)
    keys = [CHECKS.load("gender-suspect").find(material) for material in (one, other)]
    first, second = (next(issues).key for issues in keys)
    assert first == second


def test_records_that_are_set_aside_are_not_doubted(tmp_path: Path) -> None:
    wrong = profile(7, gender="male")
    material = dataset(tmp_path, everybody({7: wrong}))
    manifest = tmp_path / "aside.csv"
    write_manifest(manifest, [Correction(wrong, None, "keep", "yes", "no")])
    relabel(material.out, manifests=[manifest])
    assert not any(found(Material(material.out, run=material.run)).values())


def test_two_files_of_one_stem_are_named_in_full(tmp_path: Path) -> None:
    person = profile(12)
    material = dataset(tmp_path, everybody(), {"12/incorrect_mask": "worn"})
    twin = record(person, "incorrect_mask") | {"path": f"{person}/incorrect_mask.png"}
    rows = [*read_table(material.out / INDEX_FILE).to_pylist(), twin]
    write_dataset(material.out, sorted(rows, key=lambda row: str(row["path"])))
    issue = only(Material(material.out, run=material.run), "mask-suspect")
    assert issue.proposals[0].name == "incorrect_mask.jpg"


def test_a_lower_limit_finds_more_and_scores_rank(tmp_path: Path) -> None:
    material = dataset(tmp_path, everybody({7: profile(7, gender="male")}))
    every = Material(material.out, run=material.run, limits=Limits(suspect=1e-9))
    issues = sorted(CHECKS.load("gender-suspect").find(every), key=lambda one: -one.score)
    assert len(issues) == 90
    assert issues[0].profile == profile(7, gender="male")
    assert issues[0].score > 10 * issues[1].score


@pytest.mark.parametrize("name", NAMES)
def test_without_anything_said_nothing_is_found(tmp_path: Path, name: str) -> None:
    material = dataset(tmp_path, everybody(count=3))
    check = CHECKS.load(name)
    assert not list(check.find(Material(material.out)))
    run = tmp_path / "runs" / "folds" / "predictions.parquet"
    table = read_table(run)
    write_table(table.select(["path", "profile", "part"]), run)
    assert not list(check.find(Material(material.out, run=material.run)))
    write_table(table.slice(0, 0), run)
    assert not list(check.find(Material(material.out, run=material.run)))


def test_people_without_labels_are_left_out(tmp_path: Path) -> None:
    def unlabelled(row: dict[str, object]) -> dict[str, object]:
        if str(row["path"])[:6] in ("000003", "000004"):
            return row | {"gender_raw": None, "age_raw": None, "mask_raw": None}
        return row

    material = dataset(tmp_path, everybody(), given=unlabelled)
    assert None in read_table(material.out / LABELS_FILE)["gender"].to_pylist()
    assert not any(found(material).values())
