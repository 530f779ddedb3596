"""What a training does between its first step and its last."""

from math import inf, nan
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import torch
from made_trainings import (
    best,
    differences,
    furthest,
    last,
    tiny,
    trained,
    weights,
    write_learnable,
)

from facecrop.commands.relabel.command import relabel
from facecrop.commands.split import read_settings, split
from facecrop.errors import ConfigError, DeviceError
from facecrop.labels.space import MASK_TASK
from facecrop.training.loop import merit_of
from facecrop.training.metrics import confusion, macro_f1
from facecrop.training.progress import Progress
from facecrop.training.results import joint_classes
from facecrop.training.runs import Run
from facecrop.training.settings import TrainSettings
from facecrop.training.settings.train import SelectSettings
from facecrop.training.trained import load_run, predict_rows

NO_NORM = {"backbone": "test_convnext", "pretrained": False}
"""A tiny network of timm that normalises by layer: no picture of a batch knows of the others."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_learnable(tmp_path_factory.mktemp("learnable"))


@pytest.fixture(scope="module")
def plain(dataset: Path) -> Path:
    """The run that others are compared with."""
    return trained(dataset, name="plain").run


def test_a_training_learns_what_can_be_seen(dataset: Path) -> None:
    result = trained(dataset, tiny(optim={"epochs": 12}))
    assert result.scores["f1_mask"] > 0.9
    assert result.scores["f1_gender"] > 0.9
    assert result.scores["accuracy"] > 0.6
    low, high = result.intervals["f1"]
    assert low <= result.scores["f1"] <= high
    assert result.people == 8
    assert result.records == 24


def test_the_same_training_twice_gives_the_same_weights_and_tables(
    dataset: Path, plain: Path
) -> None:
    again = trained(dataset, name="again").run
    assert differences(weights(plain), weights(again)) == []
    for name in ("metrics.csv", "predictions.parquet", "epochs.parquet/0001.parquet", "curves.png"):
        assert (plain / name).read_bytes() == (again / name).read_bytes(), name


def test_another_seed_gives_other_weights(dataset: Path, plain: Path) -> None:
    other = trained(dataset, tiny().model_copy(update={"seed": 1})).run
    assert furthest(weights(plain), weights(other)) > 0.01


def test_training_leaves_the_settings_of_torch_alone(dataset: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    trained(dataset, tiny(optim={"epochs": 1}))
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.rand(3).equal(expected)


def test_batches_that_are_accumulated_are_one_batch(dataset: Path) -> None:
    whole = trained(dataset, tiny(model=NO_NORM, optim={"batch_size": 24, "epochs": 2})).run
    parts = trained(
        dataset, tiny(model=NO_NORM, optim={"batch_size": 8, "accumulate": 3, "epochs": 2})
    ).run
    assert furthest(weights(whole), weights(parts)) < 1e-4
    assert Run(whole).metrics()[1]["train_loss"] == pytest.approx(
        Run(parts).metrics()[1]["train_loss"], rel=1e-3
    )


def test_an_average_that_forgets_at_once_is_the_network(dataset: Path, plain: Path) -> None:
    run = trained(dataset, tiny(optim={"ema": 0.0})).run
    assert differences(best(plain)["weights"], best(run)["weights"]) == []


def test_a_slow_average_is_what_is_judged_and_kept(dataset: Path, plain: Path) -> None:
    run = trained(dataset, tiny(optim={"ema": 0.99}, select={"last": True})).run
    assert differences(weights(plain), weights(run)) == []
    assert differences(best(run)["weights"], last(run)[1]["learner"]["average"]["model"]) == []
    assert differences(best(run)["weights"], weights(run)) != []


def test_weights_of_several_epochs_are_averaged_with_norms_of_their_own(dataset: Path) -> None:
    swa = {"start": 1}
    run = trained(dataset, tiny(optim={"swa": swa, "epochs": 3}, select={"last": True})).run
    one = trained(dataset, tiny(optim={"swa": swa, "epochs": 2, "schedule": {"name": "constant"}}))
    assert last(run)[1]["learner"]["average"]["updates"] == 2
    assert last(one.run)[1]["learner"]["average"]["updates"] == 1
    average = last(one.run)[1]["learner"]["average"]["model"]
    assert furthest(average, weights(one.run), only=["weight"]) == 0.0
    assert furthest(average, weights(one.run), only=["running_mean"]) > 1e-4


@pytest.mark.parametrize("heads", ["one-way", "three-way", "separate"])
def test_every_kind_of_heads_trains_and_is_read_back(dataset: Path, heads: str) -> None:
    result = trained(dataset, tiny(model={"heads": heads, "pretrained": False}))
    known = load_run(result.run)
    pictures = np.random.default_rng(0).integers(0, 255, (3, 32, 32, 3), np.uint8)
    logits = predict_rows(known, [pictures], ("flip",))
    assert {name: len(rows) for name, rows in logits.items()} == dict.fromkeys(
        known.task.outputs, 3
    )
    mirrored = predict_rows(known, [pictures[:, :, ::-1]], ("flip",))
    for name, rows in logits.items():
        torch.testing.assert_close(rows, mirrored[name])


def test_a_frozen_trunk_stays_as_it_was(dataset: Path) -> None:
    frozen = {"freeze": True, "pretrained": False}
    one = trained(dataset, tiny(model=frozen, optim={"epochs": 1})).run
    more = trained(dataset, tiny(model=frozen, optim={"epochs": 3})).run
    trunk = [name for name in weights(one) if ".trunk." in name]
    assert [name for name in differences(weights(one), weights(more)) if name in trunk] == []
    assert furthest(weights(one), weights(more), only=["heads"]) > 1e-4


def test_a_trunk_that_thaws_learns_from_then_on(dataset: Path) -> None:
    thawing = {"freeze_epochs": 2, "pretrained": False}
    frozen = {"freeze": True, "pretrained": False}
    constant = {"schedule": {"name": "constant"}}
    before = trained(dataset, tiny(model=frozen, optim={"epochs": 2, **constant})).run
    after = trained(dataset, tiny(model=thawing, optim={"epochs": 3, **constant})).run
    still = trained(dataset, tiny(model=thawing, optim={"epochs": 2, **constant})).run
    assert differences(weights(before), weights(still)) == []
    assert furthest(weights(before), weights(after), only=["trunk"]) > 1e-4


def test_a_later_stage_of_the_loss_goes_on_from_the_best_weights(dataset: Path) -> None:
    # Without age groups no epoch has an official F1, so the first stays the best; and from epoch 2
    # on the rate is nearly nothing, so that the last weights are those it went back to.
    def settings(epochs: int, **loss: Any) -> TrainSettings:
        return tiny(
            optim={"epochs": epochs, "schedule": {"name": "step", "every": 2, "factor": 1e-12}},
            loss=loss,
            select={"metric": "official_f1", "tie_break": "earliest"},
        ).model_copy(update={"axes": ("mask", "gender")})

    one = trained(dataset, settings(2)).run
    stage = {"from_epoch": 2, "terms": [{"name": "soft-f1"}]}
    back = trained(dataset, settings(3, then=[stage])).run
    on = trained(dataset, settings(3, then=[stage | {"from_best": False}])).run
    names = ["weight", "bias"]
    assert best(one)["epoch"] == 0
    assert furthest(best(one)["weights"], weights(back), only=names) < 1e-6
    assert furthest(weights(one), weights(on), only=names) < 1e-6
    assert furthest(weights(back), weights(on), only=names) > 1e-3


def test_training_ends_when_it_does_not_improve(dataset: Path) -> None:
    settings = tiny(optim={"epochs": 9, "lr": 1e-12, "stop_after": 2})
    result = trained(dataset, settings)
    rows = Run(result.run).metrics()
    assert result.epochs == len(rows) < 9
    assert result.epochs == result.epoch + 1 + 2


def test_the_last_epoch_is_kept_if_that_is_asked_for(dataset: Path) -> None:
    result = trained(dataset, tiny(optim={"lr": 1e-12}, select={"last": True}))
    assert result.epoch == 2
    assert best(result.run)["epoch"] == 2


@pytest.mark.parametrize(
    ("select", "row", "expected"),
    [
        ({}, {"f1": 0.5, "val_loss": 2.0}, (0.5, -2.0)),
        ({"metric": "loss"}, {"f1": 0.5, "val_loss": 2.0}, (-2.0, -2.0)),
        ({"tie_break": "accuracy"}, {"f1": 0.5, "accuracy": 0.25}, (0.5, 0.25)),
        ({"tie_break": "earliest"}, {"f1": 0.5, "val_loss": 2.0}, (0.5, 0.0)),
        ({"metric": "official_f1"}, {"f1": 0.5, "val_loss": 2.0}, (-inf, -2.0)),
        ({}, {"f1": nan, "val_loss": nan}, (-inf, -inf)),
    ],
)
def test_an_epoch_is_chosen_by_its_metric_then_by_the_tie_break(
    select: dict[str, Any], row: dict[str, float], expected: tuple[float, float]
) -> None:
    assert merit_of(row, SelectSettings(**select)) == expected


def test_a_loss_that_is_no_number_ends_the_training_with_a_cure(dataset: Path) -> None:
    with pytest.raises(ConfigError, match=r"the loss is (nan|inf) in epoch \d.*optim\.lr"):
        trained(dataset, tiny(optim={"lr": 1e30, "name": "sgd", "schedule": {"name": "constant"}}))


def test_a_gpu_that_is_not_there_is_an_error(dataset: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(DeviceError, match="finds no GPU"):
        trained(dataset, device="cuda")


def test_half_precision_of_a_gpu_is_refused_on_a_cpu(dataset: Path) -> None:
    with pytest.raises(ConfigError, match=r"fp16.*bf16"):
        trained(dataset, tiny(optim={"precision": "fp16"}))


def test_brain_floats_train_on_a_cpu(dataset: Path) -> None:
    result = trained(dataset, tiny(optim={"precision": "bf16", "epochs": 1}))
    assert all(value.dtype != torch.bfloat16 for value in weights(result.run).values())


def test_the_table_of_epochs_has_every_record_and_agrees_with_the_metrics(plain: Path) -> None:
    table = pq.read_table(plain / "epochs.parquet")
    rows = Run(plain).metrics()
    assert table.num_rows == 3 * (24 + 48)
    for row in rows:
        val = table.filter(
            pc.and_(pc.equal(table["epoch"], int(row["epoch"])), pc.equal(table["part"], "val"))
        )
        assert pc.mean(val["loss"]).as_py() == pytest.approx(row["val_loss"], rel=1e-5)


def test_the_predictions_are_those_of_the_best_epoch(plain: Path) -> None:
    table = pq.read_table(plain / "predictions.parquet")
    epoch = best(plain)["epoch"]
    assert set(table["epoch"].to_pylist()) == {epoch}
    assert table.num_rows == 72
    val = table.filter(pc.equal(table["part"], "val"))
    epochs = pq.read_table(plain / "epochs.parquet" / f"{epoch:04d}.parquet")
    then = epochs.filter(pc.equal(epochs["part"], "val"))
    assert val["path"].equals(then["path"])
    np.testing.assert_allclose(val["loss"], then["loss"], rtol=1e-5)
    truth, chosen = joint_classes(val, "target"), joint_classes(val, "pred")
    f1 = float(macro_f1(confusion(truth, chosen, len(MASK_TASK))))
    assert f1 == pytest.approx(Run(plain).metrics()[epoch]["f1"])
    sums = sum(np.asarray(val[f"p_class_{number}"]) for number in range(18))
    np.testing.assert_allclose(sums, 1, rtol=1e-4)


def test_mixed_pictures_are_not_in_the_table_of_epochs(dataset: Path) -> None:
    mix = ({"name": "mixup", "p": 1.0, "lam": 0.5},)
    run = trained(dataset, tiny(augment={"mix": mix}, optim={"epochs": 1})).run
    table = pq.read_table(run / "epochs.parquet")
    train = table.filter(pc.equal(table["part"], "train")).num_rows
    assert train < 24, "of 48 most are mixed with one of another class"


def test_what_the_age_policy_leaves_out_counts_on_the_official_bins_alone(tmp_path: Path) -> None:
    out = write_learnable(tmp_path)
    relabel(out, set_policy="drop-57-59")
    split(out)
    result = trained(out, tiny(optim={"epochs": 1}))
    table = pq.read_table(result.run / "predictions.parquet")
    left_out = table.filter(pc.invert(table["kept"]))
    assert left_out.num_rows > 0
    assert set(left_out["part"].to_pylist()) == {"val"}
    assert left_out["target_age_group"].null_count == left_out.num_rows
    assert set(left_out["target_official_group"].to_pylist()) == {"middle"}
    row = Run(result.run).metrics()[0]
    val = pc.sum(pc.equal(table["part"], "val")).as_py()
    assert row["official_records"] == val
    assert row["records"] == val - left_out.num_rows


def test_years_are_told_where_the_network_knows_them(dataset: Path) -> None:
    settings = tiny(model={"heads": "three-way", "age": "distribution", "pretrained": False})
    run = trained(dataset, settings).run
    table = pq.read_table(run / "predictions.parquet")
    ages = np.asarray(table["pred_age"])
    assert ((ages >= 0) & (ages <= 100)).all()
    assert table["target_age"].null_count == 0
    assert "age_mae" in Run(run).metrics()[0]


def test_a_training_tells_how_far_it_is(dataset: Path) -> None:
    told: list[Progress] = []
    trained(dataset, tiny(optim={"epochs": 2}), report=told.append)
    assert [one.stage for one in told].index("train") < len(told)
    ends = [one for one in told if one.ended is not None]
    assert [one.epoch for one in ends] == [0, 1]
    assert all(0 <= one.done <= one.total for one in told)
    assert ends[-1].seconds_left == 0
    assert told[-1].stage == "predict"


def test_a_warm_start_takes_the_trunk_of_another_run(dataset: Path, plain: Path) -> None:
    settings = tiny(
        model={"warm_start": "plain", "freeze": True, "hidden": [8], "heads": "three-way"},
        optim={"epochs": 1},
    )
    run = trained(dataset, settings).run
    ours, theirs = best(run)["weights"], best(plain)["weights"]
    trunk = [name for name in theirs if ".trunk." in name]
    assert trunk
    assert all(ours[name].equal(theirs[name]) for name in trunk)
    assert Run(run).facts()["start"] == "run plain"


def test_a_warm_start_from_people_that_are_judged_is_refused(dataset: Path, plain: Path) -> None:
    assert plain.is_dir()
    split(dataset, "other", read_settings({"seed": 7}))
    with pytest.raises(ConfigError, match="another split or fold"):
        trained(dataset, tiny(model={"warm_start": "plain"}), split="other")
