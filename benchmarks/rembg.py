"""Preprocess with a model of rembg against `rembg p` on the same pictures: images a second.

    python benchmarks/rembg.py U2NETP.onnx              # 336 drawn pictures

Both run the same U²-Net-shaped file by onnxruntime, in turns, after a short unmeasured run of each;
the best run of each counts. `rembg p` is rembg's command for a folder. It writes PNG, and all
results into one folder: of pictures with equal names it makes the first only. So for the speed it
gets the same pictures under names of their own, and what a tree becomes is counted apart.

Two speeds are printed. The whole command, start included, depends on the number of pictures. The
other one is that of the running command, by the times at which its results were written; of ours,
all pictures that may have been in the workers at the first of these times are left out.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from facecrop.commands.demo import demo
from facecrop.engines.cores import usable_cores

TIMEOUT_S = 1800
PROFILE = 7
"""Pictures of a drawn profile."""

# Where rembg's commands cannot be imported (they need its extra `cli`), the loop of `p_command` is
# run instead, with the values that the command passes on (rembg 2.0.86, commands/p_command.py).
REMBG_P = """
import json, pathlib, sys
model, source, target = sys.argv[1:]
try:
    from rembg.commands.p_command import p_command
except ImportError:
    from rembg.bg import remove
    from rembg.session_factory import new_session
    options = dict(
        alpha_matting=False, alpha_matting_foreground_threshold=240,
        alpha_matting_background_threshold=10, alpha_matting_erode_size=10, only_mask=False,
        post_process_mask=False, decontaminate=False, vitmatte=False, bgcolor=(0, 0, 0, 0),
        model_path=model,
    )
    session = new_session("u2net_custom", **options)
    output = pathlib.Path(target)
    for each in list(pathlib.Path(source).glob("**/*")):
        if each.is_dir() or each.suffix != ".jpg":
            continue
        result = (output / each.name).with_suffix(".png")
        result.parents[0].mkdir(parents=True, exist_ok=True)
        if not result.exists():
            result.write_bytes(remove(each.read_bytes(), session=session, **options))
    print("its loop, its command line is not installed")
else:
    extras = json.dumps({"model_path": model})
    p_command.main(["-m", "u2net_custom", "-x", extras, source, target], standalone_mode=False)
    print("its command")
"""


@dataclass(frozen=True)
class Speed:
    """Images a second: of the whole command, and of the command once it runs."""

    whole: float
    running: float


def rembg_p(model: Path, source: Path, target: Path, home: Path) -> tuple[Speed, str]:
    """Run rembg's command for a folder, in one process with its own number of threads."""
    shutil.rmtree(target, ignore_errors=True)
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", REMBG_P, str(model), str(source), str(target)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        timeout=TIMEOUT_S,
        cwd=home,  # not here: this file has the name of the package
        env=environment | {"U2NET_HOME": str(home)},
    )
    seconds = time.perf_counter() - start
    return speed(sorted(target.glob("*.png")), seconds, ahead=1), done.stdout.strip()


def facecrop(
    model: Path, source: Path, target: Path, workers: int, settings: tuple[str, ...] = ()
) -> Speed:
    """Run the command a user types."""
    shutil.rmtree(target, ignore_errors=True)
    start = time.perf_counter()
    subprocess.run(
        [
            sys.executable, "-m", "facecrop", "preprocess", str(source), str(target),
            "--recipe", "rembg", "--set", "matte.model=u2netp", "--weights", f"u2netp={model}",
            "--workers", str(workers), "--no-contact", *settings,
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        timeout=TIMEOUT_S,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    files = [path for path in target.glob("images/**/*") if path.is_file()]
    return speed(files, seconds, ahead=PROFILE * workers)


def speed(files: list[Path], seconds: float, *, ahead: int) -> Speed:
    """Return both speeds, given how many pictures may have been done when the first was written."""
    written = sorted(path.stat().st_mtime_ns for path in files)
    return Speed(
        len(files) / seconds, max(len(files) - ahead, 0) / ((written[-1] - written[0]) / 1e9)
    )


def flattened(raw: Path, flat: Path) -> Path:
    """Lay the pictures of a tree into one folder, under names of their own."""
    flat.mkdir()
    for path in raw.rglob("*.jpg"):
        os.link(path, flat / f"{path.parent.name}_{path.name}")
    return flat


def best(speeds: list[Speed]) -> Speed:
    return Speed(max(one.whole for one in speeds), max(one.running for one in speeds))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="ONNX file of a U²-Net")
    parser.add_argument("--images", type=int, default=336)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    cores = len(usable_cores())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        raw, few, home = folder / "raw", folder / "few", folder / "home"
        ours, also, theirs = folder / "jpg", folder / "png", folder / "theirs"
        demo(few, profiles=2 * cores, seed=12)
        demo(raw, profiles=-(-options.images // PROFILE), seed=11)
        flat = flattened(raw, folder / "flat")
        images = sum(1 for _ in flat.iterdir())
        home.mkdir()
        model = home / "u2netp.onnx"  # rembg loads what lies in its own folder only
        shutil.copyfile(options.model, model)
        print(
            f"{images:,} drawn pictures, {cores} cores, onnxruntime {version('onnxruntime')}, "
            f"rembg {version('rembg')}"
        )
        facecrop(model, few, ours, cores)  # fills caches
        rembg_p(model, few, theirs, home)
        ways: dict[str, Callable[[], Speed]] = {
            "facecrop, jpg": lambda: facecrop(model, raw, ours, cores),
            "facecrop, png": lambda: facecrop(model, raw, also, cores, ("--format", "png")),
            "rembg p": lambda: rembg_p(model, flat, theirs, home)[0],
        }
        print("images a second   running, whole command")
        found: dict[str, list[Speed]] = {name: [] for name in ways}
        for _ in range(options.repeat):
            for name, run in ways.items():
                one = run()
                found[name].append(one)
                print(f"  {name:14} {one.running:8.2f} {one.whole:15.2f}", flush=True)
        bests = {name: best(speeds) for name, speeds in found.items()}
        reference = bests["rembg p"]
        print(f"{'best':16} {'running':>8} {'ratio':>6} {'whole':>8} {'ratio':>6}")
        for name, one in bests.items():
            print(
                f"{name:16} {one.running:8.2f} {one.running / reference.running:6.3f} "
                f"{one.whole:8.2f} {one.whole / reference.whole:6.3f}"
            )
        _, how = rembg_p(model, raw, theirs, home)
        kept = {path.relative_to(ours / "images").with_suffix("") for path in ours.rglob("*.jpg")}
        same = kept == {path.relative_to(raw).with_suffix("") for path in raw.rglob("*.jpg")}
        print(f"rembg p was run as {how}")
        print(
            f"of {images} pictures of the tree, rembg p has {sum(1 for _ in theirs.iterdir())} "
            f"left, facecrop {len(kept)}; tree and names kept: {'yes' if same else 'NO'}"
        )


if __name__ == "__main__":
    main()
