"""Averages of weights, and the statistics that belong to them."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from torch import Tensor, nn

from facecrop.training.averaging import Ema, Swa, due, refresh_norms
from facecrop.training.models.build import build_model
from facecrop.training.models.network import Model
from facecrop.training.settings.model import ModelSettings
from facecrop.training.settings.optim import Swa as SwaSettings


def a_model(seed: int = 0, *, frozen: bool = False) -> Model:
    torch.manual_seed(seed)
    settings = ModelSettings(pretrained=False, hidden=(8,), freeze=frozen)
    return build_model(settings, {"joint": 18}, (32, 32))


def fill(model: Model, value: float) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)


def values(model: Model) -> set[float]:
    ends = [parameter.detach().flatten()[[0, -1]] for parameter in model.parameters()]
    return set(torch.cat(ends).tolist())


def batches(n: int = 3) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [2 + 3 * torch.randn(8, 3, 32, 32, generator=generator) for _ in range(n)]


def assert_same(one: nn.Module, other: nn.Module) -> None:
    theirs = other.state_dict()
    for key, value in one.state_dict().items():
        torch.testing.assert_close(value, theirs[key], rtol=0, atol=0)


def test_ema_with_decay_zero_is_the_model() -> None:
    model = a_model()
    ema = Ema(model, 0.0)
    model.train()
    for seed in range(3):
        fill(model, seed)
        model(batches(1)[0])
        ema.update(model)
        assert_same(ema.model, model)


@limits(max_examples=10)
@given(st.floats(0, 0.999), st.lists(st.floats(-10, 10), min_size=1, max_size=6))
def test_ema_follows_its_formula(decay: float, weights: list[float]) -> None:
    model = a_model()
    fill(model, 1.0)
    ema, wanted = Ema(model, decay), 1.0
    for t, weight in enumerate(weights):
        fill(model, weight)
        ema.update(model)
        d = min(decay, (1 + t) / (10 + t))
        wanted = d * wanted + (1 - d) * weight
        assert all(value == pytest.approx(wanted, abs=1e-4) for value in values(ema.model))


def test_ema_copies_the_statistics_of_norms() -> None:
    model = a_model().train()
    ema = Ema(model, 0.9)
    model(batches(1)[0])
    ema.update(model)
    for old, new in zip(ema.model.buffers(), model.buffers(), strict=True):
        assert torch.equal(old, new)


@pytest.mark.parametrize("make", [lambda model: Ema(model, 0.9), Swa], ids=["ema", "swa"])
def test_averages_go_on_from_a_saved_state(make: type[Swa]) -> None:
    model = a_model()
    whole, first = make(model), make(model)
    for weight in (1.0, 4.0):
        fill(model, weight)
        whole.update(model)
        first.update(model)
    second = make(a_model(seed=9))
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    fill(model, -2.0)
    whole.update(model)
    second.update(model)
    assert_same(whole.model, second.model)


@pytest.mark.parametrize("make", [lambda model: Ema(model, 0.9), Swa], ids=["ema", "swa"])
def test_averages_neither_learn_nor_touch_the_model(make: type[Swa]) -> None:
    model = a_model().train()
    before = copy.deepcopy(model)
    average = make(model)
    average.update(model)
    assert_same(model, before)
    assert model.training
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_swa_is_the_mean_of_what_it_was_given_and_nothing_else() -> None:
    model = a_model()
    fill(model, 100.0)
    swa = Swa(model)
    for weight, mean in ((1.0, 1.0), (2.0, 1.5), (6.0, 3.0)):
        fill(model, weight)
        swa.update(model)
        assert all(value == pytest.approx(mean) for value in values(swa.model))


def test_swa_of_the_same_weights_is_these_weights() -> None:
    model = a_model()
    swa = Swa(model)
    for _ in range(3):
        swa.update(model)
    assert_same(swa.model, model)


@pytest.mark.parametrize(
    ("start", "every", "epochs"), [(0, 1, [0, 1, 2, 3, 4, 5]), (3, 1, [3, 4, 5]), (1, 2, [1, 3, 5])]
)
def test_the_mean_takes_every_so_many_epochs(start: int, every: int, epochs: list[int]) -> None:
    settings = SwaSettings(start=start, every=every)
    assert [epoch for epoch in range(6) if due(settings, epoch)] == epochs


def test_refreshed_norms_know_the_pictures_they_were_shown() -> None:
    model = a_model().eval()
    shown = batches()
    refresh_norms(model, shown)
    # The norm behind the first convolution: its statistics can be computed by hand.
    convolution, norm = model.trunks["shared"].stem[:2]
    with torch.no_grad():
        maps = [convolution(images) for images in shown]
    means = torch.stack([m.mean(dim=(0, 2, 3)) for m in maps]).mean(dim=0)
    variances = torch.stack([m.var(dim=(0, 2, 3)) for m in maps]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, means, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, variances, rtol=1e-4, atol=1e-5)


def test_refreshing_leaves_weights_mode_and_momentum() -> None:
    model = a_model().eval()
    before = [parameter.clone() for parameter in model.parameters()]
    refresh_norms(model, batches())
    assert not model.training
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert {norm.momentum for norm in norms} == {0.1}


def test_norms_of_a_frozen_trunk_keep_what_they_know() -> None:
    model = a_model(frozen=True)
    with torch.no_grad():
        for name, buffer in model.trunks["shared"].named_buffers():
            if name.endswith("running_mean"):
                buffer.fill_(-0.25)
    before = copy.deepcopy(model.trunks["shared"])
    head = copy.deepcopy(model.networks["shared"].heads)
    refresh_norms(model, batches())
    assert_same(model.trunks["shared"], before)
    now = model.networks["shared"].heads.state_dict()
    assert not torch.equal(now["joint.1.running_mean"], head.state_dict()["joint.1.running_mean"])


def test_a_network_without_norms_is_shown_no_picture() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    refresh_norms(model, (pytest.fail("shown") for _ in range(1)))
