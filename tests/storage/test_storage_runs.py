"""Runs whose RAW or OUT is in object storage: the same as on a disk, in few requests."""

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import pytest
from fakes import draw, usual_face, write_png, write_profiles
from object_server import Server
from runs import content, recipe, run, trust
from shard_runs import IMAGES, sharded, write_quirks

from facecrop.commands.merge import merge
from facecrop.commands.preprocess.known import STATE_FILE
from facecrop.errors import ConfigError
from facecrop.index import INDEX_FILE, read_table
from facecrop.storage import files_below, is_remote, place

FACTS = ["mtime_ns", "ctime_ns", "inode"]
"""Columns that tell of the place, not of the picture."""
OWN = {"index.parquet", "dataset.toml", "images/metadata.parquet"}
"""Files of a dataset that hold something of its place."""


@pytest.fixture(scope="module")
def quirks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = write_quirks(tmp_path_factory.mktemp("storage") / "raw")
    # Object storage has no empty folders.
    (raw / "000008_male_Asian_40" / "notes.txt").write_text("not a picture")
    return raw


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_profiles(tmp_path_factory.mktemp("storage") / "raw", 3)


def pictures(raw: Path) -> Iterator[tuple[str, bytes]]:
    for file in raw.rglob("*"):
        if file.is_file():
            yield file.relative_to(raw).as_posix(), file.read_bytes()


def sent(raw: Path, to: Path) -> Path:
    """Copy a raw folder to another place."""
    for name, data in pictures(raw):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(data)
    return to


def files(out: Path, server: Server) -> dict[str, str]:
    """Return the digest of every file of a dataset that depends on its pictures alone."""
    if not is_remote(out):
        found = content(out)
    else:
        if str(out).startswith("s3:"):
            held = server.held(out)
        else:
            held = {file.path: (out / file.path).read_bytes() for file in files_below(out)}
        found = {
            name: sha256(data).hexdigest()
            for name, data in held.items()
            if name.partition("/")[0] not in (".store", "contact")
        }
    return {name: digest for name, digest in found.items() if name not in OWN}


def check_same(out: Path, whole: Path, server: Server) -> None:
    """Check that two datasets are the same, but for what tells of their places."""
    assert files(out, server) == files(whole, server)
    tables = [read_table(one / INDEX_FILE).drop_columns(FACTS) for one in (out, whole)]
    assert tables[0] == tables[1]


def gets(server: Server, folder: str) -> int:
    """Return how often files below a folder were read."""
    return sum(method == "GET" and f"/{folder}/" in key for method, key, _ in server.asked)


@pytest.mark.parametrize(
    "kinds", [("s3", "s3"), ("file", "s3"), ("s3", "folder"), ("memory", "memory")]
)
def test_a_run_makes_the_same_wherever_raw_and_out_are(
    kinds: Sequence[str], quirks: Path, bucket: Path, tmp_path: Path, server: Server
) -> None:
    run(quirks, tmp_path / "whole")
    places = {
        "s3": bucket,
        "folder": tmp_path,
        "file": place(f"file://{tmp_path}"),
        "memory": place(f"memory://{uuid4().hex}"),
    }
    raw, out = places[kinds[0]] / "raw", places[kinds[1]] / "out"
    result = run(sent(quirks, raw), out)
    assert sum(result.statuses.values()) == IMAGES
    check_same(out, tmp_path / "whole", server)
    trust(out)
    again = run(str(raw), str(out))
    assert (again.progress.done, again.unread) == (0, IMAGES)
    check_same(out, tmp_path / "whole", server)


def test_a_run_asks_twice_for_each_picture_and_one_with_nothing_to_do_for_none(
    few: Path, bucket: Path, server: Server
) -> None:
    raw, out = server.fill(bucket / "raw", pictures(few)), bucket / "out"
    images = len(list(pictures(few)))
    run(raw, out)
    assert gets(server, "raw") == images
    puts = [key for method, key, _ in server.asked if method == "PUT" and key.endswith(".jpg")]
    assert len(puts) == len(set(puts)) == images
    trust(out)
    server.asked.clear()
    run(raw, out)
    assert gets(server, "raw") == gets(server, "images") == 0
    assert [method for method, _, _ in server.asked if method not in ("GET", "HEAD")] == ["PUT"]
    constant = len(server.asked)
    server.fill(out, ((f"images/none/{number}.jpg", b"") for number in range(2000)))
    trust(out)
    server.asked.clear()
    run(raw, out)
    assert len(server.asked) == constant + 2


def test_another_margin_asks_no_model_and_reads_each_picture_once(
    few: Path, bucket: Path, server: Server, tmp_path: Path
) -> None:
    raw, out = server.fill(bucket / "raw", pictures(few)), bucket / "out"
    run(raw, out)
    server.asked.clear()
    result = run(raw, out, recipe=recipe(margin=0.5))
    assert not result.progress.calls
    assert gets(server, "raw") == len(list(pictures(few)))
    run(few, tmp_path, recipe=recipe(margin=0.5))
    check_same(out, tmp_path, server)


def test_what_changed_or_was_lost_is_made_again(
    few: Path, bucket: Path, tmp_path: Path, server: Server
) -> None:
    raw, out = server.fill(bucket / "raw", pictures(few)), bucket / "out"
    run(raw, out)
    trust(out)
    lost, altered, changed, gone = read_table(out / INDEX_FILE).to_pylist()[:4]
    (out / lost["image"]).unlink()
    (out / altered["image"]).write_bytes(b"x" * (out / altered["image"]).stat().st_size)
    reversed_data = (raw / changed["path"]).read_bytes()[::-1]  # of the same size
    (raw / changed["path"]).write_bytes(reversed_data)
    (raw / gone["path"]).unlink()
    run(raw, out)
    run(sent_back(raw, tmp_path / "raw", server), tmp_path / "out")
    check_same(out, tmp_path / "out", server)


def sent_back(raw: Path, to: Path, server: Server) -> Path:
    for name, data in server.held(raw).items():
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        (to / name).write_bytes(data)
    return to


def test_shards_in_object_storage_make_the_whole(
    few: Path, bucket: Path, server: Server, tmp_path: Path
) -> None:
    raw, out = server.fill(bucket / "raw", pictures(few)), bucket / "out"
    sharded(raw, out, 2)
    merge(str(out), contact=False)
    run(few, tmp_path)
    check_same(out, tmp_path, server)
    assert not any(name.startswith(".store/shards") for name in server.held(out))


def test_workers_of_their_own_see_object_storage(
    few: Path, bucket: Path, server: Server, tmp_path: Path
) -> None:
    out = bucket / "out"
    run(server.fill(bucket / "raw", pictures(few)), out, workers=1)
    run(few, tmp_path)
    check_same(out, tmp_path, server)
    log = Path(tempfile.gettempdir(), f"facecrop-workers-{os.getpid()}.log")
    assert not log.exists()


def test_crops_that_left_their_tars_are_not_read_again_and_nothing_is_left_here(
    few: Path, bucket: Path, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, out = server.fill(bucket / "raw", pictures(few)), bucket / "out"
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    run(raw, out, store_as="shards", shard_size=4, workers=1)
    trust(out)
    server.asked.clear()
    run(raw, out, store_as="files")
    images = [query for _, _, query in server.asked if "prefix=out%2Fimages%2F" in query]
    assert 0 < len(images) <= 4
    trust(out)
    server.asked.clear()
    result = run(raw, out)
    assert (result.progress.total, result.unread) == (0, len(list(pictures(few))))
    assert gets(server, "raw") == gets(server, "images") == 0
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_stopped_while_crops_leave_their_tars_knows_those_that_have(
    few: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = place(f"memory://{uuid4().hex}")
    run(few, out, store_as="shards", shard_size=4)
    with monkeypatch.context() as patch:
        patch.setattr("facecrop.commands.preprocess.ledger.Ledger.finish", stop)
        with pytest.raises(KeyboardInterrupt):
            run(few, out, store_as="files")
    left = [file for file in files_below(out / "images") if file.path.endswith(".jpg")]
    run(few, out, store_as="files")
    assert [file for file in files_below(out / "images") if file.path.endswith(".jpg")] == left
    rows = read_table(out / STATE_FILE)["image_mtime_ns"].to_pylist()
    assert sorted(rows) == sorted(file.stamp for file in left)


def stop(_: object) -> None:
    raise KeyboardInterrupt


def test_memory_is_of_one_process(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="in the memory of one process: use the engine 'serial'"):
        run(tmp_path, place("memory://out"), workers=1)


def test_other_layouts_are_found_in_object_storage(
    bucket: Path, tmp_path: Path, server: Server
) -> None:
    for number in range(3):
        image = draw(face=usual_face(), shade=number)
        write_png(tmp_path / f"{20 + number}_1_2_{number}.png", image)
    flat = server.fill(bucket / "flat", pictures(tmp_path))
    (flat / "names.csv").write_text(
        "path,profile,age\n20_1_2_0.png,a,20\n21_1_2_1.png,b,\ngone.png,c,\n"
    )
    assert run(flat, bucket / "utk", dry_run=True).scan.layout == "utkface"
    server.asked.clear()
    table = run(flat / "names.csv", bucket / "table")
    assert table.scan.layout == "table"
    assert gets(server, "flat") == 1 + 2
    assert table.scan.ignored == {"missing-file": 1}
    index = read_table(bucket / "table" / INDEX_FILE)
    assert index["age_raw"].to_pylist() == [20, None]
    assert index["status"].to_pylist() == ["ok", "ok"]
    found = json.loads((bucket / "table" / "scan.json").read_text())
    assert found["ignored_paths"] == [["gone.png", "missing-file"]]
