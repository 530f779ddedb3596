from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.commands.relabel.command import suggest_policy
from facecrop.errors import ConfigError
from facecrop.index import write_table
from facecrop.labels.suggest import border


def a_run(out: Path, name: str, **columns: object) -> Path:
    folder = out / "runs" / name
    folder.mkdir(parents=True)
    write_table(pa.table(columns), folder / "predictions.parquet")
    return folder


def predictions(shrink: float = 0.92, repeats: int = 1) -> dict[str, object]:
    """Out-of-fold predictions of a model that draws ages towards their mean, 40."""
    ages = np.tile(np.arange(18, 63, dtype=np.float64), 40)
    noise = np.random.default_rng(1).normal(0, 1.5, len(ages))
    seen = 40 + shrink * (ages - 40) + noise
    return {
        "path": [f"p{i}/normal.jpg" for i in range(len(ages))] * repeats,
        "part": ["val"] * (len(ages) * repeats),
        "target_age": np.tile(ages, repeats),
        "pred_age": np.concatenate([seen + step for step in range(repeats)]) - (repeats - 1) / 2,
    }


def test_a_model_that_draws_to_the_mean_sees_sixty_at_fifty_eight(tmp_path: Path) -> None:
    folder = a_run(tmp_path, "a", **predictions())
    found = suggest_policy(tmp_path)
    young, old = found.borders
    assert (young.true_age, old.true_age) == (30, 60)
    assert abs(old.seen_age - (40 + 0.92 * 19.5)) < 0.5  # halfway between 59 and 60
    assert found.policy.name == "threshold-58"
    assert found.records == 45 * 40
    assert found.picture == folder / "age-border.svg"
    assert "true 60" in "".join(ET.fromstring(found.picture.read_text()).itertext())  # noqa: S314 - drawn above


def test_the_table_counts_each_record_on_one_side(tmp_path: Path) -> None:
    a_run(tmp_path, "a", **predictions())
    old = suggest_policy(tmp_path).borders[-1]
    truly_older = int((old.ages >= 60).sum())
    for cut in old.cuts:
        assert cut.called_older == truly_older - cut.missed + cut.false
        assert cut.labelled_older == int((old.ages >= cut.cut).sum())
    assert old.best.errors == min(cut.errors for cut in old.cuts)


def test_repeats_of_a_record_count_once_with_their_mean(tmp_path: Path) -> None:
    a_run(tmp_path / "one", "a", **predictions())
    a_run(tmp_path / "three", "a", **predictions(repeats=3))
    one, three = (suggest_policy(tmp_path / name) for name in ("one", "three"))
    assert one.records == three.records
    assert one.borders[-1].seen_age == pytest.approx(three.borders[-1].seen_age)


def test_predictions_of_training_records_do_not_count(tmp_path: Path) -> None:
    data = predictions()
    flattering = {
        "path": ["t/normal.jpg"] * 500,
        "part": ["train"] * 500,
        "target_age": np.full(500, 60.0),
        "pred_age": np.full(500, 60.0),
    }
    a_run(tmp_path / "a", "a", **data)
    a_run(tmp_path / "b", "a", **{k: [*data[k], *flattering[k]] for k in data})
    assert suggest_policy(tmp_path / "a").records == suggest_policy(tmp_path / "b").records


def test_a_policy_of_its_own_is_named_after_the_run(tmp_path: Path) -> None:
    a_run(tmp_path, "strange", **predictions(shrink=0.6))
    policy = suggest_policy(tmp_path).policy
    assert (policy.name, policy.cuts, policy.drop) == ("seen-by-strange", (30, 52), ())


@given(st.lists(st.floats(20, 80), min_size=2, max_size=60, unique=True))
def test_a_perfect_model_makes_no_error_at_the_true_border(ages: list[float]) -> None:
    years = np.floor(np.array([*ages, 59.0, 60.0]))
    assert border(years, years, 60).best.errors == 0


def test_without_a_run_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no run to learn from; first: facecrop train"):
        suggest_policy(tmp_path)


def test_of_several_runs_one_must_be_named(tmp_path: Path) -> None:
    for name in ("a", "b"):
        a_run(tmp_path, name, **predictions())
    with pytest.raises(ConfigError, match="choose one: a, b"):
        suggest_policy(tmp_path)
    with pytest.raises(ConfigError, match="c has no predictions; runs with predictions: a, b"):
        suggest_policy(tmp_path, run="c")
    assert suggest_policy(tmp_path, run="b").run == "b"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pred_age": None}, "no head that predicts age in years"),
        ({"pred_age": ["old"]}, "must be numbers of years"),
        ({"part": ["train"]}, "no out-of-fold prediction of age"),
        ({"target_age": [61.0]}, r"have no border at \(30, 60\)"),
    ],
)
def test_predictions_that_do_not_serve_are_named(
    tmp_path: Path, change: dict[str, list[object] | None], message: str
) -> None:
    good = {"path": ["p"], "part": ["val"], "target_age": [40.0], "pred_age": [41.0]}
    columns = {name: value for name, value in (good | change).items() if value is not None}
    a_run(tmp_path, "a", **columns)
    with pytest.raises(ConfigError, match=message):
        suggest_policy(tmp_path)
