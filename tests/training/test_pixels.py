import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from made_datasets import texture
from program import environment

from facecrop.errors import StoreError, TableError
from facecrop.images.codec import decode, encode
from facecrop.training.crops import as_input
from facecrop.training.pixels import Pixels, open_pixels

SIZES = [(40, 30), (64, 48), (33, 57), (20, 64), (8, 9)]


def crops(out: Path, shapes: Sequence[tuple[int, int]] = SIZES) -> tuple[list[str], list[bytes]]:
    """Write a crop of each shape; return where they lie and their digests."""
    (out / "images").mkdir(parents=True, exist_ok=True)
    data = [encode(texture(seed, *shape), "jpg", 95) for seed, shape in enumerate(shapes)]
    images = [f"images/{number}.jpg" for number in range(len(data))]
    for image, one in zip(images, data, strict=True):
        (out / image).write_bytes(one)
    return images, [sha256(one).digest() for one in data]


def stored(out: Path) -> list[str]:
    return sorted(file.name for file in (out / ".store" / "pixels").iterdir())


def nobody(done: int, total: int) -> None:
    raise AssertionError(f"built again: {done} of {total}")


def decoded(out: Path, image: str) -> np.ndarray:
    found = decode((out / image).read_bytes()).image
    assert found is not None
    return found


def small(out: Path, number: int) -> None:
    open_pixels(out, *crops(out), (10, 10 + number))


@pytest.mark.parametrize("center_crop", [None, (24, 24), (500, 20)])
@pytest.mark.parametrize("size", [(16, 16), (64, 48), (20, 31)])
def test_pixels_are_those_of_decoding_and_resizing_each_crop(
    tmp_path: Path, size: tuple[int, int], center_crop: tuple[int, int] | None
) -> None:
    big = [(rows * 4, columns * 4) for rows, columns in SIZES]
    images, digests = crops(tmp_path, big)
    pixels = open_pixels(tmp_path, images, digests, size, center_crop, workers=2)
    assert pixels.array.shape == (len(images), *size, 3)
    assert pixels.array.dtype == np.uint8
    for row, image in enumerate(images):
        crop = decoded(tmp_path, image)
        assert (pixels.facts["height"][row], pixels.facts["width"][row]) == crop.shape[:2]
        if center_crop is not None:
            height, width = (min(pair) for pair in zip(crop.shape, center_crop, strict=False))
            top, left = (crop.shape[0] - height) // 2, (crop.shape[1] - width) // 2
            crop = crop[top : top + height, left : left + width]
        shrinks = crop.shape[0] >= size[0] and crop.shape[1] >= size[1]
        how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        expected = cv2.resize(crop, size[::-1], interpolation=how)
        assert (pixels.array[row] == expected).all()


def test_a_crop_of_the_right_size_is_left_alone() -> None:
    crop = texture(0, 20, 30)
    assert (as_input(crop, (20, 30)) == crop).all()


def test_a_second_training_decodes_nothing(tmp_path: Path) -> None:
    images, digests = crops(tmp_path)
    first = open_pixels(tmp_path, images, digests, (16, 16))
    for image in images:
        (tmp_path / image).unlink()
    second = open_pixels(tmp_path, images, digests, (16, 16), report=nobody)
    assert second.file == first.file
    assert (second.array == first.array).all()
    assert (second.facts == first.facts).all()


def test_other_crops_another_order_and_another_size_are_other_pixels(tmp_path: Path) -> None:
    images, digests = crops(tmp_path)
    ways: list[tuple[list[str], list[bytes], tuple[int, int], tuple[int, int] | None]] = [
        (images, digests, (16, 16), None),
        (images[::-1], digests[::-1], (16, 16), None),
        (images[:4], digests[:4], (16, 16), None),
        (images, digests, (16, 17), None),
        (images, digests, (16, 16), (16, 16)),
        (images, digests, (16, 16), (17, 16)),
    ]
    assert len({open_pixels(tmp_path, *way).file for way in ways}) == len(ways)


@pytest.mark.parametrize("workers", [1, 3])
def test_every_picture_is_reported_once(tmp_path: Path, workers: int) -> None:
    images, digests = crops(tmp_path, SIZES * 20)
    seen: list[tuple[int, int]] = []
    open_pixels(
        tmp_path, images, digests, (8, 8), workers=workers,
        report=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    assert seen == sorted(set(seen))
    assert seen[-1] == (100, 100)


def test_only_the_newest_few_are_kept_and_a_used_one_is_new(tmp_path: Path) -> None:
    images, digests = crops(tmp_path)
    oldest = open_pixels(tmp_path, images, digests, (10, 10))
    before = oldest.array.copy()
    for number in range(1, 4):
        made = open_pixels(tmp_path, images, digests, (10, 10 + number))
        os.utime(made.file, (number, number))
    open_pixels(tmp_path, images, digests, (10, 10), report=nobody)
    last = open_pixels(tmp_path, images, digests, (10, 20))
    left = [name for name in stored(tmp_path) if name != "lock"]
    assert len(left) == 8
    assert oldest.file.name in left
    assert last.file.name in left
    open_pixels(tmp_path, images, digests, (10, 30))
    os.utime(oldest.file, (0, 0))
    open_pixels(tmp_path, images, digests, (10, 40))
    assert not oldest.file.exists()
    assert (oldest.array == before).all()


def test_several_processes_that_ask_at_once_build_once(tmp_path: Path) -> None:
    images, digests = crops(tmp_path, SIZES * 30)
    built: list[int] = []

    def ask(number: int) -> Pixels:
        return open_pixels(
            tmp_path, images, digests, (16, 16), workers=1,
            report=lambda _, __: built.append(number),
        )  # fmt: skip

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(ask, range(4)))
    assert len(set(built)) == 1
    assert len({pixels.file for pixels in found}) == 1


KILLED = """
import os, pathlib, signal, sys
sys.path[:0] = {path!r}
from test_pixels import crops
from facecrop.training.pixels import open_pixels
out = pathlib.Path({out!r})
open_pixels(out, *crops(out, [(40, 30)] * 200), (16, 16), workers=1,
            report=lambda done, total: os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_build_that_is_killed_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    out = tmp_path / "out"
    code = KILLED.format(out=str(out), path=[str(Path(__file__).parent), *sys.path])
    done = subprocess.run([sys.executable, "-c", code], check=False, timeout=120, env=environment())
    assert done.returncode == -signal.SIGKILL
    (half,) = [name for name in stored(out) if name != "lock"]
    assert half.endswith(".tmp")
    images, digests = crops(out, [(40, 30)] * 200)
    pixels = open_pixels(out, images, digests, (16, 16))
    expected = as_input(decoded(out, images[150]), (16, 16))
    assert (pixels.array[150] == expected).all()
    assert not [name for name in stored(out) if name.endswith(".tmp")]


def test_a_full_disk_is_one_error_and_no_crash(tmp_path: Path) -> None:
    """Write through a map to a disk without space, and the process would die of it."""
    code = f"""
import pathlib, resource, sys
sys.path[:0] = {[str(Path(__file__).parent), *sys.path]!r}
from test_pixels import crops
from facecrop.errors import StoreError
from facecrop.training.pixels import open_pixels
out = pathlib.Path({str(tmp_path)!r})
images, digests = crops(out)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
try:
    open_pixels(out, images, digests, (100, 100))
except StoreError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=False, timeout=120, env=environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "cannot be written: File too large" in done.stdout
    assert stored(tmp_path) == ["lock"]


def test_no_space_is_noticed_before_anything_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, digests = crops(tmp_path)

    def full(*_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(StoreError, match="No space left"):
        open_pixels(tmp_path, images, digests, (10, 10), report=nobody)
    monkeypatch.undo()
    assert stored(tmp_path) == ["lock"]
    assert len(open_pixels(tmp_path, images, digests, (10, 10)).array) == len(images)


def lost(file: Path) -> None:
    file.unlink()


def altered(file: Path) -> None:
    file.write_bytes(encode(texture(99, 40, 30), "jpg", 95))


def damaged(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-200])


@pytest.mark.parametrize(
    ("fault", "says"),
    [(lost, "cannot be read"), (altered, "is not the crop"), (damaged, "is not the crop")],
)
def test_a_crop_that_is_not_the_one_of_the_index_is_one_error(
    tmp_path: Path, fault: Callable[[Path], None], says: str
) -> None:
    images, digests = crops(tmp_path, SIZES * 20)
    fault(tmp_path / images[60])
    with pytest.raises(TableError, match=rf"60\.jpg {says}.*--verify"):
        open_pixels(tmp_path, images, digests, (16, 16))
    assert stored(tmp_path) == ["lock"]


def test_a_crop_that_is_no_picture_is_one_error(tmp_path: Path) -> None:
    images, digests = crops(tmp_path)
    (tmp_path / images[2]).write_bytes(b"no picture")
    digests[2] = sha256(b"no picture").digest()
    with pytest.raises(TableError, match=r"2\.jpg cannot be decoded \(not-image\)"):
        open_pixels(tmp_path, images, digests, (16, 16))


def test_a_crop_of_one_colour_is_a_picture(tmp_path: Path) -> None:
    images, digests = crops(tmp_path)
    black = encode(np.zeros((12, 5, 3), np.uint8), "png", 95)
    (tmp_path / images[0]).write_bytes(black)
    digests[0] = sha256(black).digest()
    pixels = open_pixels(tmp_path, images, digests, (16, 16))
    assert (pixels.array[0] == 0).all()
    mean, std = pixels.moments(np.array([0]))
    assert mean.tolist() == [0, 0, 0]
    assert std.tolist() == [1, 1, 1]


def test_moments_are_those_of_all_pixels_pooled(tmp_path: Path) -> None:
    images, digests = crops(tmp_path)
    pixels = open_pixels(tmp_path, images, digests, (31, 17))
    for rows in (np.arange(5), np.array([3]), np.array([0, 4])):
        mean, std = pixels.moments(rows)
        values = pixels.array[rows].reshape(-1, 3) / 255
        assert mean.dtype == std.dtype == np.float32
        assert mean == pytest.approx(values.mean(axis=0), abs=1e-6)
        assert std == pytest.approx(values.std(axis=0), abs=1e-6)
    assert (
        pixels.moments(np.array([4, 0]))[0].tolist() == pixels.moments(np.array([0, 4]))[0].tolist()
    )


def test_pixels_cannot_be_written_to(tmp_path: Path) -> None:
    pixels = open_pixels(tmp_path, *crops(tmp_path), (16, 16))
    with pytest.raises(ValueError, match="read-only"):
        pixels.array[0] = 0


def test_regions_move_with_the_center_crop(tmp_path: Path) -> None:
    image = np.zeros((80, 60, 3), np.uint8)
    image[30:50, 20:35] = 255
    data = encode(image, "png", 95)
    (tmp_path / "one.png").write_bytes(data)
    boxes = np.array([[[20 / 60, 30 / 80, 35 / 60, 50 / 80], [np.nan] * 4]], np.float32)
    digest = sha256(data).digest()
    whole = open_pixels(tmp_path, ["one.png"], [digest], (40, 40))
    assert whole.regions(boxes) is boxes
    pixels = open_pixels(tmp_path, ["one.png"], [digest], (40, 40), (40, 40))
    found = pixels.regions(boxes)
    rows, columns = np.nonzero(pixels.array[0, ..., 0])
    edges = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 40
    assert found[0, 0] == pytest.approx(edges)
    assert np.isnan(found[0, 1]).all()


def test_a_region_outside_the_center_crop_is_unknown(tmp_path: Path) -> None:
    images, digests = crops(tmp_path, [(80, 60)])
    boxes = np.array([[[0, 0, 0.1, 0.1], [0, 0, 1, 1]]], np.float32)
    found = open_pixels(tmp_path, images, digests, (16, 16), (40, 40)).regions(boxes)
    assert np.isnan(found[0, 0]).all()
    assert found[0, 1].tolist() == [0, 0, 1, 1]
