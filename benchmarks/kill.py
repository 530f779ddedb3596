"""Kill preprocess at random moments, let it complete, and compare with an uninterrupted run.

    python benchmarks/kill.py --times 20

Every file of the dataset but the store must be equal, byte for byte. The run that completes has one
to three workers in turn.
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

TIMEOUT_S = 900
"""For one run; nothing waits for ever."""


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


def run(raw: Path, out: Path, workers: int) -> int:
    """Run preprocess to its end; return its exit code."""
    done = subprocess.run(
        command(raw, out, workers), stdout=subprocess.DEVNULL, timeout=TIMEOUT_S, check=False
    )
    return done.returncode


def killed(raw: Path, out: Path, moment: float) -> bool:
    """Start preprocess, kill all its processes after a time; return False if it was done before."""
    process = subprocess.Popen(
        command(raw, out, 2),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    time.sleep(moment)
    os.killpg(process.pid, signal.SIGKILL)  # not waited for yet, so the group is surely its own
    return process.wait(TIMEOUT_S) == -signal.SIGKILL


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--profiles", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chance = random.Random(options.seed)
    equal = tried = 0
    with tempfile.TemporaryDirectory() as folder:
        raw, whole, out = Path(folder, "raw"), Path(folder, "whole"), Path(folder, "out")
        demo(raw, profiles=options.profiles, seed=5)
        run(raw, out, 2)  # fills caches, so that the next one's time is that of those to come
        start = time.perf_counter()
        if run(raw, whole, 2):
            raise SystemExit("the uninterrupted run has failed")
        seconds = time.perf_counter() - start
        expected = content(whole)
        for _ in range(3 * options.times):
            if tried == options.times:
                break
            shutil.rmtree(out, ignore_errors=True)  # may not have been made yet
            moment = chance.uniform(0.1, seconds)
            if not killed(raw, out, moment):
                print(f"was done before {moment:5.2f} s; not counted")
                continue
            tried += 1
            crops = sum(1 for _ in out.rglob("images/*/*.jpg"))
            code = run(raw, out, 1 + tried % 3)
            same = not code and content(out) == expected
            equal += same
            outcome = "equal" if same else f"DIFFERENT (exit code {code})"
            print(f"killed after {moment:5.2f} s with {crops:4d} crops; completed: {outcome}")
    print(f"{equal} of {tried} equal to the uninterrupted run, {len(expected)} files each")
    sys.exit(equal < options.times)


if __name__ == "__main__":
    main()
