"""Preprocess against a bare loop, with nothing to do, and with a new margin: times as ratios.

    python benchmarks/preprocess.py                     # 4,200 pictures
    python benchmarks/preprocess.py --images 20000      # the figures of the README

Everything is measured in one run on one machine; read the ratios, not the seconds.
"""

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drawn import draw

from facecrop.engines.cores import usable_cores
from facecrop.images.choose import choose
from facecrop.images.choose.geometry import plan_crop
from facecrop.images.codec import decode, encode
from facecrop.images.findings import Alpha, Boxes, Findings, Source
from facecrop.images.models import ModelStore
from facecrop.images.recipe import Recipe, load_recipe
from facecrop.images.render import render

TIMEOUT_S = 3600
"""For one measurement; nothing waits for ever."""


def bare(paths: list[str], out: str) -> int:
    """Decode, run matte and first face detector once, render, encode, write: nothing else."""
    import cv2

    cv2.setNumThreads(1)
    recipe = load_recipe("embedded")
    models = ModelStore(offline=True)
    matte = recipe.look.matte.load(models.path, "cpu")
    detector = recipe.look.faces.detectors[0].load(models.path, "cpu")
    for number, path in enumerate(paths):
        with open(path, "rb") as file:
            image = decode(file.read(), recipe.decode).image
        alpha = _ask(matte, image)
        faces = _ask(detector, image)
        data = _crop(image, alpha, faces, recipe)
        with open(f"{out}/{os.getpid()}-{number}.jpg", "wb") as file:
            file.write(data)
    return len(paths)


def _ask(finder: Any, image: Any) -> Any:
    (raw,) = finder.infer(finder.prepare(image)[None])
    return finder.interpret(raw, *image.shape[:2])


def _crop(image: Any, alpha: Alpha, faces: Boxes, recipe: Recipe) -> bytes:
    height, width = image.shape[:2]
    label = recipe.look.faces.detectors[0].label
    known = Findings(Source(width=width, height=height), faces=((label, faces),), alpha=alpha)
    (plan,) = choose([known], recipe.choose, recipe.look.faces, recipe.need)
    box, rotation = plan_crop(plan.face.box, (), recipe.crop, recipe.align, height, width)
    cut = type(plan)("ok", crop=box, rotation=rotation)
    return encode(render(image, cut, alpha, recipe.render), "jpg", recipe.render.encode.quality)


def bare_loop(raw: Path, processes: int) -> float:
    """Return the images a second of a bare loop in several processes, from start to sync."""
    paths = sorted(map(str, raw.rglob("*.jpg")))
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(processes) as pool:
            parts = [(paths[number::processes], out) for number in range(processes)]
            done = sum(pool.starmap_async(bare, parts).get(TIMEOUT_S))
        os.sync()
        return done / (time.perf_counter() - start)


def facecrop(*arguments: str) -> tuple[float, float, dict[str, Any]]:
    """Run the command a user types; return wall seconds, CPU seconds and its last event."""
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as log:
        before, start = _children(), time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "facecrop", "preprocess", *arguments, "--log-json", log.name],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )
        seconds = time.perf_counter() - start
        events = Path(log.name).read_text().splitlines()
    return seconds, _children() - before, json.loads(events[-1])


def render_alone(raw: Path, out: Path, processes: int) -> tuple[float, float]:
    """Decode, render and encode the crops of a dataset once more, given all findings.

    Returns:
        Wall seconds and CPU seconds, starting and ending the processes included, and a sync.
    """
    from facecrop.commands.preprocess.ledger import Ledger

    sides = [f"crop_{side}" for side in ("x0", "y0", "x1", "y1")]
    rows = Ledger(out).previous().select(["path", *sides]).to_pylist()
    before, start = _children(), time.perf_counter()
    with (
        multiprocessing.get_context("spawn").Pool(processes) as pool,
        tempfile.TemporaryDirectory() as folder,
    ):
        parts = [(str(raw), rows[number::processes], folder) for number in range(processes)]
        pool.starmap_async(_render_rows, parts).get(TIMEOUT_S)
        os.sync()
        seconds = time.perf_counter() - start
        pool.close()
        pool.join()
    return seconds, _children() - before


def _children() -> float:
    """Return the CPU seconds of all child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _render_rows(raw: str, rows: list[dict[str, Any]], out: str) -> None:
    import cv2
    import numpy as np

    from facecrop.images.choose import Plan
    from facecrop.images.frames import Box

    cv2.setNumThreads(1)
    recipe = load_recipe("embedded")
    values = np.full((256, 256), 255, np.uint8)
    values[:64] = 0
    for number, row in enumerate(rows):
        with open(f"{raw}/{row['path']}", "rb") as file:
            image = decode(file.read(), recipe.decode).image
        height, width = image.shape[:2]
        alpha = Alpha(values, Box(0, 0, width, height))
        box = Box(*(float(row[f"crop_{side}"]) for side in ("x0", "y0", "x1", "y1")))
        crop = render(image, Plan("ok", crop=box), alpha, recipe.render)
        with open(f"{out}/{os.getpid()}-{number}.jpg", "wb") as file:
            file.write(encode(crop, "jpg", recipe.render.encode.quality))


def best(measure: Callable[[], float], repeat: int) -> float:
    """Return the largest of several measurements: noise only ever slows down."""
    return max(measure() for _ in range(repeat))


def first_run(raw: Path, out: Path, images: int, repeat: int) -> None:
    """Compare a first run with a bare loop over the same models and pictures, in turns."""
    ModelStore().paths(["selfie", "selfie-landscape", "blazeface-short"])
    cores = len(usable_cores())
    loop = ours = 0.0
    for _ in range(repeat):  # in turns, so that both meet the same noise
        loop = max(loop, bare_loop(raw, cores))
        shutil.rmtree(out, ignore_errors=True)
        seconds, _, _ = facecrop(str(raw), str(out), "--no-contact")
        ours = max(ours, images / seconds)
    print(
        f"first run      {ours:7.1f} images/s   bare loop {loop:7.1f} images/s   "
        f"ratio {ours / loop:.3f}"
    )


def nothing_to_do(raw: Path, out: Path) -> None:
    """Time a run that has nothing to do."""
    time.sleep(3)  # files touched less than two seconds before a scan are read again
    facecrop(str(raw), str(out), "--no-contact")
    seconds, used, event = facecrop(str(raw), str(out), "--no-contact")
    print(f"nothing to do  {seconds:7.2f} s   {used:.2f} s of CPU   worked on {event['total']}")


def new_margin(raw: Path, out: Path, repeat: int) -> None:
    """Compare a new margin with decode, render and encode alone of the same crops, in turns."""
    cores = len(usable_cores())
    ours, alone = [], []
    start = (
        0.1 + time.time_ns() % 1000 / 1e5
    )  # not that of the run before, which left nothing to do
    for number in range(repeat):  # in turns, so that both meet the same noise
        # Small ones: beyond, crops that the picture's border limits would not change.
        margin = f"crop.margin={start + 0.05 * (number % 3):.5f}"
        _warm(raw)
        seconds, used, event = facecrop(str(raw), str(out), "--no-contact", "--set", margin)
        ours.append((seconds, used))
        _warm(raw)
        alone.append(render_alone(raw, out, cores))
        without = f"without a model {event['cached']:,} of {event['total']:,}"
        print(
            f"  {margin}   {ours[-1][0]:.2f} s, {ours[-1][1]:.2f} s of CPU   "
            f"alone {alone[-1][0]:.2f} s, {alone[-1][1]:.2f} s of CPU   {without}"
        )
    (wall, cpu), (bare, bare_cpu) = (map(min, zip(*each, strict=True)) for each in (ours, alone))
    print(
        f"new margin     {wall:7.2f} s   decode + render + encode alone {bare:.2f} s   "
        f"ratio {wall / bare:.2f}   of CPU {cpu / bare_cpu:.2f}"
    )


def _warm(raw: Path) -> None:
    """Read all pictures: whoever comes first would else wait for the disk, and the other not."""
    for path in raw.rglob("*.jpg"):
        path.read_bytes()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=4200)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="raw/ and out/ are here, or are made here")
    parser.add_argument("--only", choices=["first", "nothing", "margin"], action="append")
    options = parser.parse_args()
    only = options.only or ["first", "nothing", "margin"]
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        raw, out = folder / "raw", folder / "out"
        if not raw.exists():
            draw(raw, options.images)
        images = sum(1 for _ in raw.rglob("*.jpg"))
        print(f"{images:,} drawn pictures, {len(usable_cores())} cores")
        if "first" in only:
            first_run(raw, out, images, options.repeat)
        if "nothing" in only:
            nothing_to_do(raw, out)
        if "margin" in only:
            new_margin(raw, out, options.repeat)


if __name__ == "__main__":
    main()
