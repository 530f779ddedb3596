"""`facecrop split` as it is typed."""

from pathlib import Path

import pytest
from made_datasets import names, seven_of, write_dataset
from program import typed

from facecrop.labels.certificate import read_split


@pytest.fixture
def out(tmp_path: Path) -> Path:
    people = [*names(10, "female", 60, 200), *names(10), *names(10, "female", 40, 100)]
    return write_dataset(tmp_path / "out", seven_of(*people))


def test_people_are_counted_by_cell_in_the_order_of_the_labels(out: Path) -> None:
    ended = typed("split", out)
    assert ended.returncode == 0, ended.stderr
    cells = [line.split() for line in ended.stdout.splitlines()[2:6]]
    assert cells == [
        ["male", "young", "2", "8"],
        ["female", "middle", "2", "8"],
        ["female", "old", "2", "8"],
        ["all", "6", "24"],
    ]
    assert "holds" in typed("split", out, "--check").stdout


def test_every_option_reaches_the_split(out: Path) -> None:
    ended = typed(
        "split", out, "--name", "mine", "--strategy", "kfold", "--folds", 3, "--seed", 0,
        "--radius", 0, "--agreement", 0.8, "--weights", "effective", "--beta", 0.9,
        "--worn-per-person", 1, "--undersample", 2, "--axes", "gender", "--only", "female",
        "--augment", "old",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    made = read_split(out, "mine").settings
    assert (made.strategy, made.folds, made.seed) == ("kfold", 3, 0)
    assert (made.radius, made.agreement) == (0, 0.8)
    sampling = made.sampling
    assert (sampling.weights, sampling.beta, sampling.worn_per_person) == ("effective", 0.9, 1)
    assert (sampling.undersample, sampling.axes) == (2, ("gender",))
    assert (sampling.only, sampling.augment) == (("female",), ("old",))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--strategy", "strat"], "strategy"),
        (["--val-fraction", 3], "val_fraction"),
        (["--only", "nobody"], "no label is called 'nobody'"),
        (["--name", "../x"], "plain file name"),
        (["--name", "none", "--check"], "there is no split 'none'"),
        (["--extend", "none"], "there is no split 'none'"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(out: Path, options: list[object], said: str) -> None:
    ended = typed("split", out, *options)
    assert ended.returncode == 1
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert not (out / "splits").exists()


def test_a_random_split_warns(out: Path) -> None:
    ended = typed("split", out, "--strategy", "random")
    assert ended.returncode == 0
    assert "warning: this split is random" in ended.stdout
