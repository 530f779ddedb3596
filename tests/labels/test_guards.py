"""Every way in which a manifest can be wrong, and the sentence that says so."""

import re
from pathlib import Path

import pytest
from tables import a_dataset, a_manifest, a_record, labels, people

from facecrop.commands.relabel.command import relabel
from facecrop.errors import ConfigError, ManifestError, TableError
from facecrop.index import HISTORY_FILE, LABELS_FILE

BAD = Path(__file__).parent.parent / "bad"

ROWS = [
    *people("001720_female_Asian_18", "001498_female_Asian_59", "001498-1_male_Asian_23"),
    *people("003397_female_Asian_19", "003397_female_Asian_20", "000020_female_Asian_50"),
    a_record("000005_male_Asian_20/normal.jpg"),
    a_record("000005_male_Asian_20/Normal.png", mask_raw="none"),
]

MESSAGES = {
    "unknown-profile": ":2: no profile '000001_female_Asian_46'; did you mean '0000",
    "id-for-profile": (
        ":2: '001720' is an id, not a directory name; did you mean '001720_female_Asian_18'?"
    ),
    "lost-zeros": (
        ":2: no profile '1720': leading zeros are lost; did you mean '001720_female_Asian_18'?"
    ),
    "lost-zeros-in-directory-name": "zeros are lost; did you mean '001720_female_Asian_18'?",
    "id-as-decimal": "no profile '1720.0': leading zeros are lost; did you mean '001720_female",
    "id-of-two-people": "did you mean '003397_female_Asian_19' or '003397_female_Asian_20'?",
    "unknown-field": "no field 'gendre'; did you mean 'gender'?",
    "unknown-value": "no gender 'Male'; did you mean 'male'? (known: male, female)",
    "equals-equals": "no gender '==female'; did you mean 'female'?",
    "wrong-was": (
        "age of '001720_female_Asian_18' is '18', but the row expects '19', to make it '20'"
    ),
    "nothing-changes": "the row changes nothing: was and now are both 'female'",
    "age-with-letters": "age must be a whole number of years from 0 to 150, got 'twenty'",
    "age-out-of-range": "age must be a whole number of years from 0 to 150, got '151'",
    "unknown-image": "no image 'mask9' in '001720_female_Asian_18'; did you mean 'mask",
    "image-in-other-case": "no image 'Mask1' in '001720_female_Asian_18'; did you mean 'mask1'?",
    "mask-without-image": "mask belongs to one image: name is empty",
    "gender-of-one-image": "gender belongs to the person, not to 'mask1': leave name empty",
    "swap-with-nobody": "no image 'norml' in '001720_female_Asian_18'; did you mean 'normal'?",
    "swap-of-equals": "are 'worn': nothing to swap",
    "swap-with-wrong-was": "is 'incorrect' by its raw label, but the row expects 'worn'",
    "shared-stem": "2 files of '000005_male_Asian_20' share the stem 'normal': name 'Normal.png' ",
    "two-rows-disagree": ":3: mask of '001720_female_Asian_18/mask1.jpg' shall be 'incorrect' ",
    "keep-disagrees": "shall be 'yes' here, but 'no' at",
    "empty-now": ":2: now is empty",
    "too-many-cells": ":2: 9 cells, but the header has 5 columns",
    "unknown-column": "no column 'filed'; did you mean 'field'?",
    "missing-column": "no column 'was'; a manifest needs profile, field, was, now",
    "open-quote": ":2: unexpected end of data; is a quote not closed?",
    "empty-file": "no column 'profile'; a manifest needs profile, field, was, now, found nothing",
    "latin-1": ":2: byte 0xe9 is not utf-8; save it as UTF-8",
}


def test_there_is_a_message_for_every_bad_manifest() -> None:
    assert sorted(MESSAGES) == sorted(file.stem for file in BAD.glob("*.csv"))


@pytest.mark.parametrize("fault", sorted(MESSAGES))
def test_a_bad_manifest_is_refused_and_nothing_changes(tmp_path: Path, fault: str) -> None:
    out = a_dataset(tmp_path, ROWS)
    before = (out / LABELS_FILE).read_bytes()
    with pytest.raises(ManifestError, match=re.escape(MESSAGES[fault])) as caught:
        relabel(out, manifests=[BAD / f"{fault}.csv"])
    assert f"{fault}.csv" in str(caught.value)
    assert (out / LABELS_FILE).read_bytes() == before
    assert not (out / HISTORY_FILE).exists()


def test_all_faults_of_all_manifests_come_in_one_go(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS)
    files = [BAD / f"{name}.csv" for name in ("lost-zeros", "wrong-was", "empty-now")]
    with pytest.raises(ManifestError, match="3 rows are wrong, nothing was changed:") as caught:
        relabel(out, manifests=files)
    assert [line.partition(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [
        str(file) for file in files
    ]


def test_two_manifests_that_want_different_things_are_both_named(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS)
    person = "001720_female_Asian_18"
    one = a_manifest(tmp_path / "one.csv", (person, "", "age", "18", "19"))
    other = a_manifest(tmp_path / "other.csv", (person, "", "age", "18", "20"))
    with pytest.raises(ManifestError, match=r"other\.csv:2: age of .* but '19' at .*one\.csv:2"):
        relabel(out, manifests=[one, other])


def test_very_many_faults_are_counted_and_the_first_thousand_worded(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS)
    rows = [(f"nobody-{number}", "", "gender", "female", "male") for number in range(1500)]
    with pytest.raises(ManifestError, match="1,500 rows are wrong") as caught:
        relabel(out, manifests=[a_manifest(tmp_path / "wide.csv", *rows)])
    assert len(str(caught.value).splitlines()) == 1 + 1000 + 1
    assert str(caught.value).endswith("and 500 more")


def test_missing_people_and_images_can_be_skipped_and_are_counted(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS)
    manifest = a_manifest(
        tmp_path / "wide.csv",
        ("999999_female_Asian_46", "", "gender", "female", "male"),
        ("001720_female_Asian_18", "mask9", "mask", "worn", "none"),
        ("001720_female_Asian_18", "", "gender", "female", "male"),
    )
    result = relabel(out, manifests=[manifest], skip_missing=True)
    assert (result.rows, result.images, result.skipped) == (1, 7, 2)


@pytest.mark.parametrize("fault", ["id-for-profile", "lost-zeros", "image-in-other-case"])
def test_a_mistaken_name_is_an_error_even_if_missing_ones_are_skipped(
    tmp_path: Path, fault: str
) -> None:
    with pytest.raises(ManifestError, match="did you mean"):
        relabel(a_dataset(tmp_path, ROWS), manifests=[BAD / f"{fault}.csv"], skip_missing=True)


def test_a_file_that_shares_its_stem_can_be_named_with_its_extension(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS)
    row = ("000005_male_Asian_20", "Normal.png", "mask", "none", "worn")
    assert relabel(out, manifests=[a_manifest(tmp_path / "one.csv", row)]).images == 1
    assert labels(out)["000005_male_Asian_20/Normal.png"]["mask"] == "worn"
    assert labels(out)["000005_male_Asian_20/normal.jpg"]["mask"] == "none"


def test_an_unknown_manifest_gets_the_nearest_name(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no manifest named 'consenus'\. Did you mean 'consensus'"
    ):
        relabel(a_dataset(tmp_path, ROWS), manifests=["consenus"])


def test_a_folder_that_is_no_dataset_is_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="run: facecrop preprocess"):
        relabel(tmp_path, manifests=["consensus"])
    assert not list(tmp_path.iterdir())


def test_undo_and_apply_in_one_command_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="give one of them"):
        relabel(a_dataset(tmp_path, ROWS), manifests=["consensus"], undo=1)


def test_people_with_two_ages_are_refused_when_labels_are_written(tmp_path: Path) -> None:
    rows = people("001720_female_Asian_18")
    rows[3]["age_raw"] = 19
    with pytest.raises(TableError, match="profile '001720_female_Asian_18' has age 18 in one"):
        a_dataset(tmp_path, rows)
