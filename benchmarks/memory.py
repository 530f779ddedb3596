"""Memory of parent and workers over the number of images.

    python benchmarks/memory.py --images 1000 20000
    python benchmarks/memory.py --folder FOLDER         # draws once, measures again and again

Peak resident memory of each process, as the kernel counts it (VmHWM), read fifty times a second
while the command runs. The growth a row is that between the two numbers of images: make them
differ by thousands, or it drowns in what an allocator keeps.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from drawn import draw

WORKERS = 2
TIMEOUT_S = 3600


def peaks(raw: Path, out: Path) -> tuple[int, list[int]]:
    """Run preprocess; return peak bytes of the parent and of each worker."""
    process = subprocess.Popen(
        [
            sys.executable, "-m", "facecrop", "preprocess", str(raw), str(out),
            "--workers", str(WORKERS), "--no-contact",
        ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + TIMEOUT_S
    parent, children = 0, dict[str, int]()
    try:
        while process.poll() is None:
            if time.monotonic() > deadline:
                raise SystemExit(f"preprocess has not ended after {TIMEOUT_S} s")
            # The last reading counts: a process that is just being started shows its parent's.
            parent = _peak(str(process.pid)) or parent
            for child in _children(process.pid):
                children[child] = _peak(child) or children.get(child, 0)
            time.sleep(0.02)
    finally:
        process.kill()  # does nothing if it has ended; its workers end with it
        process.wait()
    if process.returncode:
        raise SystemExit(f"preprocess has ended with code {process.returncode}")
    return parent, sorted(children.values())[-WORKERS:]  # the others are Python's own helpers


def _peak(pid: str) -> int:
    """Return the peak resident bytes of a process, 0 if it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def _children(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs=2, default=[1000, 20000])
    parser.add_argument("--folder", type=Path, help="the drawn pictures stay here")
    options = parser.parse_args()
    found = []
    for wanted in options.images:
        with tempfile.TemporaryDirectory() as temporary:
            raw = (options.folder or Path(temporary)) / f"raw-{wanted}"
            if not raw.exists():
                draw(raw, wanted)
            images = sum(1 for _ in raw.rglob("*.jpg"))
            parent, workers = peaks(raw, Path(temporary, "out"))
        found.append((images, parent, max(workers)))
        each = [round(worker / 1e6, 1) for worker in workers]
        print(f"{images:7,} images   parent {parent / 1e6:7.1f} MB   workers {each} MB")
    (few, parent, worker), (many, later, grown) = found
    by_row = (later - parent) / (many - few) / 1024
    print(f"parent grows by {by_row:.2f} KB a row; workers {100 * (grown / worker - 1):+.1f} %")


if __name__ == "__main__":
    main()
