"""What is painted over, in training and validation alike, and what is not given away by it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from facecrop.commands.split import split
from facecrop.errors import ConfigError
from facecrop.training.hidden import Cover, make_cover
from facecrop.training.settings.train import Hide

SIZE = (40, 20)
COLOUR = np.array([0.2, 0.4, 0.6])


def faces(count: int = 200, seed: int = 0) -> np.ndarray:
    """Face boxes around the middle, of various sizes, as fractions."""
    chance = np.random.default_rng(seed)
    middle, half = chance.normal(0.5, 0.01, (count, 2)), chance.uniform(0.1, 0.12, (count, 1))
    return np.hstack([middle - half, middle + half])


def painted(cover: Cover, row: int) -> np.ndarray:
    """Return where a picture is painted over, (H, W)."""
    pictures = np.full((1, *SIZE, 3), 255, np.uint8)
    cover.paint(pictures, np.array([row]))
    assert ((pictures == 255).all(axis=-1) | (pictures == (51, 102, 153)).all(axis=-1)).all()
    return np.asarray((pictures[0] != 255).any(axis=-1))


@pytest.mark.parametrize("what", ["face", "person"])
@given(
    arrays(
        np.float64, (7, 4), elements=st.one_of(st.floats(0.3, 0.7), st.just(np.nan))
    ).map(lambda boxes: np.hstack([boxes[:, :2] - 0.2, boxes[:, 2:] + 0.2]))
)  # fmt: skip
def test_every_face_is_hidden_whole(what: Hide, boxes: np.ndarray) -> None:
    known = np.isfinite(boxes).all(axis=1)
    try:
        cover = make_cover(boxes, SIZE, what, COLOUR)
    except ConfigError:
        return  # nothing is known, or nothing is left
    height, width = SIZE
    for row in np.flatnonzero(known):
        x0, y0, x1, y1 = np.clip(boxes[row], 0, 1)
        hidden = painted(cover, int(row))
        columns = slice(int(x0 * width), int(np.ceil(x1 * width)))
        rows = slice(int(y0 * height), int(np.ceil(y1 * height)))
        assert hidden[rows, columns].all()


def test_the_outline_of_what_is_hidden_says_nothing_of_nearly_all() -> None:
    cover = make_cover(faces(), SIZE, "face", COLOUR)
    outlines = {painted(cover, row).tobytes() for row in range(200)}
    common = max(
        sum(painted(cover, row).tobytes() == one for row in range(200)) for one in outlines
    )
    assert common >= 180


def test_a_face_that_lies_elsewhere_is_hidden_beside_the_common_box() -> None:
    boxes = faces()
    boxes[3] = (0, 0, 0.1, 0.1)
    cover = make_cover(boxes, SIZE, "face", COLOUR)
    usual, other = painted(cover, 0), painted(cover, 3)
    assert other[0, 0]
    assert not usual[0, 0]
    assert (other | ~usual).all()


def test_where_no_face_is_known_the_common_box_is_hidden() -> None:
    boxes = faces()
    boxes[5] = np.nan
    cover = make_cover(boxes, SIZE, "face", COLOUR)
    assert (painted(cover, 5) == painted(cover, 0)).all()


def test_of_a_person_nothing_is_left_below_the_chin_and_what_is_left_is_told() -> None:
    boxes = np.array([[0.4, 0.5, 0.6, 0.7]] * 3)
    cover = make_cover(boxes, SIZE, "person", COLOUR)
    hidden = painted(cover, 1)
    assert hidden[28:].all()
    assert not hidden[:12].any()
    assert not hidden[20, 0]
    assert cover.visible == pytest.approx(1 - hidden.mean())


def test_what_cannot_be_hidden_is_said_with_its_cure() -> None:
    with pytest.raises(ConfigError, match="the recipe looks for none; preprocess with one that"):
        make_cover(np.full((3, 4), np.nan), SIZE, "face", COLOUR)
    with pytest.raises(ConfigError, match=r"'person' leaves 0\.0% of these crops.*crop wider"):
        make_cover(np.array([[0.1, 0.1, 0.9, 0.9]]), SIZE, "person", COLOUR)


def test_trainings_and_their_judgement_see_no_face_and_nothing_else_is_changed(
    tmp_path: Path,
) -> None:
    pytest.importorskip("torch")
    from hidden_faces import BOX, SIDE, write_people  # noqa: PLC0415 - beside the checks' tests
    from made_trainings import tiny  # noqa: PLC0415 - torch

    from facecrop.training.job import make_job  # noqa: PLC0415 - torch
    from facecrop.training.members import fold_of  # noqa: PLC0415 - torch
    from facecrop.training.records import read_records  # noqa: PLC0415 - torch
    from facecrop.training.runs import Run  # noqa: PLC0415 - torch

    out = write_people(tmp_path, telling=False)
    split(out)
    records = read_records(out)
    fold = fold_of(records, 0)
    whole, hidden = (
        make_job(out, Run(out / "runs" / "x"), tiny(input=how), records, fold).examples
        for how in ({"size": [SIDE, SIDE]}, {"size": [SIDE, SIDE], "hide": "face"})
    )
    rows = np.concatenate([fold.train, fold.val])
    seen, without = whole.pictures(rows), hidden.pictures(rows)
    x0, y0, x1, y1 = BOX
    face = np.zeros((SIDE, SIDE), bool)
    face[y0:y1, x0:x1] = True
    changed = (seen != without).any(axis=(0, 3))
    assert changed[face].all()
    assert len(np.unique(without[:, face].reshape(-1, 3), axis=0)) == 1
    assert (seen[:, ~changed] == without[:, ~changed]).all()
    assert changed.sum() <= (1.5 * (x1 - x0) + 2) ** 2
    batch = hidden.batch(rows[:5]).images.permute(0, 2, 3, 1).numpy()
    assert (batch == without[:5]).all()
    assert (hidden.pictures(rows) == without).all()
    assert (whole.pictures(rows) == seen).all()  # the file is as it was
