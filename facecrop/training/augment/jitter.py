"""Transforms that change colours pixel by pixel."""

import cv2
import torch
from torch import Tensor

from facecrop.training.augment.colours import GRAY, mean_colours, recolour
from facecrop.training.augment.layout import Picture, each, images_of, uniform
from facecrop.training.augment.transform import Changes, Params, Reads, Recolours
from facecrop.training.settings import augment as settings_of

_SEXTANTS = (5.0, 3.0, 1.0)


def color_jitter(settings: settings_of.ColorJitter) -> Recolours | Changes:
    """Return the fast transform, or the one that can turn hues."""
    return HueJitter(settings) if settings.hue else LinearJitter(settings)


class LinearJitter:
    """Change brightness, contrast and saturation: one colour map, in whatever order.

    Brightness scales colours, contrast scales their distance from the mean lightness of the
    picture, saturation that from each pixel's own lightness. Without clamping in between, their
    order makes no difference. Factors are drawn uniformly from [1 - x, 1 + x].

    Source: torchvision's ColorJitter, which changes one after the other in random order and clamps
    after each; here results are clamped once.
    """

    def __init__(self, settings: settings_of.ColorJitter) -> None:
        self._most = {
            "brightness": settings.brightness,
            "contrast": settings.contrast,
            "saturation": settings.saturation,
        }

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw the three factors of each picture."""
        return {name: uniform(n, 1 - m, 1 + m, generator) for name, m in self._most.items()}

    def maps(self, params: Params, means: Tensor) -> Tensor:
        """Return (N, 3, 4) colour maps for pictures with (N, 3) mean colours in [0, 1]."""
        params = {name: drawn.to(means.device) for name, drawn in params.items()}
        shares = torch.tensor(GRAY, device=means.device)
        saturation, contrast = params["saturation"][:, None, None], params["contrast"]
        mixing = saturation * torch.eye(3, device=means.device) + (1 - saturation) * shares
        scale = (params["brightness"] * contrast)[:, None, None]
        lightness = (1 - contrast) * params["brightness"] * (means @ shares)
        offset = lightness[:, None, None] * mixing.sum(dim=2, keepdim=True)
        return torch.cat([scale * mixing, offset], dim=2)


class HueJitter:
    """Change brightness, contrast and saturation as `LinearJitter` does, then turn the hue.

    Source: torchvision's ColorJitter; hue is always last, for it is no linear map.
    """

    reads: Reads = "floats"

    def __init__(self, settings: settings_of.ColorJitter) -> None:
        self._most, self._linear = settings.hue, LinearJitter(settings)

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw three factors and the turn, a share of the circle, of each picture."""
        turn = uniform(n, -self._most, self._most, generator)
        return self._linear.draw(n, generator) | {"hue": turn}

    def apply(self, images: Tensor, params: Params) -> Tensor:
        """Return changed pictures."""
        unit = (torch.zeros(3, device=images.device), torch.ones(3, device=images.device))
        maps = self._linear.maps(params, mean_colours(images))
        return turn_hue(recolour(images, maps, unit), params["hue"])


def turn_hue(images: Tensor, turn: Tensor) -> Tensor:
    """Turn the hue of pictures; hexcone value and saturation stay.

    Source: Smith 1978, "Color gamut transform pairs", as torchvision's adjust_hue has it.

    Args:
        images: (N, 3, H, W) float32 in [0, 1].
        turn: (N,) share of the circle, from -0.5 to 0.5.
    """
    return (turn_hue_batch if images.is_cuda else turn_hue_each)(images, turn)


def turn_hue_each(images: Tensor, turn: Tensor) -> Tensor:
    """Do so on the CPU."""
    degrees = (turn.remainder(1) * 360).tolist()

    def change(number: int, picture: Picture) -> Picture:
        hsv = cv2.cvtColor(picture, cv2.COLOR_RGB2HSV)
        hsv[:, :, 0] += degrees[number]  # OpenCV takes off a whole turn, but adds none
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)

    return each(images, change)


def turn_hue_batch(images: Tensor, turn: Tensor) -> Tensor:
    """Do so for all pictures at once, as a GPU likes it.

    The way back is channel = value - chroma * clamp(min(k, 4 - k), 0, 1) with k = (n + hue) mod 6,
    hue in sextants of the circle and n = 5, 3, 1 for red, green, blue.
    """
    red, green, blue = images.contiguous().unbind(dim=1)
    value = torch.maximum(torch.maximum(red, green), blue)
    chroma = value - torch.minimum(torch.minimum(red, green), blue)
    # Of gray pixels the hue is anything: their chroma is 0.
    by = chroma.clamp_min(torch.finfo(chroma.dtype).tiny)
    hue = torch.where(
        value == red,
        (green - blue) / by,
        torch.where(value == green, (blue - red) / by + 2, (red - green) / by + 4),
    )
    hue += 6 * turn.to(hue.device)[:, None, None]
    channels = []
    for sextant in _SEXTANTS:
        k = (hue + sextant).remainder_(6)
        channels.append(value - chroma * torch.minimum(k, 4 - k).clamp_(0, 1))
    return images_of(torch.stack(channels, dim=-1))


class GrayScale:
    """Take the colour away: red, green and blue become lightness.

    Source: ITU-R BT.601, as torchvision's rgb_to_grayscale has it.
    """

    def __init__(self, settings: settings_of.Gray) -> None:
        del settings  # nothing but p and labels

    def draw(self, n: int, generator: torch.Generator) -> Params:
        """Draw nothing."""
        del n, generator
        return {}

    def maps(self, params: Params, means: Tensor) -> Tensor:
        """Return (N, 3, 4) colour maps, all alike."""
        del params
        shares = torch.tensor((*GRAY, 0.0), device=means.device)
        return shares.expand(len(means), 3, 4)
