"""What holds for every transform and every mix of the tables."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_batches import MEAN, PLAIN, STD, assert_equal, copy_of, made_batch

from facecrop.errors import ConfigError
from facecrop.training.augment import Augment, Batch, normalise
from facecrop.training.augment.preview import MIX_ROWS, TRANSFORM_ROWS
from facecrop.training.augment.table import TRANSFORMS
from facecrop.training.settings import augment as settings_of
from facecrop.training.settings.augment import AugmentSettings, Mix, Transform

STRONG = [
    *(AugmentSettings(transforms=(one,)) for one in TRANSFORM_ROWS),
    *(AugmentSettings(mix=(one,)) for one in MIX_ROWS),
    *(AugmentSettings(mix=(one.model_copy(update={"per": "picture"}),)) for one in MIX_ROWS),
]
MANY = AugmentSettings(
    transforms=(
        settings_of.Flip(),
        settings_of.Gray(p=0.3),
        settings_of.Affine(p=0.7),
        settings_of.ColorJitter(p=0.8),
        settings_of.Clahe(p=0.4),
        settings_of.Noise(),
        settings_of.Erase(),
        settings_of.Blur(p=0.5),
        settings_of.ColorJitter(p=0.5, hue=0.2),
        settings_of.Equalize(p=0.3),
        settings_of.RandAugment(p=0.3),
    ),
    mix=(
        settings_of.Mixup(p=0.3),
        settings_of.CutMix(p=0.3, per="picture"),
        settings_of.CutMix(p=0.3, per="picture", region="face"),
    ),
)
RANDOM = {"affine", "color-jitter", "noise", "blur", "erase", "rand-augment"}


def name_of(chosen: AugmentSettings) -> str:
    return " ".join(
        f"{one.name} {getattr(one, 'region', '')} {getattr(one, 'per', '')}"
        for one in (*chosen.transforms, *chosen.mix)
    )


every = pytest.mark.parametrize("chosen", STRONG, ids=name_of)
every_transform = pytest.mark.parametrize("one", TRANSFORM_ROWS, ids=lambda one: one.name)


def with_p(chosen: AugmentSettings, p: float) -> AugmentSettings:
    return AugmentSettings(
        transforms=tuple(one.model_copy(update={"p": p}) for one in chosen.transforms),
        mix=tuple(one.model_copy(update={"p": p}) for one in chosen.mix),
    )


def test_every_setting_has_a_transform_and_a_row_of_the_preview() -> None:
    names = [cls.model_fields["name"].default for cls in get_args(get_args(Transform)[0])]
    assert list(TRANSFORMS) == names == [row.name for row in TRANSFORM_ROWS]


def test_every_region_of_every_mix_has_a_row_of_the_preview() -> None:
    regions = [
        (cls.model_fields["name"].default, region)
        for cls in get_args(get_args(Mix)[0])
        for region in get_args(cls.model_fields["region"].annotation)
    ]
    assert [(row.name, row.region) for row in MIX_ROWS] == regions


@every
def test_everything_changes_pictures_when_its_p_is_1(chosen: AugmentSettings) -> None:
    batch = made_batch()
    shown = Augment(with_p(chosen, 1), MEAN, STD)(batch, 3)
    changed = (shown.images - normalise(batch.images, MEAN, STD)).abs().amax(dim=(1, 2, 3)) > 0.05
    assert changed.sum() >= 6  # a drawn one may happen to be next to nothing


@every
def test_nothing_changes_when_its_p_is_0(chosen: AugmentSettings) -> None:
    batch = made_batch()
    shown = Augment(with_p(chosen, 0), MEAN, STD)(batch, 3)
    torch.testing.assert_close(shown.images, normalise(batch.images, MEAN, STD))
    assert torch.equal(shown.targets["joint"], batch.targets["joint"])
    assert torch.equal(shown.weight, batch.weight)
    assert torch.equal(shown.regions, batch.regions)


@every
@pytest.mark.parametrize("size", [(36, 28), (17, 23), (8, 8)])
def test_shape_type_memory_and_range_are_kept(
    chosen: AugmentSettings, size: tuple[int, int]
) -> None:
    shown = Augment(chosen, MEAN, STD)(made_batch(5, *size), 0)
    assert shown.images.shape == (5, 3, *size)
    assert shown.images.dtype == torch.float32
    assert shown.images.is_contiguous(memory_format=torch.channels_last)
    back = shown.images * STD.view(3, 1, 1) + MEAN.view(3, 1, 1)
    assert back.min() >= -1e-5
    assert back.max() <= 1 + 1e-5
    torch.testing.assert_close(shown.targets["joint"].sum(dim=1), torch.ones(5))


@every
def test_equal_seeds_give_equal_pictures(chosen: AugmentSettings) -> None:
    augment, batch = Augment(with_p(chosen, 0.7), MEAN, STD), made_batch()
    assert_equal(augment(batch, 7), augment(batch, 7))


@every_transform
def test_other_seeds_give_other_pictures(one: Transform) -> None:
    augment, batch = Augment(AugmentSettings(transforms=(one,)), MEAN, STD), made_batch()
    other = not torch.equal(augment(batch, 7).images, augment(batch, 8).images)
    assert other == (one.name in RANDOM)


@every
def test_what_is_given_is_not_written_to(chosen: AugmentSettings) -> None:
    batch = made_batch()
    before = copy_of(batch)
    Augment(chosen, MEAN, STD)(batch, 1)
    assert_equal(batch, before)


@every
def test_parts_of_a_batch_are_as_in_the_whole(chosen: AugmentSettings) -> None:
    augment, batch = Augment(with_p(chosen, 0.7), MEAN, STD), made_batch()
    assert_parts_equal_the_whole(augment, batch, 5, 3)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**63 - 1), cut=st.integers(0, 8))
def test_parts_are_as_in_the_whole_whatever_comes_together(seed: int, cut: int) -> None:
    assert_parts_equal_the_whole(Augment(MANY, MEAN, STD), made_batch(), seed, cut)


def assert_parts_equal_the_whole(augment: Augment, batch: Batch, seed: int, cut: int) -> None:
    whole = augment(batch, seed)
    for part in (slice(cut), slice(cut, None), slice(cut, None, 2)):
        shown = augment(batch, seed, part)
        rows = torch.arange(len(whole))[part]
        assert len(shown) == len(rows)
        assert_equal(shown, whole.take(rows), tolerance=1e-5)


@every
def test_one_picture_alone_is_enough(chosen: AugmentSettings) -> None:
    shown = Augment(chosen, MEAN, STD)(made_batch(1), 0)
    assert shown.images.isfinite().all()
    assert torch.equal(shown.targets["joint"], torch.ones(1, 1))


@every
def test_memory_order_of_what_is_given_does_not_matter(chosen: AugmentSettings) -> None:
    batch = made_batch()
    planes = replace(batch, images=batch.images.contiguous())
    augment = Augment(chosen, MEAN, STD)
    assert_equal(augment(batch, 1), augment(planes, 1))


@every_transform
def test_transforms_heed_their_labels(one: Transform) -> None:
    batch = made_batch()
    filtered = one.model_copy(update={"labels": ("female", "old"), "p": 1.0})
    shown = Augment(AugmentSettings(transforms=(filtered,)), *PLAIN)(batch, 3)
    plain = normalise(batch.images, *PLAIN)
    carried = (batch.labels["gender"] == 1) | (batch.labels["age_group"] == 2)
    changed = (shown.images - plain).abs().amax(dim=(1, 2, 3)) > 0.01
    assert not (changed & ~carried).any()
    assert (changed & carried).sum() >= carried.sum() - 1


@every_transform
def test_where_an_axis_is_not_known_nobody_carries_its_labels(one: Transform) -> None:
    batch = made_batch()
    del batch.labels["age_group"]
    filtered = one.model_copy(update={"labels": ("old",), "p": 1.0})
    shown = Augment(AugmentSettings(transforms=(filtered,)), MEAN, STD)(batch, 3)
    torch.testing.assert_close(shown.images, normalise(batch.images, MEAN, STD))


@pytest.mark.parametrize(
    "chosen",
    [
        AugmentSettings(transforms=(settings_of.Flip(labels=("femal",)),)),
        AugmentSettings(mix=(settings_of.Mixup(labels=("femal",)),)),
    ],
)
def test_a_filter_for_an_unknown_label_is_refused(chosen: AugmentSettings) -> None:
    with pytest.raises(ConfigError, match=r"no label named 'femal'\. Did you mean 'female'"):
        Augment(chosen, MEAN, STD)


def test_shares_of_pictures_are_those_of_the_settings() -> None:
    augment = Augment(AugmentSettings(transforms=(settings_of.Gray(p=0.3),)), *PLAIN)
    batch = made_batch(200, 4, 4)
    gray = [(shown := augment(batch, seed).images)[:, 0].sub(shown[:, 1]) for seed in range(10)]
    share = torch.cat([(one.abs().amax(dim=(1, 2)) < 1e-5).float() for one in gray]).mean()
    assert abs(share - 0.3) < 0.04


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every
def test_a_gpu_shows_what_the_cpu_shows(chosen: AugmentSettings) -> None:
    batch, augment = made_batch(), Augment(chosen, MEAN, STD)
    here, there = augment(batch, 1), augment(replace(batch, images=batch.images.cuda()), 1)
    assert there.images.is_cuda
    torch.testing.assert_close(there.targets, here.targets)
    if chosen.transforms and chosen.transforms[0].name == "noise":
        return  # a GPU draws other noise
    assert (there.images.cpu() - here.images).abs().mean() < 0.05
