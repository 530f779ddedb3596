"""Print how quickly and how well one file of a U²-Net runs on each runtime and in each precision.

    FACECROP_EVAL=FOLDER python benchmarks/runtimes.py U2NETP.onnx [--like u2netp] [--pictures 80]

FOLDER/eval/portraits has photographs and `gt/*.png`. For each runtime and precision: milliseconds
of one picture on one thread from its prepared pixels to its matte, the best and the mean of all,
and the processor's time of the same, which other programs disturb less; the IoU of the mattes with
those of onnxruntime in fp32, mean and worst; the IoU with the truth, at the size of the photograph.
The ways are taken in turn, so that a busy machine is busy for all of them.
"""

import argparse
import os
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from mattes import Portrait, iou, read_portraits

from facecrop.config import validate
from facecrop.images.backends.rembg import Rembg, RembgFinder
from facecrop.images.backends.runtimes import RUNTIMES
from facecrop.images.frames import Box
from facecrop.images.look.alpha import alpha_in

REFERENCE = ("onnxruntime", "fp32")
SLOW = {("torch", "fp16")}
"""Emulated on CPUs: seconds a picture. Asked for by --all."""


@dataclass
class Score:
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    same: list[float] = field(default_factory=list)
    true: list[float] = field(default_factory=list)


def load(file: Path, like: str, runtime: str, precision: str) -> RembgFinder:
    settings = {"model": "mine", "like": like, "runtime": runtime, "precision": precision}
    return validate(Rembg, settings, "rembg").load(lambda _: file, "cpu")


def score(ways: dict[tuple[str, str], RembgFinder], portraits: list[Portrait]) -> list[Score]:
    scores = {way: Score() for way in ways}
    for portrait in portraits:
        height, width = portrait.image.shape[:2]
        reference = np.zeros((1, 1), np.bool_)
        for way, finder in ways.items():
            batch = finder.prepare(portrait.image)[None]
            wall, cpu = time.perf_counter(), time.process_time()
            raw = finder.infer(batch)[0]
            one = scores[way]
            one.wall.append(1000 * (time.perf_counter() - wall))
            one.cpu.append(1000 * (time.process_time() - cpu))
            if way == REFERENCE:
                reference = raw > 127
            one.same.append(iou(raw, reference))
            alpha = finder.interpret(raw, height, width)
            whole = alpha_in(alpha, Box(0, 0, width, height), height, width)
            one.true.append(iou(whole, portrait.truth))
    return list(scores.values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="ONNX file")
    parser.add_argument("--like", default="u2netp", help="the model of rembg that it is like")
    parser.add_argument("--pictures", type=int, default=80)
    parser.add_argument("--all", action="store_true", help="also what a CPU only emulates")
    options = parser.parse_args()
    if "FACECROP_EVAL" not in os.environ:
        raise SystemExit("FACECROP_EVAL does not name a folder of photographs")
    cv2.setNumThreads(1)
    every = [(runtime, one) for runtime, precisions in RUNTIMES.items() for one in precisions]
    ways = {
        way: load(options.model, options.like, *way)
        for way in every
        if find_spec(way[0]) and (options.all or way not in SLOW)
    }
    folder = Path(os.environ["FACECROP_EVAL"], "eval", "portraits")
    portraits = read_portraits(folder)[: options.pictures]
    scores = score(ways, portraits)
    print(f"{len(portraits)} portraits, {options.model.name}, one thread")
    print(
        f"{'':18} {'ms best':>8} {'mean':>7} {'CPU ms':>7}   {'IoU fp32':>8} {'worst':>7}   truth"
    )
    for (runtime, precision), one in zip(ways, scores, strict=True):
        print(
            f"{runtime:12} {precision:5} {min(one.wall):8.0f} {np.mean(one.wall):7.0f} "
            f"{np.mean(one.cpu):7.0f}   {np.mean(one.same):8.4f} {min(one.same):7.4f} "
            f"{np.mean(one.true):7.4f}"
        )


if __name__ == "__main__":
    main()
