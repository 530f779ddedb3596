"""Crops that show little: blurred, dark, over-exposed, without information, gray, with borders."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.material import Material
from facecrop.checks.rows import row_issues

_NATURE = 0.5
"""Share of the pictures from which something is the dataset's nature and no fault of one."""
_ENOUGH = 20
"""Pictures below which a dataset has no nature."""

Numbers = NDArray[np.float64]


def _issues(
    material: Material,
    check: Check,
    hit: NDArray[np.bool_],
    beyond: Numbers,
    sentence: Callable[[dict[str, float]], str],
    *measures: str,
) -> Iterator[Issue]:
    """Yield an issue for each crop, or one for all of them where most are alike.

    Args:
        material: The dataset.
        check: Whose.
        hit: (N,) which records.
        beyond: (N,) how far beyond the limit, 0 at the limit, 1 at the end of the scale.
        sentence: The reason, from the measures of a record.
        measures: Which.
    """
    values = {name: material.looks[name] for name in measures}
    measured = int(np.isfinite(values[measures[0]]).sum())
    if measured >= _ENOUGH and hit.sum() > _NATURE * measured:
        text = f"{hit.sum() / measured:.0%} of all crops: it is in their nature, none is named"
        yield Issue(check.name, "warning", "", (), text, 0.5, issue_key(check.name, "nature"))
        return
    rows = material.rows
    yield from row_issues(
        material,
        check.name,
        check.severity,
        hit,
        score=(1 + np.clip(np.nan_to_num(beyond), 0, 1)) / 2,
        reason=lambda row: sentence(
            {name: float(column[rows[str(row["path"])]]) for name, column in values.items()}
        ),
        facts=values,
    )


def _above(values: Numbers, limit: float, end: float) -> Numbers:
    return (values - limit) / max(end - limit, 1e-9)


def _below(values: Numbers, limit: float) -> Numbers:
    return (limit - values) / max(limit, 1e-9)


def _blurred(material: Material) -> Iterator[Issue]:
    blur, limit = material.looks["blur"], material.limits.blur
    yield from _issues(
        material,
        BLUR,
        blur > limit,
        _above(blur, limit, 1),
        lambda one: f"a blur of {one['blur']:.2f}, of 1",
        "blur",
    )


def _dark(material: Material) -> Iterator[Issue]:
    brightness, limit = material.looks["brightness"], material.limits.dark
    yield from _issues(
        material,
        DARK,
        brightness < limit,
        _below(brightness, limit),
        lambda one: f"a mean brightness of {one['brightness']:.2f}, of 1",
        "brightness",
    )


def _over_exposed(material: Material) -> Iterator[Issue]:
    limits = material.limits
    brightness, blown = material.looks["brightness"], material.looks["blown"]
    beyond = np.fmax(_above(brightness, limits.bright, 1), _above(blown, limits.blown, 1))
    yield from _issues(
        material,
        OVER_EXPOSED,
        (brightness > limits.bright) | (blown > limits.blown),
        beyond,
        lambda one: (
            f"{one['blown']:.0%} of the pixels are white, the mean brightness is "
            f"{one['brightness']:.2f}, of 1"
        ),
        "brightness",
        "blown",
    )


def _empty(material: Material) -> Iterator[Issue]:
    bits, limit = material.looks["bits"], material.limits.bits
    yield from _issues(
        material,
        LOW_INFORMATION,
        bits < limit,
        _below(bits, limit),
        lambda one: f"{one['bits']:.1f} bits a pixel; a face has about 7",
        "bits",
    )


def _gray(material: Material) -> Iterator[Issue]:
    chroma, limit = material.looks["chroma"], material.limits.gray
    yield from _issues(
        material,
        GRAY,
        chroma < limit,
        _below(chroma, limit),
        lambda one: f"the colour channels differ by {one['chroma']:.0f} levels of 255 at most",
        "chroma",
    )


def _borders(material: Material) -> Iterator[Issue]:
    border, limit = material.looks["border"], material.limits.border
    yield from _issues(
        material,
        BORDERS,
        border > limit,
        _above(border, limit, 0.5),
        lambda one: f"an even bar takes {one['border']:.0%} of one side",
        "border",
    )


BLUR = Check(
    name="blur",
    title="blurred crops",
    severity="warning",
    cure="look whether mask and age can still be told; else set them aside",
    needs=("crops",),
    find=_blurred,
)
DARK = Check(
    name="dark",
    title="crops in which the face is hardly lit",
    severity="warning",
    cure="look at them; a recipe with render.clahe raises their contrast; or set them aside",
    needs=("crops",),
    find=_dark,
)
OVER_EXPOSED = Check(
    name="over-exposed",
    title="crops with much of the face burnt white",
    severity="warning",
    cure="nothing brings back what is white: look whether the labels can be told, or set aside",
    needs=("crops",),
    find=_over_exposed,
)
LOW_INFORMATION = Check(
    name="low-information",
    title="crops with next to nothing to see",
    severity="warning",
    cure="look at them: a placeholder, a drawing, a covered lens; set them aside",
    needs=("crops",),
    find=_empty,
)
GRAY = Check(
    name="gray",
    title="crops without colour among coloured ones",
    severity="warning",
    cure="harmless for a model that sees enough of them; make sure no class has most of them",
    needs=("crops",),
    find=_gray,
)
BORDERS = Check(
    name="borders",
    title="crops with bars of another picture's frame",
    severity="warning",
    cure="cut the bars off in RAW, or crop tighter (choose.crop in the recipe)",
    needs=("crops",),
    find=_borders,
)
