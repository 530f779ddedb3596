"""The home of a dataset's crops: files of their own, or tars; and moving from one to the other.

Nothing is removed before its crops are whole in their new home, and the table that says where they
are (`crops.SHARDS_FILE`) is replaced in one step: whoever reads finds them before, and after.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.crops import FOLDER, SHARDS_FILE, SHARDS_SCHEMA, in_tars, spool
from facecrop.crops.places import FACTS, Places
from facecrop.crops.shards import cut
from facecrop.crops.tars import LostError, Tar
from facecrop.errors import TableError, unwritable
from facecrop.fragments import prefixes
from facecrop.index import read_batches, read_columns, write_batches
from facecrop.storage import files_below, found_in, is_remote, put, remove_all, write_whole
from facecrop.storage.folders import remove

COLUMNS = ("path", "image", "image_sha256", "image_size", "image_mtime_ns")
"""What has to be known of records; those without a crop have no image."""

Rows = Callable[[], Iterable[pa.Table]]
"""Gives the rows of a table in its order, in parts; it may be asked several times."""

STAMPS = pa.schema([("path", pa.string()), ("image_mtime_ns", pa.int64())])
"""Columns of what tells of crops that are files now, with another stamp (`storage.File`) than is
known of them: later runs would read each to see whether it is the same."""

_NAME = re.compile(r"shard-[0-9a-f]{16}\.tar")
_AT_ONCE = 1 << 14
"""Crops that are compared at a time."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of crops that were brought to where they belong.

    Args:
        lost: The paths of records whose crop is nowhere.
        stamps: `STAMPS`, in the order of the index.
    """

    lost: list[str]
    stamps: pa.Table


def is_at_home(out: Path, rows: Iterable[pa.Table], places: Places, *, tars: bool) -> bool:
    """Tell whether all crops are where they belong, and none waits.

    Args:
        out: The dataset.
        rows: Of its index in its order, in parts, with path, image and image_sha256.
        places: What is in tars.
        tars: Whether they belong there.
    """
    if (out / spool.FOLDER).exists() or in_tars(out) != tars:
        return False
    return not tars or _told(out, rows, places)


def _told(out: Path, rows: Iterable[pa.Table], places: Places) -> bool:
    """Tell whether the table of places tells of just these crops, and all tars are there."""
    names = ["path", "image", "sha256", "shard"]
    try:
        said = read_columns(out / SHARDS_FILE, names, _AT_ONCE)
        waiting, shards = SHARDS_SCHEMA.empty_table().select(names), set[str]()
        for part in rows:
            crops = part.filter(pc.is_valid(part["image"]))
            while len(waiting) < len(crops):
                more = next(said, None)
                if more is None:
                    return False
                shards.update(pc.unique(more["shard"]).to_pylist())
                waiting = pa.concat_tables([waiting, more])
            for column, told in (("path", "path"), ("image", "image"), ("sha256", "image_sha256")):
                if not waiting[column].slice(0, len(crops)).equals(crops[told]):
                    return False
            waiting = waiting.slice(len(crops))
        return not len(waiting) and next(said, None) is None and shards == places.whole
    except TableError:
        return False


def pack(out: Path, rows: Rows, places: Places, most: int) -> list[str]:
    """Bring all crops into tars, those that are not in the right one already.

    Args:
        out: The dataset.
        rows: Gives all rows of its index in its order, in parts, with `COLUMNS`.
        places: Where crops lie that are not files.
        most: Crops of a tar at most.

    Returns:
        The paths of records whose crop is nowhere; if there are any, nothing has changed.

    Raises:
        StoreError: The disk is full or cannot be written.
    """
    (out / FOLDER).mkdir(parents=True, exist_ok=True)
    lost, names, written, count = list[str](), list[str](), list[str](), 0
    with places.at_hand():
        for crops in _together(rows(), most):
            tar = Tar(out, crops)
            names.append(tar.name)
            count += len(crops)
            if tar.name in places.whole:
                continue
            try:
                write_whole(out / FOLDER / tar.name, partial(tar.write, places))
            except LostError as error:
                lost += error.paths
            except OSError as error:
                raise unwritable(out / FOLDER / tar.name, error) from None
            written.append(tar.name)
    if lost:
        return lost
    tables = (Tar(out, crops).table() for crops in _together(rows(), most))
    write_batches(tables, SHARDS_SCHEMA, out / SHARDS_FILE, rows=count)
    places.take(written, set(names))
    places.remember()
    return []


def _together(rows: Iterable[pa.Table], most: int) -> Iterator[pa.Table]:
    """Yield the crops of each tar."""
    waiting = None
    for part in rows:
        crops = part.select(COLUMNS).filter(pc.is_valid(part["image"]))
        waiting = crops if waiting is None else pa.concat_tables([waiting, crops])
        while len(waiting) > most:
            end = cut(prefixes(waiting["image_sha256"].slice(0, most)))
            yield waiting.slice(0, end).combine_chunks()
            waiting = waiting.slice(end)
    if waiting is not None and len(waiting):
        yield waiting.combine_chunks()


def unpack(out: Path, rows: Iterable[pa.Table], places: Places) -> Settled:
    """Bring all crops into files of their own, those that are not there already.

    Args:
        out: The dataset.
        rows: Of its index in its order, in parts, with `COLUMNS`.
        places: Where crops lie that are not files.

    Raises:
        StoreError: The disk is full or cannot be written.
    """
    lost, stamps = list[str](), [STAMPS.empty_table()]
    tell = found_in(out)
    with places.at_hand():
        for part in rows if len(places) else ():
            crops = part.filter(pc.is_valid(part["image"]))
            gone, written = _put_all(out, crops, tell(crops["image"].to_pylist()), places)
            lost += gone
            stamps.append(written)
    return Settled(lost, pa.concat_tables(stamps))


def _put_all(
    out: Path, crops: pa.Table, there: Iterable[tuple[int, int]], places: Places
) -> tuple[list[str], pa.Table]:
    """Write some crops as files, unless they are there; return what `Settled` says of them."""
    lost, paths, stamps = list[str](), list[str](), list[int]()
    columns = (crops[name].to_pylist() for name in COLUMNS)
    found = places.locate(crops["image_sha256"]).tolist()
    for crop, number, facts in zip(zip(*columns, strict=True), found, there, strict=True):
        path, image, digest, size, mtime_ns = crop
        if facts == (size, mtime_ns) or number < 0:
            continue  # what is neither here nor there was seen to be a file, and whole
        data = places.read(number, digest)
        if data is None:
            lost.append(path)
            continue
        try:
            stamp = _put(out, image, data, mtime_ns)
        except OSError as error:
            raise unwritable(out / image, error) from None
        if stamp != mtime_ns:
            paths.append(path)
            stamps.append(stamp)
    return lost, pa.table([paths, stamps], schema=STAMPS)


def missing(out: Path, rows: Iterable[pa.Table], places: Places) -> list[str]:
    """Return the paths of records whose crop is neither a file nor waits nor is in a tar.

    Args:
        out: The dataset.
        rows: Of its index, in parts, with `COLUMNS`.
        places: Where crops lie that are not files.
    """
    lost, tell = list[str](), found_in(out)
    for part in rows:
        crops = part.filter(pc.is_valid(part["image"]))
        nowhere = crops.filter(pa.array(places.locate(crops["image_sha256"]) < 0))
        there = tell(nowhere["image"].to_pylist())
        paths = zip(nowhere["path"].to_pylist(), there, strict=True)
        lost += [path for path, (size, _) in paths if size < 0]
    return lost


def tidy(out: Path, images: Iterable[pa.ChunkedArray], *, tars: bool) -> None:
    """Remove what is left of the other home, and what waited to be packed.

    Args:
        out: The dataset; its crops are where they belong, and its index says so.
        images: The crops of all records, in parts.
        tars: Whether they belong into tars.
    """
    marks = (out / FACTS, out / spool.FOLDER, out / SHARDS_FILE)
    if not any(mark.exists() for mark in marks):
        return  # there never was a tar
    used = set[str]()
    if tars:
        for part in read_batches(out / SHARDS_FILE):
            used.update(pc.unique(part["shard"]).to_pylist())
        (out / FOLDER / "metadata.parquet").unlink(missing_ok=True)
        _remove_files(out, images)
    else:
        remove(out / SHARDS_FILE)
    for tar in list((out / FOLDER).glob("*.tar")):
        if _NAME.fullmatch(tar.name) and tar.name not in used:
            tar.unlink(missing_ok=True)
    remove_all(out / spool.FOLDER)
    if not tars:
        (out / FACTS).unlink(missing_ok=True)


def _put(out: Path, image: str, data: bytes, mtime_ns: int | None) -> int:
    """Write a crop as a file, and return the stamp by which it is known for unchanged.

    On a disk that is the time of its making, where it is known; an object has its own.
    """
    file = out / image
    if is_remote(out):
        return put(file, data)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = out / ".store" / "tmp" / uuid4().hex
    temporary.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_bytes(data)
    if mtime_ns is not None:
        os.utime(temporary, ns=(mtime_ns, mtime_ns))
    stamp = temporary.stat().st_mtime_ns
    temporary.replace(file)
    return stamp


def _remove_files(out: Path, images: Iterable[pa.ChunkedArray]) -> None:
    """Remove crops that are files of their own, and folders that are empty then."""
    left = {f"{FOLDER}/{file.path}" for file in files_below(out / FOLDER) if "/" in file.path}
    for part in images if left else ():
        for name in left.intersection(part.drop_null().to_pylist()):
            (out / name).unlink(missing_ok=True)
            with suppress(OSError):  # something else lies there
                (out / name).parent.rmdir()
