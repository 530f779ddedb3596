"""Our input against timm's own loader: the same crops, the same transforms, on the same cores.

    python benchmarks/input.py                  # 1,400 crops of 384 x 512, five epochs

JPEG crops become normalised 224 x 224 float tensors, resized, flipped (p = 0.5) and jittered in
brightness, contrast and saturation (0.2). Ours decodes them into a mapped array first, and that is
part of its time; timm's workers start once and live through all epochs. Both are measured in turns,
the best of each counts: noise only ever slows down. Read the ratio, not the seconds; where others
use the cores too, read the one by CPU.
"""

import argparse
import gc
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from drawn import draw
from timm.data import create_dataset, create_loader

from facecrop.commands.preprocess.command import preprocess
from facecrop.commands.split import split
from facecrop.engines.cores import usable_cores
from facecrop.images.codec import decode_crop
from facecrop.images.recipe import load_recipe
from facecrop.training.augment import Augment, Batch
from facecrop.training.batches import Examples, Loader, batches, epoch_order
from facecrop.training.crops import as_input
from facecrop.training.pixels import Pixels, open_pixels
from facecrop.training.records import Records, read_records
from facecrop.training.settings.augment import AugmentSettings, ColorJitter, Flip

SIZE = (224, 224)
BATCH_SIZE = 64
SETTINGS = AugmentSettings(
    transforms=(Flip(p=0.5), ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2))
)


def dataset(folder: Path, images: int) -> Path:
    """Draw people and write their pictures as crops of 384 x 512, unless that was done before."""
    raw, out = folder / "raw", folder / "out"
    if not out.exists():
        draw(raw, images)
        preprocess(raw, out, recipe=load_recipe("raw"), contact=False)
        split(out)
    return out


def opened(out: Path, records: Records, workers: int) -> Pixels:
    return open_pixels(out, records.images, records.digests, SIZE, workers=workers)


def examples(records: Records, pixels: Pixels) -> Examples:
    labels = {axis: torch.from_numpy(classes) for axis, classes in records.classes.items()}
    return Examples(
        pixels.array,
        {axis: torch.eye(3)[classes] for axis, classes in labels.items()},
        torch.from_numpy(records.loss_weight),
        torch.from_numpy(pixels.regions(records.regions)),
        labels,
    )


def ours(out: Path, records: Records, epochs: int, workers: int) -> Iterator[Batch]:
    """Yield the batches of some epochs as a training sees them, building what it needs."""
    pixels = opened(out, records, workers)
    mean, std = (torch.from_numpy(one) for one in pixels.moments(np.arange(len(records))))
    augment, source = Augment(SETTINGS, mean, std), examples(records, pixels)
    for epoch in range(epochs):
        order = batches(epoch_order(len(records), 0, epoch), BATCH_SIZE, drop_last=True)
        yield from Loader(source, order, augment, workers)


def timms(out: Path, epochs: int, workers: int, *, prefetcher: bool) -> Iterator[torch.Tensor]:
    """Yield the pictures of some epochs as timm loads them.

    A scale of 1 and the crops' own aspect make its random crop the whole picture.
    """
    loader = create_loader(
        create_dataset("", root=str(out / "images")),
        input_size=(3, *SIZE),
        batch_size=BATCH_SIZE,
        is_training=True,
        use_prefetcher=prefetcher,
        scale=(1.0, 1.0),
        ratio=(384 / 512, 384 / 512),
        hflip=0.5,
        color_jitter=0.2,
        interpolation="bilinear",
        num_workers=workers,
        persistent_workers=True,
        device=torch.device("cpu"),
        pin_memory=False,
    )
    for _ in range(epochs):
        for images, _ in loader:
            yield images


def rate(batches_of: Callable[[], Iterator[object]]) -> tuple[float, float]:
    """Return images a second, of wall clock and of CPU, that of worker processes included.

    Every batch is looked at, so that nothing is left to do.
    """
    start, before, seen = time.perf_counter(), cpu_seconds(), 0
    for batch in batches_of():
        images = batch.images if isinstance(batch, Batch) else batch
        if not isinstance(images, torch.Tensor) or images.shape[1:] != (3, *SIZE):
            raise SystemExit(f"not a batch of pictures: {type(images)}")
        if images.dtype != torch.float32:
            raise SystemExit(f"not normalised: {images.dtype}")
        seen += len(images)
    wall = time.perf_counter() - start
    gc.collect()  # ends the loader's workers, whose time counts from then on
    return seen / wall, seen / (cpu_seconds() - before)


def cpu_seconds() -> float:
    """Return what this process and those that it has started and ended have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def forget(out: Path) -> None:
    """Remove what an earlier training built."""
    shutil.rmtree(out / ".store" / "pixels", ignore_errors=True)


def compare(out: Path, records: Records, epochs: int, workers: int, repeat: int) -> None:
    """Measure both in turns, timm's with its prefetcher and without."""
    ways: dict[str, Callable[[], Iterator[object]]] = {
        "facecrop": lambda: ours(out, records, epochs, workers),
        "timm": lambda: timms(out, epochs, workers, prefetcher=False),
        "timm with its prefetcher": lambda: timms(out, epochs, workers, prefetcher=True),
    }
    found = dict.fromkeys(ways, (0.0, 0.0))
    for _ in range(repeat):
        for name, way in ways.items():
            forget(out)
            wall, cpu = rate(way)
            found[name] = max(found[name][0], wall), max(found[name][1], cpu)
    for name, (wall, cpu) in found.items():
        print(f"{name:25} {wall:7.0f} images/s  {cpu:7.0f} for a second of CPU")
    mine = found.pop("facecrop")
    ratios = [
        own / max(theirs)
        for own, theirs in zip(mine, zip(*found.values(), strict=True), strict=True)
    ]
    print(f"ratio to timm's faster way: {ratios[0]:.2f}, by CPU {ratios[1]:.2f}")


def profile(out: Path, records: Records) -> None:
    """Print what each part costs for one picture, on one core, and how often it is paid."""
    data = [(out / image).read_bytes() for image in records.images[:256]]
    crops = [decode_crop(one).image for one in data]
    forget(out)
    building = _each(lambda: opened(out, records, 1), len(records), 1)
    pixels = opened(out, records, 1)
    source = examples(records, pixels)
    augment = Augment(SETTINGS, *(torch.from_numpy(one) for one in pixels.moments(np.arange(9))))
    order = batches(epoch_order(len(records), 0, 0), BATCH_SIZE, drop_last=True)
    fetched = [source.batch(rows) for rows in order[:4]]
    parts = {
        "decode, once": _each(lambda: [decode_crop(one) for one in data], len(data)),
        "resize, once": _each(lambda: [as_input(one, SIZE) for one in crops], len(crops)),
        "all of building, once": building,
        "fetch, each epoch": _each(
            lambda: [source.batch(rows) for rows in order[:4]], 4 * BATCH_SIZE
        ),
        "augment, each epoch": _each(lambda: [augment(one, 0) for one in fetched], 4 * BATCH_SIZE),
    }
    print("on one core, ms a picture:")
    for name, milliseconds in parts.items():
        print(f"    {name:25} {milliseconds:.3f}")


def _each(work: Callable[[], object], pictures: int, repeat: int = 5) -> float:
    """Return milliseconds of CPU a picture, the least of several times."""
    best = float("inf")
    for _ in range(repeat):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return 1000 * best / pictures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1400)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--workers", type=int, default=len(usable_cores()))
    parser.add_argument("--folder", type=Path, help="raw/ and out/ are here, or are made here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = dataset(options.folder or Path(temporary), options.images)
        records = read_records(out)
        print(f"{len(records):,} crops, {options.epochs} epochs, {options.workers} workers")
        # Each thread of ours has a core, as each worker of timm's has.
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        compare(out, records, options.epochs, options.workers, options.repeat)
        profile(out, records)


if __name__ == "__main__":
    main()
