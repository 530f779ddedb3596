"""What benchmarks decide by: the rule of the ablations, their arms, the proof about real faces."""

from hashlib import sha256
from importlib import import_module
from math import isnan, nan, sqrt
from pathlib import Path
from types import ModuleType

import pyarrow as pa
import pytest

from facecrop.images.recipe import load_recipe
from facecrop.labels.ages import shipped_policies
from facecrop.labels.splits import SplitSettings
from facecrop.training.presets import load_preset

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def rule(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("ablations_rule")


@pytest.fixture
def arms(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("ablations_arms")


@pytest.mark.parametrize(
    ("row", "pooled", "verdict"),
    [
        ([0.10, 0.11, 0.12], 0.01, "better"),
        ([-0.10, -0.11, -0.12], 0.01, "worse"),
        ([0.10, 0.11, 0.12], 0.10, "no difference shown"),  # these three agree by chance
        ([0.30, 0.00, 0.03], 0.01, "no difference shown"),  # these do not, whatever others do
        ([0.10, 0.11, 0.12], nan, "better"),
        ([0.10], 0.01, "too few pairs"),
        ([], 0.01, "too few pairs"),
    ],
)
def test_a_difference_counts_beyond_two_of_the_larger_error(
    rule: ModuleType, row: list[float], pooled: float, verdict: str
) -> None:
    assert rule.compared(row, pooled).verdict == verdict


def test_the_pooled_deviation_is_that_around_each_rows_own_mean(rule: ModuleType) -> None:
    assert rule.pooled_deviation([[0, 2], [11, 13], [5], []]) == pytest.approx(sqrt(2))
    assert isnan(rule.pooled_deviation([[1], []]))


def test_pairs_are_of_equal_seeds(rule: ModuleType) -> None:
    assert rule.paired({2: 0.5, 0: 0.25, 7: 0.9}, {0: 0.125, 1: 0.3, 2: 0.25}) == [0.125, 0.25]


def test_every_arm_is_a_training_that_differs_from_the_base_in_one_thing(arms: ModuleType) -> None:
    base = arms.ARMS[arms.BASE]
    for name, arm in arms.ARMS.items():
        load_preset("small", [*arms.SETTINGS, *arm.settings])
        SplitSettings(strategy=arm.split)
        data = arms.DATA[arm.data]
        load_recipe(data.recipe, data.changes)
        assert data.policy in shipped_policies()
        changed = [arm.settings != base.settings, arm.data != base.data, arm.split != base.split]
        assert sum(changed) == (name != arms.BASE), name


def test_datasets_that_differ_in_labels_alone_share_the_pictures_they_are_judged_by(
    arms: ModuleType,
) -> None:
    recipes = {(data.recipe, data.changes): data.pictures for data in arms.DATA.values()}
    assert len(set(recipes.values())) == len(recipes)


TWINS = {"one.jpg": b"one", "two.jpg": b"two", "twin.jpg": b"two"}
"""Three pictures, two of them equal."""


def proof_of_twins(
    monkeypatch: pytest.MonkeyPatch, folder: Path, folds: list[int], groups: list[str]
) -> str:
    pytest.importorskip("torch")
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name, data in TWINS.items():
        (folder / name).write_bytes(data)
    digests = [sha256(data).digest() for data in TWINS.values()]
    index = pa.table({"path": list(TWINS), "digest": digests})
    split = pa.table({"path": list(TWINS), "fold": folds, "group": groups})
    said: str = import_module("utkface").proof(folder, index, split)
    return said


def test_equal_pictures_in_one_fold_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    said = proof_of_twins(monkeypatch, tmp_path, [0, 1, 1], ["a", "b", "b"])
    assert "1 pictures are there more than once" in said
    assert "folds that share a picture: 0, a group: 0" in said


@pytest.mark.parametrize(
    ("groups", "told"),
    [
        (["a", "b", "b"], "1 pictures and 1 groups lie in more than one fold"),
        (["a", "b", "c"], "1 pictures and 0 groups lie in more than one fold"),
    ],
)
def test_folds_that_share_a_picture_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, groups: list[str], told: str
) -> None:
    with pytest.raises(SystemExit, match=told):
        proof_of_twins(monkeypatch, tmp_path, [0, 0, 1], groups)
