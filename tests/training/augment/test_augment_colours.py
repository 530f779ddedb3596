"""Colour maps: one pass that does what many would."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_batches import MEAN, PLAIN, STD, batch_of, made_batch
from torch import Tensor
from torchvision.transforms.v2 import functional

from facecrop.training.augment import Augment, normalise
from facecrop.training.augment.colours import (
    compose,
    identity,
    mean_colours,
    normalising,
    recolour_batch,
    recolour_each,
)
from facecrop.training.augment.jitter import (
    GrayScale,
    LinearJitter,
    color_jitter,
    turn_hue,
    turn_hue_batch,
)
from facecrop.training.augment.layout import to_bytes
from facecrop.training.settings import augment as settings_of
from facecrop.training.settings.augment import AugmentSettings

FACTORS = [(0.7, 1.0, 1.0), (1.0, 0.6, 1.0), (1.0, 1.0, 0.5), (1.1, 1.2, 1.3), (0.8, 1.2, 0.0)]


def muted() -> Tensor:
    """Return float pictures far enough from black and white that nothing is clamped."""
    return made_batch().images.float() / 255 * 0.2 + 0.4


def linear(images: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    factors = {"brightness": brightness, "contrast": contrast, "saturation": saturation}
    params = {name: torch.full((len(images),), factor) for name, factor in factors.items()}
    maps = LinearJitter(settings_of.ColorJitter()).maps(params, mean_colours(images))
    return recolour_each(images, maps, None)


def test_normalise_is_the_formula() -> None:
    images = made_batch().images
    expected = (images / 255 - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)
    shown = normalise(images, MEAN, STD)
    torch.testing.assert_close(shown, expected, rtol=0, atol=2e-6)
    assert shown.is_contiguous(memory_format=torch.channels_last)


def test_normalise_takes_no_pictures() -> None:
    assert normalise(made_batch().images[:0], MEAN, STD).shape == (0, 3, 36, 28)


def test_what_training_and_validation_see_is_the_same_without_augmentation() -> None:
    batch = made_batch()
    shown = Augment(AugmentSettings(), MEAN, STD)(batch, 0)
    assert torch.equal(shown.images, normalise(batch.images, MEAN, STD))


@pytest.mark.parametrize(("brightness", "contrast", "saturation"), FACTORS)
def test_jitter_is_torchvisions_where_nothing_is_clamped(
    brightness: float, contrast: float, saturation: float
) -> None:
    images = muted()
    expected = functional.adjust_brightness(images, brightness)
    expected = functional.adjust_contrast(expected, contrast)
    expected = functional.adjust_saturation(expected, saturation)
    shown = linear(images, brightness, contrast, saturation)
    torch.testing.assert_close(shown, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("brightness", "contrast", "saturation"), FACTORS)
def test_the_order_of_jitter_makes_no_difference(
    brightness: float, contrast: float, saturation: float
) -> None:
    images = muted()
    expected = functional.adjust_saturation(images, saturation)
    expected = functional.adjust_contrast(expected, contrast)
    expected = functional.adjust_brightness(expected, brightness)
    shown = linear(images, brightness, contrast, saturation)
    torch.testing.assert_close(shown, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("turn", [-0.5, -0.3, 0.0, 0.1, 0.5])
def test_hue_is_torchvisions(turn: float) -> None:
    images = made_batch().images.float() / 255
    expected = functional.adjust_hue(images, turn)
    for way in (turn_hue, turn_hue_batch):
        shown = way(images, torch.full((len(images),), turn))
        torch.testing.assert_close(shown, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("way", [turn_hue, turn_hue_batch])
def test_gray_has_no_hue_to_turn(way: object) -> None:
    images = torch.linspace(0, 1, 30).expand(1, 3, 4, 30).contiguous()
    torch.testing.assert_close(way(images, torch.tensor([0.4])), images, rtol=0, atol=1e-6)


def test_gray_is_torchvisions() -> None:
    images = muted()
    gray = GrayScale(settings_of.Gray()).maps({}, mean_colours(images))
    expected = functional.rgb_to_grayscale(images, num_output_channels=3)
    torch.testing.assert_close(recolour_each(images, gray, None), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("field", ["brightness", "contrast", "saturation", "hue"])
def test_factors_are_drawn_evenly_from_their_range(field: str) -> None:
    jitter = settings_of.ColorJitter(brightness=0, contrast=0, saturation=0)
    jitter = jitter.model_copy(update={field: 0.4, "hue": 0.4})
    drawn = color_jitter(jitter).draw(4000, torch.Generator().manual_seed(0))[field]
    low, high = (-0.4, 0.4) if field == "hue" else (0.6, 1.4)
    counts = torch.histc(drawn, 4, low, high)
    assert counts.sum() == 4000
    assert (counts - 1000).abs().max() < 120


def test_jitter_without_strength_changes_nothing() -> None:
    batch = made_batch()
    still = settings_of.ColorJitter(brightness=0, contrast=0, saturation=0)
    shown = Augment(AugmentSettings(transforms=(still,)), MEAN, STD)(batch, 0)
    expected = normalise(batch.images, MEAN, STD)
    torch.testing.assert_close(shown.images, expected, rtol=0, atol=1e-5)


def test_jitter_clamps_to_what_a_picture_can_hold() -> None:
    white = batch_of(torch.full((6, 3, 8, 8), 250, dtype=torch.uint8))
    loud = settings_of.ColorJitter(brightness=1, contrast=0, saturation=0)
    shown = Augment(AugmentSettings(transforms=(loud,)), MEAN, STD)(white, 0).images
    back = shown * STD.view(3, 1, 1) + MEAN.view(3, 1, 1)
    assert back.max() <= 1 + 1e-6
    assert (back > 1 - 1e-6).any()


@given(seed=st.integers(0, 10**6))
def test_a_composed_map_is_one_map_after_the_other(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    first, second = torch.rand(2, 8, 3, 4, generator=generator)
    images = muted()
    once = recolour_each(images, compose(second, first), None)
    twice = recolour_each(recolour_each(images, first, None), second, None)
    torch.testing.assert_close(once, twice, rtol=0, atol=1e-4)


def test_composing_with_the_identity_changes_nothing() -> None:
    maps = normalising(MEAN, STD).expand(4, 3, 4)
    assert torch.equal(compose(maps, identity(4)), maps)
    assert torch.equal(compose(identity(4), maps), maps)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6), as_bytes=st.booleans())
def test_pictures_one_by_one_and_together_are_the_same(seed: int, as_bytes: bool) -> None:  # noqa: FBT001 - drawn
    images = made_batch(seed=seed).images
    maps = torch.randn(len(images), 3, 4, generator=torch.Generator().manual_seed(seed))
    if as_bytes:
        maps = maps / 255
    else:
        images = images.float() / 255
    bounds = (torch.tensor([-0.3, 0.0, 0.1]), torch.tensor([0.5, 0.6, 0.9]))
    for limits in (None, bounds):
        one, other = recolour_each(images, maps, limits), recolour_batch(images, maps, limits)
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
        assert one.is_contiguous(memory_format=torch.channels_last)
        assert other.is_contiguous(memory_format=torch.channels_last)


def test_runs_of_colour_changes_are_as_one_after_the_other() -> None:
    """Two jitters and a gray in a row are one map; a blank affine between forces nothing."""
    batch = batch_of((muted() * 255).round().to(torch.uint8))
    jitter = settings_of.ColorJitter(brightness=0.1, contrast=0.2, saturation=0.3)
    chosen = AugmentSettings(transforms=(jitter, jitter, settings_of.Gray(p=1)))
    # Noise of no strength reads pixels, and so forces each pass to be done for itself.
    still = settings_of.Noise(p=1, std=0)
    apart = AugmentSettings(transforms=(jitter, still, jitter, still, settings_of.Gray(p=1)))
    generator = torch.Generator().manual_seed(4)
    factors = [
        (torch.rand(8, generator=generator), LinearJitter(jitter).draw(8, generator))
        for _ in range(2)
    ]
    images = batch.images.float() / 255
    for _, params in factors:
        images = recolour_each(
            images, LinearJitter(jitter).maps(params, mean_colours(images)), None
        )
    images = functional.rgb_to_grayscale(images, num_output_channels=3)
    torch.testing.assert_close(Augment(chosen, *PLAIN)(batch, 4).images, images, rtol=0, atol=1e-5)
    shown = Augment(apart, *PLAIN)(batch, 4).images
    assert shown.sub(shown[:, :1]).abs().max() < 1e-6  # gray is last in both


def test_bytes_that_became_floats_become_the_same_bytes() -> None:
    every = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    assert torch.equal(to_bytes(normalise(every, *PLAIN)), every)
