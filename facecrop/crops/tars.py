"""One tar of crops: its name, its bytes, and what the table of places says of it."""

from hashlib import sha256
from itertools import accumulate
from pathlib import Path

import pyarrow as pa

from facecrop.crops import SHARDS_SCHEMA
from facecrop.crops.places import Places
from facecrop.crops.shards import BLOCK, END, key_of, member, member_bytes, name_of

_BUFFER = 1 << 20


class LostError(Exception):
    """Crops that are nowhere: the paths of their records."""

    def __init__(self, paths: list[str]) -> None:
        super().__init__(paths)
        self.paths = paths


class Tar:
    """One tar.

    Args:
        out: The dataset.
        crops: (M,) rows with `COLUMNS` that go into it.
    """

    def __init__(self, out: Path, crops: pa.Table) -> None:
        self._out, self._crops = out, crops
        self.name = name_of(*self._columns())

    def __len__(self) -> int:
        return len(self._crops)

    def _columns(self) -> tuple[list[str], list[str], list[bytes]]:
        images, paths, digests = (
            self._crops[name].to_pylist() for name in ("image", "path", "image_sha256")
        )
        return images, paths, digests

    def write(self, places: Places, file: Path) -> None:
        """Write it.

        Raises:
            LostError: Crops are nowhere.
        """
        lost = []
        found = places.locate(self._crops["image_sha256"]).tolist()
        sizes = self._crops["image_size"].to_pylist()
        with file.open("wb", buffering=_BUFFER) as tar:
            for number, size, image, path, digest in zip(
                found, sizes, *self._columns(), strict=True
            ):
                data = places.read(number, digest) if number >= 0 else None
                data = _from_file(self._out / image, digest) if data is None else data
                if data is None or len(data) != size:
                    lost.append(path)
                elif not lost:
                    tar.write(member(image, path, digest, data))
            tar.write(END)
        if lost:
            raise LostError(lost)

    def table(self) -> pa.Table:
        """Return what `shards.parquet` says of it."""
        images, paths, digests = self._columns()
        sizes = self._crops["image_size"].to_pylist()
        lengths = map(member_bytes, images, paths, digests, sizes)
        columns = {
            "path": paths,
            "image": images,
            "key": [key_of(image) for image in images],
            "shard": [self.name] * len(images),
            "offset": [start + BLOCK for start in accumulate(lengths, initial=0)][:-1],
            "size": sizes,
            "sha256": digests,
        }
        return pa.table(columns, SHARDS_SCHEMA)


def _from_file(file: Path, digest: bytes) -> bytes | None:
    try:
        data = file.read_bytes()
    except OSError:
        return None
    return data if sha256(data).digest() == digest else None
