"""To Label Studio and back: what people answered becomes corrections, and nothing else."""

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from annotating import FIRST, Tasks, annotated, annotation, came_back, exported, minimal, said_of
from exported import HOSTILE, SAME, TWINS, dataset
from hypothesis import given
from hypothesis import strategies as st
from program import typed

import facecrop
from facecrop.checks.check import Issue, Proposal, issue_key
from facecrop.commands.audit.files import write_issues
from facecrop.commands.exports.answers import Answer, WrongTaskError, answers_of
from facecrop.commands.exports.conclude import conclude
from facecrop.commands.exports.labelstudio import WORDS
from facecrop.errors import ManifestError
from facecrop.index import read_table
from facecrop.labels.manifests import Correction, read_manifest
from facecrop.labels.members import Record

HURT = f"000002_female_{HOSTILE}_40"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("labelstudio"))


@pytest.fixture(scope="module")
def tasks(out: Path, tmp_path_factory: pytest.TempPathFactory) -> Tasks:
    return exported(out, tmp_path_factory.mktemp("tasks") / "new")


@pytest.mark.parametrize("form", [list, minimal], ids=["json", "json-min"])
def test_a_wrong_label_goes_there_and_back_and_the_audit_is_content(
    out: Path, form: Callable[[Tasks], Tasks], tmp_path: Path
) -> None:
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    check = "contradicting-labels"
    assert len(facecrop.audit(copy, checks=[check], limits=SAME).open) == 1
    tasks = exported(copy, tmp_path / "new", suspects=True)
    assert {task["data"]["profile"] for task in tasks} == set(TWINS)
    assert all(task["data"]["finding"].startswith(f"{check} ") for task in tasks)

    def change(data: Mapping[str, Any]) -> Mapping[str, str]:
        return {"gender": "female", "note": "=seen"} if data["profile"] == TWINS[0] else {}

    file, manifest = tmp_path / "project.json", tmp_path / "corrections.csv"
    file.write_text(json.dumps(form(annotated(tasks, change))), encoding="utf-8")
    done = typed("relabel", copy, "--from-labelstudio", file, "--export", manifest)
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"{manifest}: 1 correction from 2 answers to 2 tasks"
    (row,) = read_manifest(manifest)
    assert row.content == Correction(
        TWINS[0], None, "gender", "male", "female", "=seen",
        "Label Studio, task 100 by ann@example.org at 2026-11-20T10:05:00.1Z", "reviewed",
    )  # fmt: skip
    assert second == f"next: facecrop relabel {copy} --manifest {manifest}"
    assert typed("relabel", copy, "--manifest", manifest).returncode == 0
    assert facecrop.audit(copy, checks=[check], limits=SAME).open == ()


def test_whoever_changes_nothing_corrects_nothing(out: Path, tasks: Tasks, tmp_path: Path) -> None:
    answers = annotated(tasks, lambda _: {})
    assert came_back(out, tmp_path, answers) == []
    assert came_back(out, tmp_path, minimal(answers)) == []
    assert came_back(out, tmp_path, []) == []


def test_names_that_hurt_come_back_as_they_are(out: Path, tasks: Tasks, tmp_path: Path) -> None:
    def change(data: Mapping[str, Any]) -> Mapping[str, str]:
        odd = data["profile"] == HURT or "caf%E9" in data["path"]
        return {"mask": "incorrect"} if odd else {}

    rows = came_back(out, tmp_path, annotated(tasks, change))
    assert [(row.profile, row.name) for row in rows] == [
        (FIRST, "caf%E9 & 50%25"),
        (HURT, HOSTILE),
    ]
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    assert facecrop.relabel(copy, manifests=[tmp_path / "corrections.csv"]).images == 2
    labels = read_table(copy / "labels.parquet").to_pylist()
    now = {row["path"]: row["mask"] for row in labels}
    assert now[f"{HURT}/{HOSTILE}.png"] == "incorrect"


def test_a_label_that_changed_meanwhile_is_noticed(out: Path, tasks: Tasks, tmp_path: Path) -> None:
    copy = tmp_path / "out"
    shutil.copytree(out, copy)
    older = tmp_path / "older.csv"
    older.write_text(f"profile,name,field,was,now\n{FIRST},mask1,mask,worn,none\n")
    facecrop.relabel(copy, manifests=[older])

    def change(data: Mapping[str, Any]) -> Mapping[str, str]:
        return {"mask": "incorrect"} if data["path"] == f"{FIRST}/mask1.png" else {}

    (row,) = came_back(copy, tmp_path, annotated(tasks, change))
    assert (row.was, row.now) == ("worn", "incorrect")  # as the task gave it
    with pytest.raises(ManifestError, match="worn"):
        facecrop.relabel(copy, manifests=[tmp_path / "corrections.csv"])


def test_the_audit_proposes_beside_what_is_given(out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "out"
    shutil.copytree(out, copy)

    def issue(check: str, score: float, *proposals: Proposal) -> Issue:
        paths = (f"{FIRST}/mask1.png", f"{FIRST}/normal.png")
        reason = f"looks wrong to {check}"
        key = issue_key(check)
        return Issue(check, "warning", FIRST, paths, reason, score, key, proposals)

    swap = Proposal("mask", "worn", "swap", "mask1", "normal")
    write_issues(
        copy,
        [
            issue("gender-suspect", 0.75, Proposal("gender", "male", "female")),
            issue("age-suspect", 0.5, Proposal("age_group", "old", "young")),  # is not old any more
            issue("swapped-masks", 0.25, swap),
        ],
    )
    tasks = {task["data"]["path"]: task for task in exported(copy, tmp_path / "new", suspects=True)}
    assert set(tasks) == {f"{FIRST}/mask1.png", f"{FIRST}/normal.png"}
    for name, mask in (("mask1", "none"), ("normal", "worn")):
        task = tasks[f"{FIRST}/{name}.png"]
        audit, given = task["predictions"]
        assert (audit["model_version"], audit["score"]) == ("audit", 0.75)
        assert (given["model_version"], given["score"]) == ("given", 0.25)
        proposed = {one["from_name"]: one["value"] for one in audit["result"]}
        assert proposed["gender"] == {"choices": ["female"]}
        assert proposed["mask"] == {"choices": [mask]}
        assert proposed["age_group"] == {"choices": ["middle"]}
        assert said_of(task)["gender"] == "male"
        assert task["data"]["finding"].splitlines()[0] == (
            "gender-suspect 0.75: looks wrong to gender-suspect"
        )


def of_first(tasks: Tasks, *annotations: dict[str, Any]) -> Tasks:
    """The project with these annotations of its first task and none of the others."""
    return [tasks[0] | {"id": 1, "annotations": list(annotations)}, *(
        task | {"id": number, "annotations": []} for number, task in enumerate(tasks[1:], 2)
    )]  # fmt: skip


BOB = {"completed_by": 2, "updated_at": "2026-11-21T09:00:00Z"}
ANN = annotation({"mask": "worn"})


def test_what_was_skipped_is_no_answer(out: Path, tasks: Tasks, tmp_path: Path) -> None:
    skipped = annotation({"mask": "incorrect"}, was_cancelled=True)
    older = annotation({"mask": "incorrect"}, skipped=True)
    empty = annotation({})
    assert came_back(out, tmp_path, of_first(tasks, skipped, older, empty)) == []
    kept = annotation({"mask": "worn"})
    (row,) = came_back(out, tmp_path, of_first(tasks, skipped, kept))
    assert row.now == "worn"


def test_people_who_disagree_are_named_or_the_latest_counts(
    out: Path, tasks: Tasks, tmp_path: Path
) -> None:
    answers = of_first(tasks, annotation({"mask": "incorrect"}, **BOB), ANN)
    with pytest.raises(ManifestError, match="nothing was written") as error:
        came_back(out, tmp_path, answers)
    (line,) = str(error.value).splitlines()[1:]
    assert "mask is 'incorrect' in task 1 by 2, 'worn' in task 1 by ann@example.org" in line
    assert line.endswith("make them agree, or let the latest count")
    assert not (tmp_path / "corrections.csv").exists()
    (row,) = came_back(out, tmp_path, answers, latest=True)
    assert (row.now, row.source) == (
        "incorrect",
        "Label Studio, task 1 by 2 at 2026-11-21T09:00:00Z",
    )
    tied = of_first(tasks, annotation({"mask": "incorrect"}), ANN)
    with pytest.raises(ManifestError, match="their times do not tell which is newer"):
        came_back(out, tmp_path, tied, latest=True)
    agreed = of_first(tasks, annotation({"mask": "worn"}, **BOB), ANN)
    assert [row.now for row in came_back(out, tmp_path, agreed)] == ["worn"]


def test_what_is_said_of_a_person_in_one_task_is_said(
    out: Path, tasks: Tasks, tmp_path: Path
) -> None:
    mine = [task for task in tasks if task["data"]["profile"] == FIRST]
    first, second = (task["data"]["path"] for task in mine[:2])

    def change(data: Mapping[str, Any]) -> Mapping[str, str]:
        return {"gender": "female"} if data["path"] == first else {}

    answers = annotated(mine, change)
    (row,) = came_back(out, tmp_path, answers)
    assert (row.profile, row.name, row.now) == (FIRST, None, "female")
    answers[1]["annotations"].append(annotation({"gender": "male"}, **BOB))
    with pytest.raises(
        ManifestError, match=f"{FIRST}: gender is 'male' in task 101 by 2, 'female'"
    ):
        came_back(out, tmp_path, answers)
    words = {first: "young", second: "old"}
    with pytest.raises(ManifestError, match=f"{FIRST}: age_group is"):
        came_back(
            out,
            tmp_path,
            annotated(mine, lambda data: {"age_group": words.get(data["path"], "old")}),
        )


@pytest.mark.parametrize(
    ("said", "rows"),
    [
        ({"age": "61"}, [("age", "30", "61")]),
        ({"age": "61", "age_group": "old"}, [("age", "30", "61")]),
        ({"age_group": "old"}, [("age_group", "middle", "old")]),
        ({"keep": "no"}, [("keep", "yes", "no")]),
    ],
)
def test_years_say_the_group(
    said: dict[str, str], rows: list[tuple[str, ...]], out: Path, tasks: Tasks, tmp_path: Path
) -> None:
    found = came_back(out, tmp_path, of_first(tasks, annotation(said)))
    assert [(row.field, row.was, row.now) for row in found] == rows


PEOPLE = {
    name: [
        Record(f"{name}/{stem}.png", name, stem, None, mask, mask, gender, age, group, "yes")
        for stem, mask in (("mask1", "worn"), ("normal", "none"))
    ]
    for name, gender, age, group in (("ann", "female", "25", "young"), ("bob", "male", None, None))
}
"""Two people of two pictures; the age of the second is not known."""
EVERYONE = [one for members in PEOPLE.values() for one in members]


@given(st.data())
def test_just_what_differs_is_corrected(data: st.DataObject) -> None:
    wanted: dict[tuple[str, str | None, str], str] = {}
    for name, members in PEOPLE.items():
        for field in ("gender", "age_group"):
            wanted[name, None, field] = data.draw(st.sampled_from(WORDS[field]))
        for one in members:
            for field in ("mask", "keep"):
                wanted[name, one.name, field] = data.draw(st.sampled_from(WORDS[field]))
    given_now = {
        (name, stem, field): getattr(one, field)
        for (name, stem, field) in wanted
        for one in PEOPLE[name]
        if stem in (None, one.name)
    }
    answers = [answer(one, wanted) for one in EVERYONE]
    rows, faults = conclude(data.draw(st.permutations(answers)), PEOPLE, latest=False)
    assert faults == []
    found = {(row.profile, row.name, row.field): (row.was, row.now) for row in rows}
    changed = {key: value for key, value in wanted.items() if value != given_now[key]}
    assert found == {key: (given_now[key], value) for key, value in changed.items()}


def answer(one: Record, wanted: Mapping[tuple[str, str | None, str], str]) -> Answer:
    said = {
        field: value
        for (name, stem, field), value in wanted.items()
        if name == one.profile and stem in (None, one.name)
    }
    return Answer(f"task {one.path}", {"path": one.path}, said, "", "")


@given(st.recursive(
    st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["data", "annotations", "result", "value", "choices", "mask", "from_name",
                         "annotator", "path", "id"]), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_no_json_whatever_ends_in_a_crash(task: Any) -> None:
    with suppress(WrongTaskError):
        rows, faults = conclude(list(answers_of(1, task)), PEOPLE, latest=True)
        assert rows == [] or faults == []
