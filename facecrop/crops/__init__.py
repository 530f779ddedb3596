"""Crops, wherever a dataset keeps them: one file each, or many together in tar files.

    data = crop_data(out / "images/000001_female_Asian_45/mask1.jpg")

The name of a crop is the same in both cases, and so is every table that tells it: only
`images/shards.parquet` says whether, and where, crops lie in tar files.
"""

import errno
import os
import time
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.index import read_table
from facecrop.storage import is_remote, read_range

FOLDER = "images"
"""Below a dataset."""
SHARDS_FILE = Path(FOLDER, "shards.parquet")
"""Says where crops lie in tar files; it is there if they do."""

SHARDS_SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("image", pa.string()),
        ("key", pa.string()),
        ("shard", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("sha256", pa.binary(32)),
    ]
)
"""Columns of `shards.parquet`: a row for each crop, in the order of the index. Its path and image
there, its key in the tar, the tar's name, where its bytes begin, how many they are, their digest.
"""

_ASKED_AGAIN_S = 2.0
"""Object storage is asked no more often than that whether a dataset has changed."""
_PLACES = ["image", "shard", "offset", "size"]


def crop_data(file: Path) -> bytes:
    """Return the bytes of a crop, from its file or its tar: the one way to read one.

    Whether they are those that the index names is for the caller to check.

    Args:
        file: Where the crop is if it is a file of its own: `OUT / image`.

    Raises:
        OSError: It is not there, or cannot be read.
    """
    while True:
        out, stamp = _dataset_of(file)
        try:
            if out is None or stamp is None:
                return file.read_bytes()
            return _tars(out, stamp).read(file.relative_to(out).as_posix())
        except FileNotFoundError:
            _lately.cache_clear()  # else the old answer would be given for a while
            if out is None or _stamp(out, fresh=True) == stamp:
                raise
        # The dataset was brought up to date meanwhile.


def _dataset_of(file: Path) -> tuple[Path | None, tuple[int, int, int] | None]:
    """Return the dataset of a crop, and what tells its table of places from others, if any."""
    datasets = [folder.parent for folder in file.parents if folder.name == FOLDER]
    stamps = ((out, _stamp(out)) for out in datasets)
    nearest = (datasets[0], None) if datasets else (None, None)
    return next((one for one in stamps if one[1] is not None), nearest)


def in_tars(out: Path) -> bool:
    """Tell whether the crops of a dataset lie in tar files."""
    return _stamp(out, fresh=True) is not None


@dataclass(frozen=True, slots=True)
class _Tars:
    """Where the crops of a dataset lie.

    Args:
        out: The dataset.
        rows: (N,) rows with `_PLACES`, in the order of their images.
    """

    out: Path
    rows: pa.Table

    def read(self, image: str) -> bytes:
        """Return the bytes of a crop."""
        images = self.rows["image"].chunk(0) if len(self.rows) else []
        row = bisect_left(images, image, key=lambda one: one.as_py())
        if row == len(images) or images[row].as_py() != image:
            raise FileNotFoundError(errno.ENOENT, "not in shards.parquet", str(self.out / image))
        shard, offset, size = (self.rows[name][row].as_py() for name in _PLACES[1:])
        data = read_range(self.out / FOLDER / shard, offset, size)
        if len(data) != size:
            raise OSError(errno.EIO, "the file ends too early", str(self.out / FOLDER / shard))
        return data


@lru_cache(maxsize=4)
def _tars(out: Path, stamp: tuple[int, int, int]) -> _Tars:  # noqa: ARG001 - it tells versions apart
    rows = read_table(out / SHARDS_FILE, _PLACES)
    return _Tars(out, rows.take(pc.sort_indices(rows["image"])).combine_chunks())


def _stamp(out: Path, *, fresh: bool = False) -> tuple[int, int, int] | None:
    """Return what tells one table of places from another; None if there is none."""
    if is_remote(out) and not fresh:
        return _lately(out, time.monotonic() // _ASKED_AGAIN_S)
    try:
        # Asked once for each crop.
        facts = (out / SHARDS_FILE).stat() if is_remote(out) else os.stat(f"{out}/{SHARDS_FILE}")  # noqa: PTH116 - a Path takes as long again
    except (FileNotFoundError, NotADirectoryError):
        return None
    return facts.st_ino, facts.st_mtime_ns, facts.st_size


@lru_cache(maxsize=4)
def _lately(out: Path, moment: float) -> tuple[int, int, int] | None:  # noqa: ARG001 - likewise
    return _stamp(out, fresh=True)
