import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from facecrop.images.findings import (
    LANDMARKS,
    Alpha,
    Boxes,
    Candidate,
    Finding,
    Source,
    pack,
    unpack,
)
from facecrop.images.frames import Box

sixteenths = st.integers(-(2**20), 2**20).map(lambda number: number / 16)
boxes = st.builds(Box, sixteenths, sixteenths, sixteenths, sixteenths)
points = st.tuples(sixteenths, sixteenths)
candidates = st.builds(
    Candidate,
    boxes,
    st.floats(0, 1),
    st.just(()) | st.tuples(*[points] * len(LANDMARKS)),
)
sources = st.builds(
    Source,
    width=st.none() | st.integers(1, 2**20),
    height=st.none() | st.integers(1, 2**20),
    phash=st.none() | st.integers(0, 2**64 - 1),
    sharpness=st.none() | st.floats(0, 1e6),
    brightness=st.none() | st.floats(0, 255),
    reason=st.none() | st.just("truncated"),
    note=st.none() | st.just("trailing-bytes"),
)


@given(st.lists(candidates, max_size=4).map(tuple).map(Boxes) | sources)
def test_boxes_and_sources_come_back_as_they_were(finding: Finding) -> None:
    facts, alpha = pack(finding)
    assert unpack(facts, alpha) == finding
    assert alpha is None
    json.loads(facts)


@given(arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, max_side=9)), boxes)
def test_an_alpha_comes_back_as_it_was(values: np.ndarray, region: Box) -> None:
    again = unpack(*pack(Alpha(values, region)))
    assert isinstance(again, Alpha)
    assert again.region == region
    assert again.values.dtype == np.uint8
    assert np.array_equal(again.values, values)


def test_an_alpha_that_is_a_view_of_another_comes_back_too() -> None:
    values = np.arange(48, dtype=np.uint8).reshape(6, 8)[::2, ::-1]
    again = unpack(*pack(Alpha(values, Box(0, 0, 8, 6))))
    assert isinstance(again, Alpha)
    assert np.array_equal(again.values, values)


def test_equal_findings_are_stored_as_equal_bytes() -> None:
    values = np.zeros((64, 64), np.uint8)
    values[10:50, 20:40] = 255
    one, other = (pack(Alpha(values.copy(), Box(0, 0, 64, 64))) for _ in range(2))
    assert one == other
    assert one[1] is not None
    assert len(one[1]) < values.size / 10


def test_damaged_alpha_bytes_are_an_error_and_no_alpha() -> None:
    facts, data = pack(Alpha(np.ones((8, 8), np.uint8), Box(0, 0, 8, 8)))
    assert data is not None
    with pytest.raises((OSError, ValueError)):
        unpack(facts, data[: len(data) // 2])
