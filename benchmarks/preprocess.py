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
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "facecrop", "preprocess", *arguments, "--log-json", log.name],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
        )
        seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        events = Path(log.name).read_text().splitlines()
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, used, json.loads(events[-1])


def render_alone(raw: Path, out: Path, processes: int) -> float:
    """Return the seconds that decode, render and encode alone take, given all findings."""
    from facecrop.commands.ledger import Ledger

    rows = (
        Ledger(out)
        .previous()
        .select(["path", "crop_x0", "crop_y0", "crop_x1", "crop_y1"])
        .to_pylist()
    )
    start = time.perf_counter()
    with (
        multiprocessing.get_context("spawn").Pool(processes) as pool,
        tempfile.TemporaryDirectory() as folder,
    ):
        parts = [(str(raw), rows[number::processes], folder) for number in range(processes)]
        pool.starmap_async(_render_rows, parts).get(TIMEOUT_S)
        os.sync()
    return time.perf_counter() - start


def _render_rows(raw: str, rows: list[dict[str, Any]], out: str) -> None:
    import cv2
    import numpy as np

    from facecrop.images.choose import Plan
    from facecrop.images.frames import Box

    cv2.setNumThreads(1)
    recipe = load_recipe("embedded", ["crop.margin=0.4"])
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
    cores = len(os.sched_getaffinity(0))
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
    """Compare a new margin with decode, render and encode alone, in turns."""
    cores = len(os.sched_getaffinity(0))
    alone = ours = float("inf")
    for number in range(repeat):
        alone = min(alone, render_alone(raw, out, cores))
        margin = f"crop.margin=0.{4 + number}"
        seconds, _, event = facecrop(str(raw), str(out), "--no-contact", "--set", margin)
        ours = min(ours, seconds)
    print(
        f"new margin     {ours:7.2f} s   decode + render + encode alone {alone:.2f} s   "
        f"ratio {ours / alone:.2f}   without a model {event['cached']:,} of {event['total']:,}"
    )


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
        print(f"{images:,} drawn pictures, {len(os.sched_getaffinity(0))} cores")
        if "first" in only:
            first_run(raw, out, images, options.repeat)
        if "nothing" in only:
            nothing_to_do(raw, out)
        if "margin" in only:
            new_margin(raw, out, options.repeat)


if __name__ == "__main__":
    main()
