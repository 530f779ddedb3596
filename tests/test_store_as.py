"""Crops as files or in tars: the same crops, the same tables, and from one to the other."""

import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from fakes import FACE, FakeDetector, draw, usual_face, write_png, write_profiles
from runs import content, recipe, rows, run, trust
from shard_runs import sharded, write_quirks
from small_run import write_people

from facecrop.commands.merge import merge
from facecrop.commands.preprocess.command import stored_as
from facecrop.commands.preprocess.home import Home
from facecrop.crops import SHARDS_FILE, crop_data
from facecrop.crops.spool import FOLDER as WAITING
from facecrop.crops.spool import Spool
from facecrop.errors import ConfigError, StoreError
from facecrop.index import INDEX_FILE, read_table
from facecrop.storage import files_below, place, read_range

SIZE = 5
"""Crops of a tar: few, so that a few pictures make several tars."""


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_quirks(tmp_path / "raw")


def in_tars(raw: Path, out: Path, **options: object) -> Path:
    run(raw, out, **({"store_as": "shards", "shard_size": SIZE} | options))
    return out


def crops(out: Path) -> dict[str, bytes]:
    """Return the bytes of each crop, by the one way to read them."""
    found = {row["image"]: row["image_sha256"] for row in rows(out) if row["image"]}
    return {image: crop_data(out / image) for image in found}


def tars(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in (out / "images").glob("*.tar")}


def objects(folder: Path) -> dict[str, bytes]:
    return {file.path: (folder / file.path).read_bytes() for file in files_below(folder)}


def test_crops_and_tables_are_the_same_as_with_files(raw: Path, tmp_path: Path) -> None:
    run(raw, tmp_path / "files")
    out = in_tars(raw, tmp_path / "tars")
    assert crops(out) == crops(tmp_path / "files")
    one, other = content(tmp_path / "files"), content(out)
    tables = {name for name in one if not name.startswith("images/")} - {"dataset.toml"}
    assert {name: other[name] for name in tables} == {name: one[name] for name in tables}
    assert {path.suffix for path in (out / "images").rglob("*")} == {".tar", ".parquet"}
    assert not (out / WAITING).exists()


def test_the_table_of_places_says_where_each_crop_begins_and_ends(
    raw: Path, tmp_path: Path
) -> None:
    out = in_tars(raw, tmp_path / "out")
    said = read_table(out / SHARDS_FILE).to_pylist()
    assert [one["path"] for one in said] == [row["path"] for row in rows(out) if row["image"]]
    held = crops(out)
    for one in said:
        tar = (out / "images" / one["shard"]).read_bytes()
        assert tar[one["offset"] : one["offset"] + one["size"]] == held[one["image"]]
    counts = [sum(one["shard"] == name for one in said) for name in tars(out)]
    assert len(counts) > 1
    assert max(counts) <= SIZE


@pytest.mark.parametrize("way", ["workers", "shards", "later", "twice"])
def test_tars_have_the_same_bytes_whoever_worked_when(raw: Path, tmp_path: Path, way: str) -> None:
    whole = content(in_tars(raw, tmp_path / "whole"))
    out = tmp_path / "out"
    if way == "workers":
        in_tars(raw, out, workers=2)
    elif way == "shards":
        sharded(raw, out, 3, store_as="shards", shard_size=SIZE)
        assert not tars(out)
        merge(out, contact=False)
    else:
        aside = tmp_path / "aside"
        aside.mkdir()
        moved = sorted(raw.glob("00000[25]*"))
        for profile in moved:
            profile.rename(aside / profile.name)
        in_tars(raw, out)
        for profile in moved:
            (aside / profile.name).rename(raw / profile.name)
        in_tars(raw, out, recipe=recipe(margin=0.5 if way == "twice" else 0.25))
        in_tars(raw, out)
    assert content(out) == whole
    assert not (out / WAITING).exists()


def test_a_second_run_reads_no_tar_and_writes_nothing(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = in_tars(raw, tmp_path / "out")
    trust(out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr("facecrop.crops.places._as_written", None)
        result = run(raw, out)
    assert (result.progress.total, result.unread) == (0, len(rows(out)))
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.*") if path.is_file()}
    after.pop(run_json := out / ".store" / "run.json")
    before.pop(run_json)
    assert after == before


@pytest.mark.parametrize("harm", ["missing", "altered", "cut", "facts", "table", "touched"])
def test_what_is_wrong_with_a_tar_is_seen_and_mended_without_a_model(
    tmp_path: Path, harm: str
) -> None:
    raw = write_people(tmp_path / "raw", 3)  # no two crops are the same
    out = in_tars(raw, tmp_path / "out", recipe="raw")
    trust(out)
    before = content(out)
    tar = min((out / "images").glob("*.tar"))
    held = read_table(out / SHARDS_FILE).to_pylist()
    inside = [one for one in held if one["shard"] == tar.name]
    if harm == "missing":
        tar.unlink()
    elif harm == "altered":
        data = bytearray(tar.read_bytes())
        data[inside[0]["offset"] + 40] ^= 1
        tar.write_bytes(data)
    elif harm == "cut":
        os.truncate(tar, inside[-1]["offset"])
    elif harm == "facts":
        (out / ".store" / "tars.json").unlink()
    elif harm == "table":
        (out / SHARDS_FILE).write_bytes(b"no table")
    else:
        tar.touch()
    result = run(raw, out, recipe="raw")
    assert content(out) == before
    again = {"missing": len(inside), "altered": 1, "cut": 1, "table": len(held)}
    assert result.progress.total >= again.get(harm, 0)  # whole profiles
    assert (result.progress.total > 0) == (harm in again)
    trust(out)
    assert run(raw, out, recipe="raw").progress.total == 0


def test_a_crop_that_is_elsewhere_too_is_taken_from_there(raw: Path, tmp_path: Path) -> None:
    out = in_tars(raw, tmp_path / "out")
    trust(out)
    before = content(out)
    min((out / "images").glob("*.tar")).unlink()  # all of its crops have twins in others
    assert run(raw, out).progress.decodes == 0
    assert content(out) == before


def test_verify_reads_tars_whose_times_say_nothing(raw: Path, tmp_path: Path) -> None:
    out = in_tars(raw, tmp_path / "out")
    trust(out)
    before = content(out)
    tar = min((out / "images").glob("*.tar"))
    facts, data = tar.stat(), bytearray(tar.read_bytes())
    inside = read_table(out / SHARDS_FILE).to_pylist()
    at = next(one["offset"] for one in inside if one["shard"] == tar.name)
    data[at + 60] ^= 1
    tar.write_bytes(data)
    os.utime(tar, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert run(raw, out).progress.total == 0
    assert content(out) != before
    run(raw, out, verify=True)
    assert content(out) == before


def test_a_dataset_changes_its_home_without_a_model_and_back(raw: Path, tmp_path: Path) -> None:
    files, out = tmp_path / "files", tmp_path / "out"
    run(raw, files, keep=["alpha"])
    run(raw, out, keep=["alpha"])
    packed = in_tars(raw, tmp_path / "packed", keep=["alpha"])
    trust(out)
    result = run(raw, out, keep=["alpha"], store_as="shards", shard_size=SIZE)
    assert (result.progress.total, result.progress.calls) == (0, {})
    assert content(out) == content(packed)
    assert not (out / "images" / "metadata.parquet").exists()
    trust(out)
    result = run(raw, out, keep=["alpha"], store_as="files")
    assert (result.progress.total, result.progress.calls) == (0, {})
    assert content(out) == content(files)
    assert not (out / ".store" / "tars.json").exists()
    # Crops have their old times: nothing has to be read to be trusted.
    trust(out)
    assert run(raw, out, keep=["alpha"]).progress.total == 0


def test_a_change_of_recipe_and_of_home_at_once_is_one_run(raw: Path, tmp_path: Path) -> None:
    whole = in_tars(raw, tmp_path / "whole", recipe=recipe(margin=0.5))
    run(raw, tmp_path / "out")
    out = in_tars(raw, tmp_path / "out", recipe=recipe(margin=0.5))
    assert content(out) == content(whole)


def test_another_size_of_tars_packs_them_anew(raw: Path, tmp_path: Path) -> None:
    out = in_tars(raw, tmp_path / "out")
    trust(out)
    before = tars(out)
    assert in_tars(raw, out, shard_size=2)
    assert len(tars(out)) > len(before)
    assert not tars(out).keys() & before.keys()
    in_tars(raw, out, shard_size=SIZE)
    assert tars(out).keys() == before.keys()


def test_a_reader_goes_on_while_tars_are_packed_anew(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = in_tars(raw, tmp_path / "out")
    held = crops(out)
    packed: list[bool] = []

    def read_late(*place: Any) -> bytes:
        if not packed:
            packed.append(True)
            in_tars(raw, out, shard_size=2)
        return read_range(*place)

    monkeypatch.setattr("facecrop.crops.read_range", read_late)
    assert crops(out) == held
    assert packed


def test_only_tars_near_a_change_are_written_again(tmp_path: Path) -> None:
    raw = write_profiles(tmp_path / "raw", 12)
    out = in_tars(raw, tmp_path / "out", shard_size=4)
    before = tars(out)
    changed = min(raw.iterdir()) / "mask1.png"
    write_png(changed, draw(face=usual_face(), shade=39))
    in_tars(raw, out, shard_size=4)
    kept = {name for name, written in tars(out).items() if before.get(name) == written}
    assert len(kept) >= len(before) // 2
    assert content(out) == content(in_tars(raw, tmp_path / "whole", shard_size=4))


@pytest.mark.parametrize("shards", [1, 2])
def test_crops_that_a_worker_took_along_are_made_again(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shards: int
) -> None:
    whole = content(in_tars(raw, tmp_path / "whole"))
    lost = list[list[tuple[bytes, bytes]]]()

    def lose(self: Spool) -> None:
        if not lost:
            lost.append(self._waiting)
            self._waiting = []
        else:
            write(self)

    write = Spool.write
    monkeypatch.setattr(Spool, "write", lose)
    out = tmp_path / "out"
    if shards == 1:
        in_tars(raw, out)
    else:
        sharded(raw, out, shards, store_as="shards", shard_size=SIZE)
        merge(out, contact=False)
    assert lost[0]
    assert content(out) == whole


def test_crops_that_are_lost_again_and_again_end_the_run(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("facecrop.crops.spool.Spool.write", lambda _: None)
        with pytest.raises(StoreError, match="cannot be read any more; run the command again"):
            in_tars(raw, tmp_path / "out")
    out = in_tars(raw, tmp_path / "out")
    assert content(out) == content(in_tars(raw, tmp_path / "whole"))


def test_a_run_remembers_how_crops_are_stored_and_says_what_it_cannot_do(
    raw: Path, tmp_path: Path
) -> None:
    out = in_tars(raw, tmp_path / "out")
    text = (out / "dataset.toml").read_text()
    assert 'store_as = "shards"' in text
    assert "shard_size = 5" in text
    run(raw, out, recipe=recipe(margin=0.4))
    assert 'store_as = "shards"' in (out / "dataset.toml").read_text()
    assert tars(out)
    assert (stored_as(out), stored_as(tmp_path / "new")) == ("shards", "files")
    with pytest.raises(ConfigError, match="cannot store crops as 'zip'; choose from: files, sh"):
        run(raw, out, store_as="zip")
    with pytest.raises(ConfigError, match="--shard-size 7 needs --store-as shards"):
        run(raw, tmp_path / "new", shard_size=7)
    with pytest.raises(ConfigError, match="--shard-size must be 1 or more, got 0"):
        run(raw, out, shard_size=0)


def test_shards_that_store_in_different_ways_disagree(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(raw, out, shard="1/2", store_as="shards")
    run(raw, out, shard="2/2")
    with pytest.raises(ConfigError, match="--store-as is 'shards' in 1/2, 'files' in 2/2"):
        merge(out, contact=False)
    run(raw, out, shard="2/2", store_as="shards")
    merge(out, contact=False)
    assert content(out) == content(in_tars(raw, tmp_path / "whole", shard_size=None))


def test_shards_of_a_dataset_bring_it_up_to_date(raw: Path, tmp_path: Path) -> None:
    out = in_tars(raw, tmp_path / "out")
    trust(out)
    write_png(min(raw.iterdir()) / "normal.png", draw(face=usual_face(), shade=31))
    sharded(raw, out, 2)
    merge(out, contact=False)
    whole = in_tars(raw, tmp_path / "whole")
    assert content(out) == content(whole)
    before = tars(out)
    merge(out, contact=False)
    assert tars(out) == before


def test_a_dataset_without_crops_has_a_table_without_rows(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    write_png(raw / "0001_female_Asian_30" / "mask1.png", draw(face=None, body=False))
    out = in_tars(raw, tmp_path / "out")
    assert pq.read_table(out / SHARDS_FILE).num_rows == 0
    assert not tars(out)
    with pytest.raises(FileNotFoundError):
        crop_data(out / "images" / "0001_female_Asian_30" / "mask1.jpg")


def test_object_storage_holds_the_same_tars(raw: Path, tmp_path: Path) -> None:
    whole = in_tars(raw, tmp_path / "whole")
    out = in_tars(raw, place(f"memory://{uuid4().hex}/out"))
    held = objects(out / "images")
    assert held == {path.name: path.read_bytes() for path in (whole / "images").iterdir()}
    assert {image: crop_data(out / image) for image in crops(whole)} == crops(whole)
    assert run(raw, out).progress.decodes == 0
    assert not run(raw, out, store_as="files").progress.calls
    run(raw, tmp_path / "files")
    files = tmp_path / "files" / "images"
    assert objects(out / "images") == {
        path.relative_to(files).as_posix(): path.read_bytes()
        for path in files.rglob("*")
        if path.is_file()
    }


def test_what_others_put_beside_tars_is_left_alone(raw: Path, tmp_path: Path) -> None:
    out = in_tars(raw, tmp_path / "out")
    mine = [out / "images" / name for name in ("shard-mine.tar", "notes/read.me")]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    run(raw, out, recipe=recipe(FakeDetector(level=FACE - 40), margin=0.4))
    run(raw, out, store_as="files")
    assert all(path.read_text() == "mine" for path in mine)


def test_a_dataset_asks_itself_how_it_keeps_crops_before_it_asks_its_shards(
    raw: Path, tmp_path: Path
) -> None:
    files = 'store_as = "files"\n'
    assert Home.known(tmp_path, [None, files]) == Home("files")
    assert Home.known(tmp_path, [None, 'store_as = "shards"\nshard_size = 7\n']) == Home(
        "shards", 7
    )
    out = in_tars(raw, tmp_path / "out")
    assert Home.known(out, [files]) == Home("shards", SIZE)


def test_a_reader_in_object_storage_finds_crops_that_have_left_their_tars(raw: Path) -> None:
    out = place("memory://left-their-tars/out")
    in_tars(raw, out, engine="serial")
    image = read_table(out / INDEX_FILE, ["image"])["image"].drop_null()[0].as_py()
    held = crop_data(out / image)
    run(raw, out, engine="serial", store_as="files")
    assert crop_data(out / image) == held
    in_tars(raw, out, engine="serial")
    assert crop_data(out / image) == held
