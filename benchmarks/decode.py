"""Pictures of twelve megapixels, looked at in full or reduced on their way from the file.

    python benchmarks/decode.py                               # 28 drawn portraits, enlarged
    python benchmarks/decode.py --photographs FOLDER          # those of a folder, enlarged
    python benchmarks/decode.py --recipe rembg --set look.matte.model=u2netp

Each way (all pixels; `look.decode = "scaled"`; that and `render.decode = "scaled"`) preprocesses
the same files into a new dataset, then once more with another margin, in a process of its own and
in turns. Printed are CPU seconds a picture, what a run costs whatever its pictures left out, as
ratios to the way of all pixels; the peak memory of the process; how far boxes, mattes and crops are
moved; and how near the boxes are to those of the pictures as they were before they were enlarged.
"""

import argparse
import multiprocessing
import resource
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facecrop.commands.demo import demo
from facecrop.commands.preprocess.command import PreprocessResult, preprocess
from facecrop.images.codec import decode, decode_crop, encode
from facecrop.images.frames import Box, Image
from facecrop.index import INDEX_FILE, read_table

PIXELS = 12_000_000
NOISE = 6.0
"""Standard deviation, in grey levels: without a sensor's noise JPEGs of this size are too easy."""
QUALITY = 92
PER_PROFILE = 7
TIMEOUT_S = 3600
WAYS: dict[str, tuple[str, ...]] = {
    "full": (),
    "look scaled": ("look.decode=scaled",),
    "look and render scaled": ("look.decode=scaled", "render.decode=scaled"),
}
SAME = 0.4
"""Intersection over union from which two boxes are one face."""
FACE = ("face_x0", "face_y0", "face_x1", "face_y1")


@dataclass(frozen=True)
class Cost:
    """What one way costs: CPU seconds a picture, by part of the work; peak bytes of memory."""

    first: float
    again: float
    parts: dict[str, float]
    peak: int


def enlarged(image: Image, rng: np.random.Generator) -> Image:
    """Return a picture of twelve megapixels with a sensor's noise."""
    scale = (PIXELS / (image.shape[0] * image.shape[1])) ** 0.5
    large = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    noise = rng.normal(0, NOISE, large.shape[:2]).astype(np.float32)[..., None]
    return (large + noise).clip(0, 255).astype(np.uint8)


def write_pictures(raw: Path, photographs: Path | None, images: int) -> int:
    """Write profiles of large JPEGs, and beside them the same before; return how many."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as drawn:
        if photographs is None:
            demo(Path(drawn), profiles=-(-images // PER_PROFILE), seed=11)
        source = Path(drawn) if photographs is None else photographs
        files = sorted(path for path in source.rglob("*") if path.suffix in (".jpg", ".png"))
        written = 0
        for path in files:
            image = decode(path.read_bytes()).image
            if image is None or written == images:
                continue
            profile, number = divmod(written, PER_PROFILE)
            target = raw / f"{profile:06d}_male_Asian_30" / f"{number}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(encode(enlarged(image, rng), "jpg", QUALITY))
            small = raw.with_name("small") / target.relative_to(raw)
            small.parent.mkdir(parents=True, exist_ok=True)
            small.write_bytes(encode(image, "jpg", QUALITY))
            written += 1
    return written


def measure(raw: str, out: str, recipe: str, settings: list[str], images: int) -> Cost:
    """Preprocess twice, the second time with another margin."""
    cv2.setNumThreads(1)
    first = Path(raw) / "000000_male_Asian_30" / "0.jpg"
    options: dict[str, Any] = {
        "recipe": recipe, "engine": "serial", "contact": False, "offline": True,
    }  # fmt: skip

    def spent(what: str, where: str, *more: str) -> tuple[float, PreprocessResult]:
        before = time.process_time()
        done = preprocess(what, where, settings=[*settings, *more], **options)
        return time.process_time() - before, done

    with tempfile.TemporaryDirectory() as temporary:
        alone = Path(temporary) / "raw" / first.parent.name
        alone.mkdir(parents=True)
        shutil.copy(first, alone)
        raw_alone = str(alone.parent)
        spent(raw_alone, f"{temporary}/warm")  # imports
        base, _ = spent(raw_alone, f"{temporary}/out")
        base_again, _ = spent(raw_alone, f"{temporary}/out", "crop.margin=0.4")
    whole, done = spent(raw, out)
    again, _ = spent(raw, out, "crop.margin=0.4")
    spent(raw, out)  # as it was, to be compared
    parts = {name: seconds / images for name, seconds in done.progress.seconds.items()}
    peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Cost((whole - base) / (images - 1), (again - base_again) / (images - 1), parts, peak)


def in_turns(raw: Path, folder: Path, recipe: str, settings: list[str], repeat: int) -> None:
    """Measure all ways, the least of several times, and print them."""
    images = sum(1 for _ in raw.rglob("*.jpg"))
    megabytes = sum(path.stat().st_size for path in raw.rglob("*.jpg")) / 1e6 / images
    print(f"{images} pictures of {PIXELS / 1e6:.0f} megapixels, {megabytes:.1f} MB each")
    costs: dict[str, list[Cost]] = {way: [] for way in WAYS}
    for turn in range(repeat):
        for way, own in WAYS.items():
            arguments = (str(raw), str(folder / f"{way} {turn}"), recipe, [*settings, *own], images)
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                costs[way].append(pool.apply_async(measure, arguments).get(TIMEOUT_S))
    full = costs["full"]
    for way, found in costs.items():
        first, again = (min(getattr(one, part) for one in found) for part in ("first", "again"))
        ratios = [
            min(getattr(one, part) for one in full) / own
            for part, own in (("first", first), ("again", again))
        ]
        best = min(found, key=lambda one: one.first)
        parts = ", ".join(f"{name} {1000 * spent:.0f}" for name, spent in best.parts.items())
        print(
            f"{way:24} {1000 * first:4.0f} ms of CPU a picture, {ratios[0]:.2f} times as many; "
            f"new margin {1000 * again:4.0f} ms, {ratios[1]:.2f}; "
            f"peak {max(one.peak for one in found) / 1e6:.0f} MB\n    ms a picture: {parts}"
        )
    full, look, both = (folder / f"{way} 0" for way in WAYS)
    compare(full, look, "look scaled against full")
    compare(look, both, "look and render scaled against look scaled")
    small = folder / "small out"
    preprocess(
        folder / "small", small, recipe=recipe, settings=settings, engine="serial", contact=False
    )
    for way, out in (("full", full), ("look scaled", look)):
        compare(small, out, f"{way} against the pictures before they were enlarged", crops=False)


def compare(one_out: Path, two_out: Path, what: str, *, crops: bool = True) -> None:
    """Print how far boxes, mattes and crops of two datasets are from each other."""
    rows = [read_table(out / INDEX_FILE).to_pylist() for out in (one_out, two_out)]
    pairs = list(zip(*rows, strict=True))
    changed = sum(one["status"] != two["status"] for one, two in pairs)
    ious = [
        _face(one, two["width"] / one["width"]).iou(_face(two, 1))
        for one, two in pairs
        if one["face_x0"] is not None and two["face_x0"] is not None
    ]
    others = sum(iou < SAME for iou in ious)
    ious = [iou for iou in ious if iou >= SAME]
    covered = [
        abs(one["alpha_coverage"] - two["alpha_coverage"])
        for one, two in pairs
        if one["alpha_coverage"] is not None and two["alpha_coverage"] is not None
    ]
    print(
        f"{what}: {changed} of {len(pairs)} statuses differ, {others} chose another face; IoU of "
        f"the same faces {_spread(ious)}, coverage of mattes differs by "
        f"{_spread(covered, least=False)}"
    )
    if crops:
        agree = [
            _psnr(*(decode_crop((out / row["image"]).read_bytes()).image for out, row in place))
            for place in (((one_out, one), (two_out, two)) for one, two in pairs)
            if all(row["image"] for _, row in place)
        ]
        print(f"    crops agree to {_spread(agree, digits=1)} dB")


def _face(row: dict[str, Any], scale: float) -> Box:
    return Box(*(row[side] for side in FACE)).scale(scale, scale)


def _psnr(one: Image | None, two: Image | None) -> float:
    if one is None or two is None or one.shape != two.shape:
        return 0.0
    wrong = float(np.mean((one.astype(np.float32) - two) ** 2))
    return 99.0 if wrong == 0 else 10 * float(np.log10(255**2 / wrong))


def _spread(values: list[float], *, least: bool = True, digits: int = 4) -> str:
    """Return median and worst, the least or the greatest."""
    if not values:
        return "nothing to compare"
    worst = min(values) if least else max(values)
    return f"{np.median(values):.{digits}f} (worst {worst:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=28)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--photographs", type=Path, help="a folder; else portraits are drawn")
    parser.add_argument("--recipe", default="embedded")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_pictures(folder / "raw", options.photographs, options.images)
        in_turns(folder / "raw", folder, options.recipe, options.settings, options.repeat)


if __name__ == "__main__":
    main()
