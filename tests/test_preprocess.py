"""What preprocess promises about one run: every image has a row, and only OUT is written."""

from functools import partial
from pathlib import Path

import bad_images
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import (
    CrashingFinder,
    FailingFinder,
    SlowFinder,
    draw,
    mark,
    usual_face,
    write_png,
    write_profiles,
)
from runs import content, index, recipe, rows, run

from facecrop.commands.preprocess.command import check_rejects, preprocess
from facecrop.engines.local import LocalEngine
from facecrop.errors import ConfigError, DeviceError, LimitError, StoreError
from facecrop.images.codec import decode
from facecrop.index import INDEX_SCHEMA, LABELS_SCHEMA, REASONS
from facecrop.store import Store


def test_every_image_has_one_row_sorted_by_path_and_a_crop(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw")
    result = run(raw, tmp_path / "out")
    table = index(tmp_path / "out")
    assert table.schema.equals(INDEX_SCHEMA)
    paths = table["path"].to_pylist()
    assert paths == sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*.png"))
    assert result.statuses == {"ok": 9}
    for row in table.to_pylist():
        assert row["image"] == f"images/{row['profile']}/{row['name']}.jpg"
        crop = decode((tmp_path / "out" / row["image"]).read_bytes()).image
        assert crop is not None
        assert crop.shape == (32, 32, 3)


def test_the_chosen_face_and_the_crop_are_where_the_square_is(tmp_path: Path) -> None:
    face = usual_face()
    write_png(tmp_path / "raw" / "000001_male_Asian_30" / "normal.png", draw(face=face))
    run(tmp_path / "raw", tmp_path / "out")
    (row,) = rows(tmp_path / "out")
    assert [row[f"face_{side}"] for side in ("x0", "y0", "x1", "y1")] == list(face.corners)
    assert (row["face_source"], row["faces"], row["status"]) == ("fake-face", 1, "ok")
    assert row["crop_x0"] < face.x0 < face.x1 < row["crop_x1"]
    assert row["crop_y1"] - row["crop_y0"] == row["crop_x1"] - row["crop_x0"]
    assert row["left_eye_x"] < row["right_eye_x"]
    assert 0.1 < row["alpha_coverage"] < 0.9


def test_raw_labels_come_from_names_and_labels_have_the_same_rows(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 2)
    run(raw, tmp_path / "out")
    first = rows(tmp_path / "out")[0]
    assert (first["gender_raw"], first["age_raw"], first["mask_raw"]) == ("male", 20, "incorrect")
    labels = pq.read_table(tmp_path / "out" / "labels.parquet")
    assert labels.schema.equals(LABELS_SCHEMA)
    assert labels["path"].equals(index(tmp_path / "out")["path"])


def test_raw_folders_are_never_written(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw")
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in raw.rglob("*")}
    run(raw, tmp_path / "out", keep=["alpha", "boxes"])
    after = {path: (path.stat().st_mtime_ns, path.stat().st_ctime_ns) for path in raw.rglob("*")}
    assert before == after


def test_crops_with_metadata_are_an_imagefolder(tmp_path: Path) -> None:
    run(write_profiles(tmp_path / "raw"), tmp_path / "out")
    images = tmp_path / "out" / "images"
    metadata = pq.read_table(images / "metadata.parquet")
    assert metadata.column_names[0] == "file_name"
    assert {"gender", "age_group", "face_x0"} <= set(metadata.column_names)
    # The datasets library has no word for binary of fixed length, nor numbers of 64 bits.
    kinds = metadata.schema.types
    assert not any(pa.types.is_fixed_size_binary(one) or pa.types.is_uint64(one) for one in kinds)
    assert not {"image", "inode", "mtime_ns", "ctime_ns"} & set(metadata.column_names)
    index = pq.read_table(tmp_path / "out" / "index.parquet", columns=["path", "phash"])
    hashes = dict(zip(index["path"].to_pylist(), index["phash"].to_pylist(), strict=True))
    for row in metadata.to_pylist():
        assert len(row["phash"]) == 16
        assert int(row["phash"], 16) == hashes[row["path"]]
    assert all((images / name).is_file() for name in metadata["file_name"].to_pylist())


def test_bad_pictures_become_rows_with_their_reasons_and_cost_their_siblings_nothing(
    tmp_path: Path,
) -> None:
    corpus = bad_images.bad_images()
    for number, (name, (data, _)) in enumerate(corpus.items()):
        folder = tmp_path / "raw" / f"{number:06d}_male_{name}_30"
        write_png(folder / "normal.png", draw(face=usual_face()))
        (folder / "mask1.jpg").write_bytes(data)
    result = run(tmp_path / "raw", tmp_path / "out")
    assert result.images == 2 * len(corpus)
    table = {(row["profile"].split("_")[2], row["name"]): row for row in rows(tmp_path / "out")}
    for name, (_, reason) in corpus.items():
        assert table[name, "normal"]["status"] == "ok", name
        bad = table[name, "mask1"]
        if reason is None:
            assert bad["reason"] in (None, "no-face", "face-by-sibling", "face-by-prior"), name
        else:
            assert (bad["status"], bad["reason"], bad["image"]) == ("reject", reason, None), name
            assert reason in REASONS


def test_an_unreadable_file_is_tried_again_by_the_next_run(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    victim = next(raw.rglob("normal.png"))
    moved = victim.with_suffix(".away")
    out = tmp_path / "out"
    victim.rename(moved)
    victim.symlink_to(tmp_path / "later.png")
    assert run(raw, out).images == 2
    victim.unlink()
    moved.rename(victim)
    assert run(raw, out).statuses == {"ok": 3}


def test_a_face_hidden_from_all_detectors_is_borrowed_from_siblings(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "000001_male_Asian_30"
    write_png(folder / "normal.png", draw(face=usual_face()))
    write_png(folder / "mask1.png", draw(face=None))
    write_png(folder / "mask2.png", draw(96, 80, face=None))
    write_png(folder / "mask3.png", draw(face=None, body=False, shade=1))
    run(tmp_path / "raw", tmp_path / "out")
    by_name = {row["name"]: (row["status"], row["reason"]) for row in rows(tmp_path / "out")}
    assert by_name["normal"] == ("ok", None)
    assert by_name["mask1"] == ("fallback", "face-by-sibling")
    assert by_name["mask2"] == ("fallback", "face-by-prior"), "another size: nothing to borrow"
    assert by_name["mask3"][0] == "reject"


def test_a_picture_that_kills_its_worker_is_a_row_and_the_others_are_crops(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 3)
    victim = sorted(raw.rglob("mask1.png"))[1]
    write_png(victim, mark(draw(face=usual_face())))
    run(raw, tmp_path / "out", recipe=recipe(CrashingFinder(), background=False), workers=2)
    crashed = [row for row in rows(tmp_path / "out") if row["status"] != "ok"]
    assert [(row["path"], row["reason"]) for row in crashed] == [
        (victim.relative_to(raw).as_posix(), "decoder-crash")
    ]


def test_a_worker_that_died_by_accident_costs_nothing(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 2)
    write_png(next(raw.rglob("mask1.png")), mark(draw(face=usual_face())))
    crashing = CrashingFinder(once=str(tmp_path / "once"))
    result = run(raw, tmp_path / "out", recipe=recipe(crashing), workers=1)
    assert (tmp_path / "once").exists()
    assert result.statuses == {"ok": 6}


def test_a_mistake_in_a_worker_is_one_error_and_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    with pytest.raises(DeviceError, match="plug it in"):
        run(raw, tmp_path / "a", recipe=recipe(FailingFinder(kind="user", when="load")), workers=1)
    with pytest.raises(ZeroDivisionError) as bug:
        run(raw, tmp_path / "b", recipe=recipe(FailingFinder(kind="bug")), workers=1)
    assert any("fakes.py" in note for note in bug.value.__notes__)


def test_results_do_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 12)
    run(raw, tmp_path / "one", workers=1)
    run(raw, tmp_path / "three", workers=3)
    assert content(tmp_path / "one") == content(tmp_path / "three")


def test_kept_alphas_and_drawn_boxes_lie_beside_the_crops(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    nobody = draw(face=None, body=False)
    nobody[0, 0] = 90
    write_png(next(raw.iterdir()) / "mask2.png", nobody)
    out = tmp_path / "out"
    run(raw, out)
    run(raw, out, keep=["alpha", "boxes"])
    for row in rows(out):
        alpha = decode((out / "alpha" / row["profile"] / f"{row['name']}.png").read_bytes())
        assert alpha.reason in (None, "blank"), "for rejects too"
        assert (out / "boxes" / row["profile"] / f"{row['name']}.jpg").is_file()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    with (
        Store(tmp_path / "out" / ".store").locked(),
        pytest.raises(StoreError, match="being written by another facecrop"),
    ):
        run(raw, tmp_path / "out")


def test_out_inside_raw_or_full_of_other_things_is_refused(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    with pytest.raises(ConfigError, match="which is never written"):
        run(raw, raw / "out")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("")
    with pytest.raises(ConfigError, match="not a facecrop dataset"):
        run(raw, tmp_path / "home")
    assert (tmp_path / "home" / "thesis.tex").exists()


def test_unknown_choices_name_the_known_ones(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    for options, message in (
        ({"engine": "spark"}, "local"),
        ({"keep": ["masks"]}, "alpha, boxes"),
        ({"layout": "profile"}, "Did you mean 'profiles'"),
        ({"recipe": "embeded"}, "Did you mean 'embedded'"),
        ({"device": "tpu"}, "auto, cpu, cuda"),
    ):
        with pytest.raises(ConfigError, match=message):
            run(raw, tmp_path / "out", **options)


def test_a_dry_run_writes_nothing_and_says_what_would_be_done(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 3)
    result = run(raw, tmp_path / "out", dry_run=True)
    assert not (tmp_path / "out").exists()
    assert result.progress.total == 9
    assert result.estimate is not None
    assert result.estimate.tried > 0
    assert result.estimate.size_bytes > 0


def test_more_rejects_than_allowed_are_an_error_after_the_work(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    (next(raw.iterdir()) / "mask5.jpg").write_bytes(b"")
    result = run(raw, tmp_path / "out")
    check_rejects(result, None)
    check_rejects(result, 1)
    with pytest.raises(LimitError) as error:
        check_rejects(result, 0)
    assert error.value.exit_code == 3


def test_progress_counts_every_image_once(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 4)
    seen: list[int] = []
    result = run(raw, tmp_path / "out", report=lambda progress: seen.append(progress.done))
    assert seen == sorted(seen)
    assert seen[-1] == result.progress.total == 12


@pytest.mark.parametrize("name", ["raw", "center-crop", "center-crop-clahe"])
def test_a_recipe_without_models_makes_ok_rows_and_needs_nothing(tmp_path: Path, name: str) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    result = preprocess(
        raw, tmp_path / "out", recipe=name, engine="serial", offline=True, contact=False
    )
    assert result.statuses == {"ok": 3}
    assert not result.progress.calls


def test_files_that_share_a_stem_keep_their_extension(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "000001_male_Asian_30"
    write_png(folder / "normal.png", draw(face=usual_face()))
    write_png(folder / "Normal.bmp", draw(face=usual_face(), shade=3))
    run(tmp_path / "raw", tmp_path / "out")
    assert {row["image"].rpartition("/")[2] for row in rows(tmp_path / "out")} == {
        "normal.png.jpg",
        "Normal.bmp.jpg",
    }


def test_a_picture_that_hangs_its_worker_is_a_row_with_its_own_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write_profiles(tmp_path / "raw", 1)
    victim = next(raw.rglob("mask1.png"))
    write_png(victim, mark(draw(face=usual_face())))
    impatient = partial(LocalEngine, timeout_s=3.0)
    monkeypatch.setattr("facecrop.commands.preprocess.work.LocalEngine", impatient)
    slow = recipe(SlowFinder(seconds=600, marked_only=True), background=False)
    run(raw, tmp_path / "out", recipe=slow, workers=1)
    reasons = {row["name"]: row["reason"] for row in rows(tmp_path / "out")}
    assert reasons == {"mask1": "decoder-timeout", "incorrect_mask": None, "normal": None}
