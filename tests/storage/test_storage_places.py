"""What every kind of place does alike, and how users write them."""

import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from program import typed

from facecrop import storage
from facecrop.errors import ConfigError, FacecropError, MissingExtraError
from facecrop.storage import (
    files_below,
    is_remote,
    listed,
    objects,
    on_disk,
    on_this_disk,
    place,
    read_range,
    read_whole,
    readable,
    remote,
    remove_all,
    teller,
    write_whole,
)

NAMES = ["a.txt", "deep/er/b [1] é%20#.txt", "deep/c?.txt", "deeper"]


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: file.write_bytes(data))


def filled(empty: Path) -> Path:
    for number, name in enumerate(NAMES):
        write(empty / name, b"x" * (number + 1))
    return empty


def test_what_was_written_is_read_whole_and_in_part(empty: Path) -> None:
    path = empty / "folder" / "file.bin"
    write(path, b"0123456789")
    assert path.read_bytes() == read_whole(path)[0] == b"0123456789"
    assert (read_range(path, 2, 3), read_range(path, 8, 99)) == (b"234", b"89")
    with path.open("rb") as file:
        assert (file.seek(4), file.read(2), file.read()) == (4, b"45", b"6789")
    assert path.stat().st_size == 10
    assert path.is_file()
    assert not path.is_dir()
    write(path, b"")
    assert path.read_bytes() == b""


def test_text_goes_both_ways_and_lines_come_one_by_one(empty: Path) -> None:
    path = empty / "text.txt"
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("ä\n")
        file.writelines(["b\n"])
    with path.open(encoding="utf-8") as file:
        assert list(file) == ["ä\n", "b\n"]
    assert path.read_text(encoding="utf-8") == "ä\nb\n"


def test_a_file_is_not_there_until_it_is_whole_and_stays_if_writing_fails(empty: Path) -> None:
    path = empty / "table.bin"

    def fail(file: Path) -> None:
        file.write_bytes(b"half")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_whole(path, fail)
    assert not path.exists()
    write(path, b"old")
    with pytest.raises(ZeroDivisionError):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    assert [file.path for file in files_below(empty)] == ["table.bin"]


def test_what_is_missing_is_missing_everywhere(empty: Path) -> None:
    path = empty / "nothing"
    assert not path.exists()
    assert not path.is_dir()
    assert not path.is_file()
    assert list(path.glob("*")) == []
    assert list(files_below(path)) == []
    assert list(on_disk(empty, ["nothing/a", None])) == [(-1, -1)] * 2
    path.unlink(missing_ok=True)
    for read in (path.read_bytes, path.stat, lambda: teller(empty)("nothing")):
        with pytest.raises(FileNotFoundError):
            read()


def test_everything_below_a_place_is_listed_with_its_facts(empty: Path) -> None:
    below = {file.path: file for file in files_below(filled(empty))}
    assert sorted(below) == sorted(NAMES)
    assert [below[name].size for name in NAMES] == [1, 2, 3, 4]
    facts = list(on_disk(empty, NAMES))
    assert facts == [(below[name].size, below[name].stamp) for name in NAMES]
    assert [teller(empty)(name).st_size for name in NAMES] == [1, 2, 3, 4]
    assert len(list(on_disk(empty, ["deep"]))) == 1


def test_folders_are_listed_level_by_level(empty: Path) -> None:
    filled(empty)
    for deep in (True, False):
        entries = {entry.name: entry for entry in listed(empty, deep=deep)}
        assert {name: entry.is_dir() for name, entry in entries.items()} == {
            "a.txt": False, "deep": True, "deeper": False
        }  # fmt: skip
    inside = {entry.name: entry for entry in listed(entries_of(empty)["deep"])}
    assert inside["er"].is_dir()
    assert inside["c?.txt"].stat().st_size == 3
    assert [one.name for one in sorted((empty / "deep").iterdir())] == ["c?.txt", "er"]
    assert [one.name for one in empty.glob("deep/*.txt")] == ["c?.txt"]
    assert sorted(one.name for one in empty.rglob("*.txt")) == sorted(
        ["a.txt", "b [1] é%20#.txt", "c?.txt"]
    )


def entries_of(folder: Path) -> dict[str, storage.Entry]:
    return {entry.name: entry for entry in listed(folder)}


def test_a_stamp_tells_that_a_file_of_the_same_size_was_written_anew(empty: Path) -> None:
    write(empty / "a", b"one")
    ((_, before),) = on_disk(empty, ["a"])
    assert list(on_disk(empty, ["a"])) == [(3, before)]
    write(empty / "a", b"two")
    ((_, after),) = on_disk(empty, ["a"])
    assert after != before


def test_all_that_is_in_a_folder_is_removed_and_nothing_beside_it(empty: Path) -> None:
    filled(empty)
    remove_all(empty / "deep")
    assert sorted(file.path for file in files_below(empty)) == ["a.txt", "deeper"]
    (empty / "a.txt").unlink()
    assert [file.path for file in files_below(empty)] == ["deeper"]
    remove_all(empty / "nothing")


def test_pyarrow_reads_tables_small_and_large(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"number": range(1000), "text": [str(number) for number in range(1000)]})
    path = empty / "table.parquet"
    write_whole(path, lambda file: pq.write_table(table, file, row_group_size=100))
    assert pq.read_table(readable(path)) == table
    monkeypatch.setattr(remote, "_WHOLE", 0)  # so that it is read in ranges
    assert pq.read_table(readable(path), columns=["number"]) == table.select(["number"])
    assert pq.read_metadata(readable(path, footer=True)).num_rows == 1000
    with pq.ParquetFile(readable(path)) as file:
        assert file.read_row_group(3) == table.slice(300, 100)
    with path.open("rb") as stream:
        assert stream.read() == path.read_bytes()


def test_a_place_can_be_mapped_into_memory_while_it_is_held(empty: Path) -> None:
    write(empty / "a", b"bytes")
    with on_this_disk(empty / "a") as file:
        assert Path(file).read_bytes() == b"bytes"


def test_names_are_those_of_paths(empty: Path) -> None:
    path = empty / "folder" / "name.tar.gz"
    assert (path.name, path.stem, path.suffix) == ("name.tar.gz", "name.tar", ".gz")
    assert path.parent == empty / "folder"
    assert path.with_name("other") == empty / "folder" / "other"
    assert path.with_suffix(".x").name == "name.tar.x"
    assert path.relative_to(empty).as_posix() == "folder/name.tar.gz"
    assert path.is_relative_to(empty)
    assert not empty.is_relative_to(path)
    assert empty in path.parents
    assert path.resolve().name == path.absolute().name == path.name
    assert hash(empty / "a") == hash(empty / "a")
    assert min(empty / "b", empty / "a") == empty / "a"
    assert place(str(path)) == place(path) == path


def test_a_way_up_stays_in_the_bucket() -> None:
    here = place("s3://bucket/a/b")
    assert here / "../c" == place("s3://bucket/a/c")
    assert here / "../.." == place("s3://bucket")
    for way in ("../../..", "../../../x", "../../../../x", "../../../bucket2/x"):
        with pytest.raises(ConfigError) as caught:
            here / way
        assert str(caught.value) == f"{way!r} leads from s3://bucket/a/b out of its bucket"
    with pytest.raises(ValueError, match="no path below"):
        here / "/a"


def test_a_place_travels_to_another_process(empty: Path) -> None:
    assert pickle.loads(pickle.dumps(empty / "a")) == empty / "a"  # noqa: S301 - our own
    if str(empty).startswith("memory:"):
        return
    write(empty / "a", b"bytes")
    read = remote.Remote.read_bytes if is_remote(empty) else Path.read_bytes
    assert (empty / "a").read_bytes() == b"bytes"  # a connection that a fork must not share
    for start in ("spawn", "fork"):
        with ProcessPoolExecutor(1, mp_context=get_context(start)) as pool:
            assert pool.submit(read, empty / "a").result() == b"bytes"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("s3://bucket/a//b/", "s3://bucket/a/b"),
        ("S3A://bucket/a", "s3://bucket/a"),
        ("s3:/bucket/a", "s3://bucket/a"),
        ("gcs://bucket", "gs://bucket"),
        ("memory://a/b", "memory://a/b"),
        ("file:///a%20b/c", "/a b/c"),
        ("file:/a", "/a"),
        ("file:///a#b?c", "/a#b?c"),
        ("a/b", "a/b"),
        ("../a", "../a"),
        ("C:\\Users\\a", "C:\\Users\\a"),
        ("12:30.csv", "12:30.csv"),
        ("odd:name", "odd:name"),
    ],
)
def test_urls_and_paths_mean_what_they_say(text: str, meant: str) -> None:
    assert str(place(text)) == meant
    assert str(place(Path(text))) == meant


def test_this_machine_may_be_named() -> None:
    assert place("file://localhost/a") == Path("/a")


def test_a_tilde_is_the_home_folder() -> None:
    assert place("~/a") == Path.home() / "a"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("se3://bucket/a", "no storage named 'se3'. Did you mean s3://?"),
        ("s4://bucket/a", "Did you mean s3://?"),
        ("https://host/a", "no storage named 'https'"),
        ("s3:bucket/a", "is no URL; write s3://bucket/a, or ./s3:bucket/a for a folder"),
        ("s3://", "names no place; write s3://bucket/folder"),
        ("s3://bucket/../a", "names no place; write s3://bucket/folder"),
        ("file://host/a", "names the machine 'host'"),
    ],
)
def test_urls_that_mean_nothing_are_one_line(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        place(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    ended = typed("preprocess", text, tmp_path / "out")
    assert ended.returncode == 1
    assert ended.stderr.startswith("error: ")
    assert ended.stderr.count("\n") == 1


def test_a_folder_with_a_colon_that_is_there_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "odd:" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert place("odd:/a") == Path("odd:/a")


def test_whoever_takes_a_url_for_a_file_of_this_machine_is_refused() -> None:
    url = place("s3://bucket/a")
    uses: list[Callable[[], Any]] = [
        lambda: os.fspath(url),
        lambda: Path(url),
        lambda: Path("a") / url,
    ]
    for use in uses:
        with pytest.raises(FacecropError, match="aws s3 sync s3://bucket/a FOLDER"):
            use()


def test_a_missing_package_is_named_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    objects.system.cache_clear()
    monkeypatch.setattr(objects, "import_module", absent)
    for url, said in (
        ("s3://bucket/a", "s3:// needs the package 's3fs': pip install 'facecrop[s3]'"),
        ("gs://bucket/a", "gs:// needs the package 'gcsfs': pip install 'facecrop[gcs]'"),
        ("memory://a", "memory:// needs the package 'fsspec': pip install 'facecrop[storage]'"),
    ):
        with pytest.raises(MissingExtraError) as caught:
            place(url).exists()
        assert str(caught.value) == said
