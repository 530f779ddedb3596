"""Resume, relabel, split and stats over the number of records: seconds, CPU and peak memory.

    python benchmarks/scale.py                                # 10^4, 10^5, 10^6 rows
    python benchmarks/scale.py --rows 10000000 --folder F     # about 6 GB of disk, an hour
    python benchmarks/scale.py --rows 1000000 --steps relabel stats

The tables are made with the real schemas, batch by batch, as preprocess writes them: every column
filled, digests and hashes at random, one record in 100 rejected, some files twice. There are no
pictures, so what reads pixels is left out: `stats` is `--no-pixels`, and pairs of near hashes are
found, but every picture that is asked for is missing. `bytes` is `split` with a radius of 0: of
near duplicates it looks for those of equal hash alone.

What lists files does so over files that lie on no disk (`scale_files`): `os.scandir` and `os.stat`
answer for them, all else is what the commands use. `resume` is preprocess with nothing to do,
`plan` its dry run and `update` the run after one profile in 100 has changed; `first` works on
everything, and `other` too, of which all is known, with another recipe. In the last three, workers
answer at once, so that it is the parent that is measured.
`merge` makes one dataset of what 8 shards have left.

Each step is a process of its own; its peak is the kernel's for that process (`ru_maxrss`). One that
takes more memory than `--limit` is stopped, and says so.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

STEPS = (
    "relabel",
    "undo",
    "bytes",
    "split",
    "verify",
    "extend",
    "stats",
    "resume",
    "plan",
    "update",
    "first",
    "other",
    "merge",
)
TIMEOUT_S = 4 * 3600
POLL_S = 0.05
MAKER = Path(__file__).with_name("scale_tables.py")


@dataclass(frozen=True)
class Cost:
    """What a process took; `why` says what ended it, if that was not its own end."""

    wall_s: float
    cpu_s: float
    peak_bytes: int
    said: str
    why: str = ""


def measure(arguments: list[str], limit: int) -> Cost:
    """Run a step in a fresh process; stop it when it takes more than so many bytes."""
    start = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, str(MAKER), *arguments],
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=MAKER.parent,
        )
        why: list[str] = []
        watch = threading.Thread(target=_watch, args=(process, limit, why))
        watch.start()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - start
        watch.join()
        said.seek(0)
        lines = said.read().strip().splitlines()
    if process.returncode and not why:
        raise SystemExit("\n".join([f"{' '.join(arguments)} has failed:", *lines[-20:]]))
    cpu = used.ru_utime + used.ru_stime
    return Cost(wall, cpu, 1024 * used.ru_maxrss, lines[-1] if lines else "", "".join(why))


def _watch(process: "subprocess.Popen[bytes]", limit: int, why: list[str]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while process.returncode is None:
        if _resident(process.pid) > limit:
            why.append(f"stopped above {limit / 2**30:.0f} GiB")
        elif time.monotonic() > deadline:
            why.append(f"stopped after {TIMEOUT_S} s")
        if why:
            process.kill()
            return
        time.sleep(POLL_S)


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def run(rows: int, steps: list[str], folder: Path, limit: int) -> dict[str, Cost]:
    """Make a dataset of so many rows, and measure the steps one after the other."""
    out = folder / f"{rows}"
    costs: dict[str, Cost] = {}
    if not (out / "made").exists():
        shutil.rmtree(out, ignore_errors=True)
        costs["make"] = measure(["make", str(out), str(rows)], limit)
        _print(rows, "make", costs["make"])
        (out / "made").touch()
    for step in steps:
        if step == "merge":
            measure(["shards", str(out), str(rows)], limit)
        costs[step] = measure([step, str(out), str(rows)], limit)
        _print(rows, step, costs[step])
        for made in ("first", "other", "shards"):
            shutil.rmtree(f"{out}-{made}", ignore_errors=True)
    return costs


def _print(rows: int, step: str, cost: Cost) -> None:
    print(
        f"{rows:>11,}  {step:8} {cost.wall_s:9.1f} s {cost.cpu_s:9.1f} s of CPU "
        f"{cost.peak_bytes / 2**20:8,.0f} MiB   {cost.why or cost.said}",
        flush=True,
    )


def curve(found: dict[int, dict[str, Cost]], steps: list[str]) -> None:
    """Print one line for each step: seconds and peak memory over the number of rows."""
    sizes = sorted(found)
    print("\nstep      " + "".join(f"{rows:>22,}" for rows in sizes))
    for step in steps:
        cells = [found[rows].get(step) for rows in sizes]
        words = [
            "" if one is None else f"{one.wall_s:,.1f} s, {one.peak_bytes / 2**30:.2f} GiB"
            for one in cells
        ]
        print(f"{step:10}" + "".join(f"{word:>22}" for word in words))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[10**4, 10**5, 10**6])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--folder", type=Path, help="the tables are made here, and stay")
    parser.add_argument("--limit", type=float, default=8.0, help="GiB at which a step is stopped")
    options = parser.parse_args()
    found = {}
    print(f"{len(os.sched_getaffinity(0))} cores")
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = options.folder or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            found[rows] = run(rows, options.steps, folder, int(options.limit * 2**30))
    curve(found, options.steps)


if __name__ == "__main__":
    main()
