"""Mixes of two pictures: who is mixed with whom, in which region, and what the targets become.

Choice and application are apart as in the transforms. The choice looks at a whole global batch, so
that all ranks of a training agree; a rank then mixes its own part. Partners come from the batch,
and a batch holds nothing but training records: what is mixed never crosses the split.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from facecrop.training.augment.batch import Batch
from facecrop.training.augment.regions import place_region
from facecrop.training.augment.words import carry_all
from facecrop.training.settings.augment import Mix, Mixup

_SEEDS = 2**62


@dataclass(frozen=True, slots=True)
class MixPlan:
    """What was drawn; one row for each picture of the global batch."""

    which: Tensor
    """(N,) int64: place of the mix in the settings, -1: none."""
    partner: Tensor
    """(N,) int64: whom it is mixed with; itself where `which` is -1."""
    kept: Tensor
    """(N,) float32: share of the first picture inside the region; 0 for cutmix."""
    uncut: Tensor
    """(N,) float32: share of the area that a random box leaves out."""
    center: Tensor
    """(N, 2) float32: middle of a random box, shares of width and height."""

    def take(self, rows: Tensor) -> "MixPlan":
        """Return some rows; partners are then places among `rows`, all of which must be there."""
        place = torch.full((len(self.partner),), -1)
        place[rows] = torch.arange(len(rows))
        mine = [self.which, place[self.partner], self.kept, self.uncut, self.center]
        return MixPlan(*(drawn[rows] for drawn in mine))


def draw_plan(
    mixes: Sequence[Mix], labels: Mapping[str, Tensor], n: int, generator: torch.Generator
) -> MixPlan:
    """Draw who is mixed with whom.

    A mix per batch has its turn in a share p of batches, one per picture in a share p of pictures;
    no picture is in two. Partners are the next of a random round of those that qualify, so nobody
    meets themselves and everybody is met once; who is alone is left alone.

    Args:
        mixes: Settings, whose p add up to at most 1.
        labels: Axis -> (N,) class, -1: unknown.
        n: Pictures in the global batch.
        generator: Of the CPU.
    """
    turns = _turns(mixes, n, generator)
    which, partner = torch.full((n,), -1), torch.arange(n)
    kept, uncut, center = torch.zeros(n), torch.ones(n), torch.zeros(n, 2)
    for number, mix in enumerate(mixes):
        others = _partners(mix, labels, n, generator)
        rng = np.random.default_rng(int(torch.randint(_SEEDS, (), generator=generator)))
        rows = (turns == number) & (others != torch.arange(n))
        which[rows], partner[rows] = number, others[rows]
        drawn_kept, drawn_uncut = _betas(mix, n, rng), _betas(mix, n, rng)
        middles = torch.from_numpy(rng.random((n, 2), np.float32))
        if mix.per == "batch":
            middles = middles[:1].expand(n, 2)
        if isinstance(mix, Mixup):
            kept[rows] = drawn_kept[rows] if mix.lam is None else mix.lam
        elif mix.lam is not None:
            drawn_uncut = torch.full((n,), mix.lam)
        uncut[rows], center[rows] = drawn_uncut[rows], middles[rows]
    return MixPlan(which, partner, kept, uncut, center)


def _turns(mixes: Sequence[Mix], n: int, generator: torch.Generator) -> Tensor:
    """Return (n,) int64: whose turn it is with each picture, -1: nobody's.

    Mixes per batch are asked first; those per picture share the batches that are left, with their
    p raised so that each gets its share of all pictures.
    """
    batch, pictures = float(torch.rand((), generator=generator)), torch.rand(n, generator=generator)
    whole = [number for number, mix in enumerate(mixes) if mix.per == "batch"]
    single = [number for number, mix in enumerate(mixes) if mix.per == "picture"]
    upper = 0.0
    for number in whole:
        upper += mixes[number].p
        if batch < upper:
            return torch.full((n,), number)
    turns, left = torch.full((n,), -1), 1 - upper
    lower = torch.zeros(n)
    for number in single:
        share = mixes[number].p / left if left > 0 else 0.0
        turns[(pictures >= lower) & (pictures < lower + share)] = number
        lower = lower + share
    return turns


def _betas(mix: Mix, n: int, rng: np.random.Generator) -> Tensor:
    """Draw (n,) numbers from Beta(alpha, alpha), all the same for a mix per batch."""
    drawn = torch.from_numpy(rng.beta(mix.alpha, mix.alpha, n).astype(np.float32))
    return drawn[:1].expand(n) if mix.per == "batch" else drawn


def _partners(mix: Mix, labels: Mapping[str, Tensor], n: int, generator: torch.Generator) -> Tensor:
    """Return (n,) int64: each one's partner, itself where there is none."""
    fits = carry_all(mix.labels, labels, n)
    groups = []
    for axis in mix.same:
        classes = labels[axis].cpu() if axis in labels else torch.full((n,), -1)
        fits &= classes >= 0
        groups.append(classes.tolist())
    circles: dict[tuple[int, ...], list[int]] = {}
    for row in torch.randperm(n, generator=generator).tolist():
        if fits[row]:
            circles.setdefault(tuple(classes[row] for classes in groups), []).append(row)
    partner = torch.arange(n)
    for circle in circles.values():
        partner[circle] = torch.tensor([*circle[1:], circle[0]])
    return partner


def mix_pictures(batch: Batch, shown: int, plan: MixPlan, mixes: Sequence[Mix]) -> Batch:
    """Mix the first pictures of a batch with their partners.

    Inside its region a picture becomes kept * own + (1 - kept) * partner's, and its targets and
    weight are mixed by the share of the picture that is now the partner's: (1 - kept) * area. A
    target that is unknown (NaN) for either stays so; one whose row is 0 for either has less mass.

    Source: Zhang 2018, "mixup", equation 2; Yun 2019, "CutMix", equations 1 and 2; where a region
    is a box of the index, the partner's box is scaled into it.

    Args:
        batch: float32 pictures, `shown` of them and then further partners; its pictures are
            overwritten.
        shown: How many are returned.
        plan: With one row for each picture of the batch.
        mixes: The settings that it was drawn for.
    """
    images = batch.images
    height, width = images.shape[2:]
    share = torch.zeros(shown)
    patches = []
    for row in (plan.which[:shown] >= 0).nonzero()[:, 0].tolist():
        partner, kept = int(plan.partner[row]), float(plan.kept[row])
        region = place_region(
            mixes[int(plan.which[row])].region,
            (batch.regions[row].cpu(), batch.regions[partner].cpu()),
            (float(plan.uncut[row]), plan.center[row].tolist()),
            (height, width),
        )
        if region is None or kept == 1:
            continue
        share[row] = (1 - kept) * region.share
        own = region.own.of(images, row)
        other = _fitted(region.other.of(images, partner), own)
        patches.append((own, other.clone() if kept == 0 else torch.lerp(other, own, kept)))
    for own, patch in patches:  # only now: a partner shows what it was before
        own.copy_(patch)
    return _with_targets(batch, images[:shown], plan.partner[:shown], share)


def _fitted(other: Tensor, own: Tensor) -> Tensor:
    """Return a (1, 3, h, w) piece of a picture at the size of another."""
    if other.shape == own.shape:
        return other
    return functional.interpolate(other, own.shape[2:], mode="bilinear", antialias=True)


def _with_targets(batch: Batch, images: Tensor, partner: Tensor, share: Tensor) -> Batch:
    """Return the first pictures of a batch with targets and weight mixed by (K,) shares."""
    shown = len(share)

    def mixed(values: Tensor) -> Tensor:
        part = share.to(values.device).view(-1, *[1] * (values.ndim - 1))
        own, other = values[:shown], values[partner.to(values.device)]
        # Where nothing was mixed the partner must not matter, not even if it is NaN.
        return torch.where(part > 0, (1 - part) * own + part * other, own)

    return Batch(
        images,
        {name: mixed(target) for name, target in batch.targets.items()},
        mixed(batch.weight),
        batch.regions[:shown],
        {axis: classes[:shown] for axis, classes in batch.labels.items()},
        batch.rows[:shown],
    )
