"""Crops out of pictures that were decoded at a fraction of their size."""

from dataclasses import replace

from facecrop.images.choose.plan import Plan
from facecrop.images.findings import Alpha
from facecrop.images.frames import Box
from facecrop.images.render.settings import Render


def reduction(crop: Box, settings: Render, reduced: int) -> int:
    """Return from which pixels a crop is made: those of the reduced picture, or all (1).

    Args:
        crop: What is cut out, in pixels of the upright source.
        settings: What to make. A crop that keeps its size is made from all pixels.
        reduced: By what the sides of the picture were divided for models.
    """
    if settings.decode == "full" or settings.resize is None:
        return 1
    height, width = settings.resize.size
    scale = min(crop.height / height, crop.width / width)
    if settings.resize.mode == "fit-pad":
        scale = max(crop.height / height, crop.width / width)
    return reduced if scale >= reduced else 1


def on_reduced(
    plan: Plan, alpha: Alpha | None, place: Box, reduced: int
) -> tuple[Plan, Alpha | None]:
    """Return plan and alpha in pixels of the reduced picture, exactly.

    Args:
        plan: In pixels of the upright source, with a crop.
        alpha: Likewise.
        place: What the reduced picture covers.
        reduced: By what its sides were divided, a power of two.
    """

    def there(box: Box) -> Box:
        return box.shift(-place.x0, -place.y0).scale(1 / reduced, 1 / reduced)

    crop = None if plan.crop is None else there(plan.crop)
    moved = None if alpha is None else replace(alpha, region=there(alpha.region))
    return replace(plan, crop=crop), moved
