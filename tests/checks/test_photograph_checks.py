from pathlib import Path

import cv2
import numpy as np
import pytest
from checked import found
from made_datasets import names, record, seven_of, texture, write_dataset

from facecrop.checks.material import Limits
from facecrop.commands.relabel.command import relabel
from facecrop.commands.split import split
from facecrop.images.frames import Image
from facecrop.labels.certificate import read_split

MAN, WOMAN = "000001_male_Asian_25", "000002_female_Asian_25"
OLD = "000003_male_Asian_64"


def recoded(image: Image) -> Image:
    """Return the picture as another program saved it: smaller, cropped a little, compressed."""
    small = cv2.resize(image[2:-2, 2:-2], (88, 88), interpolation=cv2.INTER_AREA)
    coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    return np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def pictures(out: Path, people: list[str], copies: dict[str, tuple[str, str]]) -> Path:
    """Write people with pictures of their own, but for copies: path -> (path, how)."""
    rows = seven_of(*people)
    by_path = {str(row["path"]): row for row in rows}
    crops = {path: texture(number, 96, 96) for number, path in enumerate(by_path)}
    for path, (source, how) in copies.items():
        crops[path] = recoded(crops[source]) if how == "pixels" else crops[source]
        if how == "mirror":
            crops[path] = np.ascontiguousarray(crops[source][:, ::-1])
        if how == "bytes":
            by_path[path]["digest"] = by_path[source]["digest"]
    return write_dataset(out, rows, crops)


@pytest.mark.parametrize("how", ["bytes", "pixels", "mirror"])
def test_one_photograph_in_two_profiles_is_found_however_it_was_copied(
    how: str, tmp_path: Path
) -> None:
    out = pictures(tmp_path, [MAN, WOMAN], {f"{WOMAN}/mask2.jpg": (f"{MAN}/mask4.jpg", how)})
    (issue,) = found(out, "duplicates")
    assert issue.paths == (f"{MAN}/mask4.jpg", f"{WOMAN}/mask2.jpg")
    assert "2 records of 2 profiles are one photograph" in issue.reason
    (proof,) = found(out, "contradicting-labels")
    assert proof.severity == "error"
    assert "gender female and male" in proof.reason


def test_a_copy_within_a_profile_is_found_by_its_bytes_and_its_mask_label_contradicts(
    tmp_path: Path,
) -> None:
    copies = {
        f"{MAN}/normal.jpg": (f"{MAN}/mask1.jpg", "bytes"),
        f"{WOMAN}/mask2.jpg": (f"{WOMAN}/mask1.jpg", "bytes"),
        # Two shots of a moment agree as well as copies do: within a profile pixels prove nothing.
        f"{OLD}/mask2.jpg": (f"{OLD}/mask1.jpg", "pixels"),
    }
    out = pictures(tmp_path, [MAN, WOMAN, OLD], copies)
    assert {issue.profile for issue in found(out, "duplicates")} == {MAN, WOMAN}
    (proof,) = found(out, "contradicting-labels")
    assert proof.profile == MAN
    assert "mask none and worn" in proof.reason


def test_copies_of_like_people_do_not_contradict(tmp_path: Path) -> None:
    one, two = names(2)
    out = pictures(tmp_path, [one, two], {f"{two}/mask2.jpg": (f"{one}/mask2.jpg", "pixels")})
    assert len(found(out, "duplicates")) == 1
    assert found(out, "contradicting-labels") == []


def test_ages_contradict_on_the_official_bins_and_say_the_years(tmp_path: Path) -> None:
    near = "000009_male_Asian_29"
    copies = {
        f"{OLD}/mask1.jpg": (f"{MAN}/mask1.jpg", "bytes"),
        f"{near}/mask2.jpg": (f"{MAN}/mask2.jpg", "bytes"),
    }
    out = pictures(tmp_path, [MAN, OLD, near], copies)
    relabel(out, set_policy="drop-57-59")
    old, near_by = sorted(found(out, "contradicting-labels"), key=lambda issue: -issue.score)
    assert "age group old and young; age 25 and 64" in old.reason
    assert "is labelled age 25 and 29: " in near_by.reason  # one face has one age
    assert near_by.score < old.score
    assert len(found(out, "duplicates")) == 2


def test_a_corrected_label_contradicts_no_more(tmp_path: Path) -> None:
    out = pictures(tmp_path, [MAN, WOMAN], {f"{WOMAN}/mask2.jpg": (f"{MAN}/mask2.jpg", "bytes")})
    manifest = tmp_path / "m.csv"
    manifest.write_text(f"profile,field,was,now\n{WOMAN},gender,female,male\n")
    relabel(out, manifests=[str(manifest)])
    assert found(out, "contradicting-labels") == []


@pytest.mark.parametrize("leaks", [False, True])
def test_a_copy_in_another_fold_is_an_error_that_names_the_split(
    leaks: bool,  # noqa: FBT001 - pytest gives it by name
    tmp_path: Path,
) -> None:
    rows = seven_of(*names(6), *names(6, "female", first=20))
    out = write_dataset(tmp_path, rows)
    split(out, "some")
    parts = read_split(out, "some").table["part"].to_pylist()
    other = parts.index("train" if leaks else "val", parts.index("val") + 7)
    rows[other]["digest"] = rows[parts.index("val")]["digest"]
    assert rows[other]["profile"] != rows[parts.index("val")]["profile"]
    (issue,) = found(write_dataset(out, rows), "duplicates", splits=("some",))
    assert ("in several folds of split 'some'" in issue.reason) == leaks
    assert (issue.severity, issue.score) == (("error", 1.0) if leaks else ("warning", 0.6))


def test_rejects_of_equal_bytes_are_no_duplicates(tmp_path: Path) -> None:
    rows = [record(person, "normal") for person in names(4)]
    for row in rows:
        row |= {"digest": b"e" * 32, "status": "reject", "reason": "empty", "phash": None}
    assert found(write_dataset(tmp_path, rows), "duplicates") == []


def test_strangers_with_near_hashes_are_not_joined(tmp_path: Path) -> None:
    out = pictures(tmp_path, names(8), {})
    assert found(out, "duplicates", limits=Limits(radius=15)) == []
