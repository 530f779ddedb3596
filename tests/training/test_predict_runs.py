"""Prediction: every raw image gets an answer, and it is the one that the training would give."""

import json
import shutil
import tomllib
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from predicted import Place, table
from program import typed
from small_run import LOSSLESS, small_run

import facecrop
from facecrop.commands.predict.crops import recipe_of
from facecrop.config import plain, toml_text
from facecrop.errors import ConfigError, TableError
from facecrop.images.recipe import Recipe, load_recipe, shipped_recipes
from facecrop.index import read_table
from facecrop.training.prediction_files import read_predictions
from facecrop.training.runs import Run


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("predict"))


# What is said of a dataset, and of raw pictures


def test_a_run_says_of_its_validation_records_what_it_said_when_it_was_trained(
    place: Place, tmp_path: Path
) -> None:
    result = facecrop.predict([place.run.folder], place.out, out=tmp_path / "p.parquet")
    assert result.statuses == {"ok": 30}
    before = read_predictions(place.run.predictions_file)
    rows = [result.said.keys.index(key) for key in before.keys]
    now = result.said.take(np.array(rows))
    assert len(rows) > 3
    assert now.classes.tolist() == before.classes.tolist()
    np.testing.assert_allclose(now.distribution(), before.distribution(), atol=1e-5)


def test_raw_pictures_are_made_into_crops_as_the_dataset_was(place: Place, tmp_path: Path) -> None:
    of_dataset = facecrop.predict([place.run.folder], place.out, out=tmp_path / "a.csv")
    of_raw = facecrop.predict(
        [place.run.folder], place.raw, out=tmp_path / "b.csv", engine="serial"
    )
    assert of_raw.said.keys == of_dataset.said.keys
    np.testing.assert_array_equal(of_raw.said.distribution(), of_dataset.said.distribution())
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    assert of_raw.warnings == ()


def test_crops_of_raw_pictures_are_kept_in_the_store_and_found_again(
    place: Place, tmp_path: Path
) -> None:
    facecrop.predict([place.run.folder], place.raw, out=tmp_path / "a.csv", engine="serial")
    crops = sorted((place.out / ".store" / "predict").glob("*/images/*/*.png"))
    times = [crop.stat().st_mtime_ns for crop in crops]
    facecrop.predict([place.run.folder], place.raw, out=tmp_path / "a.csv", engine="serial")
    assert len(crops) == 30
    assert [crop.stat().st_mtime_ns for crop in crops] == times


def test_they_are_kept_in_a_folder_that_is_named(place: Place, tmp_path: Path) -> None:
    work = tmp_path / "work"
    facecrop.predict(
        [place.run.folder], place.raw, out=tmp_path / "a.csv", work=work, engine="serial"
    )
    assert len(list(work.glob("images/*/*.png"))) == 30


def test_a_run_predicts_without_its_dataset(place: Place, tmp_path: Path) -> None:
    alone = tmp_path / "elsewhere" / "tiny"
    shutil.copytree(place.run.folder, alone)
    result = facecrop.predict([alone], place.raw, out=tmp_path / "a.csv", engine="serial")
    there = facecrop.predict([place.run.folder], place.raw, out=tmp_path / "b.csv", engine="serial")
    np.testing.assert_array_equal(result.said.distribution(), there.said.distribution())


def test_the_file_has_a_row_for_every_image_and_reads_as_it_was_said(
    place: Place, tmp_path: Path
) -> None:
    result = facecrop.predict([place.run.folder], place.out, out=tmp_path / "p.parquet")
    index = read_table(place.out / "index.parquet")
    written = table(tmp_path / "p.parquet")
    for name in ("path", "profile", "status", "reason"):
        assert written[name].to_pylist() == index[name].to_pylist()
    read = read_predictions(tmp_path / "p.parquet")
    assert read.classes.tolist() == result.said.classes.tolist()
    np.testing.assert_allclose(read.distribution(), result.said.distribution(), atol=1e-12)


def test_a_dataset_of_another_recipe_is_refused(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other"
    facecrop.preprocess(
        place.raw, other, recipe="center-crop", settings=[LOSSLESS, "crop.size=[48,48]"],
        engine="serial", contact=False,
    )  # fmt: skip
    with pytest.raises(ConfigError, match=r"another recipe \(center-crop\).*give the raw folder"):
        facecrop.predict([place.run.folder], other, out=tmp_path / "a.csv")


def test_runs_of_different_recipes_are_sent_to_vote(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other" / "runs" / "odd"
    shutil.copytree(place.run.folder, other)
    facts = json.loads((other / "run.json").read_text())
    facts["card"]["recipe"]["crop"] = {"around": "center", "size": [48, 48]}
    (other / "run.json").write_text(json.dumps(facts))
    with pytest.raises(ConfigError, match=r"different recipes.*facecrop vote"):
        facecrop.predict(
            [place.run.folder, other], place.raw, out=tmp_path / "a.csv", engine="serial"
        )
    with pytest.raises(TableError, match="not the one whose fingerprint it has"):
        facecrop.predict([other], place.raw, out=tmp_path / "a.csv", engine="serial")


@pytest.mark.parametrize("name", shipped_recipes())
@pytest.mark.parametrize("more", [[], ["crop.aspect=free"]], ids=["", "free"])
def test_every_recipe_is_read_back_from_a_card_as_it_was(name: str, more: list[str]) -> None:
    recipe = load_recipe(name, more)
    assert recipe_of(_card(recipe), "here") == recipe


def test_a_recipe_that_was_edited_in_a_card_is_refused() -> None:
    card = _card(load_recipe("embedded"))
    card["recipe"]["crop"]["margin"] = 0.5
    with pytest.raises(TableError, match="here: the recipe is not the one"):
        recipe_of(card, "here")
    with pytest.raises(TableError, match="does not say by which recipe"):
        recipe_of({}, "here")


def _card(recipe: Recipe) -> dict[str, dict[str, dict[str, object]]]:
    keys = ["a", *(finder.label for finder in recipe.look.finders)]
    card = {
        "recipe_fingerprint": recipe.fingerprint(keys).hex(),
        "finders": {key: {"key": key} for key in keys},
        "recipe": plain(recipe),
    }
    return tomllib.loads(toml_text(card))


def test_weights_of_another_network_are_one_line(place: Place, tmp_path: Path) -> None:
    """As after an update that builds a backbone otherwise."""
    old = tmp_path / "runs" / "old"
    shutil.copytree(place.run.folder, old)
    file = old / "checkpoints" / "best.pt"
    held = torch.load(file, weights_only=True)
    held["weights"] = {name: torch.zeros(7) for name in held["weights"]}
    torch.save(held, file)
    with pytest.raises(TableError, match=r"another network than 'small'.*; train anew"):
        facecrop.predict([old], place.out, out=tmp_path / "a.csv")


# Several models


def test_a_run_asked_twice_answers_as_asked_once(place: Place, tmp_path: Path) -> None:
    once = facecrop.predict([place.run.folder], place.out, out=tmp_path / "a.csv").said
    twice = facecrop.predict([place.run.folder] * 2, place.out, out=tmp_path / "b.csv").said
    assert twice.classes.tolist() == once.classes.tolist()
    np.testing.assert_allclose(twice.distribution(), once.distribution(), atol=1e-12)


def test_a_run_of_several_trainings_is_all_of_them(place: Place, tmp_path: Path) -> None:
    members = place.years.members()
    whole = facecrop.predict([place.years.folder], place.out, out=tmp_path / "a.parquet")
    apart = [
        facecrop.predict([one.folder], place.out, out=tmp_path / "b.parquet").said
        for one in members
    ]
    assert whole.models == len(members) == 2
    mean = (apart[0].distribution() + apart[1].distribution()) / 2
    np.testing.assert_allclose(whole.said.distribution(), mean, atol=1e-12)
    assert np.abs(apart[0].distribution() - apart[1].distribution()).max() > 1e-3


def test_ages_are_told_by_models_that_know_years(place: Place, tmp_path: Path) -> None:
    facecrop.predict([place.years.folder], place.out, out=tmp_path / "a.parquet")
    ages = table(tmp_path / "a.parquet")["age"].to_numpy()
    assert ((ages > 0) & (ages < 100)).all()
    facecrop.predict([place.run.folder], place.out, out=tmp_path / "b.parquet")
    assert "age" not in table(tmp_path / "b.parquet").column_names


def test_what_flip_adds_is_blind_to_mirrors(place: Place, tmp_path: Path) -> None:
    mirrored = tmp_path / "raw"
    for path in place.raw.glob("*/*.png"):
        to = mirrored / path.relative_to(place.raw)
        to.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(to), cv2.imread(str(path))[:, ::-1])
    options = {"out": tmp_path / "a.csv", "work": tmp_path / "work", "engine": "serial"}
    plain_way = facecrop.predict([place.run.folder], place.out, out=tmp_path / "b.csv").said
    one = facecrop.predict([place.run.folder], place.out, out=tmp_path / "b.csv", tta=["flip"]).said
    other = facecrop.predict([place.run.folder], mirrored, tta=["flip"], **options).said
    np.testing.assert_allclose(one.distribution(), other.distribution(), atol=1e-5)
    assert np.abs(one.distribution() - plain_way.distribution()).max() > 1e-5


def test_a_model_of_years_answers_the_official_groups_too(place: Place, tmp_path: Path) -> None:
    """Which groups a model was taught does not bind one that knows years."""
    facecrop.relabel(place.out, set_policy="threshold-58")
    try:
        years = small_run(
            place.out, "in-years", 'model.heads="three-way"', 'model.age="distribution"'
        )
        groups = small_run(place.out, "in-groups")
    finally:
        facecrop.relabel(place.out, set_policy="official")
    learnt, official = (
        facecrop.predict([years.folder], place.out, out=tmp_path / "a.csv", bins=bins).said
        for bins in ("policy", "official")
    )
    old = [said.of_axis("age_group").distribution()[:, 2] for said in (learnt, official)]
    assert (old[0] > old[1]).all()  # 58 and 59 are old under the one policy alone
    with pytest.raises(ConfigError, match="--bins official needs a model of years"):
        facecrop.predict([groups.folder], place.out, out=tmp_path / "b.csv", bins="official")
    with pytest.raises(ConfigError, match="no kind of bins named 'years'"):
        facecrop.predict([groups.folder], place.out, out=tmp_path / "b.csv", bins="years")


# Export


@pytest.mark.parametrize("which", ["run", "member"])
def test_an_exported_model_says_the_same_of_bytes(place: Place, tmp_path: Path, which: str) -> None:
    run: Run = place.run if which == "run" else place.years.members()[0]
    file = tmp_path / "model.onnx"
    assert typed("export", run.folder, file).returncode == 0
    session = onnxruntime.InferenceSession(file)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    from facecrop.training.trained import load_run, predict_rows  # noqa: PLC0415 - this test alone

    expected = predict_rows(load_run(run.folder), [pictures])
    said = session.run(list(expected), {"images": pictures})
    for name, one in zip(expected, said, strict=True):
        np.testing.assert_allclose(one, expected[name].numpy(), atol=1e-4)
    facts = json.loads(session.get_modelmeta().custom_metadata_map["facecrop"])
    assert facts["labels"]["gender"] == ["male", "female"]
    assert sum(facts["counts"]) > 0
    assert facts["center_crop"] == [80, 60]


def test_what_cannot_be_exported_says_why(place: Place, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must end in \.onnx"):
        facecrop.export(place.run.folder, tmp_path / "model.bin")
    with pytest.raises(ConfigError, match="there is no folder"):
        facecrop.export(place.run.folder, tmp_path / "no" / "model.onnx")
    with pytest.raises(TableError, match="holds 2 trainings"):
        facecrop.export(place.years.folder, tmp_path / "model.onnx")
