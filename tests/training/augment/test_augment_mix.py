"""Who is mixed with whom, where, and what the targets become."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made_batches import MEAN, PLAIN, STD, assert_equal, batch_of, flat_batch, made_batch

from facecrop.training.augment import Augment, Batch, normalise
from facecrop.training.augment.mix import draw_plan
from facecrop.training.augment.preview import MIX_ROWS
from facecrop.training.settings.augment import AugmentSettings, CutMix, Flip, Mix, Mixup

MIXES = [
    row.model_copy(update={"per": per, "lam": None} if row.name == "mixup" else {"per": per})
    for row in MIX_ROWS
    for per in ("batch", "picture")
]
every_mix = pytest.mark.parametrize("mix", MIXES, ids=lambda m: f"{m.name}-{m.region}-{m.per}")


def mixed(batch: Batch, *mixes: Mix, seed: int = 0, plain: bool = True) -> Batch:
    return Augment(AugmentSettings(mix=mixes), *(PLAIN if plain else (MEAN, STD)))(batch, seed)


def partners_in(shown: Batch) -> list[set[int]]:
    """Return of whom each picture's target speaks."""
    return [set(row.nonzero()[:, 0].tolist()) for row in shown.targets["joint"]]


@every_mix
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), n=st.integers(2, 7))
def test_targets_are_mixed_as_the_pixels_are(mix: Mix, seed: int, n: int) -> None:
    """Pictures of one gray each: what is shown on average is what the target says."""
    batch = flat_batch(n, 20, 14)
    shown = mixed(batch, mix, seed=seed)
    grays = batch.images[:, 0, 0, 0].float() / 255
    expected = shown.targets["joint"] @ grays
    torch.testing.assert_close(shown.images.mean(dim=(1, 2, 3)), expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(shown.weight, shown.targets["joint"] @ batch.weight)
    torch.testing.assert_close(shown.targets["age"], shown.targets["joint"] @ batch.targets["age"])


@every_mix
@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_a_picture_holds_nothing_but_itself_and_one_other_of_the_batch(mix: Mix, seed: int) -> None:
    batch = flat_batch(6)
    grays = batch.images[:, 0, 0, 0].float() / 255
    shown = mixed(batch, mix, seed=seed)
    for own, (image, of) in enumerate(zip(shown.images, partners_in(shown), strict=True)):
        assert own in of or mix.name == "cutmix"
        assert len(of | {own}) <= 2
        low, high = grays[list(of | {own})].aminmax()
        assert low - 1e-5 <= image.min()
        assert image.max() <= high + 1e-5
        if mix.name == "cutmix":
            near = (image[None] - grays.view(-1, 1, 1, 1)).abs().amin(dim=0)
            assert near.max() < 1e-5


@every_mix
def test_labels_and_rows_remain_those_of_the_first_picture(mix: Mix) -> None:
    batch = made_batch()
    shown = mixed(batch, mix)
    assert torch.equal(shown.rows, batch.rows)
    assert all(torch.equal(shown.labels[axis], batch.labels[axis]) for axis in batch.labels)


@pytest.mark.parametrize("region", ["whole", "box", "eyes"])
def test_mixup_with_lam_1_is_nothing(region: str) -> None:
    batch = made_batch()
    batch.targets["age"][3] = torch.nan  # not even an unknown partner may matter
    shown = mixed(batch, Mixup(p=1, lam=1, region=region))
    assert_equal(shown, replace(batch, images=normalise(batch.images, *PLAIN)))


def test_cutmix_with_lam_1_is_nothing() -> None:
    batch = made_batch()
    shown = mixed(batch, CutMix(p=1, lam=1))
    assert_equal(shown, replace(batch, images=normalise(batch.images, *PLAIN)))


def test_mixup_with_lam_0_shows_the_partner() -> None:
    batch = made_batch()
    shown = mixed(batch, Mixup(p=1, lam=0))
    partner = shown.targets["joint"].argmax(dim=1)
    assert torch.equal(shown.images, normalise(batch.images, *PLAIN)[partner])
    assert (partner != torch.arange(8)).all()


def test_mixup_is_the_formula() -> None:
    batch = made_batch()
    shown = mixed(batch, Mixup(p=1, alpha=0.4), plain=False)
    images = normalise(batch.images, MEAN, STD)
    lam = shown.targets["joint"].diagonal()
    partner = (shown.targets["joint"] - torch.diag(lam)).argmax(dim=1)
    assert lam.min() == lam.max()  # one for the batch
    part = lam.view(-1, 1, 1, 1)
    torch.testing.assert_close(shown.images, part * images + (1 - part) * images[partner])


def test_lam_is_drawn_from_beta() -> None:
    labels: dict[str, torch.Tensor] = {}
    generator = torch.Generator().manual_seed(0)
    kept = draw_plan([Mixup(p=1, per="picture", alpha=0.5)], labels, 5000, generator).kept
    # Beta(a, a) has mean 1/2 and variance 1 / (4 (2 a + 1)).
    assert abs(kept.mean() - 0.5) < 0.02
    assert abs(kept.var() - 1 / 8) < 0.005


def test_half_is_as_the_first_place_had_it() -> None:
    """Report 003: `inputs[:, :, 0:S, S // 2:S] = inputs[perm, :, 0:S, S // 2:S]`, targets 5 : 5."""
    side = 32
    batch = made_batch(8, side, side)
    shown = mixed(batch, CutMix(p=1, region="half"), plain=False)
    other = (shown.targets["joint"] - 0.5 * torch.eye(8)).argmax(dim=1)
    images = normalise(batch.images, MEAN, STD)
    expected = images.clone()
    expected[:, :, 0:side, side // 2 : side] = images[other, :, 0:side, side // 2 : side]
    assert torch.equal(shown.images, expected)
    assert torch.equal(shown.targets["joint"], (torch.eye(8) + torch.eye(8)[other]) / 2)
    assert sorted(other.tolist()) == list(range(8))  # a permutation, as there


@pytest.mark.parametrize("region", ["half", "upper", "lower"])
@pytest.mark.parametrize("size", [(9, 7), (8, 8)])
def test_halves_count_as_one_half_also_where_a_side_is_odd(
    region: str, size: tuple[int, int]
) -> None:
    shown = mixed(flat_batch(4, *size), CutMix(p=1, region=region))
    assert torch.equal(shown.targets["joint"].diagonal(), torch.full((4,), 0.5))


@pytest.mark.parametrize(("region", "rows"), [("upper", slice(18)), ("lower", slice(18, 36))])
def test_upper_and_lower_come_from_the_partner(region: str, rows: slice) -> None:
    batch = flat_batch()
    shown = mixed(batch, CutMix(p=1, region=region))
    changed = (shown.images - normalise(batch.images, *PLAIN)).abs() > 1e-3
    assert changed[:, :, rows].all()
    assert changed.sum() == changed[:, :, rows].numel()


@given(seed=st.integers(0, 10**6))
def test_a_box_is_one_rectangle_the_same_for_the_whole_batch(seed: int) -> None:
    batch = flat_batch()
    shown = mixed(batch, CutMix(p=1), seed=seed)
    changed = ((shown.images - normalise(batch.images, *PLAIN)).abs() > 1e-3)[:, 0]
    assert (changed == changed[0]).all()
    rows, columns = changed[0].any(dim=1), changed[0].any(dim=0)
    assert torch.equal(changed[0], rows[:, None] & columns[None, :])


def test_a_box_has_about_the_area_of_a_fixed_lam_where_it_is_not_cut_off() -> None:
    shares = [
        float(
            mixed(flat_batch(2, 200, 160), CutMix(p=1, lam=0.75), seed=seed).targets["joint"][0, 1]
        )
        for seed in range(60)
    ]
    assert max(shares) == pytest.approx(0.25, abs=0.005)
    assert min(shares) > 0.25 / 4 - 0.005  # a quarter of it, in a corner


def test_boxes_differ_from_picture_to_picture_if_asked_to() -> None:
    shown = mixed(flat_batch(), CutMix(p=1, per="picture"))
    assert len(set(shown.targets["joint"].diagonal().tolist())) > 4


@pytest.mark.parametrize(
    ("mix", "number"),
    [(CutMix(p=1, region="eyes"), 0), (CutMix(p=1, region="face"), 1)],
)
def test_eyes_and_faces_come_from_where_the_partner_has_them(mix: Mix, number: int) -> None:
    """Each picture has a bright box in its own place: after the exchange it is bright there."""
    batch = flat_batch(6, 60, 60)
    boxes = torch.tensor([[6, 12, 24, 30], [30, 36, 54, 48]])  # large to small and back
    for row in range(6):
        left, top, right, bottom = boxes[row % 2].tolist()
        batch.images[row] = 10 * row
        batch.images[row, :, top:bottom, left:right] = 200 + row
        batch.regions[row] = torch.nan
        batch.regions[row, number] = boxes[row % 2] / 60
    shown = mixed(batch, mix, seed=2)
    values = (shown.images[:, 0] * 255).round()
    for row, of in enumerate(partners_in(shown)):
        (partner,) = of - {row}
        left, top, right, bottom = boxes[row % 2].tolist()
        assert (values[row, top:bottom, left:right] == 200 + partner).all()
        outside = torch.ones(60, 60, dtype=torch.bool)
        outside[top:bottom, left:right] = False
        assert (values[row][outside] == 10 * row).all()
        area = (right - left) * (bottom - top) / 3600
        assert shown.targets["joint"][row, partner] == pytest.approx(area)


@pytest.mark.parametrize(
    "mix",
    [Mixup(p=1, region="eyes"), CutMix(p=1, region="eyes"), CutMix(p=1, region="face")],
)
def test_without_a_known_box_a_picture_is_left_alone(mix: Mix) -> None:
    batch = made_batch()
    batch.regions[:] = torch.nan
    shown = mixed(batch, mix)
    assert_equal(shown, replace(batch, images=normalise(batch.images, *PLAIN)))


def test_a_box_of_no_size_leaves_a_picture_alone() -> None:
    batch = made_batch()
    batch.regions[:, 1] = torch.tensor([0.5, 0.2, 0.5, 0.8])
    shown = mixed(batch, CutMix(p=1, region="face"))
    assert torch.equal(shown.targets["joint"], batch.targets["joint"])


def test_mixes_see_boxes_where_the_transforms_have_moved_them() -> None:
    batch = flat_batch(2, 20, 20)
    batch.images[:, :, :, :5], batch.images[:, :, :, 5:] = 250, 10
    batch.images[1] //= 2
    batch.regions[:, 1] = torch.tensor([0, 0, 0.25, 1])
    chosen = AugmentSettings(transforms=(Flip(p=1),), mix=(CutMix(p=1, region="face"),))
    shown = Augment(chosen, *PLAIN)(batch, 0)
    columns = (shown.images[0, 0, 0] * 255).round().tolist()
    assert columns == [10] * 15 + [125] * 5


# Who


@given(
    n=st.integers(1, 12),
    seed=st.integers(0, 10**6),
    same=st.sets(st.sampled_from(["mask", "gender", "age_group"])),
    labels=st.sampled_from([(), ("old",), ("old", "female"), ("worn",)]),
    data=st.data(),
)
def test_partners_share_what_they_must(
    n: int, seed: int, same: set[str], labels: tuple[str, ...], data: st.DataObject
) -> None:
    known = {
        axis: torch.tensor(data.draw(st.lists(st.integers(-1, top), min_size=n, max_size=n)))
        for axis, top in (("mask", 2), ("gender", 1), ("age_group", 2))
    }
    mix = Mixup(p=1, labels=labels, same=tuple(sorted(same)))
    plan = draw_plan([mix], known, n, torch.Generator().manual_seed(seed))
    wanted = {"old": ("age_group", 2), "female": ("gender", 1), "worn": ("mask", 0)}

    def fits(row: int) -> bool:
        carried = all(known[wanted[word][0]][row] == wanted[word][1] for word in labels)
        return carried and all(known[axis][row] >= 0 for axis in same)

    def key(row: int) -> list[int]:
        return [int(known[axis][row]) for axis in sorted(same)]

    for row in range(n):
        company = [
            other for other in range(n) if other != row and fits(other) and key(other) == key(row)
        ]
        partner = int(plan.partner[row])
        if fits(row) and company:
            assert partner in company
            assert plan.which[row] == 0
        else:
            assert (partner, plan.which[row]) == (row, -1)
    met = plan.partner[plan.which >= 0].tolist()
    assert len(met) == len(set(met))


def test_the_sixties_of_one_gender_are_mixed_among_themselves() -> None:
    """Report 003's mixup, online: half and half, and nobody else is touched."""
    batch = made_batch(12)
    batch.labels["age_group"][:] = torch.tensor([2, 2, 2, 2, 2, 0, 0, 1, 1, 1, 1, -1])
    batch.labels["gender"][:] = torch.tensor([0, 0, 1, 1, 0, 0, 1, 0, 1, 0, 1, 0])
    shown = mixed(batch, Mixup(p=1, lam=0.5, labels=("old",), same=("gender",)))
    parties = [{0, 1, 4}, {2, 3}]
    for row, of in enumerate(partners_in(shown)):
        party = next((one for one in parties if row in one), {row})
        assert of <= party
        assert len(of) == (2 if len(party) > 1 else 1)
    assert torch.equal(shown.targets["joint"].diagonal()[:5], torch.full((5,), 0.5))
    plain = normalise(batch.images, *PLAIN)
    assert torch.equal(shown.images[5:], plain[5:])


def test_every_partner_is_as_likely() -> None:
    counts = torch.zeros(4, 4)
    for seed in range(600):
        plan = draw_plan([Mixup(p=1)], {}, 4, torch.Generator().manual_seed(seed))
        counts[torch.arange(4), plan.partner] += 1
    assert torch.equal(counts.diagonal(), torch.zeros(4))
    assert (counts[~torch.eye(4, dtype=torch.bool)] - 200).abs().max() < 45


# When


def test_batches_take_turns_in_their_shares() -> None:
    mixes = [Mixup(p=0.3), CutMix(p=0.5)]
    turns = []
    for seed in range(1000):
        which = draw_plan(mixes, {}, 4, torch.Generator().manual_seed(seed)).which
        assert len(set(which.tolist())) == 1
        turns.append(int(which[0]))
    shares = [turns.count(number) / 1000 for number in (0, 1, -1)]
    assert shares == pytest.approx([0.3, 0.5, 0.2], abs=0.05)


def test_pictures_take_turns_in_their_shares_beside_a_mix_of_batches() -> None:
    mixes = [CutMix(p=0.2, per="picture"), Mixup(p=0.5), CutMix(p=0.3, per="picture")]
    which = torch.cat(
        [draw_plan(mixes, {}, 16, torch.Generator().manual_seed(seed)).which for seed in range(500)]
    )
    shares = [float((which == number).float().mean()) for number in (0, 1, 2, -1)]
    assert shares == pytest.approx([0.2, 0.5, 0.3, 0.0], abs=0.05)
    assert shares[-1] == 0


def test_a_mix_of_all_batches_leaves_nothing_to_those_of_pictures() -> None:
    mixes = [Mixup(p=1), CutMix(p=0, per="picture")]
    plan = draw_plan(mixes, {}, 5, torch.Generator().manual_seed(0))
    assert torch.equal(plan.which, torch.zeros(5, dtype=torch.int64))


# Unknown targets


def test_an_unknown_age_stays_unknown_and_makes_a_mix_unknown() -> None:
    batch = flat_batch(6)
    batch.targets["age"][2] = torch.nan
    shown = mixed(batch, Mixup(p=1, lam=0.5))
    unknown = [2 in of for of in partners_in(shown)]
    assert shown.targets["age"].isnan()[:, 0].tolist() == unknown
    assert sum(unknown) == 2


def test_a_target_that_is_unknown_for_one_has_less_mass() -> None:
    batch = flat_batch(4)
    batch.targets["gender"] = torch.tensor([[1.0, 0], [0, 1], [0, 0], [0, 1]])
    shown = mixed(batch, Mixup(p=1, lam=0.75))
    mass = shown.targets["gender"].sum(dim=1).tolist()
    for row, of in enumerate(partners_in(shown)):
        expected = 0.25 if row == 2 else 0.75 if 2 in of else 1.0
        assert mass[row] == pytest.approx(expected)


def test_regions_of_a_mixed_picture_are_its_own() -> None:
    batch = batch_of(made_batch().images)
    batch.regions[:, :, 0] += torch.linspace(-0.1, 0.1, 8)[:, None]
    assert torch.equal(mixed(batch, Mixup(p=1)).regions, batch.regions)
