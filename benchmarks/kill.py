"""Kill preprocess at random moments, let it complete, and compare with an uninterrupted run.

    python benchmarks/kill.py --times 20

Every file of the dataset but the store must be equal, byte for byte.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from facecrop.commands.demo import demo


def command(raw: Path, out: Path, workers: int) -> list[str]:
    """Return the command a user types."""
    return [
        sys.executable, "-m", "facecrop", "preprocess", str(raw), str(out),
        "--workers", str(workers), "--no-contact",
    ]  # fmt: skip


def content(out: Path) -> dict[str, str]:
    """Return the digest of every file of a dataset, without its store."""
    return {
        path.relative_to(out).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and ".store" not in path.parts
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--profiles", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        raw, whole, out = Path(folder, "raw"), Path(folder, "whole"), Path(folder, "out")
        demo(raw, profiles=options.profiles, seed=5)
        start = time.perf_counter()
        subprocess.run(command(raw, whole, 2), check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - start
        expected = content(whole)
        different = 0
        for number in range(options.times):
            shutil.rmtree(out, ignore_errors=True)
            moment = chance.uniform(0.1, seconds)
            process = subprocess.Popen(
                command(raw, out, 2),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            time.sleep(moment)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            crops = sum(1 for _ in out.rglob("images/*/*.jpg"))
            subprocess.run(command(raw, out, 1 + number % 3), check=True, stdout=subprocess.DEVNULL)
            equal = content(out) == expected
            different += not equal
            print(
                f"killed after {moment:5.2f} s with {crops:4d} crops; completed: {'equal' if equal else 'DIFFERENT'}"
            )
        print(f"{options.times - different} of {options.times} equal to the uninterrupted run")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
