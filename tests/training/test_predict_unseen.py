"""Prediction of pictures that cannot be seen, of strangers and people, and what is refused."""

import shutil
from pathlib import Path

import cv2
import pytest
from made_datasets import texture
from predicted import Place, table
from program import typed

import facecrop
from facecrop.errors import ConfigError, TableError
from facecrop.labels.space import MASK_TASK
from facecrop.training.prediction_files import read_predictions


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("predict"))


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """What a competition hands out: pictures of strangers, and a list of what is asked."""
    images = tmp_path / "eval" / "images"
    images.mkdir(parents=True)
    for number in range(3):
        cv2.imwrite(str(images / f"{number:03d}.png"), texture(900 + number, 96, 64, blob=20))
    (images / "bad.jpg").write_bytes(b"no picture at all")
    asked = ["002.png", "bad.jpg", "gone.jpg", "000.png"]
    rows = "".join(f"{one},0\n" for one in asked)
    (tmp_path / "eval" / "info.csv").write_text("ImageID,ans\n" + rows)
    return tmp_path / "eval"


def test_a_competition_gets_an_answer_to_each_question_and_the_user_hears_of_guesses(
    place: Place, flat: Path, tmp_path: Path
) -> None:
    ended = typed(
        "predict", place.run.folder, flat, "--out", tmp_path / "p.csv",
        "--submission", tmp_path / "s.csv", "--work", tmp_path / "work", "--engine", "serial",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    said = read_predictions(tmp_path / "p.csv")
    handed = read_predictions(tmp_path / "s.csv")
    assert said.keys == ("000.png", "001.png", "002.png", "bad.jpg")
    assert handed.keys == ("002.png", "bad.jpg", "gone.jpg", "000.png")
    answer = dict(zip(said.keys, said.classes.tolist(), strict=True))
    common = answer["bad.jpg"]
    assert handed.classes.tolist() == [answer["002.png"], common, common, answer["000.png"]]
    assert "4 images by 1 model: 3 ok, 1 reject" in ended.stdout
    words = ", ".join(MASK_TASK.decode(common).values())
    assert f"1 image cannot be seen: answered with the class most common in training ({words})" in (
        ended.stdout
    )
    assert "not-image" in ended.stdout
    assert "1 image asked for without a picture" in ended.stdout
    assert "1 image that nobody asked for: left out (001.png)" in ended.stdout


def test_of_strangers_each_is_a_person_of_their_own(
    place: Place, flat: Path, tmp_path: Path
) -> None:
    options = {"out": tmp_path / "a.csv", "work": tmp_path / "work", "engine": "serial"}
    result = facecrop.predict([place.run.folder], flat, by_person=True, **options)
    assert any("--by-person changes nothing" in warning for warning in result.warnings)


def test_the_pictures_of_a_person_agree_about_gender_and_age(place: Place, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(place.raw, raw)
    blind = min(raw.glob("*/mask1.png"))
    blind.write_bytes(b"no picture at all")
    options = {"out": tmp_path / "a.parquet", "work": tmp_path / "work", "engine": "serial"}
    result = facecrop.predict([place.run.folder], raw, by_person=True, **options)
    rows = table(tmp_path / "a.parquet").to_pylist()
    people: dict[str, set[tuple[str, str]]] = {}
    for row in rows:
        people.setdefault(row["profile"], set()).add((row["pred_gender"], row["pred_age_group"]))
    assert {len(answers) for answers in people.values()} == {1}
    (hidden,) = [row for row in rows if row["status"] == "reject"]
    others = [row for row in rows if row["profile"] == hidden["profile"] and row is not hidden]
    assert hidden["p_gender_male"] == pytest.approx(others[0]["p_gender_male"], abs=1e-6)
    assert hidden["pred_mask"] == result.prior["mask"]
    assert result.rejects == {"not-image": 1}


def test_a_folder_in_which_nothing_can_be_seen_is_an_error(place: Place, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.jpg").write_bytes(b"no picture")
    options = {"out": tmp_path / "a.csv", "work": tmp_path / "work", "engine": "serial"}
    with pytest.raises(TableError, match="none of the pictures has a usable crop"):
        facecrop.predict([place.run.folder], tmp_path / "raw", **options)
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "nothing to write"),
        ({"out": "p.txt"}, r"must end in \.csv or \.parquet"),
        ({"out": "no/p.csv"}, "there is no folder 'no'"),
        ({"out": "p.csv", "tta": ["flop"]}, "no test-time augmentation named 'flop'.*'flip'"),
        ({"out": "p.csv", "device": "tpu"}, "no device 'tpu'"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_any_work(
    place: Place, options: dict[str, str], message: str
) -> None:
    paths = {name: Path(value) if name == "out" else value for name, value in options.items()}
    with pytest.raises(ConfigError, match=message):
        facecrop.predict([place.run.folder], place.out, **paths)


def test_a_folder_that_is_no_run_says_how_runs_are_made(place: Place, tmp_path: Path) -> None:
    ended = typed("predict", tmp_path, place.out, "--out", tmp_path / "p.csv")
    assert ended.returncode == 1
    assert "runs are made by: facecrop train OUT" in ended.stderr
