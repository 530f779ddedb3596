import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.errors import ConfigError
from facecrop.labels.space import MASK_TASK


@given(st.integers(0, 17))
def test_decode_and_encode_are_inverse(number: int) -> None:
    assert MASK_TASK.encode(MASK_TASK.decode(number)) == number


def test_classes_are_numbered_as_in_the_task() -> None:
    numbers = [
        mask * 6 + gender * 3 + age for mask in range(3) for gender in range(2) for age in range(3)
    ]
    table = pa.Table.from_pylist([MASK_TASK.decode(number) for number in numbers])
    assert MASK_TASK.encode_table(table).tolist() == numbers == list(range(18))


def test_a_row_with_an_unknown_label_has_no_class() -> None:
    rows = [MASK_TASK.decode(0), MASK_TASK.decode(17) | {"age_group": None}]
    assert MASK_TASK.encode_table(pa.Table.from_pylist(rows)).tolist() == [0, -1]


def test_words_and_numbers_outside_the_space_are_refused() -> None:
    with pytest.raises(ConfigError, match="gender must be one of male, female, got 'man'"):
        MASK_TASK.encode({"mask": "worn", "gender": "man", "age_group": "old"})
    with pytest.raises(ConfigError, match=r"class must be in \[0, 18\), got 18"):
        MASK_TASK.decode(18)
