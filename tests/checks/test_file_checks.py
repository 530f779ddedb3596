import json
from pathlib import Path

import pytest
from bad_images import deep_png, jpeg, saved, with_orientation
from checked import found, paths
from made_datasets import names, record, seven_of, write_dataset

from facecrop.errors import TableError

ONE, TWO = "000001_male_Asian_25", "000002_male_Asian_25"


def with_raw(out: Path, files: dict[str, bytes], layout: str = "profiles") -> Path:
    """Write a dataset and the raw files that it was made from."""
    rows = []
    for path, data in files.items():
        file = out.parent / "raw" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        profile, _, name = path.rpartition("/")
        rows.append(record(profile, name.rpartition(".")[0]) | {"path": path})
    write_dataset(out, sorted(rows, key=lambda row: str(row["path"])))
    (out / "dataset.toml").write_text(f'raw = "../raw"\nlayout = "{layout}"\n')
    return out


def with_scan(out: Path, **scan: object) -> Path:
    write_dataset(out, seven_of(ONE))
    (out / "scan.json").write_text(json.dumps(scan))
    return out


@pytest.mark.parametrize("reason", ["empty", "truncated", "corrupt", "permission", "not-image"])
def test_what_cannot_be_read_is_named_with_its_reason(reason: str, tmp_path: Path) -> None:
    rows = seven_of(ONE)
    rows[3] |= {"status": "reject", "reason": reason}
    (issue,) = found(write_dataset(tmp_path, rows), "unreadable")
    assert issue.paths == (rows[3]["path"],)
    assert issue.reason.startswith(f"{reason}: ")
    assert issue.severity == "error"


@pytest.mark.parametrize("reason", ["no-face", "blank", "no-person", "face-too-small"])
def test_whole_pictures_without_a_face_are_not_unreadable(reason: str, tmp_path: Path) -> None:
    rows = seven_of(ONE)
    rows[3] |= {"status": "reject", "reason": reason}
    out = write_dataset(tmp_path, rows)
    assert found(out, "unreadable") == []
    assert paths(found(out, "no-face")) == [rows[3]["path"]]


def test_a_name_that_promises_another_format_is_found_and_a_right_one_is_not(
    tmp_path: Path,
) -> None:
    kinds = {"png": "PNG", "webp": "WEBP", "gif": "GIF", "bmp": "BMP", "tiff": "TIFF"}
    right = {f"{ONE}/{name}.{name}": saved(kind=kind) for name, kind in kinds.items()}
    wrong = {f"{TWO}/{name}.jpg": saved(kind=kind) for name, kind in kinds.items()}
    extra = {f"{ONE}/a.JPEG": jpeg(), f"{ONE}/b.jpg": b"", f"{TWO}/c.png": jpeg()}
    out = with_raw(tmp_path / "out", right | wrong | extra)
    issues = found(out, "wrong-extension")
    assert paths(issues) == sorted([*wrong, f"{TWO}/c.png"])
    assert "named .png, but its bytes are JPEG" in {issue.reason for issue in issues}


def test_without_its_raw_folder_nothing_is_claimed_about_files(tmp_path: Path) -> None:
    out = write_dataset(tmp_path / "out", seven_of(ONE))
    assert found(out, "wrong-extension") == []
    assert found(out, "odd-format") == []


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.png", saved(kind="PNG"), "PNG named .png"),
        ("a.png", deep_png(3), "16 bits a channel"),
        ("a.jpeg", jpeg(), "JPEG named .jpeg"),
        ("a.jpg", with_orientation(6), "stored turned, EXIF orientation 6"),
        ("a.jpg", jpeg() + b"garbage" * 9, "bytes follow the end of the picture"),
    ],
)
def test_a_file_of_another_kind_is_told_among_many_alike(
    name: str, data: bytes, said: str, tmp_path: Path
) -> None:
    alike = {f"{ONE}/n{number:02}.jpg": jpeg() for number in range(30)}
    out = with_raw(tmp_path / "out", alike | {f"{TWO}/{name}": data})
    (issue,) = found(out, "odd-format")
    assert issue.paths == (f"{TWO}/{name}",)
    assert said in issue.reason


def test_what_every_tenth_file_has_is_not_odd_but_a_tail_always_is(tmp_path: Path) -> None:
    files = {f"{ONE}/n{number:02}.jpg": jpeg() for number in range(27)}
    files |= {f"{TWO}/p{number}.png": saved(kind="PNG") for number in range(3)}
    tails = {f"{TWO}/t{number}.jpg": jpeg() + b"tail" * 9 for number in range(3)}
    out = with_raw(tmp_path / "out", files | tails)
    assert paths(found(out, "odd-format")) == sorted(tails)


def test_a_file_that_is_no_picture_or_gone_has_no_odd_format(tmp_path: Path) -> None:
    out = with_raw(tmp_path / "out", {f"{ONE}/a.jpg": b"no picture", f"{ONE}/b.jpg": jpeg()})
    (tmp_path / "raw" / ONE / "b.jpg").unlink()
    assert found(out, "odd-format") == []


def test_missing_extra_and_no_pictures_are_told_by_profile(tmp_path: Path) -> None:
    out = with_scan(
        tmp_path,
        missing={ONE: ["mask1", "normal"]},
        extra={ONE: ["selfie"]},
        empty_profiles=[TWO],
    )
    issues = found(out, "profile-files")
    assert [(issue.profile, issue.reason) for issue in issues] == [
        (ONE, "has no mask1, normal"),
        (ONE, "has pictures beyond the seven: selfie"),
        (TWO, "the folder holds no picture"),
    ]


def test_lost_pictures_are_named_one_by_one_and_hidden_files_together(tmp_path: Path) -> None:
    ignored = [
        ["a.jpg", "outside-a-profile"],
        [f"{ONE}/._mask1.jpg", "hidden"],
        [f"{ONE}/.ipynb_checkpoints", "hidden"],
        ["notes.txt", "foreign"],
        [f"{TWO}/normal.jpg", "broken-link"],
    ]
    counts = {"outside-a-profile": 1, "hidden": 2, "foreign": 1, "broken-link": 1}
    issues = found(with_scan(tmp_path, ignored=counts, ignored_paths=ignored), "foreign-files")
    lost = [issue.reason for issue in issues if issue.score == 1]
    assert lost == [
        "a.jpg: a picture beside the profiles: nobody's",
        f"{TWO}/normal.jpg: a link to nothing",
    ]
    rest = [issue.reason for issue in issues if issue.score < 1]
    assert rest[0] == "1 left out, no pictures by their names: notes.txt"
    assert "._mask1.jpg" in rest[1]
    assert ".ipynb_checkpoints" in rest[1]


def test_many_hidden_files_are_counted_beyond_the_first(tmp_path: Path) -> None:
    hidden = [[f"{number:04}/.DS_Store", "hidden"] for number in range(1000)]
    out = with_scan(tmp_path, ignored={"hidden": 5000}, ignored_paths=hidden)
    (issue,) = found(out, "foreign-files")
    assert issue.reason.startswith("5,000 left out")
    assert issue.reason.endswith("and 4,980 more")


def test_a_damaged_scan_says_how_to_make_it_anew(tmp_path: Path) -> None:
    out = with_scan(tmp_path)
    (out / "scan.json").write_text("{")
    with pytest.raises(TableError, match=r"scan\.json cannot be read .*facecrop preprocess RAW"):
        found(out, "profile-files")


def test_an_id_of_two_people_and_a_numbered_one_are_told(tmp_path: Path) -> None:
    people = [ONE, "000001_female_Asian_40", TWO, "000002-1_male_Asian_25", "000003-1_male_Asian_9"]
    out = write_dataset(tmp_path, seven_of(*people))
    assert found(out, "duplicate-id") == []  # ids mean something in profiles only
    (out / "dataset.toml").write_text('layout = "profiles"\n')
    shared, numbered = sorted(found(out, "duplicate-id"), key=lambda issue: -issue.score)
    assert shared.reason == f"id 000001 names 2 people: 000001_female_Asian_40, {ONE}"
    assert numbered.profile == "000002-1_male_Asian_25"


def test_labels_that_cannot_be_read_are_told_and_those_nobody_claims_are_not(
    tmp_path: Path,
) -> None:
    rows = [*seven_of(*names(3)), *seven_of("x_?_y_?"), record(ONE, "selfie")]
    issues = found(write_dataset(tmp_path / "one", rows), "unknown-labels")
    assert len(issues) == 8
    assert "gender and age group cannot be read from 'x_?_y_?/" in issues[0].reason
    assert issues[-1].reason == f"mask cannot be read from '{ONE}/selfie.jpg'"
    nobody = [record("x_?_y_?", f"a{number}") for number in range(3)]
    assert found(write_dataset(tmp_path / "two", nobody), "unknown-labels") == []


def test_an_age_that_the_policy_leaves_out_is_known_all_the_same(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(2, age=58)))
    (out / "dataset.toml").write_text('age_policy = { name = "d", cuts = [30, 60], drop = [58] }\n')
    write_dataset(out, seven_of(*names(2, age=58)))
    assert found(out, "unknown-labels") == []


def test_ages_that_nobody_has_are_told_and_old_people_are_not(tmp_path: Path) -> None:
    ages = [20, 45, 60, 118, 140]
    people = [f"{number:06}_male_Asian_{age}" for number, age in enumerate(ages)]
    issues = found(write_dataset(tmp_path, seven_of(*people)), "impossible-labels")
    assert {issue.profile for issue in issues} == {people[-1]}
    assert issues[0].reason == "an age of 140 years"


def test_an_age_far_from_all_others_is_told_as_less_sure(tmp_path: Path) -> None:
    people = [f"{number:06}_male_Asian_{20 + number % 9}" for number in range(60)]
    issues = found(
        write_dataset(tmp_path, seven_of(*people, "x_male_Asian_99")), "impossible-labels"
    )
    assert {(issue.profile, issue.score) for issue in issues} == {("x_male_Asian_99", 0.5)}
