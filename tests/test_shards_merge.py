"""Shards: several runs share a raw folder, and a merge makes of them what one run would have."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from fakes import CrashingFinder, draw, mark, usual_face, write_png, write_profiles
from program import typed
from runs import content, recipe, rows, run, trust
from shard_runs import IMAGES, SHARDS, shard, sharded, write_quirks

from facecrop.commands.merge import merge
from facecrop.errors import ConfigError, StoreError, TableError
from facecrop.labels.shards import Shard
from facecrop.store import Store


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_quirks(tmp_path / "raw")


def pictures(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "contact").iterdir()}


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3/5", "1.0/3", ""])
def test_what_is_no_shard_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="from 1/8 to 8/8"):
        run(write_profiles(tmp_path / "raw", 1), tmp_path / "out", shard=text)


@pytest.mark.parametrize("count", [1, 3, 13])
def test_shards_and_a_merge_make_what_one_run_makes(raw: Path, tmp_path: Path, count: int) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = {"keep": ["alpha", "boxes"]}
    run(raw, whole, contact=True, **options)
    sharded(raw, out, count, **options)
    assert not (out / "index.parquet").exists()
    result = merge(out)
    assert content(out) == content(whole)
    assert pictures(out) == pictures(whole)
    assert not (out / SHARDS).exists()
    assert result.images == len(rows(whole))
    assert {row["reason"] for row in rows(out)} >= {"empty", "not-image", "face-by-sibling"}


@pytest.mark.parametrize("layout", ["flat", "table"])
def test_other_layouts_can_be_shared_too(tmp_path: Path, layout: str) -> None:
    raw = source = tmp_path / "raw"
    for number in range(8):
        write_png(raw / f"{number}.png", draw(face=usual_face(), shade=number))
    shutil.copy(raw / "1.png", raw / "1.bmp")
    if layout == "table":
        source = tmp_path / "table.csv"
        lines = [f"raw/{path.name},{path.name[:1]},30" for path in raw.iterdir()]
        source.write_text("\n".join(["path,profile,age", *lines]))
    run(source, tmp_path / "whole")
    sharded(source, tmp_path / "out", 3)
    merge(tmp_path / "out", contact=False)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_merging_twice_is_once_and_a_run_over_the_whole_finds_nothing_to_do(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sharded(raw, out, 2)
    merge(out)
    before, written = content(out), (out / "index.parquet").stat().st_mtime_ns
    assert merge(out).images == IMAGES
    assert (out / "index.parquet").stat().st_mtime_ns == written
    trust(out)
    assert run(raw, out).progress.total == 0
    assert content(out) == before


def test_a_merge_names_the_shards_that_are_missing(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shard(raw, out, 2, 3)
    with pytest.raises(TableError, match=r"missing: 1/3, 3/3; .* --shard 1/3, or merge with"):
        merge(out)
    assert not (out / "index.parquet").exists()


def test_what_is_missing_may_be_left_pending_and_merged_later(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(raw, tmp_path / "whole")
    shard(raw, out, 2, 3)
    shard(raw, out, 3, 3)
    result = merge(out, allow_missing=True, contact=False)
    own = [row["status"] for row in rows(out) if Shard(1, 3).holds(row["profile"])]
    assert own == ["pending"] * result.statuses["pending"] != []
    shard(raw, out, 1, 3)
    merge(out, contact=False)
    assert content(out) == content(tmp_path / "whole")


def test_an_interrupted_shard_goes_on_and_is_not_taken_for_a_whole_one(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(raw, tmp_path / "whole")

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    shard(raw, out, 2, 2)
    with pytest.raises(KeyboardInterrupt):
        shard(raw, out, 1, 2, report=stop)
    with pytest.raises(TableError, match="not finished: 1/2"):
        merge(out)
    again = shard(raw, out, 1, 2)
    assert again.progress.cached > 0
    merge(out, contact=False)
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"recipe": recipe(margin=0.4)}, r"recipe\.crop\.margin is 0\.25 in 1/2, 0\.4 in 2/2"),
        ({"layout": "flat"}, "layout is 'profiles' in 1/2, 'flat' in 2/2"),
        ({"keep": ["boxes"]}, r"--keep is \[\] in 1/2, \['boxes'\] in 2/2"),
    ],
)
def test_shards_that_disagree_are_not_merged(
    raw: Path, tmp_path: Path, second: dict[str, Any], message: str
) -> None:
    out = tmp_path / "out"
    shard(raw, out, 1, 2)
    shard(raw, out, 2, 2, **second)
    with pytest.raises(ConfigError, match=message):
        merge(out, allow_missing=True)


def test_the_number_of_shards_may_change_and_nothing_is_learnt_twice(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(raw, tmp_path / "whole")
    shard(raw, out, 1, 2)
    with pytest.raises(TableError, match="missing: 2/2"):
        merge(out)
    done = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    shard(raw, out, 1, 3)
    with pytest.raises(TableError, match=r"what there is \(1/2, 1/3\) does not make a whole"):
        merge(out)
    shard(raw, out, 2, 3)
    shard(raw, out, 3, 3)
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    assert done.items() <= after.items(), "no crop was written again"
    merge(out, contact=False)
    assert content(out) == content(tmp_path / "whole")


def test_a_whole_set_is_merged_whatever_remains_of_another(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(raw, tmp_path / "whole")
    shard(raw, out, 1, 3, recipe=recipe(margin=0.4))
    sharded(raw, out, 2)
    merge(out, contact=False)
    assert content(out) == content(tmp_path / "whole")


def test_shards_run_side_by_side_and_keep_others_away(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Store(out / ".store").shared("shard 2/2"):
        shard(raw, out, 1, 2)
        with pytest.raises(StoreError, match=r"another facecrop \(shard 1/2\)"):
            run(raw, out)
        with pytest.raises(StoreError, match="being written"):
            merge(out)
    with (
        Store(out / ".store").locked(),
        pytest.raises(StoreError, match=r"another facecrop \(process \d+\)"),
    ):
        shard(raw, out, 2, 2)


def test_where_nothing_was_sharded_there_is_nothing_to_merge(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no facecrop dataset"):
        merge(tmp_path)
    raw = write_profiles(tmp_path / "raw", 1)
    Store(tmp_path / "out" / ".store").write_lookup(())
    with pytest.raises(TableError, match="has no shards to merge; run: facecrop preprocess RAW"):
        merge(tmp_path / "out")
    run(raw, tmp_path / "out")
    before = content(tmp_path / "out")
    merge(tmp_path / "out", contact=False)
    assert content(tmp_path / "out") == before


def test_a_picture_that_will_be_tried_again_does_not_hold_up_the_merge(
    tmp_path: Path,
) -> None:
    raw, out = write_profiles(tmp_path / "raw", 2), tmp_path / "out"
    victim = write_png(next(raw.rglob("mask1.png")), mark(draw(face=usual_face())))
    crashing = recipe(CrashingFinder(), background=False)
    for number in (1, 2):
        workers = {"workers": 1} if Shard(number, 2).holds(victim.parent.name) else {}
        shard(raw, out, number, 2, recipe=crashing, **workers)
    merge(out, contact=False)
    assert [row["reason"] for row in rows(out) if row["reason"]] == ["decoder-crash"]


def test_the_commands_say_what_comes_next(tmp_path: Path) -> None:
    raw, out = write_profiles(tmp_path / "raw", 3), tmp_path / "out"
    options = ["--recipe", "center-crop", "--engine", "serial"]
    for number in (1, 2):
        done = typed("preprocess", raw, out, *options, "--shard", f"{number}/2")
        assert done.returncode == 0, done.stderr
        assert f"facecrop merge {out}" in done.stdout.replace("\n", "")
    merged = typed("merge", out)
    assert "9 images: 9 ok, 0 fallback, 0 rejected; merged in" in merged.stdout, merged.stderr
    assert (out / "contact" / "index.html").is_file()
    wrong = typed("preprocess", raw, out, *options, "--shard", "3/2")
    assert (wrong.returncode, wrong.stderr[:16]) == (1, "error: no shard ")
