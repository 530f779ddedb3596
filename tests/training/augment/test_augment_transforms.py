"""What each transform of single pictures does."""

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_batches import MEAN, PLAIN, STD, batch_of, made_batch
from PIL import Image as Pil
from PIL import ImageEnhance, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import functional

from facecrop.training.augment import Augment, normalise
from facecrop.training.augment.filters import (
    Relief,
    Sharpening,
    Softening,
    convolve_batch,
    convolve_each,
)
from facecrop.training.augment.geometry import about_middle, move_boxes, warp_batch, warp_each
from facecrop.training.augment.histogram import Equalisation, LocalEqualisation
from facecrop.training.augment.noise import Erasing, Grain
from facecrop.training.augment.randaugment import COLOURS, GEOMETRY, OPERATIONS, RandomOperations
from facecrop.training.settings import augment as settings_of
from facecrop.training.settings.augment import AugmentSettings, Transform


def floats() -> Tensor:
    return made_batch().images.float() / 255


def shown_by(*transforms: Transform, seed: int = 0) -> Tensor:
    return Augment(AugmentSettings(transforms=transforms), *PLAIN)(made_batch(), seed).images


# Geometry


def test_flip_mirrors_left_and_right() -> None:
    expected = normalise(made_batch().images.flip(3), *PLAIN)
    assert torch.equal(shown_by(settings_of.Flip(p=1)), expected)


def test_flip_mirrors_the_boxes() -> None:
    shown = Augment(AugmentSettings(transforms=(settings_of.Flip(p=1),)), MEAN, STD)(
        batch_of(made_batch().images), 0
    )
    expected = torch.tensor([[0.3, 0.3, 0.7, 0.45], [0.2, 0.1, 0.8, 0.9]])
    torch.testing.assert_close(shown.regions[0], expected)


@pytest.mark.parametrize("scale", [0.0, 0.1])
def test_affine_without_strength_changes_nothing(scale: float) -> None:
    still = settings_of.Affine(shift=0, scale=0, degrees=0)
    expected = normalise(made_batch().images, *PLAIN)
    torch.testing.assert_close(shown_by(still), expected, rtol=0, atol=1e-5)
    moved = shown_by(settings_of.Affine(shift=0, scale=scale, degrees=0))
    assert torch.allclose(moved, expected, atol=1e-5) == (scale == 0)


@pytest.mark.parametrize("way", [warp_each, warp_batch])
@pytest.mark.parametrize("floating", [False, True])
def test_a_warp_shifts_by_whole_pixels_exactly(way: object, *, floating: bool) -> None:
    images = made_batch().images
    images = images.float() / 255 if floating else images
    matrices = torch.tensor([[1.0, 0, 3], [0, 1, -2]]).expand(8, 2, 3)
    moved = way(images, matrices, mirrored=False)
    tolerance = 1e-5 if floating else 0
    torch.testing.assert_close(moved[:, :, :-2, 3:], images[:, :, 2:, :-3], rtol=0, atol=tolerance)
    assert not moved[:, :, :, :3].any()
    mirrored = way(images, matrices, mirrored=True)
    torch.testing.assert_close(
        mirrored[:, :, :-2, :3], images[:, :, 2:, :3].flip(3), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("mirrored", [False, True])
def test_warps_one_by_one_and_together_are_the_same(*, mirrored: bool) -> None:
    images = floats()
    angle = torch.linspace(-0.5, 0.5, 8)
    linear = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], -1).view(8, 2, 2)
    matrices = about_middle(linear, torch.linspace(-3, 3, 8), torch.linspace(2, -2, 8), 36, 28)
    one, other = (way(images, matrices, mirrored=mirrored) for way in (warp_each, warp_batch))
    assert (one - other).abs().max() < 0.03  # OpenCV rounds places


def test_a_turn_is_clockwise_for_positive_angles() -> None:
    images = torch.zeros(1, 3, 21, 21)
    images[:, :, 2, 10] = 1  # at the top
    quarter = about_middle(torch.tensor([[[0.0, -1], [1, 0]]]), *torch.zeros(2, 1), 21, 21)
    turned = warp_each(images, quarter, mirrored=False)
    assert turned[0, 0, 10, 18] > 0.99  # at the right


def squares() -> tuple[Tensor, Tensor]:
    """Return black pictures with a bright rectangle each, and its boxes."""
    images = torch.zeros(16, 3, 60, 80, dtype=torch.uint8)
    boxes = torch.full((16, 2, 4), torch.nan)
    for number, image in enumerate(images):
        top, left = 20 + number // 2, 45 - number
        image[:, top : top + 12, left : left + 10] = 255
        boxes[number, 1] = torch.tensor([left / 80, top / 60, (left + 10) / 80, (top + 12) / 60])
    return images, boxes


@pytest.mark.parametrize(
    "one",
    [
        settings_of.Flip(p=0.5),
        settings_of.Affine(shift=0.1, scale=0.2, degrees=20),
    ],
    ids=lambda one: one.name,
)
def test_boxes_move_with_the_pixels_they_are_around(one: Transform) -> None:
    images, boxes = squares()
    batch = batch_of(images)
    batch.regions.copy_(boxes)
    shown = Augment(AugmentSettings(transforms=(one,)), *PLAIN)(batch, 5)
    assert shown.regions[:, 0].isnan().all()
    assert_around_what_is_bright(shown.images, shown.regions[:, 1])


@pytest.mark.parametrize("name", list(GEOMETRY))
def test_boxes_move_with_the_operations_of_randaugment(name: str) -> None:
    images, boxes = squares()
    operations = RandomOperations(settings_of.RandAugment(number=1, magnitude=8))
    params = {
        "operation": torch.full((16, 1), OPERATIONS.index(name)),
        "sign": torch.tensor([-1, 1] * 8)[:, None],
    }
    moved = operations.move(boxes, params, 60, 80)
    assert (moved[:, 1] - boxes[:, 1]).abs().amax(dim=1).min() > 0.005
    assert_around_what_is_bright(operations.apply(images, params).float() / 255, moved[:, 1])


def assert_around_what_is_bright(images: Tensor, boxes: Tensor) -> None:
    for image, box in zip(images, boxes, strict=True):
        bright = (image[0] > 0.5).nonzero()
        (top, left), (bottom, right) = bright.amin(dim=0), bright.amax(dim=0) + 1
        seen = torch.tensor([left / 80, top / 60, right / 80, bottom / 60])
        assert (seen - box).abs().max() < 0.03


def test_a_box_that_leaves_the_picture_is_unknown() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 0.1, 0.1], [0.5, 0.5, 0.9, 0.9]]])
    away = torch.tensor([[[1.0, 0, -20], [0, 1, 0]]])
    moved = move_boxes(boxes, away, 100, 100)
    assert moved[0, 0].isnan().all()
    torch.testing.assert_close(moved[0, 1], torch.tensor([0.3, 0.5, 0.7, 0.9]))


# Neighbours


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("side", [3, 7])
def test_blur_is_torchvisions(sigma: float, side: int) -> None:
    images = floats()
    blur = Softening(settings_of.Blur(kernel=side))
    shown = blur.apply(images, {"sigma": torch.full((8,), sigma)})
    expected = functional.gaussian_blur(images, side, sigma)
    torch.testing.assert_close(shown, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_sharpen_is_torchvisions_inside(strength: float) -> None:
    images = floats()
    shown = Sharpening(settings_of.Sharpen(strength=strength)).apply(images, {})
    expected = functional.adjust_sharpness(images, 1 + strength)
    inside = slice(None), slice(None), slice(1, -1), slice(1, -1)
    torch.testing.assert_close(shown[inside], expected[inside], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "still",
    [Relief(settings_of.Emboss(strength=0)), Sharpening(settings_of.Sharpen(strength=0))],
)
def test_filters_without_strength_change_nothing(still: Relief | Sharpening) -> None:
    torch.testing.assert_close(still.apply(floats(), {}), floats())


def test_emboss_lights_edges_from_one_side_and_leaves_flat_parts() -> None:
    images = torch.full((1, 3, 9, 20), 0.4)
    images[..., 8:14] = 0.6  # brighter to the right at 8, darker again at 14
    shown = Relief(settings_of.Emboss(strength=0.5)).apply(images, {})[0, 0, 4]
    torch.testing.assert_close(shown[[2, 10, 17]], torch.tensor([0.4, 0.6, 0.4]))
    # Left and right of an edge of 0.2: 0.5 * 2 * 0.2 more where it rises, less where it falls.
    torch.testing.assert_close(shown[[7, 8]], torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(shown[[13, 14]], torch.tensor([0.4, 0.2]))


def test_kernels_one_by_one_and_together_are_the_same() -> None:
    kernels = torch.randn(8, 5, 5, generator=torch.Generator().manual_seed(0))
    one, other = convolve_each(floats(), kernels), convolve_batch(floats(), kernels)
    torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


# Histograms


def pil(image: Tensor) -> Pil.Image:
    return Pil.fromarray(image.permute(1, 2, 0).numpy())


def tensor(image: Pil.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def test_equalize_is_pillows() -> None:
    images = made_batch().images
    shown = Equalisation(settings_of.Equalize()).apply(images, {})
    for before, after in zip(images, shown, strict=True):
        assert torch.equal(after, tensor(ImageOps.equalize(pil(before))))


def portrait_like() -> Tensor:
    """Return pictures with detail: what a local histogram needs to have something to do."""
    grain = torch.randn(4, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 12
    smooth = torch.nn.functional.interpolate(made_batch(4).images.float(), (96, 96))
    images = (smooth * 0.5 + 60 + grain).clamp(0, 255).to(torch.uint8)
    return images.contiguous(memory_format=torch.channels_last)


def test_clahe_evens_lightness_alone() -> None:
    images = portrait_like()
    shown = LocalEqualisation(settings_of.Clahe(clip=3.0, grid=4)).apply(images, {})
    for before, after in zip(images, shown, strict=True):
        old, new = (
            cv2.cvtColor(np.ascontiguousarray(one.permute(1, 2, 0).numpy()), cv2.COLOR_RGB2LAB)
            for one in (before, after)
        )
        expected = cv2.createCLAHE(3.0, (4, 4)).apply(np.ascontiguousarray(old[:, :, 0]))
        assert np.abs(new[:, :, 0].astype(int) - expected).mean() < 2
        assert new[:, :, 0].std() > old[:, :, 0].std()
        assert np.abs(new[:, :, 1:].astype(int) - old[:, :, 1:]).mean() < 4


def test_clahe_together_is_nearly_that_one_by_one() -> None:
    images, clahe = portrait_like(), LocalEqualisation(settings_of.Clahe())
    one, other = clahe.apply_each(images).float(), clahe.apply_batch(images).float()
    change = (one - images.float()).abs().mean()
    assert (one - other).abs().mean() < change / 3


# Noise and blanks


def test_noise_has_the_deviation_that_was_drawn() -> None:
    images = torch.full((4, 3, 60, 60), 0.5)
    std = torch.tensor([0.0, 0.01, 0.05, 0.1])
    noisy = Grain(settings_of.Noise()).apply(images, {"std": std, "seed": torch.arange(4)})
    torch.testing.assert_close((noisy - images).std(dim=(1, 2, 3)), std, rtol=0.05, atol=0)
    assert (noisy - images).mean().abs() < 1e-3


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6), low=st.floats(0, 0.5), more=st.floats(0, 0.5))
def test_erase_blanks_one_rectangle_of_the_asked_area(seed: int, low: float, more: float) -> None:
    high = min(low + more, 1.0)
    erase = Erasing(settings_of.Erase(area=(low, high)))
    params = erase.draw(5, torch.Generator().manual_seed(seed))
    blank = (erase.apply(torch.ones(5, 3, 40, 60), params) == 0)[:, 0]
    for one in blank:
        rows, columns = one.any(dim=1), one.any(dim=0)
        assert one.sum() == rows.sum() * columns.sum()  # a rectangle, without holes
        assert torch.equal(one, rows[:, None] & columns[None, :])
        if one.any():
            rounding = (rows.sum() + columns.sum() + 1) / 2 / 2400
            assert low - rounding <= one.float().mean() <= high + rounding


def test_erase_of_no_area_erases_nothing() -> None:
    batch = made_batch()
    nothing = settings_of.Erase(p=1, area=(0, 0))
    shown = Augment(AugmentSettings(transforms=(nothing,)), MEAN, STD)(batch, 0)
    assert torch.equal(shown.images, normalise(batch.images, MEAN, STD))


def test_erase_of_what_does_not_fit_erases_nothing() -> None:
    erase = Erasing(settings_of.Erase(area=(1, 1)))
    params = erase.draw(8, torch.Generator().manual_seed(0))
    assert erase.apply(torch.ones(8, 3, 20, 20), params).all()


def test_erased_is_the_mean_colour_whatever_comes_after() -> None:
    chosen = (
        settings_of.Erase(p=1, area=(0.2, 0.3)),
        settings_of.Noise(p=1, std=0.2),
        settings_of.ColorJitter(),
    )
    shown = Augment(AugmentSettings(transforms=chosen), MEAN, STD)(made_batch(), 0).images
    blank = (shown == 0).all(dim=1).float().mean(dim=(1, 2))
    assert blank.min() > 0.15
    assert blank.max() < 0.35


# RandAugment


def test_there_are_the_fourteen_operations_of_the_paper() -> None:
    assert len(OPERATIONS) == len(set(OPERATIONS)) == 14


@pytest.mark.parametrize("level", [-0.3, 0.3, 0.77])
@pytest.mark.parametrize(
    ("name", "pillows"),
    [
        (
            "brightness",
            lambda image, level: ImageEnhance.Brightness(image).enhance(1 + 0.9 * level),
        ),
        ("color", lambda image, level: ImageEnhance.Color(image).enhance(1 + 0.9 * level)),
        ("contrast", lambda image, level: ImageEnhance.Contrast(image).enhance(1 + 0.9 * level)),
        ("sharpness", lambda image, level: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * level)),
        ("posterize", lambda image, level: ImageOps.posterize(image, 8 - round(4 * abs(level)))),
        ("solarize", lambda image, level: ImageOps.solarize(image, 255 * (1 - abs(level)))),
        ("auto-contrast", lambda image, _: ImageOps.autocontrast(image)),
        ("equalize", lambda image, _: ImageOps.equalize(image)),
        ("identity", lambda image, _: image),
    ],
)
def test_colour_operations_are_pillows(name: str, pillows: object, level: float) -> None:
    images = made_batch().images
    shown = COLOURS[name](images, level)
    for before, after in zip(images, shown, strict=True):
        expected = tensor(pillows(pil(before), level)).int()
        assert (after.int() - expected).abs().max() <= 1


@pytest.mark.parametrize("name", list(GEOMETRY))
def test_operations_of_place_do_nothing_at_level_0_and_mirror_each_other(name: str) -> None:
    still, *shift = GEOMETRY[name](0)
    assert (still, shift) == ((1, 0, 0, 1), [0, 0])
    one, other = (
        torch.tensor(GEOMETRY[name](level)[0], dtype=torch.float32) for level in (0.3, -0.3)
    )
    torch.testing.assert_close(one.view(2, 2) @ other.view(2, 2), torch.eye(2))
    assert GEOMETRY[name](0.3)[1:] == tuple(-shift for shift in GEOMETRY[name](-0.3)[1:])


def test_magnitude_0_leaves_all_but_histograms_alone() -> None:
    images = made_batch().images
    weak = RandomOperations(settings_of.RandAugment(number=1, magnitude=0))
    for number, name in enumerate(OPERATIONS):
        params = {"operation": torch.full((8, 1), number), "sign": torch.ones(8, 1).long()}
        same = torch.equal(weak.apply(images, params), images)
        assert same == (name not in ("auto-contrast", "equalize")), name


def test_every_operation_has_its_turn() -> None:
    drawn = RandomOperations(settings_of.RandAugment()).draw(500, torch.Generator().manual_seed(0))
    counts = torch.bincount(drawn["operation"].flatten(), minlength=14)
    assert counts.min() > 40
    assert drawn["sign"].unique().tolist() == [-1, 1]
