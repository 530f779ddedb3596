"""The competition's files: what is asked, what is answered, and what is said of the rest."""

from pathlib import Path

import numpy as np
import pytest

from facecrop.errors import ConfigError, StoreError, TableError
from facecrop.labels.space import MASK_TASK
from facecrop.training.prediction_files import read_predictions
from facecrop.training.predictions import Predictions
from facecrop.training.submission import find_info, read_info, write_submission


def said(*keys: str) -> Predictions:
    return Predictions("one", keys, MASK_TASK, np.arange(len(keys), dtype=np.int64))


def info(tmp_path: Path, *ids: str) -> Path:
    path = tmp_path / "info.csv"
    path.write_text("ImageID,ans\n" + "".join(f"{one},0\n" for one in ids))
    return path


def test_answers_come_in_the_order_they_are_asked_for(tmp_path: Path) -> None:
    ids = read_info(info(tmp_path, "b.jpg", "a.jpg"))
    handed = write_submission(said("a.jpg", "b.jpg"), tmp_path / "s.csv", ids)
    assert (handed.answers, handed.guessed, handed.unasked) == (2, (), ())
    read = read_predictions(tmp_path / "s.csv")
    assert (read.keys, read.classes.tolist()) == (("b.jpg", "a.jpg"), [1, 0])
    assert (tmp_path / "s.csv").read_text().splitlines()[0] == "ImageID,ans"


def test_what_has_no_picture_gets_the_prior_and_what_nobody_asked_for_is_named(
    tmp_path: Path,
) -> None:
    handed = write_submission(said("a.jpg", "c.jpg"), tmp_path / "s.csv", ("a.jpg", "x.jpg"), 13)
    assert (handed.guessed, handed.unasked) == (("x.jpg",), ("c.jpg",))
    assert read_predictions(tmp_path / "s.csv").classes.tolist() == [0, 13]


def test_pictures_in_folders_are_found_by_name_where_that_is_enough(tmp_path: Path) -> None:
    write_submission(said("p/a.jpg", "q/b.jpg"), tmp_path / "s.csv", ("b.jpg", "p/a.jpg"))
    assert read_predictions(tmp_path / "s.csv").classes.tolist() == [1, 0]
    with pytest.raises(TableError, match=r"'a\.jpg' means 2 pictures"):
        write_submission(said("p/a.jpg", "q/a.jpg"), tmp_path / "t.csv", ("a.jpg",))


def test_without_a_list_every_picture_is_answered_by_its_name_or_path(tmp_path: Path) -> None:
    write_submission(said("p/a.jpg", "q/b.jpg"), tmp_path / "s.csv")
    assert read_predictions(tmp_path / "s.csv").keys == ("a.jpg", "b.jpg")
    write_submission(said("p/a.jpg", "q/a.jpg"), tmp_path / "s.csv")
    assert read_predictions(tmp_path / "s.csv").keys == ("p/a.jpg", "q/a.jpg")


def test_names_with_odd_letters_are_found(tmp_path: Path) -> None:
    """The index escapes `%`, the list does not."""
    handed = write_submission(said("100%25.jpg"), tmp_path / "s.csv", ("100%.jpg",))
    assert handed.guessed == ()


def test_predictions_of_one_label_cannot_be_handed_in(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="these predictions know gender alone"):
        write_submission(said("a.jpg").of_axis("gender"), tmp_path / "s.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file\na\n", "needs a column 'ImageID'; found: file"),
        ("ImageID,ans\n", "no rows"),
        ("ImageID,ans\na,0\na,0\n", ":3: ImageID 'a' is empty or comes twice"),
        ("ImageID,ans\na,0\n,0\n", ":3: ImageID '' is empty"),
    ],
)
def test_a_list_that_cannot_be_answered_says_why(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "info.csv").write_text(text)
    with pytest.raises(TableError, match=message):
        read_info(tmp_path / "info.csv")


def test_the_list_is_found_in_the_folder_or_beside_it(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    assert find_info(tmp_path / "images") is None
    path = info(tmp_path, "a")
    assert find_info(tmp_path / "images") == path
    assert find_info(tmp_path) == path


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no folder"):
        write_submission(said("a.jpg"), tmp_path / "no" / "s.csv")
