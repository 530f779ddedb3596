"""Print how well and how quickly mattes are made, on photographs with known persons.

    FACECROP_EVAL=FOLDER python benchmarks/mattes.py [--rembg FILE.onnx]

FOLDER/eval/portraits has photographs and `gt/*.png`. An alpha counts from 0.5 on, at the size of
the photograph. Times are of one thread, from the decoded picture to the matte at its size, best of
five for each picture, the ways taken in turn so that a busy machine is busy for all of them.
"""

import argparse
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from facecrop.images.backends.rembg import Rembg
from facecrop.images.backends.selfie import Selfie
from facecrop.images.frames import Box, Image
from facecrop.images.look.alpha import alpha_in
from facecrop.images.look.finder import Finder
from facecrop.images.models import ModelStore

Matte = Callable[[Image], NDArray[np.uint8]]


def read_portraits(folder: Path) -> list[tuple[Image, NDArray[np.bool_]]]:
    found = []
    for truth_file in sorted((folder / "gt").glob("*.png")):
        file = next(folder.glob(f"{truth_file.stem}.*"))
        image = np.ascontiguousarray(cv2.imread(str(file))[..., ::-1])
        truth = cv2.imread(str(truth_file), cv2.IMREAD_UNCHANGED)
        truth = truth if truth.ndim == 2 else truth[..., -1]
        size = image.shape[1::-1]
        found.append((image, cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST) > 127))
    return found


def by_finder(finder: Finder) -> Matte:
    def matte(image: Image) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        batch = np.stack([finder.prepare(image)] * finder.batch_size)
        alpha = finder.interpret(finder.infer(batch)[0], height, width)
        return alpha_in(alpha, Box(0, 0, width, height), height, width)

    return matte


def by_the_task(weights: Path, closing: ExitStack) -> Matte:
    """Return mediapipe's own call: the plain model that the others are held against."""
    import mediapipe
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.ImageSegmenterOptions(base_options=BaseOptions(model_asset_path=str(weights)))
    task = closing.enter_context(vision.ImageSegmenter.create_from_options(options))

    def matte(image: Image) -> NDArray[np.uint8]:
        picture = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
        found = task.segment(picture).confidence_masks[0].numpy_view()
        return (found.reshape(image.shape[:2]) * 255 + 0.5).astype(np.uint8)

    return matte


def iou(matte: NDArray[np.uint8], truth: NDArray[np.bool_]) -> float:
    seen = matte > 127
    return float((seen & truth).sum() / max((seen | truth).sum(), 1))


def best_ms(ways: dict[str, Matte], image: Image, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, matte in ways.items():
            start = time.perf_counter()
            matte(image)
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: min(taken) for name, taken in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rembg", type=Path, help="a U²-Net-shaped ONNX file to compare with")
    with ExitStack() as closing:
        compare(parser.parse_args().rembg, closing)


def compare(rembg: Path | None, closing: ExitStack) -> None:
    cv2.setNumThreads(1)
    portraits = read_portraits(Path(os.environ["FACECROP_EVAL"], "eval", "portraits"))
    weights = ModelStore().paths(["selfie", "selfie-landscape"])
    ways = {
        "mediapipe's task": by_the_task(weights["selfie"], closing),
        "selfie, one look": by_finder(Selfie(zoom=False).load(weights.__getitem__, "cpu")),
        "selfie (embedded)": by_finder(Selfie().load(weights.__getitem__, "cpu")),
    }
    if rembg:
        settings = Rembg(model="own", like="u2net")
        ways[f"rembg {rembg.stem}"] = by_finder(settings.load(lambda _: rembg, "cpu"))
    on_portraits = [best_ms(ways, image, 5) for image, _ in portraits]
    usual = cv2.resize(portraits[0][0], (384, 512), interpolation=cv2.INTER_AREA)
    on_usual = best_ms(ways, usual, 40)
    plain = next(iter(ways))
    print(f"{len(portraits)} portraits; ms one thread, and times the first row's")
    print(f"{'':28} IoU mean  median   worst   ms portraits   ms 384x512")
    for name, matte in ways.items():
        scores = [iou(matte(image), truth) for image, truth in portraits]
        ms = float(np.mean([one[name] for one in on_portraits]))
        ratio = ms / float(np.mean([one[plain] for one in on_portraits]))
        print(
            f"{name:28} {np.mean(scores):8.4f} {np.median(scores):7.4f} {min(scores):7.4f} "
            f"{ms:7.1f} {ratio:5.2f}x "
            f"{on_usual[name]:6.1f} {on_usual[name] / on_usual[plain]:4.2f}x"
        )


if __name__ == "__main__":
    main()
