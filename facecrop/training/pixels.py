"""Crops as the network sees them: decoded and resized once, then mapped from one file.

`OUT/.store/pixels/<key>.npy` is (N, H, W, 3) uint8; `<key>.facts.npy` beside it has what was summed
up on the way. The key is the digests of the crops in their order, the size and the version of this
module, so that a file never needs to be checked, only found. Deleting them costs time, never data.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.engines.cores import usable_cores
from facecrop.errors import StoreError
from facecrop.images.codec import DECODE_VERSION
from facecrop.index import write_atomic
from facecrop.training.crops import Size, as_input, read_crop, windows
from facecrop.training.regions import clipped, moved

FOLDER = Path(".store") / "pixels"
"""Below a dataset."""
PIXELS_VERSION = 1
"""Raised when the same crops would give other pixels."""

_FACTS = np.dtype(
    [("height", "<i4"), ("width", "<i4"), ("totals", "<i8", (3,)), ("squares", "<i8", (3,))]
)
_KEPT = 4
"""Files of a dataset that are kept: a few sizes, or a few versions of the crops."""
_AT_ONCE = 32
"""Pictures that a thread takes at a time: enough that taking them costs nothing."""
_LEVELS = np.arange(256, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Pixels:
    """The pictures of a dataset at the size of a network's input, N of them.

    Args:
        array: (N, H, W, 3) uint8, read-only, mapped from the file.
        facts: (N,) structured: `height` and `width` of the crop; `totals` and `squares`, (3,) each,
            sums of its pixels as they are here and of their squares, whole numbers.
        center_crop: Height and width of what was cut from the middle of each crop, or None.
        file: Where it lies.
    """

    array: NDArray[np.uint8]
    facts: NDArray[np.void]
    center_crop: Size | None
    file: Path

    def moments(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return mean and deviation, (3,) float32 each in [0, 1], over all pixels of some rows.

        Pooled over pixels, not the average over pictures of each picture's own; sums are whole
        numbers, so that the order does not matter. A colour that never changes has deviation 1, so
        that dividing by it does nothing.
        """
        count = len(rows) * self.array.shape[1] * self.array.shape[2]
        totals = self.facts["totals"][rows].sum(axis=0).tolist()
        squares = self.facts["squares"][rows].sum(axis=0).tolist()
        mean = [total / count / 255 for total in totals]
        # Python's whole numbers: squares of totals do not fit into 64 bits.
        spread = [
            (square * count - total**2) ** 0.5 / count / 255
            for total, square in zip(totals, squares, strict=True)
        ]
        return np.array(mean, np.float32), np.array([one or 1 for one in spread], np.float32)

    def regions(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return boxes as fractions of the input instead of the crop: `center_crop` moves them.

        Args:
            boxes: (N, R, 4) fractions of each crop (`Records.regions`).

        Returns:
            (N, R, 4), cut off at the border; nan where nothing is left, or nothing was known.
        """
        if self.center_crop is None:
            return boxes
        crops = np.stack([self.facts["height"], self.facts["width"]], axis=1).astype(np.int64)
        return clipped(moved(boxes, windows(crops, self.center_crop)))


def open_pixels(
    out: Path,
    images: Sequence[str],
    digests: Sequence[bytes],
    size: Size,
    center_crop: Size | None = None,
    *,
    workers: int | None = None,
    report: Callable[[int, int], None] | None = None,
) -> Pixels:
    """Return the pictures of a dataset at one size, decoding them if nobody did so before.

    Several processes may ask at once: one builds, the others wait for it. A build that is killed
    leaves nothing that would be taken for whole; the next one removes it. The newest few files of
    a dataset are kept.

    Args:
        out: The dataset.
        images: (N) crops, relative to OUT; one at least.
        digests: (N) sha256 of each crop's bytes.
        size: Height and width of the result.
        center_crop: Height and width that are cut from the middle of each crop first.
        workers: Threads that decode, outside the interpreter's lock; None: one for each core.
        report: Called with the number of pictures done and of all, while it is built.

    Raises:
        TableError: A crop is missing, cannot be decoded, or is not the one the index names.
        StoreError: The disk is full or cannot be written.
    """
    folder = out / FOLDER
    file = folder / f"{pixels_key(digests, size, center_crop)}.npy"
    found = _mapped(file, center_crop)
    if found is None:
        with building(folder):
            found = _mapped(file, center_crop)  # somebody else may have built it meanwhile
            if found is None:
                threads = workers or len(usable_cores())
                job = _Build(out, images, digests, size, center_crop, threads)
                write_atomic(file, lambda temporary: job.write(temporary, facts_file(file), report))
                found = _mapped(file, center_crop)
            _prune(folder, file)
    if found is None:
        raise StoreError(f"{file} was removed as soon as it was written; run the command again")
    with contextlib.suppress(OSError):  # how new a file is only decides what is pruned
        os.utime(file)
    return found


def pixels_key(digests: Sequence[bytes], size: Size, center_crop: Size | None) -> str:
    """Return what the file of some crops is called, as in `open_pixels`."""
    how = repr((PIXELS_VERSION, DECODE_VERSION, tuple(size), center_crop and tuple(center_crop)))
    digest = sha256(how.encode())
    for one in digests:
        digest.update(one)
    return digest.hexdigest()


def facts_file(file: Path) -> Path:
    """Return the file that lies beside one of pixels."""
    return file.with_suffix(".facts.npy")


def _mapped(file: Path, center_crop: Size | None) -> Pixels | None:
    """Return what was built, None if that has not been done or was pruned a moment ago."""
    try:
        return Pixels(np.load(file, mmap_mode="r"), np.load(facts_file(file)), center_crop, file)
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def building(folder: Path) -> Iterator[None]:
    """Hold the folder for one builder, waiting for it; sweep what a killed one left."""
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in folder.glob(".*.tmp"):
                left.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{folder} cannot be written: {error.strerror or error}") from None
        yield


def _prune(folder: Path, newest: Path) -> None:
    """Remove all but the newest few; whoever has mapped one keeps it until they let it go."""
    files = [file for file in folder.glob("*.npy") if not file.name.endswith(".facts.npy")]
    files.sort(key=lambda file: (file == newest, file.stat().st_mtime_ns), reverse=True)
    for file in files[_KEPT:]:
        file.unlink(missing_ok=True)
        facts_file(file).unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class _Build:
    """The building of one file.

    Threads, not processes: reading, hashing, decoding, resizing and counting all let go of the
    interpreter's lock, so that threads are as fast as processes once these have started.
    """

    out: Path
    images: Sequence[str]
    digests: Sequence[bytes]
    size: Size
    center_crop: Size | None
    threads: int

    def write(self, file: Path, beside: Path, report: Callable[[int, int], None] | None) -> None:
        """Write pixels to `file` and, whole, facts to `beside`."""
        shape = (len(self.images), *self.size, 3)
        array = np.lib.format.open_memmap(file, "w+", np.uint8, shape)
        with file.open("rb+") as opened:
            # Writing through a map to a full disk would be a bus error; this is an error.
            os.posix_fallocate(opened.fileno(), 0, file.stat().st_size)
        facts = np.zeros(len(self.images), _FACTS)
        starts = range(0, len(self.images), _AT_ONCE)
        done = 0
        with ThreadPoolExecutor(self.threads) as threads:
            jobs = [threads.submit(self._fill, array, facts, start) for start in starts]
            try:
                for job in as_completed(jobs):
                    done += job.result()
                    if report is not None:
                        report(done, len(self.images))
            finally:
                for job in jobs:  # after a fault or an interruption nobody wants the rest
                    job.cancel()
        write_atomic(beside, lambda temporary: _save(temporary, facts))

    def _fill(self, array: NDArray[np.uint8], facts: NDArray[np.void], start: int) -> int:
        rows = range(start, min(start + _AT_ONCE, len(self.images)))
        for row in rows:
            crop = read_crop(self.out, self.images[row], self.digests[row])
            picture = as_input(crop, self.size, self.center_crop)
            array[row] = picture
            counts = np.stack(
                [cv2.calcHist([picture], [one], None, [256], [0, 256]).ravel() for one in range(3)]
            ).astype(np.int64)
            facts[row] = (*crop.shape[:2], counts @ _LEVELS, counts @ _LEVELS**2)
        return len(rows)


def _save(path: Path, facts: NDArray[np.void]) -> None:
    with path.open("wb") as file:  # `np.save` would add an extension to a name
        np.save(file, facts)
