"""Runs on disk, their page, and how they are compared."""

import json
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_trainings import tiny, trained, write_learnable
from program import facecrop

from facecrop.commands.runs import runs
from facecrop.commands.train.page import render_run_page
from facecrop.errors import ConfigError, MissingExtraError, TableError
from facecrop.training.presets import loss_words
from facecrop.training.progress import Progress
from facecrop.training.runs import Run, free_name, git_commit, list_runs, open_run, versions
from facecrop.training.settings import TrainSettings


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a run of one training, one of several, and one that was stopped."""
    out = write_learnable(tmp_path_factory.mktemp("runs"), strategy="kfold", folds=2,
                          val_fraction=None)  # fmt: skip
    trained(out, tiny(optim={"epochs": 2}), name="single")
    trained(out, tiny(optim={"epochs": 1}), name="several", folds="all", repeats=2)

    def stop(progress: Progress) -> None:
        if progress.ended is not None:  # always told, unlike the batches of an epoch
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(out, tiny(), name="stopped", report=stop)
    return out


@pytest.mark.parametrize("name", ["", ".hidden", "../up", "a/b", "a\\b", "nul\0"])
def test_a_name_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="plain file name"):
        open_run(tmp_path, name)


def test_a_name_that_is_taken_gets_a_number(tmp_path: Path) -> None:
    assert free_name(tmp_path, "small") == "small"
    for expected in ("small-2", "small-3"):
        (tmp_path / "runs" / free_name(tmp_path, "small")).mkdir(parents=True)
        assert free_name(tmp_path, "small") == expected


def test_a_run_inside_another_is_called_by_both_names(tmp_path: Path) -> None:
    assert Run(tmp_path / "runs" / "a" / "fold1").name == "a/fold1"
    assert Run(Path("runs/a")).name == "a"
    assert Run(Path("elsewhere")).name == "elsewhere"


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["epoch", "loss", "f1"]), st.floats(allow_nan=False), min_size=1
        ),
        min_size=1,
    )
)
def test_metrics_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, float]]
) -> None:
    run = Run(tmp_path_factory.mktemp("run"))
    run.write_metrics(rows)
    assert run.metrics() == rows


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    settings = tiny(
        model={"heads": "three-way", "hidden": [8, 4]},
        augment={"transforms": ({"name": "blur"},), "mix": ({"name": "cutmix"},)},
        optim={"swa": {"start": 2}, "clip": 0.5},
        loss={"then": [{"from_epoch": 1, "terms": [{"name": "focal"}]}]},
    )
    run = Run(tmp_path)
    run.write_settings(settings)
    assert run.settings() == settings


def test_what_is_no_number_is_null_in_json(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_result({"scores": {"f1": float("nan")}, "intervals": {"f1": (0.0, float("inf"))}})
    assert run.result() == {"scores": {"f1": None}, "intervals": {"f1": [0.0, None]}}


def test_a_run_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"format": 99}')
    with pytest.raises(TableError, match="another version"):
        Run(tmp_path).facts()


def test_a_folder_that_is_no_run_says_how_runs_are_made(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="facecrop train OUT"):
        Run(tmp_path).facts()


def test_the_facts_of_a_run_name_what_it_depends_on(dataset: Path) -> None:
    facts = Run(dataset / "runs" / "single").facts()
    assert set(facts["digests"]) == {"index", "crops", "labels", "split", "policy", "recipe"}
    assert all(len(one) == 64 for name, one in facts["digests"].items() if name != "recipe")
    assert facts["versions"] == versions()
    assert facts["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert facts["git"] == git_commit()
    assert facts["start"] == "random"
    assert facts["people"] == {"train": 12, "val": 12}


def test_members_are_folds_and_repeats_with_seeds_of_their_own(dataset: Path) -> None:
    run = Run(dataset / "runs" / "several")
    assert [one.folder.name for one in run.members()] == [
        "repeat0-fold0", "repeat0-fold1", "repeat1-fold0", "repeat1-fold1",
    ]  # fmt: skip
    assert [one.facts()["seed"] for one in run.members()] == [0, 0, 1, 1]
    assert [one.facts()["fold"] for one in run.members()] == [0, 1, 0, 1]
    assert all(one.finished for one in run.members())


def test_runs_are_told_apart_in_a_table(dataset: Path) -> None:
    assert [run.name for run in list_runs(dataset)] == ["several", "single", "stopped"]
    several, single, stopped = runs(dataset)
    assert (single.trainings, single.epochs, single.finished) == (1, 2, True)
    assert (several.trainings, several.epochs, several.epoch) == (4, 4, None)
    assert (stopped.finished, stopped.epochs) == (False, 1)
    assert {"f1", "official_f1", "accuracy", "val_loss"} <= single.scores.keys()
    assert "f1" in stopped.scores
    assert single.backbone == "small"


@pytest.mark.parametrize(("score", "sign"), [("f1", -1), ("val_loss", 1), ("accuracy", -1)])
def test_runs_are_sorted_by_a_score_best_first(dataset: Path, score: str, sign: int) -> None:
    values = [sign * row.scores[score] for row in runs(dataset, score)]
    assert values == sorted(values)


def test_runs_cannot_be_sorted_by_what_they_have_not(dataset: Path) -> None:
    with pytest.raises(ConfigError, match="--sort must be one of name, f1"):
        runs(dataset, "beauty")


@pytest.mark.parametrize(
    ("loss", "axes", "words"),
    [
        ({}, ("mask", "gender", "age_group"), "cross-entropy"),
        ({"terms": [{"name": "soft-f1"}, {"name": "focal"}]}, ("mask",), "soft-f1 + focal"),
        ({"mask": [{"name": "focal"}]}, ("mask", "gender"), "cross-entropy, mask: focal"),
        ({"mask": [{"name": "focal"}]}, ("mask",), "mask: focal"),
        (
            {"then": [{"from_epoch": 1, "terms": [{"name": "soft-f1"}]}]},
            ("mask",),
            "cross-entropy, then soft-f1",
        ),
    ],
)
def test_losses_are_told_in_words(
    loss: dict[str, object], axes: tuple[str, ...], words: str
) -> None:
    settings = TrainSettings.model_validate(
        {"axes": axes, "model": {"heads": "three-way"}, "loss": loss}
    )
    assert loss_words(settings) == words


class _Page(HTMLParser):
    """What a browser would fetch, run, or show."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(("name", "pictures"), [("single", 2), ("several", 1)])
def test_the_page_of_a_run_needs_nothing_else(dataset: Path, name: str, pictures: int) -> None:
    page = _Page((dataset / "runs" / name / "index.html").read_text(encoding="utf-8"))
    assert len(page.sources) == pictures
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)
    assert not {"script", "link", "iframe"} & set(page.tags)


def test_the_page_shows_what_others_wrote_as_text(dataset: Path) -> None:
    run = Run(dataset / "runs" / "single")
    facts = run.facts()
    (run.folder / "run.json").write_text(
        json.dumps(facts | {"preset": "<script>alert(1)</script>"}), encoding="utf-8"
    )
    try:
        page = _Page(render_run_page(run))
    finally:
        run.write_facts(facts)
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text


def test_every_epoch_is_reported_to_tensorboard(dataset: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import (  # noqa: PLC0415 - slow
        EventAccumulator,
    )

    run = Run(dataset / "runs" / "single")
    events = EventAccumulator(str(run.events))
    events.Reload()
    told = [(one.step, one.value) for one in events.Scalars("val_loss")]
    assert told == [(row["epoch"], pytest.approx(row["val_loss"])) for row in run.metrics()]


def test_wandb_is_told_without_a_network(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = trained(dataset, tiny(optim={"epochs": 1}), name="told", wandb="faces").run
    (folder,) = (run / "wandb").glob("offline-run-*")
    assert [file.suffix for file in folder.glob("*.wandb")] == [".wandb"]


def test_wandb_that_is_not_installed_is_named(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match="pip install wandb"):
        trained(dataset, tiny(optim={"epochs": 1}), name="untold", wandb="faces")


def test_runs_are_compared_without_loading_torch(dataset: Path) -> None:
    code = (
        "import sys; from facecrop.commands.runs import runs; "
        f"assert len(runs({str(dataset)!r})) >= 3; assert 'torch' not in sys.modules"
    )
    said = facecrop("-c", code, program=(sys.executable,))
    assert said.returncode == 0, said.stderr
