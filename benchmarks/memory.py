"""Memory of parent and workers over the number of images.

    python benchmarks/memory.py --images 1000 20000

Peak resident memory, as the kernel counts it (VmHWM), sampled while the command runs.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

from facecrop.commands.demo import demo


def peaks(raw: Path, out: Path) -> tuple[int, list[int]]:
    """Run preprocess; return peak bytes of the parent and of each worker."""
    process = subprocess.Popen(
        [sys.executable, "-m", "facecrop", "preprocess", str(raw), str(out), "--no-contact"],
        stdout=subprocess.DEVNULL,
    )
    parent, workers = 0, {}
    while process.poll() is None:
        try:
            me = psutil.Process(process.pid)
            parent = max(parent, _peak(process.pid))
            for child in me.children():
                workers[child.pid] = max(workers.get(child.pid, 0), _peak(child.pid))
        except psutil.Error:
            pass
        time.sleep(0.1)
    return parent, sorted(workers.values())[-2:]


def _peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, nargs=2, default=[1000, 20000])
    options = parser.parse_args()
    found = []
    for images in options.images:
        with tempfile.TemporaryDirectory() as folder:
            raw = Path(folder, "raw")
            demo(raw, profiles=-(-images // 7), seed=11)
            parent, workers = peaks(raw, Path(folder, "out"))
        found.append((7 * -(-images // 7), parent, max(workers)))
        print(
            f"{found[-1][0]:7,} images   parent {parent / 1e6:7.1f} MB   workers {[round(w / 1e6, 1) for w in workers]} MB"
        )
    (few, parent, worker), (many, later, grown) = found
    print(
        f"parent grows by {(later - parent) / (many - few) / 1024:.2f} KB a row; workers {100 * (grown / worker - 1):+.1f} %"
    )


if __name__ == "__main__":
    main()
