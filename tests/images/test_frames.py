import doctest

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from facecrop.images import frames
from facecrop.images.frames import Box, union

numbers = st.integers(-(2**12), 2**12).map(lambda number: number / 8)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    """Return a box whose corners are in order; it may be empty."""
    x, y = (sorted(draw(st.tuples(numbers, numbers))) for _ in range(2))
    return Box(x[0], y[0], x[1], y[1])


sizes = st.tuples(st.integers(1, 600), st.integers(1, 600))


def inside(inner: Box, outer: Box) -> bool:
    return (
        outer.x0 <= inner.x0
        and outer.y0 <= inner.y0
        and inner.x1 <= outer.x1
        and inner.y1 <= outer.y1
    )


def test_the_examples_in_the_docs_are_true() -> None:
    assert doctest.testmod(frames).failed == 0


@given(boxes(), sizes)
def test_clipping_ends_inside_the_picture_and_once_is_enough(
    box: Box, size: tuple[int, int]
) -> None:
    clipped = box.clip(*size)
    assert inside(clipped, Box(0, 0, *size))
    assert clipped.clip(*size) == clipped
    assert clipped.area == pytest.approx(box.overlap(Box(0, 0, *size)))


@given(boxes(), boxes())
def test_overlap_is_symmetric_and_never_more_than_either(one: Box, other: Box) -> None:
    assert one.overlap(other) == other.overlap(one)
    assert 0 <= one.overlap(other) <= min(one.area, other.area)
    assert 0 <= one.iou(other) <= 1


@given(boxes())
def test_a_box_overlaps_itself_wholly_if_it_is_not_empty(box: Box) -> None:
    assert box.iou(box) == (1 if box.area else 0)


@given(boxes(), numbers, numbers)
def test_shifting_there_and_back_changes_nothing(box: Box, dx: float, dy: float) -> None:
    moved = box.shift(dx, dy)
    assert moved.shift(-dx, -dy) == box
    assert (moved.width, moved.height) == (box.width, box.height)


@given(boxes(), st.floats(0, 3))
def test_growing_keeps_the_centre_and_adds_the_margin_on_each_side(box: Box, margin: float) -> None:
    grown = box.grow(margin)
    assert grown.center == pytest.approx(box.center)
    assert grown.width == pytest.approx(box.width * (1 + 2 * margin))
    assert grown.height == pytest.approx(box.height * (1 + 2 * margin))
    assert inside(box, grown)


@given(boxes(), st.integers(1, 8), st.integers(1, 8))
def test_scaling_a_box_scales_its_sides(box: Box, sx: int, sy: int) -> None:
    assert box.scale(sx, sy).area == pytest.approx(box.area * sx * sy)
    assert box.scale(1, 1) == box


@given(st.builds(Box, *[st.floats(-1000, 1000)] * 4))
def test_rounding_to_sixteenths_moves_little_and_only_once(box: Box) -> None:
    rounded = box.quantised()
    assert rounded.quantised() == rounded
    assert all(side * 16 == round(side * 16) for side in rounded.corners)
    for before, after in zip(box.corners, rounded.corners, strict=True):
        assert abs(before - after) <= 1 / 32


@given(boxes())
def test_outward_is_the_smallest_box_of_whole_pixels_around(box: Box) -> None:
    whole = Box(*box.outward())
    assert inside(box, whole)
    assert whole.width < box.width + 2
    assert whole.height < box.height + 2
    assert all(isinstance(side, int) for side in box.outward())


@given(st.lists(boxes(), min_size=1, max_size=5))
def test_a_union_holds_all_of_them_and_touches_one_on_each_side(several: list[Box]) -> None:
    around = union(several)
    assert all(inside(box, around) for box in several)
    for number, side in enumerate(around.corners):
        assert side in {box.corners[number] for box in several}


@given(boxes(), boxes())
def test_a_box_with_crossed_sides_is_empty(box: Box, other: Box) -> None:
    assume(box.width)
    crossed = Box(box.x1, box.y0, box.x0, box.y1)
    assert (crossed.width, crossed.area, crossed.iou(other)) == (0, 0, 0)
