"""Print how quickly detectors run on OpenVINO, against what else runs them, and how far they agree.

    FACECROP_EVAL=FOLDER python benchmarks/runtimes_boxes.py [--yolo YOLOV8N.pt] [--workers 2]
        [--size 384x512]

FOLDER/eval/faces has photographs, of many sizes; with --size all are brought to one first. Each
way is timed from the decoded picture to its boxes (prepare, infer, interpret), on one thread, the
two ways in turn for each photograph, so that a busy machine is busy for both. `first` are the
photographs when their sizes are new (kernels are made then), the other columns the passes after it.
With several workers each runs all of it at the same time.

Agreement is about the candidates that are kept (from `floor` on), paired by overlap: how many have
no partner with an IoU of 0.5, the IoU of the pairs, and how far their scores are apart.
"""

import argparse
import multiprocessing
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from facecrop.images.backends.blazeface import BlazeFaceFull, BlazeFaceShort
from facecrop.images.backends.yolo import Yolo
from facecrop.images.backends.yunet import YuNet
from facecrop.images.findings import Candidate
from facecrop.images.frames import Image
from facecrop.images.look.finder import Finder
from facecrop.images.look.settings import FinderSettings
from facecrop.images.models import ModelStore

SAME = 0.5


@dataclass(frozen=True)
class Options:
    folder: Path
    pictures: int
    passes: int
    yolo: Path | None
    size: tuple[int, int] | None


@dataclass
class Times:
    """Seconds of each way: own, OpenVINO."""

    load: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=lambda: [0.0, 0.0])
    wall: list[float] = field(default_factory=lambda: [0.0, 0.0])
    cpu: list[float] = field(default_factory=lambda: [0.0, 0.0])
    calls: int = 0


@dataclass
class Agreement:
    candidates: list[int] = field(default_factory=lambda: [0, 0])
    alone: int = 0
    ious: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)


def settings(options: Options) -> list[Any]:
    faces = [BlazeFaceShort(), BlazeFaceFull(), *(YuNet(scale=scale) for scale in (160, 320, 640))]
    return [*faces, Yolo()] if options.yolo else faces


def load(finder: FinderSettings, options: Options) -> Finder:
    own = {"yolov8n": options.yolo} if options.yolo else {}
    models = ModelStore(own=own)
    return finder.load(models.path, "cpu")


def read(options: Options) -> list[Image]:
    files = sorted(options.folder.glob("*.jp*g"))[: options.pictures]
    images = [cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) for file in files]
    if options.size:
        images = [cv2.resize(image, options.size, interpolation=cv2.INTER_AREA) for image in images]
    return [np.asarray(image, np.uint8) for image in images]


def look(finder: Finder, image: Image) -> tuple[Candidate, ...]:
    raw = finder.infer(finder.prepare(image)[None])[0]
    found: Any = finder.interpret(raw, *image.shape[:2])
    return tuple(found.candidates)


def measure(options: Options) -> dict[str, tuple[Times, Agreement]]:
    """Return by finder what one worker saw."""
    cv2.setNumThreads(1)
    images = read(options)
    results = {}
    for finder in settings(options):
        times, agreement = Times(), Agreement()
        ways = []
        for one in (finder, finder.model_copy(update={"runtime": "openvino"})):
            start = time.perf_counter()
            ways.append(load(one, options))
            times.load.append(time.perf_counter() - start)
        for number in range(options.passes + 1):
            for image in images:
                found = [timed(way, image, times, part, number) for part, way in enumerate(ways)]
                if number == 0:
                    compare(*found, agreement)
        times.calls = options.passes * len(images)
        results[finder.label] = times, agreement
    return results


def timed(way: Finder, image: Image, times: Times, part: int, number: int) -> tuple[Candidate, ...]:
    wall, cpu = time.perf_counter(), time.process_time()
    found = look(way, image)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if number == 0:
        times.first[part] += cpu
    else:
        times.wall[part] += wall
        times.cpu[part] += cpu
    return found


def compare(own: tuple[Candidate, ...], other: tuple[Candidate, ...], agreement: Agreement) -> None:
    for number, found in enumerate((own, other)):
        agreement.candidates[number] += len(found)
    left = list(other)
    for one in own:
        best = max(left, key=lambda two: one.box.iou(two.box), default=None)
        if best is None or one.box.iou(best.box) < SAME:
            agreement.alone += 1
            continue
        left.remove(best)
        agreement.ious.append(one.box.iou(best.box))
        agreement.scores.append(abs(one.score - best.score))
    agreement.alone += len(left)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--yolo", type=Path, help="YOLOv8's .pt file; left out without it")
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--size", help="WIDTHxHEIGHT of all pictures, instead of their own")
    given = parser.parse_args()
    if "FACECROP_EVAL" not in os.environ:
        raise SystemExit("FACECROP_EVAL does not name a folder of photographs")
    folder = Path(os.environ["FACECROP_EVAL"], "eval", "faces")
    width, _, height = (given.size or "").partition("x")
    size = (int(width), int(height)) if given.size else None
    options = Options(folder, given.pictures, given.passes, given.yolo, size)
    with multiprocessing.get_context("spawn").Pool(given.workers) as pool:
        workers = pool.map(measure, [options] * given.workers)
    of_size = f" of {given.size}" if given.size else ""
    print(f"{given.pictures} photographs{of_size}, {given.workers} workers of one thread each")
    print(
        f"{'':16} {'ms own':>7} {'openv.':>7} {'times':>6} {'CPU ms':>7} {'openv.':>7} "
        f"{'times':>6} {'first':>6} {'load s':>11}   {'boxes':>9} {'alone':>5} {'IoU':>6} "
        f"{'worst':>6} {'score':>6}"
    )
    for label, (_, agreement) in workers[0].items():
        every = [worker[label][0] for worker in workers]
        calls = sum(one.calls for one in every) / 1000
        wall, cpu, first = (
            [sum(getattr(one, kind)[part] for one in every) for part in (0, 1)]
            for kind in ("wall", "cpu", "first")
        )
        loads = "/".join(f"{one:.1f}" for one in every[0].load)
        print(
            f"{label:16} {wall[0] / calls:7.2f} {wall[1] / calls:7.2f} {wall[0] / wall[1]:6.2f} "
            f"{cpu[0] / calls:7.2f} {cpu[1] / calls:7.2f} {cpu[0] / cpu[1]:6.2f} "
            f"{first[0] / first[1]:6.2f} {loads:>11}   "
            f"{agreement.candidates[0]:4}/{agreement.candidates[1]:4} {agreement.alone:5} "
            f"{np.mean(agreement.ious):6.3f} {min(agreement.ious):6.3f} "
            f"{max(agreement.scores):6.4f}"
        )


if __name__ == "__main__":
    main()
