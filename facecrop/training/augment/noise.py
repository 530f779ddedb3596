"""Transforms that put something into pictures that was not there: noise, and blank rectangles."""

import math

import torch
from torch import Tensor

from facecrop.training.augment.layout import images_of, pixels_of, uniform
from facecrop.training.augment.transform import Params, Reads
from facecrop.training.settings import augment as settings_of

_SEEDS = 2**62
_TRIES = 10


class Grain:
    """Add normal noise whose deviation is drawn uniformly from [0, std], each value for itself.

    Noise is drawn where the pictures are, from a seed of each picture: the same seeds give other
    noise on a GPU.
    """

    reads: Reads = "floats"

    def __init__(self, settings: settings_of.Noise) -> None:
        self._most = settings.std

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw deviation and seed of each picture."""
        return {
            "std": uniform(n, 0, self._most, generator),
            "seed": torch.randint(_SEEDS, (n,), generator=generator),
        }

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        pixels = pixels_of(images)
        noise = torch.empty_like(pixels)
        own = torch.Generator(images.device)
        for grain, seed in zip(noise, params["seed"].tolist(), strict=True):
            grain.normal_(generator=own.manual_seed(seed))
        noisy = noise.mul_(params["std"].to(noise.device)[:, None, None, None]).add_(pixels)
        return images_of(noisy.clamp_(0, 1))


class Erasing:
    """Blank a random rectangle with the mean colour of the training, after all other transforms.

    Source: Zhong 2017, "Random erasing data augmentation", algorithm 1, as torchvision has it: the
    share of the area is drawn uniformly, the aspect (height / width) evenly in its logarithm;
    of ten such rectangles the first that fits is taken, none if none does. Blank is 0 of the
    normalised picture, as torchvision's is where it follows the normalisation.
    """

    reads: Reads = "normalised"

    def __init__(self, settings: settings_of.Erase) -> None:
        self._area, self._aspect = settings.area, settings.aspect

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw ten rectangles, and a place for the one that fits, of each picture."""
        low, high = self._aspect
        tries = n * _TRIES
        return {
            "area": uniform(tries, *self._area, generator).view(n, _TRIES),
            "aspect": uniform(tries, math.log(low), math.log(high), generator)
            .exp()
            .view(n, _TRIES),
            "place": torch.rand(n, 2, generator=generator),
        }

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        images = images.clone(memory_format=torch.channels_last)
        boxes = self._boxes(params, images.shape[2], images.shape[3])
        for image, (top, left, bottom, right) in zip(images, boxes.tolist(), strict=True):
            image[:, top:bottom, left:right] = 0
        return images

    @staticmethod
    def _boxes(params: Params, height: int, width: int) -> Tensor:
        """Return (N, 4) int64: top, left, bottom, right of what is blanked."""
        area, aspect = params["area"] * (height * width), params["aspect"]
        sides = torch.stack([(area * aspect).sqrt(), (area / aspect).sqrt()], dim=-1).round()
        size = torch.tensor([height, width])
        fits = (sides < size).all(dim=-1)
        first = fits.int().argmax(dim=1)
        sides = sides[torch.arange(len(sides)), first] * fits.any(dim=1, keepdim=True)
        corner = (params["place"] * (size - sides + 1)).floor()
        return torch.cat([corner, corner + sides], dim=1).long()
