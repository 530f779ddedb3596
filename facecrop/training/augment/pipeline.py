"""The way of a batch: transforms of single pictures, normalising, and mixes of two."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from facecrop.training.augment.batch import Batch
from facecrop.training.augment.canvas import Canvas
from facecrop.training.augment.mix import draw_plan, mix_pictures
from facecrop.training.augment.table import TRANSFORMS
from facecrop.training.augment.transform import Changes, Moves, Params, Recolours
from facecrop.training.augment.words import carry_any, check_words
from facecrop.training.settings.augment import AugmentSettings


@dataclass(frozen=True, slots=True)
class _Step:
    """What was drawn for one transform: which pictures of the global batch, and what for each."""

    transform: Recolours | Changes
    chosen: Tensor
    params: Params

    def take(self, rows: Tensor) -> tuple[Tensor, Params]:
        """Return which of some rows are changed, as places among them, and their parameters."""
        here = self.chosen[rows].nonzero()[:, 0]
        return here, {name: drawn[rows[here]] for name, drawn in self.params.items()}


class Augment:
    """What happens to the pictures of a training; built once from its settings.

    Everything random is drawn for the whole global batch, on the CPU, from one seed, before any
    picture is looked at: a rank that shows a part of the batch changes it as if it showed all.

    Transforms happen in the order of the settings, each to pictures of its labels with its p.
    Runs of linear changes of colour, and the normalising at the end, are one pass over the pixels
    (see `colours`); mirroring and shifting commute with them. Erasing comes last, then mixing.

    Args:
        settings: Transforms and mixes.
        mean: (3,) float32 of RGB in [0, 1].
        std: (3,) float32 likewise.

    Raises:
        ConfigError: A `labels` filter names no known label.
    """

    def __init__(self, settings: AugmentSettings, mean: Tensor, std: Tensor) -> None:
        for each in (*settings.transforms, *settings.mix):
            check_words(each.labels)
        self._settings, self._mean, self._std = settings, mean, std
        self._transforms = [TRANSFORMS[each.name](each) for each in settings.transforms]

    def __call__(self, batch: Batch, generator_seed: int, part: slice = slice(None)) -> Batch:
        """Return a part of a batch as the network shall see it.

        Args:
            batch: The global batch, with uint8 pictures; not written to.
            generator_seed: A pure function of seed, epoch and step.
            part: The rows to return.

        Returns:
            Normalised float32 pictures, with mixed targets and weight, and regions where they lie
            now. Labels and rows remain those of the first picture of each pair.
        """
        generator = torch.Generator().manual_seed(generator_seed)
        n = len(batch)
        steps = self._draw(batch, generator)
        plan = draw_plan(self._settings.mix, batch.labels, n, generator)
        shown = torch.arange(n)[part]
        rows = _with_partners(shown, plan.partner)
        changed = self._change(batch.take(rows), rows, steps)
        return mix_pictures(changed, len(shown), plan.take(rows), self._settings.mix)

    def _draw(self, batch: Batch, generator: torch.Generator) -> list[_Step]:
        n, steps = len(batch), []
        for settings, transform in zip(self._settings.transforms, self._transforms, strict=True):
            chosen = torch.rand(n, generator=generator) < settings.p
            chosen &= carry_any(settings.labels, batch.labels, n)
            steps.append(_Step(transform, chosen, transform.draw(n, generator)))
        return steps

    def _change(self, batch: Batch, rows: Tensor, steps: Sequence[_Step]) -> Batch:
        """Send pictures through the transforms and normalise them; `batch` may be overwritten."""
        canvas, regions = Canvas(batch.images), batch.regions
        height, width = batch.images.shape[2:]
        for step in steps:
            here, params = step.take(rows)
            if len(here):
                canvas.change(step.transform, here, params)
            if len(here) and isinstance(step.transform, Moves):
                there = here.to(regions.device)
                regions[there] = step.transform.move(regions[there], params, height, width)
        images = canvas.normalised(self._mean, self._std)
        return replace(batch, images=images, regions=regions)


def _with_partners(shown: Tensor, partner: Tensor) -> Tensor:
    """Return rows with those of their partners that are not among them."""
    partners = torch.tensor(sorted(set(partner[shown].tolist())), dtype=torch.int64)
    return torch.cat([shown, partners[~torch.isin(partners, shown)]])
