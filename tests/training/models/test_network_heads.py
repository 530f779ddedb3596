"""What the heads of an age promise."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facecrop.training.models.build import build_model
from facecrop.training.models.heads import Coral, Years
from facecrop.training.settings.model import ModelSettings


@given(st.integers(1, 120))
def test_thresholds_begin_as_ages_spread_evenly(thresholds: int) -> None:
    head = Coral(4, thresholds)
    passed = head(torch.zeros(1, 4)).sigmoid()[0]
    even = torch.tensor([1 - k / (thresholds + 1) for k in range(1, thresholds + 1)])
    torch.testing.assert_close(passed, even)


@given(st.integers(0, 1000))
def test_thresholds_keep_their_order_whatever_the_features(seed: int) -> None:
    torch.manual_seed(seed)
    logits = Coral(6, 20)(10 * torch.randn(5, 6))
    assert (logits.diff(dim=1) < 0).all()


def test_all_thresholds_look_in_one_direction() -> None:
    head = Coral(6, 20)
    first, second = head(torch.randn(1, 6)), head(torch.randn(1, 6))
    torch.testing.assert_close(first - second, (first - second)[:, :1].expand(1, 20))


def test_years_begin_in_the_middle_and_span_the_range() -> None:
    head = Years(8, (20, 60))
    with torch.no_grad():
        head.linear.weight.zero_()
        for said, years in ((0.0, 40.0), (1.0, 50.0), (-2.0, 20.0)):
            head.linear.bias.fill_(said)
            assert head(torch.randn(2, 8)).tolist() == [[years], [years]]


@pytest.mark.parametrize(
    ("age", "width", "last"),
    [("regression", 1, "Years"), ("coral", 100, "Coral"), ("distribution", 101, "Linear")],
)
def test_an_age_is_said_as_settings_want_it(age: str, width: int, last: str) -> None:
    settings = ModelSettings(heads="separate", age=age)
    model = build_model(settings, {"mask": 3, "age": width}, (32, 32))
    assert type(model.networks["age"].heads["age"][-1]).__name__ == last
    assert type(model.networks["mask"].heads["mask"][-1]).__name__ == "Linear"
    assert model(torch.randn(2, 3, 32, 32))["age"].shape == (2, width)
