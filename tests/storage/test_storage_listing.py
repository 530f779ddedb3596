"""What lies in a folder or bucket, told from few requests."""

from pathlib import Path

import pytest
from object_server import Server

from facecrop.storage import files_below, found_in, on_disk, put, remove_all

NAMES = ["a.txt", "deep/b", "deep/er/c", "other/d"]


def test_files_are_told_part_after_part_from_one_listing(empty: Path) -> None:
    for name in NAMES:
        (empty / name).parent.mkdir(parents=True, exist_ok=True)
        (empty / name).write_bytes(b"abc")
    tell = found_in(empty)
    told = [next(tell([name])) for name in NAMES]
    assert told == list(on_disk(empty, NAMES))
    assert {size for size, _ in told} == {3}
    assert list(tell(["nothing/a", None, "deep"])) == [(-1, -1)] * 3


@pytest.mark.parametrize("empty", ["memory", "s3"], indirect=True)
def test_what_is_told_of_an_object_when_it_is_put_is_what_a_listing_tells(empty: Path) -> None:
    stamps = [put(empty / "images" / name, data) for name, data in (("a", b"1"), ("b", b"2"))]
    assert list(on_disk(empty, ["images/a", "images/b"])) == [(1, stamp) for stamp in stamps]
    assert len(set(stamps)) == 2


def test_a_folder_is_listed_once(bucket: Path, server: Server) -> None:
    server.fill(bucket, ((f"images/{number}", b"") for number in range(3)))
    tell = found_in(bucket)
    for number in range(3):
        assert next(tell([f"images/{number}"]))[0] == 0
    assert len(server.asked) == 1


def test_thousands_of_objects_are_listed_a_thousand_at_a_time(bucket: Path, server: Server) -> None:
    server.fill(bucket, ((f"many/{number:05}", b"") for number in range(2500)))
    assert len(list(files_below(bucket / "many"))) == 2500
    assert len(server.asked) == 3
    server.asked.clear()
    assert len(list((bucket / "many").iterdir())) == 2500
    assert len(server.asked) == 3
    server.asked.clear()
    remove_all(bucket / "many")
    assert len(server.asked) == 3 + 3
    assert not (bucket / "many").exists()
