"""`facecrop train` and `facecrop runs` as they are typed."""

import json
import sys
from pathlib import Path

import cv2
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_trainings import tiny, trained, write_learnable
from program import facecrop, typed

from facecrop.commands.split import read_settings, split
from facecrop.config import plain, toml_text
from facecrop.errors import ConfigError
from facecrop.images.recipe import load_recipe
from facecrop.index import AGE_GROUPS, CARD_FILE
from facecrop.labels.certificate import read_split
from facecrop.training.members import fold_numbers, members_of
from facecrop.training.presets import (
    Dataset,
    check_requires,
    load_preset,
    missing,
    shipped_presets,
)
from facecrop.training.runs import Run
from facecrop.training.settings.train import Requires

QUICK = ("--set", "input.size=[32, 32]", "--epochs", "2", "--device", "cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = write_learnable(tmp_path_factory.mktemp("typed"))
    split(out, "kfold", read_settings({"strategy": "kfold", "folds": 3}))
    return out


def test_a_training_is_one_command(tmp_path: Path) -> None:
    out = write_learnable(tmp_path)
    for file in (out / "splits").iterdir():
        file.unlink()
    said = typed("train", out, *QUICK)
    assert said.returncode == 0, said.stderr
    assert (out / "splits" / "default.parquet").exists(), "the default split is made"
    assert "epoch 1/2  loss " in said.stdout
    assert "epoch 2/2  loss " in said.stdout
    assert "macro-F1, official bins" in said.stdout
    run = out / "runs" / "small"
    assert f"look at it:  {run / 'index.html'}" in said.stdout
    files = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert files == {
        "settings.toml", "run.json", "metrics.csv", "tensorboard", "checkpoints",
        "epochs.parquet", "predictions.parquet", "curves.png", "confusion.png", "result.json",
        "index.html",
    }  # fmt: skip
    assert Run(run).settings().optim.epochs == 2
    again = typed("train", out, *QUICK)
    assert again.returncode == 0
    assert (out / "runs" / "small-2" / "result.json").exists()


def test_the_result_can_be_read_by_programs(dataset: Path) -> None:
    said = typed("train", dataset, *QUICK, "--name", "read", "--json")
    assert said.returncode == 0, said.stderr
    result = json.loads(said.stdout)
    assert result["name"] == "read"
    assert 0 <= result["scores"]["f1"] <= 1
    table = json.loads(typed("runs", dataset, "--json").stdout)
    assert [row["scores"]["f1"] for row in table if row["name"] == "read"] == [
        result["scores"]["f1"]
    ]


def test_all_folds_leave_one_prediction_of_every_record_by_a_model_that_never_saw_its_person(
    dataset: Path,
) -> None:
    said = typed("train", dataset, *QUICK, "--name", "folds", "--split", "kfold", "--folds", "all")
    assert said.returncode == 0, said.stderr
    assert "fold2 epoch 2/2" in said.stdout
    table = pq.read_table(dataset / "runs" / "folds" / "predictions.parquet")
    rows = table.to_pylist()
    val = [row for row in rows if row["part"] == "val"]
    assert sorted(row["path"] for row in val) == sorted(
        pq.read_table(dataset / "labels.parquet")["path"].to_pylist()
    )
    split_of = read_split(dataset, "kfold").table
    fold = dict(zip(split_of["path"].to_pylist(), split_of["fold"].to_pylist(), strict=True))
    assert all(row["fold"] == fold[row["path"]] for row in val)
    learnt = {(row["fold"], row["profile"]) for row in rows if row["part"] == "train"}
    assert not learnt & {(row["fold"], row["profile"]) for row in val}
    assert {row["target_age_group"] for row in val} == set(AGE_GROUPS)
    shown = typed("runs", dataset).stdout
    assert "folds" in shown


def test_a_run_is_resumed_by_its_name(dataset: Path) -> None:
    trained(dataset, tiny(optim={"epochs": 1}), name="resumed")
    said = typed("train", dataset, "--resume", "resumed", "--device", "cpu")
    assert said.returncode == 0, said.stderr
    assert "epoch" not in said.stdout.splitlines()[0], "it was finished"


def test_the_presets_are_listed() -> None:
    said = typed("train", "--presets")
    assert said.returncode == 0, said.stderr
    names = [preset.name for preset in shipped_presets()]
    assert "small" in names
    words = said.stdout.split()
    assert [name for name in names if name not in words] == []


def test_every_preset_says_what_it_is_and_what_was_reported() -> None:
    for preset in shipped_presets():
        assert preset.about.endswith("."), preset.name
        assert preset.loss
        ours = preset.name in ("small", "strong")
        assert bool(preset.score) != ours, preset.name


def test_what_augmentation_does_is_drawn(dataset: Path, tmp_path: Path) -> None:
    file = tmp_path / "sheet.png"
    said = typed("train", dataset, *QUICK, "--preview-augment", file)
    assert said.returncode == 0, said.stderr
    sheet = cv2.imread(str(file))
    assert sheet is not None
    assert min(sheet.shape[:2]) > 200
    assert not (dataset / "runs" / "small" / "checkpoints").exists(), "nothing was trained"


MISTAKES = {
    "no such preset": (["--preset", "smal"], "no preset named 'smal'. Did you mean 'small'?"),
    "no such setting": (["--set", "optim.rate=1"], "no setting 'optim.rate'"),
    "impossible settings": (["--set", "optim.lr=-1"], "optim.lr"),
    "no such device": (["--device", "tpu"], "no device 'tpu'; choose from: auto, cpu, cuda"),
    "folds of a plain split": (["--folds", "all"], "--folds all needs a kfold split"),
    "no such fold": (["--split", "kfold", "--folds", "9"], "--folds must be 0 to 2, or all"),
    "no such split": (["--split", "none"], "there is no split 'none'; run: facecrop split"),
    "a name with a folder": (["--name", "a/b"], "plain file name"),
    "a resumed run with settings": (["--resume", "none"], "goes on as the run was begun"),
    "a preview that is no picture": (["--preview-augment", "x.txt"], "needs a .png file"),
    "no such backbone": (["--set", "model.backbone=resnet5"], "no backbone named 'resnet5'"),
    "no such optimiser": (["--set", "optim.name=adamm"], "no optimiser named 'adamm'"),
    "no weights": (
        ["--set", "model.backbone=resnet18", "--set", "model.pretrained=true"],
        "no pretrained weights of",
    ),
    "no such warm start": (["--set", "model.warm_start=none"], "there is no run 'none'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_with_its_cure(dataset: Path, mistake: str) -> None:
    options, message = MISTAKES[mistake]
    said = typed("train", dataset, *QUICK, *options)
    assert said.returncode == 1
    assert said.stderr.startswith("error: ")
    assert message in said.stderr
    assert len(said.stderr.splitlines()) == 1


def test_a_name_that_is_taken_is_told_how_to_go_on(dataset: Path) -> None:
    (dataset / "runs" / "taken").mkdir(parents=True)
    said = typed("train", dataset, *QUICK, "--name", "taken")
    assert "--resume taken" in said.stderr


def test_no_dataset_is_a_mistake_of_usage() -> None:
    assert typed("train").returncode == 2


def test_a_requested_gpu_that_is_missing_ends_with_one_line(dataset: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    said = typed("train", dataset, "--device", "cuda")
    assert said.returncode == 1
    assert "--device cuda: torch finds no GPU here" in said.stderr


def test_help_does_not_load_torch() -> None:
    code = (
        "import sys\nsys.argv = ['facecrop', 'train', '--help']\nimport atexit\n"
        "atexit.register(lambda: print('torch' in sys.modules))\n"
        "from facecrop.cli import main\nmain()"
    )
    said = facecrop("-c", code, program=(sys.executable,))
    assert said.stdout.splitlines()[-1] == "False"


HAS = Dataset("raw", "official", "stratified", None, frozenset({"003-a"}))
ASKS = {
    "recipe": ("rembg", "facecrop preprocess RAW OUT --recipe rembg"),
    "age_policy": ("threshold-58", "facecrop relabel OUT --set-policy threshold-58"),
    "split": (
        "kfold",
        "facecrop split OUT --name kfold --strategy kfold, then train with --split kfold",
    ),
    "worn_per_person": (1, "facecrop split OUT --name default --worn-per-person 1"),
    "run": ("003-b", "facecrop train OUT --preset 003-b"),
}


@pytest.mark.parametrize("what", ASKS)
def test_what_a_preset_needs_is_named_with_the_command_that_makes_it(what: str) -> None:
    wanted, command = ASKS[what]
    requires = Requires.model_validate({what: wanted})
    (fault,) = missing(requires, HAS, Path("OUT"), "default")
    assert fault.endswith(f"run: {command}")
    with pytest.raises(ConfigError, match=r"this preset needs .*--ignore-requires"):
        check_requires(requires, HAS, Path("OUT"), "default")


def test_a_preset_that_has_what_it_needs_is_let_through() -> None:
    requires = Requires(recipe="raw", age_policy="official", split="stratified", run="003-a")
    assert missing(requires, HAS, Path("OUT"), "default") == []
    check_requires(Requires(), HAS, Path("OUT"), "default")


def test_both_needs_of_a_split_are_met_by_one_command() -> None:
    requires = Requires(split="profile", worn_per_person=2)
    command = (
        "facecrop split OUT --name profile --strategy profile --worn-per-person 2, "
        "then train with --split profile"
    )
    faults = missing(requires, HAS, Path("OUT"), "x")
    assert len(faults) == 2
    assert all(fault.endswith(command) for fault in faults)


def test_a_dataset_is_held_to_what_the_preset_needs_unless_told_not_to(dataset: Path) -> None:
    asks = ("--set", "requires.age_policy=threshold-58", "--name", "asks")
    said = typed("train", dataset, *QUICK, *asks)
    assert said.returncode == 1
    assert "facecrop relabel" in said.stderr
    assert not (dataset / "runs" / "asks").exists()
    said = typed("train", dataset, *QUICK, *asks, "--ignore-requires")
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize(("change", "fits"), [([], True), (["render.resize.size=[9, 9]"], False)])
def test_a_recipe_whose_settings_were_changed_is_not_the_recipe(
    tmp_path: Path, change: list[str], *, fits: bool
) -> None:
    out = write_learnable(tmp_path)
    recipe = plain(load_recipe("raw", change))
    (out / CARD_FILE).write_text(toml_text({"recipe_name": "raw", "recipe": recipe}))
    said = typed("train", out, *QUICK, "--set", "requires.recipe=raw", "--epochs", "1")
    assert (said.returncode == 0) == fits, said.stderr
    assert ("'raw with changed settings'" in said.stderr) != fits


def test_a_default_split_is_made_as_the_preset_needs_it(tmp_path: Path) -> None:
    out = write_learnable(tmp_path)
    for file in (out / "splits").iterdir():
        file.unlink()
    options = ("--set", "requires.split=profile", "--set", "requires.worn_per_person=1")
    said = typed("train", out, *QUICK, *options)
    assert said.returncode == 0, said.stderr
    settings = read_split(out, "default").settings
    assert settings.strategy == "profile"
    assert settings.sampling.worn_per_person == 1


@given(st.lists(st.integers(0, 9), min_size=1, unique=True), st.integers(1, 4))
def test_every_training_of_a_run_has_a_folder_of_its_own(folds: list[int], repeats: int) -> None:
    members = members_of(folds, repeats)
    assert len({member.name for member in members}) == len(members) == len(folds) * repeats
    assert {(member.fold, member.repeat) for member in members} == {
        (fold, repeat) for fold in folds for repeat in range(repeats)
    }
    assert (members[0].name == "") == (len(members) == 1)


@pytest.mark.parametrize(
    ("wanted", "strategy", "count", "expected"),
    [
        ("0", "stratified", 5, [0]),
        ("all", "kfold", 3, [0, 1, 2]),
        ("2", "kfold", 3, [2]),
    ],
)
def test_folds_are_named_by_number_or_all(
    wanted: str, strategy: str, count: int, expected: list[int]
) -> None:
    assert fold_numbers(wanted, strategy, count) == expected


@pytest.mark.parametrize("wanted", ["1", "-1", "two", "", "all"])
def test_a_plain_split_has_one_fold_to_be_judged_by(wanted: str) -> None:
    with pytest.raises(ConfigError, match="--folds"):
        fold_numbers(wanted, "stratified", 5)


def test_a_preset_is_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('# Mine.\n[model]\nbackbone = "plain-cnn"\n')
    settings = load_preset(str(file), ["optim.lr=0.5", "seed=4"])
    assert settings.model.backbone == "plain-cnn"
    assert settings.optim.lr == 0.5
    assert settings.seed == 4
