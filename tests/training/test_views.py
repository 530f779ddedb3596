"""Views of pictures: what they change, and that their mean is what answers."""

import numpy as np
import pytest
import torch

from facecrop.training.augment.geometry import warp
from facecrop.training.views import TTA, as_they_are, mean, mirrored, views

SIZE = (24, 32)


def pictures(count: int = 3) -> np.ndarray:
    """Return soft blobs: what moves by less than a pixel changes little."""
    rng = np.random.default_rng(5)
    rough = torch.from_numpy(rng.integers(0, 256, (count, 3, 5, 6)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(rough, SIZE, mode="bilinear", align_corners=True)
    return smooth.permute(0, 2, 3, 1).round().to(torch.uint8).numpy()


@pytest.mark.parametrize("name", TTA)
def test_a_view_keeps_size_and_kind_and_shows_something_else(name: str) -> None:
    shown = pictures()
    for view in TTA[name]:
        seen = view(shown)
        assert seen.shape == shown.shape
        assert seen.dtype == np.uint8
        assert (seen != shown).any(axis=(1, 2, 3)).all()
        assert view(shown[:0]).shape == (0, *SIZE, 3)


@pytest.mark.parametrize("name", TTA)
def test_each_picture_is_seen_by_itself(name: str) -> None:
    shown = pictures()
    for view in TTA[name]:
        assert np.array_equal(view(shown)[1], view(shown[1:2])[0])


def test_the_pictures_as_they_are_come_first_and_each_name_adds_its_own() -> None:
    shown = pictures()
    assert views(()) == (as_they_are,)
    assert np.array_equal(as_they_are(shown), shown)
    assert len(views(("flip", "shake"))) == 10
    assert views(("flip", "flip")) == views(("flip",))
    assert np.array_equal(mirrored(mirrored(shown)), shown)


def test_all_views_together_know_no_left_and_right_but_for_what_warping_rounds() -> None:
    shown = pictures()
    for way in (shown, mirrored(shown)):
        seen = [view(way).astype(np.float64) for view in views(("flip", "shake"))]
        other = [view(mirrored(way)).astype(np.float64) for view in views(("flip", "shake"))]
        assert np.abs(np.mean(seen, axis=0) - np.mean(other, axis=0)).max() < 1e-9


def test_shaking_moves_about_the_middle_evenly() -> None:
    """The middle of what is seen is, over all views, the middle of the picture."""
    bright = np.zeros((1, *SIZE, 3), np.uint8)
    bright[:, 10:14, 14:18] = 200
    places = []
    for view in TTA["shake"]:
        seen = view(bright)[0, :, :, 0].astype(np.float64)
        ys, xs = np.indices(SIZE)
        places.append([(seen * ys).sum() / seen.sum(), (seen * xs).sum() / seen.sum()])
    assert np.std(places, axis=0).min() > 0.3
    np.testing.assert_allclose(np.mean(places, axis=0), [11.5, 15.5], atol=0.1)


def test_the_mean_is_taken_output_by_output() -> None:
    said = [{"a": torch.tensor([[1.0, 3.0]])}, {"a": torch.tensor([[3.0, 5.0]])}]
    assert mean(said)["a"].tolist() == [[2.0, 4.0]]
    assert mean(said[:1])["a"].tolist() == [[1.0, 3.0]]


def test_a_move_by_nothing_is_the_picture() -> None:
    """What the views are made of does not blur by itself."""
    shown = torch.from_numpy(pictures()).permute(0, 3, 1, 2)
    nothing = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]]).expand(len(shown), 2, 3)
    assert torch.equal(warp(shown, nothing, mirrored=True), shown)
