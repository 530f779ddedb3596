"""What a worker on another machine makes sure of before it begins."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import write_profiles
from runs import recipe

from facecrop.commands.preprocess.command import preprocess
from facecrop.commands.preprocess.node import OnNode, surroundings
from facecrop.commands.preprocess.work import Means
from facecrop.errors import ConfigError, WeightsError
from facecrop.images.job import Job, Weight
from facecrop.images.models import ModelStore
from facecrop.images.pipeline import Pipeline
from facecrop.store import Store


@pytest.fixture
def node(tmp_path: Path) -> OnNode:
    """What a driver hands to its workers."""
    raw, out = write_profiles(tmp_path / "raw", 1), tmp_path / "out"
    lookup = Store(out / ".store").write_lookup(())
    job = Job(raw, out, recipe(), {}, b"f" * 32, "cpu", lookup)
    return OnNode(job, surroundings(recipe(), "cpu"), offline=True)


def test_where_all_is_as_it_was_the_work_can_begin(node: OnNode) -> None:
    work = pickle.loads(pickle.dumps(node))()  # noqa: S301 - made one line above
    assert isinstance(work, Pipeline)
    assert work.job.weights == node.job.weights


def test_a_machine_without_the_shared_folders_is_named(node: OnNode, tmp_path: Path) -> None:
    elsewhere = replace(node, job=replace(node.job, root=tmp_path / "not-mounted"))
    with pytest.raises(ConfigError, match=r"^machine '.+' does not see '.+not-mounted'; RAW and"):
        elsewhere()
    Path(node.job.lookup.path).unlink()  # another folder of the same name
    with pytest.raises(ConfigError, match=r"does not see '.+out'"):
        node()


@pytest.mark.parametrize("name", ["numpy", "fake-face"])
def test_a_machine_with_other_versions_is_named(node: OnNode, name: str) -> None:
    assert name in node.expected
    other = replace(node, expected={**node.expected, name: "0.1"})
    with pytest.raises(ConfigError, match=f"has {name} '.+', and this run began with '0.1'"):
        other()


def test_a_model_file_that_is_not_there_is_taken_from_this_machines_own(
    node: OnNode, tmp_path: Path
) -> None:
    models, name = ModelStore(offline=True), "blazeface-short"
    if models.state(name) != "ready":
        pytest.skip(f"{models.folder} has no {name}: facecrop models pull {name}")
    missing = Weight(tmp_path / "elsewhere.tflite", models.digest(name))
    work = replace(node, job=replace(node.job, weights={name: missing}))()
    assert work.job.weights[name] == Weight(models.path(name), models.digest(name))
    other = replace(missing, digest="0" * 64)
    with pytest.raises(WeightsError, match="has other bytes of the model 'blazeface-short'"):
        replace(node, job=replace(node.job, weights={name: other}))()


def test_a_model_that_a_machine_cannot_have_is_named(
    node: OnNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACECROP_MODELS", str(tmp_path / "no-models"))
    missing = Weight(tmp_path / "elsewhere.tflite", "0" * 64)
    with pytest.raises(WeightsError, match="blazeface-short"):
        replace(node, job=replace(node.job, weights={"blazeface-short": missing}))()


def test_what_an_engine_cannot_do_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    with pytest.raises(ConfigError, match="--address auto needs --engine ray"):
        preprocess(raw, tmp_path / "out", recipe="raw", address="auto")
    with pytest.raises(ConfigError, match="runs models on CPUs; use --device cpu, or"):
        preprocess(raw, tmp_path / "out", recipe="raw", engine="ray", device="cuda")


def test_a_dry_run_needs_no_cluster_and_unknown_machines_get_small_tasks() -> None:
    means = Means("ray", address="somewhere:1")
    assert (means.alone().engine, means.alone().workers) == ("local", 1)
    assert means.everywhere > Means("ray", 4).everywhere == 4
