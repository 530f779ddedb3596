"""Print how well and how quickly mattes are made, on photographs with known persons.

    FACECROP_EVAL=FOLDER python benchmarks/mattes.py [--rembg FILE.onnx]

FOLDER/eval/portraits has photographs and `gt/*.png`. The mattes are those that `preprocess` keeps,
each photograph a profile of its own; an alpha counts from 0.5 on, at the size of the photograph.

Times are of one thread, from the decoded picture to the matte at its size, best of five for each
picture, the ways taken in turn so that a busy machine is busy for all of them; they are printed
as multiples of the time of mediapipe's own task.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import facecrop
from facecrop.images.backends.selfie import Selfie
from facecrop.images.codec import decode
from facecrop.images.frames import Box, Image
from facecrop.images.look.alpha import alpha_in
from facecrop.images.look.finder import Finder
from facecrop.images.models import ModelStore
from facecrop.index import INDEX_FILE, read_table

Matte = Callable[[Image], NDArray[np.uint8]]


@dataclass(frozen=True)
class Portrait:
    """A photograph, its pixels (H, W, 3) uint8 RGB, and where its person is, (H, W) bool."""

    path: Path
    image: Image
    truth: NDArray[np.bool_]


def read_portraits(folder: Path) -> list[Portrait]:
    found = []
    for truth_file in sorted((folder / "gt").glob("*.png")):
        path = next(folder.glob(f"{truth_file.stem}.*"))
        image = decode(path.read_bytes()).image
        truth = cv2.imread(str(truth_file), cv2.IMREAD_UNCHANGED)
        if image is None or truth is None:
            raise SystemExit(f"{path} or {truth_file} cannot be read")
        truth = truth if truth.ndim == 2 else truth[..., -1]
        size = (image.shape[1], image.shape[0])
        inside = cv2.resize(truth, size, interpolation=cv2.INTER_NEAREST) > 127
        found.append(Portrait(path, image, inside))
    return found


def by_preprocess(
    portraits: list[Portrait],
    recipe: str,
    settings: list[str],
    weights: dict[str, Path] | None = None,
) -> list[float]:
    """Return the IoU of each kept matte; 0 where none was kept."""
    with tempfile.TemporaryDirectory() as folder:
        raw, out = Path(folder, "raw"), Path(folder, "out")
        raw.mkdir()
        for portrait in portraits:
            (raw / portrait.path.name).symlink_to(portrait.path.resolve())
        facecrop.preprocess(
            raw,
            out,
            recipe=recipe,
            settings=settings,
            layout="flat",
            keep=["alpha"],
            weights=weights,
            contact=False,
        )
        images = {row["path"]: row["image"] for row in read_table(out / INDEX_FILE).to_pylist()}
        scores = []
        for portrait in portraits:
            alpha = kept_alpha(out, images[portrait.path.name])
            scores.append(0.0 if alpha is None else iou(alpha, portrait.truth))
    return scores


def kept_alpha(out: Path, image: str | None) -> NDArray[np.uint8] | None:
    """Return the alpha beside a crop, (H, W) uint8 at the size of the photograph."""
    if image is None:
        return None
    file = (out / "alpha" / image.removeprefix("images/")).with_suffix(".png")
    return np.asarray(cv2.imread(str(file), cv2.IMREAD_GRAYSCALE), np.uint8)


def by_finder(finder: Finder) -> Matte:
    def matte(image: Image) -> NDArray[np.uint8]:
        height, width = image.shape[:2]
        batch = np.stack([finder.prepare(image)] * finder.batch_size)
        alpha = finder.interpret(finder.infer(batch)[0], height, width)
        return alpha_in(alpha, Box(0, 0, width, height), height, width)  # type: ignore[arg-type]  # a matte's finder finds an Alpha

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
        return np.asarray(found.reshape(image.shape[:2]) * 255 + 0.5, np.uint8)

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


def print_scores(name: str, scores: list[float]) -> None:
    print(f"{name:34} {np.mean(scores):8.4f} {np.median(scores):7.4f} {min(scores):7.4f}")


def print_times(ways: dict[str, Matte], portraits: list[Portrait]) -> None:
    on_portraits = [best_ms(ways, one.image, 5) for one in portraits]
    usual = cv2.resize(portraits[0].image, (384, 512), interpolation=cv2.INTER_AREA)
    on_usual = best_ms(ways, np.asarray(usual, np.uint8), 40)
    plain = next(iter(ways))
    print(f"\n{'one matte, one thread':34} {'portraits':>14} {'384x512':>14}")
    for name in ways:
        ms = float(np.mean([one[name] for one in on_portraits]))
        ratio = ms / float(np.mean([one[plain] for one in on_portraits]))
        print(
            f"{name:34} {ms:6.1f} ms {ratio:4.2f}x "
            f"{on_usual[name]:6.1f} ms {on_usual[name] / on_usual[plain]:4.2f}x"
        )


def compare(rembg: Path | None, closing: ExitStack) -> None:
    portraits = read_portraits(Path(os.environ["FACECROP_EVAL"], "eval", "portraits"))
    weights = ModelStore().paths(["selfie", "selfie-landscape"])
    task = by_the_task(weights["selfie"], closing)
    ways = {
        "mediapipe's task": task,
        "selfie, one look": by_finder(Selfie(zoom=False).load(weights.__getitem__, "cpu")),
        "selfie (embedded)": by_finder(Selfie().load(weights.__getitem__, "cpu")),
    }
    print(f"{len(portraits)} portraits {'':21} IoU mean  median   worst")
    print_scores("mediapipe's task", [iou(task(one.image), one.truth) for one in portraits])
    plain = ["look.matte.zoom=false"]
    print_scores("embedded, one look", by_preprocess(portraits, "embedded", plain))
    print_scores("embedded", by_preprocess(portraits, "embedded", []))
    if rembg:
        like = ["look.matte.model=u2netp"]
        found = by_preprocess(portraits, "rembg", like, {"u2netp": rembg})
        print_scores(f"rembg, {rembg.stem}", found)
    print_times(ways, portraits)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rembg", type=Path, help="a U²-Net-shaped ONNX file to compare with")
    options = parser.parse_args()
    if "FACECROP_EVAL" not in os.environ:
        raise SystemExit("FACECROP_EVAL does not name a folder of photographs")
    cv2.setNumThreads(1)
    with ExitStack() as closing:
        compare(options.rembg, closing)


if __name__ == "__main__":
    main()
