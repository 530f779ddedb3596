from pathlib import Path

import numpy as np
from checked import found, paths
from made_datasets import SEVEN, names, seven_of, write_dataset


def test_several_faces_or_persons_are_told_the_more_the_surer(tmp_path: Path) -> None:
    rows = seven_of(*names(1))
    for row in rows:
        row |= {"faces": 1, "persons": 1}
    rows[1] |= {"faces": 2}
    rows[2] |= {"persons": 5}
    rows[3] |= {"faces": None, "persons": None}
    two, five = found(write_dataset(tmp_path, rows), "several-people")
    assert paths([two, five]) == [rows[1]["path"], rows[2]["path"]]
    assert two.score < five.score
    assert five.reason == "1 faces and 5 persons in one picture"


def test_a_guessed_crop_is_worse_than_a_borrowed_one(tmp_path: Path) -> None:
    rows = seven_of(*names(1))
    borrowed = {"status": "fallback", "reason": "face-by-sibling", "face_source": "sibling"}
    rows[0] |= borrowed
    rows[1] |= {"status": "fallback", "reason": "face-by-prior", "face_source": "prior"}
    first, second = found(write_dataset(tmp_path, rows), "fallback")
    assert paths([first, second]) == [rows[0]["path"], rows[1]["path"]]
    assert first.score < second.score
    assert "another picture of the same person" in first.reason


def boxes(count: int) -> list[dict[str, object]]:
    """Return records whose faces lie about one third down, as people vary."""
    rows = seven_of(*names(count))
    rng = np.random.default_rng(0)
    for row in rows:
        x, y, side = rng.normal((192, 200, 120), (8, 8, 8))
        row |= {"face_x0": x - side / 2, "face_x1": x + side / 2}
        row |= {"face_y0": y - side / 2, "face_y1": y + side / 2}
    return rows


def test_faces_far_from_where_the_others_lie_are_told(tmp_path: Path) -> None:
    rows = boxes(40)
    rows[5] |= {"face_x0": 330.0, "face_x1": 380.0}
    rows[9] |= {"face_y0": 440.0, "face_y1": 510.0}
    rows[12] |= {"face_x0": 180.0, "face_x1": 192.0}
    issues = found(write_dataset(tmp_path, rows), "implausible-box")
    told = {issue.paths[0]: issue.reason for issue in issues}
    assert set(told) == {rows[number]["path"] for number in (5, 9, 12)}
    assert "to the side" in told[str(rows[5]["path"])]
    assert "up or down" in told[str(rows[9]["path"])]
    assert "size" in told[str(rows[12]["path"])]


def test_boxes_of_few_pictures_or_none_have_no_usual_place(tmp_path: Path) -> None:
    rows = boxes(5)
    rows[5] |= {"face_x0": 330.0, "face_x1": 380.0}
    assert found(write_dataset(tmp_path / "few", rows), "implausible-box") == []
    assert found(write_dataset(tmp_path / "none", seven_of(*names(10))), "implausible-box") == []


def test_a_dataset_without_spread_calls_nothing_implausible(tmp_path: Path) -> None:
    rows = seven_of(*names(20))
    for row in rows:
        row |= {"face_x0": 100.0, "face_x1": 200.0, "face_y0": 100.0, "face_y1": 200.0}
    rows[0] |= {"face_x0": 102.0, "face_x1": 202.0}
    assert found(write_dataset(tmp_path, rows), "implausible-box") == []


def test_a_rare_size_is_told_where_one_is_usual_and_nowhere_else(tmp_path: Path) -> None:
    rows = seven_of(*names(20))
    rows[3] |= {"width": 100, "height": 100}
    rows[4] |= {"width": None, "height": None}
    (issue,) = found(write_dataset(tmp_path / "usual", rows), "odd-size")
    assert issue.paths == (rows[3]["path"],)
    assert issue.reason == "100x100, where most are 384x512"
    for number, row in enumerate(rows):
        row |= {"width": 100 + number, "height": 100}
    assert found(write_dataset(tmp_path / "any", rows), "odd-size") == []


def test_no_file_of_the_seven_is_told_where_all_is_well(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, boxes(20))
    checks = ("no-face", "several-people", "fallback", "implausible-box", "odd-size", "unreadable")
    assert len(SEVEN) == 7
    assert [issue for name in checks for issue in found(out, name)] == []
