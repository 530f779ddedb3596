"""Folders as they come in life: nothing in them ends the audit, and each thing wrong is named."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest
from bad_images import bad_images

from facecrop.commands.audit.command import AuditResult, audit
from facecrop.commands.demo import demo
from facecrop.commands.preprocess.command import preprocess
from facecrop.demo.faults import FOLDER_QUIRKS, PICTURE_QUIRKS
from facecrop.images.models import ModelStore, read_catalogue

PERSON = "000001_male_Asian_25"
HARMLESS = {
    "E01-jpeg", "E09-orientation-0", "E09-orientation-9", "E09-orientation-99",
    "E12-exif-cut", "E12-exif-loop",
    "M12-broken-profile", "M12-display-p3", "M12-srgb", "M17-progressive",
}  # fmt: skip
"""Whole JPEGs of 8 bits, upright, named .jpg: what their metadata say wrong harms nobody."""


def told(result: AuditResult) -> dict[str, set[str]]:
    """Return the checks that name each record."""
    found = defaultdict(set)
    for issue in result.issues:
        for path in issue.paths:
            found[path].add(issue.check)
    return found


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "raw" / PERSON).mkdir(parents=True)
    for name, (data, _) in bad_images().items():
        (folder / "raw" / PERSON / f"{name}.jpg").write_bytes(data)
    preprocess(folder / "raw", folder / "out", recipe="center-crop", engine="serial", contact=False)
    return audit(folder / "out")


def test_every_file_that_cannot_be_used_is_named(corpus: AuditResult) -> None:
    named = told(corpus)
    rejected = {f"{PERSON}/{name}.jpg" for name, (_, reason) in bad_images().items() if reason}
    assert len(rejected) > 35
    assert {path for path in rejected if not named[path] & {"unreadable", "no-face"}} == set()


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("B03-png-bytes", "wrong-extension"),
        ("B09-trailing-text", "odd-format"),
        ("B18-two-jpegs", "odd-format"),
        ("B19-motion-photo", "odd-format"),
        ("M14-apng", "odd-format"),
        ("M01-gray", "gray"),
        ("M10-cmyk", "odd-format"),
        ("M08-rgb-16", "odd-format"),
        ("E06-jpeg", "odd-format"),
        ("B13-png-20000", "unreadable"),
    ],
)
def test_what_is_odd_about_a_usable_file_is_named_by_its_check(
    name: str, check: str, corpus: AuditResult
) -> None:
    assert check in told(corpus)[f"{PERSON}/{name}.jpg"]


def test_only_harmless_files_are_not_named(corpus: AuditResult) -> None:
    named = told(corpus)
    assert {name for name in bad_images() if not named[f"{PERSON}/{name}.jpg"]} == HARMLESS


def test_the_folder_of_all_those_files_is_named_too(corpus: AuditResult) -> None:
    reasons = [issue.reason for issue in corpus.issues if issue.check == "profile-files"]
    assert reasons == []  # none of the seven names is there: this is not the mask task


@pytest.fixture(scope="module")
def quirky(tmp_path_factory: pytest.TempPathFactory) -> tuple[AuditResult, Path]:
    store = ModelStore(offline=True)
    if any(store.state(name) != "ready" for name in read_catalogue().sets["embedded"]):
        pytest.skip("the embedded models are not here: facecrop models pull embedded")
    folder = tmp_path_factory.mktemp("quirky")
    made = demo(folder / "raw", profiles=17, seed=5, quirks=True)
    preprocess(folder / "raw", folder / "out", workers=1, contact=False)
    return audit(folder / "out"), made.truth


@pytest.mark.parametrize("quirk", [*PICTURE_QUIRKS, *FOLDER_QUIRKS])
def test_each_oddity_of_the_demo_is_named(quirk: str, quirky: tuple[AuditResult, Path]) -> None:
    result, truth = quirky
    with truth.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if quirk in row["faults"].split()]
    assert rows
    issues = [issue for issue in result.issues if issue.check != "missing-class"]
    if quirk in PICTURE_QUIRKS:
        about = {path for issue in issues for path in issue.paths}
        assert {row["path"] for row in rows} <= about
    else:
        said = " ".join(f"{issue.profile} {issue.reason}" for issue in issues)
        assert {row["profile"] for row in rows if row["profile"] not in said} == set()


def test_damaged_pictures_of_the_demo_are_errors(quirky: tuple[AuditResult, Path]) -> None:
    result, _ = quirky
    errors = [issue for issue in result.issues if issue.check == "unreadable"]
    assert sorted(issue.reason.partition(":")[0] for issue in errors) == ["corrupt", "truncated"]
