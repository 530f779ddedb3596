"""Change your mind about anything, and only what depends on it is worked out again."""

import os
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fakes import FACE, FakeDetector, draw, usual_face, write_png, write_profiles
from runs import content, recipe, rows, run, trust

from facecrop.errors import ConfigError
from facecrop.images.choose import Choose
from facecrop.images.frames import Box
from facecrop.images.look.cascade import CloserLooks, Faces
from facecrop.images.recipe import Recipe
from facecrop.images.render import Encode
from facecrop.storage import read_whole


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_profiles(tmp_path / "raw", 4)


@pytest.fixture
def out(tmp_path: Path, raw: Path) -> Path:
    run(raw, tmp_path / "out")
    trust(tmp_path / "out")
    return tmp_path / "out"


def test_a_second_run_reads_nothing_and_writes_nothing(raw: Path, out: Path) -> None:
    before = content(out)
    times = {
        path: path.stat().st_mtime_ns for path in out.rglob("*.*") if ".store" not in path.parts
    }
    result = run(raw, out)
    assert (result.progress.total, result.unread) == (0, 12)
    assert content(out) == before
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_a_file_whose_times_cannot_be_trusted_is_read_again_but_not_decoded(
    tmp_path: Path, raw: Path
) -> None:
    run(raw, tmp_path / "fresh")
    result = run(raw, tmp_path / "fresh")
    assert result.unread == 0
    assert result.progress.total == 12
    assert not result.progress.calls
    assert result.progress.decodes == 0


def test_verify_reads_every_file_again_and_changes_nothing(raw: Path, out: Path) -> None:
    before = content(out)
    result = run(raw, out, verify=True)
    assert (result.unread, result.progress.total, result.progress.decodes) == (0, 12, 0)
    assert content(out) == before


def test_a_new_margin_runs_no_model(raw: Path, out: Path, tmp_path: Path) -> None:
    result = run(raw, out, recipe=recipe(margin=0.5))
    assert result.progress.total == 12
    assert not result.progress.calls
    run(raw, tmp_path / "direct", recipe=recipe(margin=0.5))
    assert content(out) == content(tmp_path / "direct")


def test_a_changed_threshold_that_changes_no_plan_decodes_nothing(raw: Path, out: Path) -> None:
    result = run(raw, out, recipe=recipe(choose=Choose(min_pixels=8)))
    assert not result.progress.calls
    assert result.progress.seconds["decode"] == 0


def test_a_changed_score_runs_no_model_and_a_changed_level_runs_that_model_alone(
    raw: Path, out: Path
) -> None:
    softer = recipe(FakeDetector(min_score=0.4))
    assert not run(raw, out, recipe=softer).progress.calls
    calls = run(raw, out, recipe=recipe(FakeDetector(level=200))).progress.calls
    assert calls == {"fake-face": 12}


def test_going_back_to_an_old_recipe_runs_no_model(raw: Path, out: Path) -> None:
    before = content(out)
    run(raw, out, recipe=recipe(FakeDetector(level=200), margin=0.1))
    assert not run(raw, out).progress.calls
    assert content(out) == before


def test_a_renamed_profile_and_a_copied_picture_run_no_model(raw: Path, out: Path) -> None:
    first, second, *_ = sorted(raw.iterdir())
    first.rename(raw / "000099_male_Asian_20")
    shutil.copy(second / "normal.png", second / "mask5.png")
    result = run(raw, out)
    assert not result.progress.calls
    assert {row["profile"] for row in rows(out)} >= {"000099_male_Asian_20"}
    assert not (out / "images" / first.name).exists(), "crops of a profile that is gone"
    assert len(rows(out)) == 13


def test_a_new_picture_is_looked_at_alone(raw: Path, out: Path) -> None:
    write_png(min(raw.iterdir()) / "mask5.png", draw(face=usual_face(), shade=39))
    result = run(raw, out)
    assert result.progress.total == 4
    assert result.progress.calls == {"fake-face": 1, "fake-matte": 1}


def test_a_changed_picture_with_old_times_is_found_by_verify(raw: Path, out: Path) -> None:
    victim = next(raw.rglob("normal.png"))
    facts = victim.stat()
    data = victim.read_bytes()
    shutil.copy(victim, victim.with_suffix(".tmp"))
    write_png(victim, draw(face=usual_face().shift(0, 9), shade=1))
    new = victim.read_bytes()
    assert new != data
    os.utime(victim, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    run(raw, out, verify=True)
    path = victim.relative_to(raw).as_posix()
    (row,) = [row for row in rows(out) if row["path"] == path]
    assert row["face_y0"] == usual_face().y0 + 9


def test_a_removed_picture_loses_its_row_and_crop(raw: Path, out: Path) -> None:
    victim = next(raw.rglob("normal.png"))
    victim.unlink()
    run(raw, out)
    assert len(rows(out)) == 11
    assert not (out / "images" / victim.parent.name / "normal.jpg").exists()


@pytest.mark.parametrize(
    "again", [recipe(margin=0.5), recipe(FakeDetector(level=200))], ids=["to render", "to look at"]
)
def test_a_known_picture_that_vanishes_meanwhile_is_a_row_with_a_reason(
    raw: Path, out: Path, tmp_path: Path, again: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    victim = next(raw.rglob("normal.png"))

    def gone(path: Path) -> tuple[bytes, int | None]:
        if path == victim:
            raise FileNotFoundError(path)
        return read_whole(path)

    with monkeypatch.context() as patch:
        patch.setattr("facecrop.images.picture.read_whole", gone)
        run(raw, out, recipe=again)
    lost = {row["path"]: row["reason"] for row in rows(out) if row["status"] != "ok"}
    assert lost == {victim.relative_to(raw).as_posix(): "changed-during-read"}
    assert not (out / "images" / victim.parent.name / "normal.jpg").exists()
    run(raw, out, recipe=again)
    run(raw, tmp_path / "direct", recipe=again)
    assert content(out) == content(tmp_path / "direct")


@pytest.mark.parametrize("damage", ["missing", "altered"])
def test_a_missing_or_altered_crop_is_made_again(raw: Path, out: Path, damage: str) -> None:
    before = content(out)
    crop = out / rows(out)[3]["image"]
    if damage == "missing":
        crop.unlink()
    else:
        crop.write_bytes(crop.read_bytes()[:-9] + b"forgotten")
    result = run(raw, out)
    assert not result.progress.calls
    assert content(out) == before


def test_a_crop_that_was_only_touched_is_left_alone(raw: Path, out: Path) -> None:
    crop = out / rows(out)[3]["image"]
    crop.touch()
    assert run(raw, out).progress.total == 0


def test_a_deleted_store_costs_time_and_never_data(raw: Path, out: Path) -> None:
    before = content(out)
    shutil.rmtree(out / ".store")
    result = run(raw, out)
    assert result.progress.calls["fake-face"] == 12
    assert content(out) == before


def test_a_picture_that_turns_bad_loses_its_crop(raw: Path, out: Path) -> None:
    victim = next(raw.rglob("normal.png"))
    victim.write_bytes(b"")
    run(raw, out)
    path = victim.relative_to(raw).as_posix()
    (row,) = [row for row in rows(out) if row["path"] == path]
    assert (row["status"], row["reason"], row["image"]) == ("reject", "empty", None)
    assert not (out / "images" / victim.parent.name / "normal.jpg").exists()


def test_a_second_detector_is_asked_only_where_the_first_leaves_a_doubt(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "000001_male_Asian_30"
    write_png(folder / "normal.png", draw(face=usual_face()))
    write_png(folder / "mask1.png", draw(face=None))
    first, second = FakeDetector(), FakeDetector(tag="second", level=200)
    two = recipe().model_copy(
        update={
            "look": recipe().look.model_copy(update={"faces": Faces(detectors=(first, second))})
        }
    )
    calls = run(tmp_path / "raw", tmp_path / "out", recipe=two).progress.calls
    assert calls["fake-face"] == 2
    assert calls["second"] == 1


def test_several_faces_are_looked_at_again_once(tmp_path: Path) -> None:
    large = Box(10, 20, 40, 50)
    people = draw(96, 96, large)
    people[20:46, 60:86] = FACE  # a smaller one beside it
    folder = tmp_path / "raw" / "000001_male_Asian_30"
    write_png(folder / "mask1.png", people)
    write_png(folder / "normal.png", draw(96, 96, large))
    first, closer = FakeDetector(), FakeDetector(tag="closer")
    faces = Faces(detectors=(first,), closer=CloserLooks(detectors=(closer,)))
    two = recipe().model_copy(
        update={
            "look": recipe().look.model_copy(update={"faces": faces}),
            "choose": Choose(compare="chance", subject="largest"),
        }
    )
    calls = run(tmp_path / "raw", tmp_path / "out", recipe=two).progress.calls
    assert calls["fake-face"] == 2
    assert calls["closer"] == 2 * 2, "two faces of one picture, each with two borders"
    found = {row["name"]: row for row in rows(tmp_path / "out")}
    for name in ("mask1", "normal"):
        sides = [found[name][f"face_{side}"] for side in ("x0", "y0", "x1", "y1")]
        assert Box(*sides).iou(large) > 0.9
    before = content(tmp_path / "out")
    shutil.rmtree(tmp_path / "out" / "images")
    assert not run(tmp_path / "raw", tmp_path / "out", recipe=two).progress.calls
    assert content(tmp_path / "out") == before


def test_kept_files_survive_a_new_format_and_come_back_when_lost(raw: Path, out: Path) -> None:
    run(raw, out, keep=["alpha", "boxes"])
    kept = sorted(path for kind in ("alpha", "boxes") for path in (out / kind).rglob("*.*"))
    assert len(kept) == 24
    as_png = recipe()
    as_png = as_png.model_copy(
        update={"render": as_png.render.model_copy(update={"encode": Encode(format="png")})}
    )
    run(raw, out, recipe=as_png, keep=["alpha", "boxes"])
    assert all(path.is_file() for path in kept)
    kept[3].unlink()
    run(raw, out, recipe=as_png, keep=["alpha", "boxes"])
    assert kept[3].is_file()
    trust(out)
    assert run(raw, out, recipe=as_png, keep=["alpha", "boxes"]).progress.total == 0


def test_what_was_kept_goes_with_the_crop_it_belongs_to(raw: Path, out: Path) -> None:
    run(raw, out, keep=["alpha", "boxes"])
    trust(out)
    run(raw, out)
    assert len(list((out / "boxes").rglob("*.jpg"))) == 12, "the crops are the same"
    run(raw, out, recipe=recipe(margin=0.4), keep=["alpha"])
    assert not list((out / "boxes").rglob("*.jpg")), "they show another crop"
    assert len(list((out / "alpha").rglob("*.png"))) == 12


def test_a_replaced_crop_that_has_another_name_elsewhere_stays_what_it_was_there(
    raw: Path, out: Path, tmp_path: Path
) -> None:
    crop = out / rows(out)[3]["image"]
    before = crop.read_bytes()
    (tmp_path / "hard").hardlink_to(crop)
    (tmp_path / "elsewhere.jpg").write_bytes(b"not ours")
    other = out / rows(out)[4]["image"]
    other.unlink()
    other.symlink_to(tmp_path / "elsewhere.jpg")
    run(raw, out, recipe=recipe(margin=0.4))
    assert (tmp_path / "hard").read_bytes() == before
    assert (tmp_path / "elsewhere.jpg").read_bytes() == b"not ours"
    assert crop.read_bytes() != before
    run(raw, tmp_path / "direct", recipe=recipe(margin=0.4))
    assert content(out) == content(tmp_path / "direct")


def test_nothing_is_left_of_crops_that_were_replaced(raw: Path, out: Path) -> None:
    run(raw, out, recipe=recipe(margin=0.4))
    assert not list((out / ".store" / "tmp").iterdir())


def test_a_claim_that_changed_in_the_table_needs_no_pixel(raw: Path, tmp_path: Path) -> None:
    table = raw / "table.csv"
    lines = [
        f"{path.relative_to(raw).as_posix()},{path.parent.name}" for path in raw.rglob("*.png")
    ]
    table.write_text("\n".join(["path,profile,age", *(f"{line},30" for line in lines)]))
    run(table, tmp_path / "out")
    trust(tmp_path / "out")
    table.write_text("\n".join(["path,profile,age", *(f"{line},31" for line in lines)]))
    result = run(table, tmp_path / "out")
    assert (result.progress.total, result.unread) == (0, 12)
    assert {row["age_raw"] for row in rows(tmp_path / "out")} == {31}
    assert set(pq.read_table(tmp_path / "out" / "labels.parquet")["age"].to_pylist()) == {31}


def test_an_alpha_cannot_be_kept_where_no_model_finds_one(raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"has no look\.matte"):
        run(raw, tmp_path / "none", recipe="center-crop", keep=["alpha"])
