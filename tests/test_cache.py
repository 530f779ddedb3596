"""What the store keeps, by kind, and that pruning removes what nothing refers to and no more."""

import shutil
from pathlib import Path

import pytest
from program import typed
from small_run import LOSSLESS, small_dataset, small_run, write_people

from facecrop.commands.audit.command import audit
from facecrop.commands.cache import (
    FINDINGS,
    MEASURED,
    PREDICTION,
    TRAINING,
    CacheRow,
    cache_prune,
    cache_size,
)
from facecrop.commands.preprocess.command import preprocess
from facecrop.errors import StoreError, TableError
from facecrop.store import Store
from facecrop.training.pixels import FOLDER, open_pixels
from facecrop.training.records import crop_digests, read_records

KINDS = (FINDINGS, MEASURED, TRAINING, PREDICTION)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that was audited, trained on, and whose run has judged other pictures."""
    pytest.importorskip("torch")
    from facecrop.commands.predict.command import predict  # noqa: PLC0415 - torch

    folder = tmp_path_factory.mktemp("cache")
    _, out = small_dataset(folder)
    audit(out)
    run = small_run(out)
    others = write_people(folder / "others", 2)
    predict([run.folder], others, out=folder / "said.csv", engine="serial", device="cpu")
    return folder


@pytest.fixture
def out(made: Path, tmp_path: Path) -> Path:
    for name in ("raw", "out", "others"):
        shutil.copytree(made / name, tmp_path / name)
    return tmp_path / "out"


def rows(out: Path, kind: str) -> list[CacheRow]:
    return [row for row in cache_size(out) if row.kind == kind]


def test_everything_that_is_kept_is_told_by_kind(made: Path) -> None:
    out = made / "out"
    kept = {kind: rows(out, kind) for kind in KINDS}
    assert all(row.in_use and row.entries and row.size_bytes for row in cache_size(out))
    assert {row.label for row in kept[FINDINGS]} == {"source"}
    assert {row.label.partition("-")[0] for row in kept[MEASURED]} >= {"looks", "headers"}
    assert [(row.label, row.entries) for row in kept[TRAINING]] == [("32 x 32", 30)]
    assert [(row.label, row.entries) for row in kept[PREDICTION]] == [(str(made / "others"), 6)]
    sizes = sum(row.size_bytes for row in cache_size(out))
    below = (out / ".store" / name for name in ("findings", "measured", "pixels", "predict"))
    on_disk = [file for folder in below for file in folder.rglob("*") if file.is_file()]
    assert sizes == sum(file.stat().st_size for file in on_disk)


def test_what_is_in_use_stays(made: Path) -> None:
    before = cache_size(made / "out")
    assert set(cache_prune(made / "out").values()) == {0}
    assert cache_size(made / "out") == before


def test_the_arrays_are_found_whose_crops_a_training_would_read(made: Path) -> None:
    assert crop_digests(made / "out") == read_records(made / "out").digests


def test_arrays_of_other_crops_and_what_was_measured_on_them_go(out: Path) -> None:
    others = crop_digests(out)[:3]
    images = read_records(out).images[:3]
    open_pixels(out, images, others, (16, 24))
    assert {row.label: row.in_use for row in rows(out, TRAINING)} == {
        "24 x 16": False, "32 x 32": True,
    }  # fmt: skip
    assert cache_prune(out)[TRAINING] > 3 * 16 * 24 * 3
    assert [row.label for row in rows(out, TRAINING)] == ["32 x 32"]
    looks = {row.label: row.entries for row in rows(out, MEASURED)}
    shutil.rmtree(out.parent / "raw" / "000001_male_Asian_20")
    preprocess(
        out.parent / "raw", out, recipe="raw", settings=[LOSSLESS], engine="serial", contact=False
    )
    freed = cache_prune(out)
    assert freed[TRAINING] > 0
    assert rows(out, TRAINING) == []
    assert not list((out / FOLDER).glob("*.npy"))
    left = {row.label: row.entries for row in rows(out, MEASURED)}
    assert left == {
        label: count - 3 if label.startswith(("looks", "headers")) else left[label]
        for label, count in looks.items()
    }


def test_crops_for_predictions_go_with_their_pictures_or_their_run(out: Path) -> None:
    kept = next((out / ".store" / "predict").iterdir())
    assert [row.in_use for row in rows(out, PREDICTION)] == [False]  # the pictures were elsewhere
    assert cache_prune(out)[PREDICTION] > 0
    assert not kept.exists()
    assert rows(out, PREDICTION) == []


def test_without_a_run_nothing_is_kept_for_predictions(made: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(made / "out", out, ignore=shutil.ignore_patterns("runs"))
    (card,) = (out / ".store" / "predict").glob("*/dataset.toml")
    text = card.read_text(encoding="utf-8")
    card.write_text(text.replace(text.split('raw = "')[1].split('"')[0], str(made / "others")))
    assert [row.in_use for row in rows(out, PREDICTION)] == [False]


def test_what_is_being_made_for_a_prediction_is_left_alone(out: Path) -> None:
    kept = next((out / ".store" / "predict").iterdir())
    with Store(kept / ".store").locked():
        cache_prune(out)
    assert kept.exists()


def test_findings_of_another_recipe_go(out: Path) -> None:
    Store(out / ".store").write("0" * 64, [])
    (row,) = (row for row in rows(out, FINDINGS) if not row.in_use)
    assert row.label == "0" * 12
    assert cache_prune(out)[FINDINGS] == row.size_bytes


def test_a_dataset_that_is_being_written_is_not_pruned(out: Path) -> None:
    with Store(out / ".store").locked(), pytest.raises(StoreError, match="is being written"):
        cache_prune(out)


def test_what_is_no_dataset_has_no_cache(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="is no finished dataset"):
        cache_size(tmp_path)
    with pytest.raises(TableError, match="is no finished dataset"):
        cache_prune(tmp_path)


def test_the_command_line_shows_and_frees_by_kind(out: Path) -> None:
    shown = typed("cache", "size", out).stdout
    assert {line.split()[0] for line in shown.splitlines()} >= set(KINDS)
    assert "32 x 32" in shown
    assert " freed: prediction " in typed("cache", "prune", out).stdout
    assert typed("cache", "prune", out).stdout == "0 B freed\n"
