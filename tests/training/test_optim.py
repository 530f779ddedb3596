"""What moves the weights, and how fast."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from timm.optim import AdamP
from torch import nn
from torch.optim import SGD, Optimizer, lr_scheduler

from facecrop.errors import ConfigError
from facecrop.training.models.build import build_model
from facecrop.training.models.network import Model
from facecrop.training.optim import Rate, build_optimizer, factor, parameter_groups
from facecrop.training.settings.model import ModelSettings
from facecrop.training.settings.optim import (
    Constant,
    Cosine,
    Cyclic,
    OneCycle,
    OptimSettings,
    Plateau,
    Schedule,
    Step,
    Swa,
)

SCHEDULES: list[Schedule] = [
    Constant(),
    Step(every=2, factor=0.5),
    Plateau(),
    Cosine(final=0.1),
    Cyclic(low=0.2, half=1.5),
    OneCycle(),
]
WARMED = [
    schedule.model_copy(update={"warmup": warmup})
    for schedule in SCHEDULES
    for warmup in (0.0, 1.5)
    if not (warmup and isinstance(schedule, OneCycle))
]


def named(schedule: Schedule) -> str:
    return f"{schedule.name}-{schedule.warmup}"


def a_model(backbone: str = "small") -> Model:
    torch.manual_seed(0)
    settings = ModelSettings(backbone=backbone, pretrained=False, heads="three-way", hidden=(8,))
    return build_model(settings, {"mask": 3, "gender": 2}, (32, 32))


def one_step(model: Model, optimizer: Optimizer) -> None:
    generator = torch.Generator().manual_seed(1)
    said = model(torch.randn(4, 3, 32, 32, generator=generator))
    optimizer.zero_grad()
    sum(output.square().sum() for output in said.values()).backward()
    optimizer.step()


@pytest.mark.parametrize("schedule", WARMED, ids=named)
def test_no_schedule_leaves_zero_to_one(schedule: Schedule) -> None:
    rates = [factor(schedule, step, 10, 8) for step in range(80)]
    assert all(0 <= rate <= 1 + 1e-12 for rate in rates)
    assert max(rates) > 0.9


@pytest.mark.parametrize("schedule", WARMED, ids=named)
def test_a_warm_up_rises_in_a_line_and_ends_where_the_schedule_begins(schedule: Schedule) -> None:
    warm = round(schedule.warmup * 10)
    for step in range(warm):
        assert factor(schedule, step, 10, 8) == pytest.approx((step + 1) / (warm + 1))
    cold = schedule.model_copy(update={"warmup": 0.0})
    if not isinstance(schedule, Cosine):  # which has its whole half wave in what is left
        for step in range(warm, 80):
            assert factor(schedule, step, 10, 8) == pytest.approx(factor(cold, step - warm, 10, 8))


@given(
    st.sampled_from(WARMED),
    st.integers(1, 7),
    st.integers(1, 5),
    st.integers(0, 100),
)
def test_every_step_has_a_rate_however_short_the_training(
    schedule: Schedule, steps_per_epoch: int, epochs: int, step: int
) -> None:
    assert math.isfinite(factor(schedule, step, steps_per_epoch, epochs))
    assert factor(schedule, step, steps_per_epoch, epochs) >= 0


def torch_rates(make: object, steps: int) -> list[float]:
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.parametrize(
    ("schedule", "theirs"),
    [
        (Step(every=2, factor=0.5), lambda o: lr_scheduler.StepLR(o, 20, 0.5)),
        (Cosine(final=0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, 60, 0.1)),
        (
            Cyclic(low=0.2, half=1.5),
            lambda o: lr_scheduler.CyclicLR(o, 0.2, 1.0, 15, cycle_momentum=False),
        ),
        (
            OneCycle(),
            lambda o: lr_scheduler.OneCycleLR(o, 1.0, total_steps=60, cycle_momentum=False),
        ),
        (
            OneCycle(rise=0.1, start=0.2, final=0.01),
            lambda o: lr_scheduler.OneCycleLR(
                o,
                1.0,
                total_steps=60,
                cycle_momentum=False,
                pct_start=0.1,
                div_factor=5,
                final_div_factor=20,
            ),
        ),
    ],
    ids=["step", "cosine", "cyclic", "one-cycle", "one-cycle-other"],
)
def test_schedules_are_torchs(schedule: Schedule, theirs: object) -> None:
    ours = [factor(schedule, step, 10, 6) for step in range(60)]
    assert ours == pytest.approx(torch_rates(theirs, 60), abs=1e-9)


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_a_plateau_drops_as_torchs_does(patience: int) -> None:
    losses = [1.0, 0.9, 0.9, 0.9, 0.9, 0.5, 0.6, 0.7, 0.8, 0.9, 0.4, 0.3, 0.3, 0.3, 0.3, 0.3]
    settings = OptimSettings(lr=1.0, schedule=Plateau(patience=patience, factor=0.5))
    rate = Rate(settings, 10)
    optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=patience, threshold=0)
    best = math.inf
    for loss in losses:
        rate.epoch_ended(improved=loss < best)
        best = min(best, loss)
        theirs.step(loss)
        assert rate.at(10_000) == pytest.approx(optimizer.param_groups[0]["lr"])
    assert rate.drops > 0


def test_a_plateau_goes_on_from_a_saved_state() -> None:
    settings = OptimSettings(lr=1.0, schedule=Plateau(patience=1, factor=0.5))
    whole, first = Rate(settings, 10), Rate(settings, 10)
    for _ in range(3):
        whole.epoch_ended(improved=False)
        first.epoch_ended(improved=False)
    second = Rate(settings, 10)
    second.load_state_dict(first.state_dict())
    for rate in (whole, second):
        rate.epoch_ended(improved=False)
    assert second.at(0) == whole.at(0) == 0.25


def test_other_schedules_do_not_listen_to_validation() -> None:
    rate = Rate(OptimSettings(lr=1.0, schedule=Constant()), 10)
    for _ in range(50):
        rate.epoch_ended(improved=False)
    assert rate.at(5) == 1.0


def test_the_rate_of_averaging_begins_with_its_first_epoch() -> None:
    rate = Rate(OptimSettings(lr=1.0, schedule=Constant(), swa=Swa(start=3, lr=0.0005)), 10)
    assert [rate.at(step) for step in (0, 29, 30, 500)] == [1.0, 1.0, 0.0005, 0.0005]
    assert Rate(OptimSettings(lr=1.0, schedule=Constant(), swa=Swa(start=3)), 10).at(30) == 1.0


def test_the_trunk_has_its_share_of_every_rate() -> None:
    settings = OptimSettings(lr=0.5, trunk_lr=0.1, schedule=Cosine())
    model = a_model()
    optimizer = build_optimizer(model, settings)
    trunk = {id(parameter) for parameter in model.trunks["shared"].parameters()}
    for step in (0, 7, 100):
        said = Rate(settings, 10).set(optimizer, step)
        for group in optimizer.param_groups:
            mine = {id(parameter) in trunk for parameter in group["params"]}
            assert group["lr"] == pytest.approx(said * (0.1 if mine == {True} else 1))
            assert len(mine) == 1


@pytest.mark.parametrize("backbone", ["small", "test_vit", "test_convnext"])
def test_every_parameter_is_in_one_group(backbone: str) -> None:
    model = a_model(backbone)
    groups = parameter_groups(model, OptimSettings())
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(grouped) == sorted(id(parameter) for parameter in model.parameters())


def decayed(model: Model, settings: OptimSettings) -> set[str]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    groups = parameter_groups(model, settings)
    return {names[id(p)] for group in groups if group["weight_decay"] for p in group["params"]}


def test_biases_norms_and_positions_do_not_decay() -> None:
    model = a_model("test_vit")
    names = decayed(model, OptimSettings(weight_decay=0.05))
    assert "networks.shared.trunk.blocks.0.attn.qkv.weight" in names
    assert "networks.shared.heads.mask.0.weight" in names
    for name in ("pos_embed", "cls_token", "norm.weight", "blocks.0.attn.qkv.bias"):
        assert f"networks.shared.trunk.{name}" in dict(model.named_parameters())
        assert f"networks.shared.trunk.{name}" not in names


def test_everything_decays_if_asked_for() -> None:
    model = a_model("test_vit")
    settings = OptimSettings(weight_decay=0.05, decay_norms=True)
    assert decayed(model, settings) == set(dict(model.named_parameters()))


def test_adamp_is_timms_with_the_settings_rates() -> None:
    settings = OptimSettings(name="adamp", lr=5e-3, weight_decay=0.01, decay_norms=True)
    ours, theirs = a_model(), a_model()
    optimizer = build_optimizer(ours, settings)
    assert type(optimizer) is AdamP
    reference = AdamP(theirs.parameters(), 5e-3, weight_decay=0.01, wd_ratio=0.01, nesterov=True)
    for _ in range(3):
        one_step(ours, optimizer)
        one_step(theirs, reference)
    for mine, its in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(mine, its)


def test_momentum_is_handed_on() -> None:
    optimizer = build_optimizer(a_model(), OptimSettings(name="momentum", momentum=0.7))
    assert type(optimizer) is SGD
    assert {group["momentum"] for group in optimizer.param_groups} == {0.7}
    assert {group["nesterov"] for group in optimizer.param_groups} == {False}


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd", "momentum", "adamp", "lamb", "lion"])
def test_optimisers_move_what_learns_and_leave_what_is_frozen(name: str) -> None:
    model = a_model()
    model.set_frozen(True)
    optimizer = build_optimizer(model, OptimSettings(name=name, weight_decay=0.1, lr=0.01))
    before = {key: parameter.clone() for key, parameter in model.named_parameters()}
    one_step(model, optimizer)
    moved = {key for key, p in model.named_parameters() if not torch.equal(p, before[key])}
    assert moved == {key for key in before if ".heads." in key}
    model.set_frozen(False)
    one_step(model, optimizer)
    one_step(model, optimizer)  # a block of `small` lets its inner weights learn from the second on
    moved = {key for key, p in model.named_parameters() if not torch.equal(p, before[key])}
    assert moved == set(before)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("adamm", "no optimiser named 'adamm'. Did you mean"),
        ("adahessian", "needs second derivatives"),
        ("lookahead_nobody", "no optimiser named 'lookahead_nobody'"),
        ("bnbadam", "optim.name = 'bnbadam' cannot be used here"),
    ],
)
def test_an_optimiser_that_cannot_be_used_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        build_optimizer(a_model(), OptimSettings(name=name))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"optim\.name = 'sgd' cannot be used here: Nesterov"):
        build_optimizer(a_model(), OptimSettings(name="sgd", momentum=0))
