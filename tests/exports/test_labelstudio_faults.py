"""What cannot be used of Label Studio's exports is named, and nothing is written."""

from pathlib import Path

import pytest
from annotating import FIRST, annotation, came_back, result
from exported import dataset
from program import typed

from facecrop.errors import ManifestError


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("x", "task 1: a task must be an object"),
        ({"id": 9, "data": {"path": "a"}}, "task 9 has no annotations; export as JSON or JSON-MIN"),
        ({"id": 9, "annotations": []}, "task 9 has no data"),
        ({"id": 9, "data": {}, "annotations": 3}, "task 9 has no data, or no list"),
        ({"id": 9, "data": {}, "annotations": ["x"]}, "task 9: an annotation must be an object"),
        (
            {"id": 9, "data": {}, "annotations": [{"result": ["x"]}]},
            "task 9: a result must be an object",
        ),
        ({"id": 9, "data": {}, "annotations": [{"result": 5}]}, "task 9: results must be a list"),
        (
            {"id": 9, "data": {"path": f"{FIRST}/norml.png"}, "annotations": [annotation({})]},
            f"task 9: there is no record '{FIRST}/norml.png'; did you mean '{FIRST}/normal.png'?",
        ),
        (
            {"id": 9, "data": {}, "annotations": [annotation({})]},
            "task 9: there is no record None",
        ),
        (
            {"id": 9, "data": {"path": f"{FIRST}/normal.png"},
             "annotations": [annotation({"mask": "wrn"})]},
            "task 9: no mask 'wrn'; did you mean 'worn'?",
        ),
        (
            {"id": 9, "data": {"path": f"{FIRST}/normal.png"}, "annotations": [
                {"result": [result("mask", "worn"), result("mask", "incorrect")]}]},
            "task 9 says several things about mask: worn, incorrect",
        ),
        (
            {"id": 9, "data": {"path": f"{FIRST}/normal.png"},
             "annotations": [annotation({"age": "61", "age_group": "young"})]},
            "task 9: 61 years are 'old', but task 9 says 'young'",
        ),
        (
            {"id": 9, "data": {"path": f"{FIRST}/normal.png"},
             "annotations": [annotation({"age": "500"})]},
            "task 9: age must be a whole number of years from 0 to",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named(task: object, words: str, out: Path, tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as error:
        came_back(out, tmp_path, [task])
    head, line = str(error.value).splitlines()
    assert head == f"{tmp_path / 'project.json'}: nothing was written:"
    assert words in line
    assert not (tmp_path / "corrections.csv").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "cannot be read"), (b"{", "is no JSON"), (b"\xff", "is no JSON"), (b"{}", "no list")],
)
def test_a_file_that_is_no_export_is_refused(
    content: bytes | None, words: str, out: Path, tmp_path: Path
) -> None:
    file = tmp_path / "project.json"
    if content is not None:
        file.write_bytes(content)
    done = typed("relabel", out, "--from-labelstudio", file, "--export", tmp_path / "c.csv")
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_where_the_manifest_goes_must_be_said(out: Path) -> None:
    assert typed("relabel", out, "--from-labelstudio", "x.json").returncode == 2


def test_the_manifest_does_not_replace_the_answers(out: Path, tmp_path: Path) -> None:
    file, link = tmp_path / "project.json", tmp_path / "link.csv"
    file.write_text("[]")
    link.symlink_to(file)
    for manifest in (file, link):
        done = typed("relabel", out, "--from-labelstudio", file, "--export", manifest)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        assert "give --export another name" in done.stderr
    assert file.read_text() == "[]"
    assert link.is_symlink()
