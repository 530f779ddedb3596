"""Several machines on one: Ray against the local engine, one worker against two, and the merge.

    python benchmarks/cluster.py                    # 2,100 pictures
    python benchmarks/cluster.py --images 20000 --only engines --workers 2

All runs are of the embedded recipe over the same drawn pictures, each into a new folder, in turns.
Times are wall clock, with all that has to be started; what Ray takes to start is measured apart.
Read the ratios, not the seconds.
"""

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from drawn import draw

from facecrop.commands.merge import merge
from facecrop.commands.preprocess.command import preprocess
from facecrop.engines.cores import usable_cores
from facecrop.images.models import ModelStore


def digest(out: Path) -> str:
    """Return what identifies all that a run writes, its store apart."""
    found = sha256()
    for path in sorted(out.rglob("*")):
        if path.is_file() and path.relative_to(out).parts[0] != ".store":
            found.update(f"{path.relative_to(out)}\n".encode() + path.read_bytes())
    return found.hexdigest()


def timed(work: Callable[[], object]) -> float:
    """Return the wall seconds of some work, until all is on disk."""
    start = time.perf_counter()
    work()
    os.sync()
    return time.perf_counter() - start


def run(raw: Path, out: Path, engine: str, workers: int) -> float:
    """Return the seconds of a first run into a new folder."""
    shutil.rmtree(out, ignore_errors=True)
    return timed(
        lambda: preprocess(
            raw, out, engine=engine, workers=workers, contact=False, offline=True, device="cpu"
        )
    )


def ray_alone() -> float:
    """Return the seconds that a Ray of two CPUs takes to start and to end, doing nothing."""
    import ray

    start = time.perf_counter()
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    ray.shutdown()
    return time.perf_counter() - start


def engines(raw: Path, folder: Path, images: int, repeat: int, numbers: Sequence[int]) -> None:
    """Compare Ray with the local engine, and the first number of workers with the last."""
    kinds = [(engine, workers) for workers in numbers for engine in ("local", "ray")]
    best = dict.fromkeys(kinds, float("inf"))
    digests = set()
    start = float("inf")
    for _ in range(repeat):  # in turns, so that all meet the same noise
        start = min(start, ray_alone())
        for engine, workers in kinds:
            seconds = run(raw, folder / "out", engine, workers)
            best[engine, workers] = min(best[engine, workers], seconds)
            digests.add(digest(folder / "out"))
            print(f"  {engine:5} {workers} workers   {seconds:7.1f} s", flush=True)
    print(f"to start and end Ray alone  {start:.1f} s")
    for (engine, workers), seconds in best.items():
        print(f"{engine:5} {workers} workers  {seconds:7.1f} s   {images / seconds:6.1f} images/s")
    one, more = numbers[0], numbers[-1]
    for engine in ("local", "ray") if more != one else ():
        ratio = best[engine, one] / best[engine, more]
        print(f"{engine}: {more} workers are {ratio:.2f} times {one}")
    for workers in numbers:
        over = best["ray", workers] / best["local", workers] - 1
        without = (best["ray", workers] - start) / best["local", workers] - 1
        print(
            f"{workers} workers: ray takes {100 * over:+.1f} % more time than the local engine, "
            f"without its start {100 * without:+.1f} %"
        )
    print(f"all {len(best) * repeat} datasets are equal: {len(digests) == 1}")


def shards(raw: Path, folder: Path, count: int) -> None:
    """Time a merge against the run that its shards make together."""
    out, whole = folder / "sharded", folder / "out"
    took = timed(
        lambda: [
            preprocess(raw, out, shard=f"{n}/{count}", contact=False, offline=True, device="cpu")
            for n in range(1, count + 1)
        ]
    )
    merged = timed(lambda: merge(out, contact=False))
    again = timed(lambda: merge(out, contact=False))
    print(
        f"{count} shards, one after the other {took:.1f} s   "
        f"merge {merged:.2f} s   again {again:.2f} s"
    )
    print(f"the merged dataset is that of one run: {digest(out) == digest(whole)}")


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2100)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--only", choices=["engines", "shards"])
    arguments = parser.parse_args()
    ModelStore().paths(["selfie", "selfie-landscape", "blazeface-short", "blazeface-full", "yunet"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = folder / "raw"
        images = draw(raw, arguments.images)
        print(f"{images:,} pictures, {len(usable_cores())} cores")
        if arguments.only != "shards":
            engines(raw, folder, images, arguments.repeat, arguments.workers)
        if arguments.only != "engines":
            if not (folder / "out").exists():
                run(raw, folder / "out", "local", 2)
            shards(raw, folder, arguments.shards)


if __name__ == "__main__":
    main()
