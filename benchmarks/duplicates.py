"""How well near duplicates are found among faces of other people, stage by stage, and how fast.

Run:
    python benchmarks/duplicates.py --faces FOLDER [--images 20000] [--drawn RAW] [--folder KEPT]
    python benchmarks/duplicates.py --hashes 5000 20000 100000 [--folder KEPT]
    python benchmarks/duplicates.py --search 1000000 10000000 [--folder KEPT]

The first makes a dataset: faces, drawn people, and copies of some, compressed, resized, cropped by
1 to 4 % along each border, mirrored, and all of it together; then it asks for pairs between
profiles. `--hashes` times the search for candidates against brute force, on the hashes of that
dataset: fewer of them, or more made of them, each byte of one of two that are near each other.
`--search` does so where brute force would take hours.
"""

import argparse
import csv
import resource
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from duplicates_made import CHANGES, TRUTH, make
from numpy.typing import NDArray
from planted import facecrop

from facecrop.checks.candidates import Sketches, affordable_radius, candidate_pairs
from facecrop.checks.duplicates import Found, find_duplicates, read_small
from facecrop.index import INDEX_FILE, read_table
from facecrop.labels.groups import MIRRORED, Groups
from facecrop.labels.splits import SplitSettings

DEFAULTS = SplitSettings()
_Z = 1.96
_BLOCK = 8
_SOME = 2000
_TRIED = 8

Hashes = NDArray[np.uint64]
Rows = NDArray[np.int64]


def interval(hits: int, total: int) -> str:
    """Return a share with Wilson's 95 % interval."""
    share = hits / max(total, 1)
    middle = (share + _Z**2 / (2 * total)) / (1 + _Z**2 / total)
    half = _Z / (1 + _Z**2 / total) * np.sqrt(share * (1 - share) / total + (_Z / total) ** 2 / 4)
    return f"{share:.4f} [{middle - half:.4f}, {min(middle + half, 1):.4f}] of {total:,}"


class Clock:
    """Prints what each stage takes."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def lap(self, what: str) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"  {what:44s} {wall - self._wall:8.1f} s, {cpu - self._cpu:8.1f} s of CPU; "
              f"at most {peak:.2f} GiB so far", flush=True)  # fmt: skip
        self._wall, self._cpu = time.perf_counter(), time.process_time()


def judged(out: Path, truth: Path, *, only: int | None) -> None:
    """Print what each stage finds."""
    index = read_table(out / INDEX_FILE)
    paths = {path: row for row, path in enumerate(index["path"].to_pylist())}
    with truth.open(encoding="utf-8") as file:
        copies = [
            (paths[row["copy"]], paths[row["original"]], f"{row['change']}; half {row['half']}")
            for row in csv.DictReader(file)
            if only is None or int(row["half"]) == only
        ]
    persons = index["profile"].combine_chunks().dictionary_encode().indices.to_numpy()
    persons = persons.astype(np.int64)
    hashes = index["phash"].to_numpy().astype(np.uint64)
    rows, clock = np.arange(len(index)), Clock()
    print(f"{len(index):,} pictures of {persons.max() + 1:,} profiles, {len(copies):,} copies")
    images, digests = index["image"].to_pylist(), index["image_sha256"].to_pylist()
    radius = affordable_radius(hashes, persons, DEFAULTS.radius)
    clock.lap(f"radius {radius} of {DEFAULTS.radius} is affordable")
    hashed, sketched = set[tuple[int, int]](), set[tuple[int, int]]()
    with ThreadPoolExecutor() as threads:
        sketches = Sketches(
            out / "nowhere",
            [None] * len(digests),
            lambda row: read_small(out / images[row]),
            threads,
        )
        for mirror in (False, True):
            words = " of mirrored pictures" if mirror else ""
            pairs = candidate_pairs(hashes, rows, persons, radius, mirror=mirror)
            clock.lap(f"{len(pairs):,} near hashes{words}")
            few = sketches.promising(pairs, mirror=mirror)
            clock.lap(f"{len(few):,} near sketches{words}")
            hashed |= _of(pairs, copies)
            sketched |= _of(few, copies)
    found = find_duplicates(out, index, persons, DEFAULTS.radius, DEFAULTS.agreement)
    clock.lap(f"all of it again, and proof: {len(found.links):,} links")
    _recalls(copies, hashed, sketched, found, persons)
    _precision(copies, found, index)


def _of(pairs: Rows, copies: list[tuple[int, int, str]]) -> set[tuple[int, int]]:
    wanted = {(min(a, b), max(a, b)) for a, b, _ in copies}
    return wanted & set(map(tuple, pairs.tolist()))


def _recalls(
    copies: list[tuple[int, int, str]],
    hashed: set[tuple[int, int]],
    sketched: set[tuple[int, int]],
    found: Found,
    persons: Rows,
) -> None:
    groups = Groups(int(persons.max()) + 1)
    for link in found.links:
        groups.join(int(persons[link.first]), int(persons[link.second]))
    names = groups.names()
    print(f"{'recall':28s} {'by hash':34s} {'by sketch too':34s} proven and joined")
    for change in ("", *(f"{one};" for one in CHANGES), "; half 0", "; half 1"):
        some = [one for one in copies if one[2].startswith(change) or one[2].endswith(change)]
        keys = [(min(a, b), max(a, b)) for a, b, _ in some]
        joined = sum(names[persons[a]] == names[persons[b]] for a, b, _ in some)
        print(
            f"  {change.strip('; ') or 'all':26s} "
            f"{interval(sum(k in hashed for k in keys), len(some)):34s} "
            f"{interval(sum(k in sketched for k in keys), len(some)):34s} "
            f"{interval(joined, len(some))}"
        )


def _precision(copies: list[tuple[int, int, str]], found: Found, index: pa.Table) -> None:
    """Print what was linked that is no copy; whoever has copies is followed to the original."""
    origin = dict.fromkeys(range(len(index)), -1) | {copy: own for copy, own, _ in copies}
    digests = index["digest"].to_pylist()
    first = {digest: row for row, digest in reversed(list(enumerate(digests)))}
    # Originals of the same bytes are one photograph, whatever they are labelled.
    origin = {row: first[digests[row if own < 0 else own]] for row, own in origin.items()}
    profiles, paths = index["profile"].to_pylist(), index["path"].to_pylist()
    kinds: Counter[str] = Counter()
    for link in found.links:
        one, two = origin[link.first], origin[link.second]
        if link.kind == "bytes":
            kinds["of the same bytes"] += 1
        elif one == two:
            kinds["right"] += 1
        elif profiles[one] == profiles[two]:
            kinds["of another picture of that person"] += 1
        else:
            kinds["of other originals"] += 1
            print(f"  {link.kind} {link.score:.3f}: {paths[one]} and {paths[two]}")
    print(f"links: {dict(kinds)}")
    right, other = kinds["right"], kinds["of other originals"]
    share = interval(right, right + other)
    print(f"precision, all links of other originals counted as wrong: {share}")


def more_hashes(hashes: Hashes, count: int) -> Hashes:
    """Return so many: some of them, or all and more, each byte of one of two that are near."""
    rng = np.random.default_rng(0)
    if count <= len(hashes):
        return hashes[np.sort(rng.choice(len(hashes), count, replace=False))]
    count -= len(hashes)
    one = hashes[rng.integers(0, len(hashes), count)]
    some = hashes[rng.integers(0, len(hashes), (_TRIED, count))]
    nearest = np.bitwise_count(some ^ one).argmin(axis=0)
    other = some[nearest, np.arange(count)]
    taken = np.where(rng.random((count, 8)) < 0.5, 0xFF, 0).astype(np.uint8)
    mask = taken.view(np.uint64)[:, 0]
    return np.concatenate([hashes, (one & mask) | (other & ~mask)])


def planted(hashes: Hashes, share: float = 0.01, bits: int = 6) -> tuple[Hashes, Rows]:
    """Put near neighbours of some hashes in the place of others; return all, and the pairs."""
    rng = np.random.default_rng(1)
    count = int(len(hashes) * share)
    places = rng.permutation(len(hashes))[: 2 * count].reshape(2, count)
    moved = np.zeros(count, np.uint64)
    for _ in range(bits):
        moved |= np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
    hashes = hashes.copy()
    hashes[places[1]] = hashes[places[0]] ^ moved
    return hashes, np.sort(places.T, axis=1)


def searched(count: int, folder: Path, *, brute: bool) -> None:
    """Print how long the candidates of so many hashes take."""
    index = read_table(folder / "dataset" / INDEX_FILE, ["phash"])
    hashes, pairs = planted(more_hashes(index["phash"].to_numpy().astype(np.uint64), count))
    persons, clock = np.arange(count), Clock()
    print(f"{count:,} hashes, each a person's", flush=True)
    radius = affordable_radius(hashes, persons, DEFAULTS.radius)
    clock.lap(f"radius {radius} of {DEFAULTS.radius} is affordable")
    wanted = pairs[:, 0] * count + pairs[:, 1]
    for mirror in (False, True):
        found = candidate_pairs(hashes, persons, persons, radius, mirror=mirror)
        clock.lap(f"{len(found):,} candidates{' of mirrored pictures' if mirror else ''}")
        if not mirror:
            got = np.isin(wanted, found[:, 0].astype(np.int64) * count + found[:, 1])
            apart = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
            inside = apart <= radius
            print(
                f"  planted neighbours within the radius: {got[inside].sum():,} of "
                f"{inside.sum():,} found; of all, up to 6 bits away: {got.mean():.3f}"
            )
    if brute:
        total = sum(len(part) for part in all_with_all(hashes, radius))
        clock.lap(f"brute force by popcount: {total:,} candidates")
        _imagehash(hashes, count)


def all_with_all(hashes: Hashes, radius: int) -> Iterator[Rows]:
    """Yield the pairs of near hashes and of near mirrored ones, by comparing all with all."""
    for flip in (np.uint64(0), MIRRORED):
        others = hashes ^ flip
        for start in range(0, len(hashes), _BLOCK):
            apart = np.bitwise_count(hashes[start : start + _BLOCK, None] ^ others[start:])
            one, two = np.divmod(np.flatnonzero(apart <= radius), len(hashes) - start)
            yield np.stack([one, two], axis=1)[one < two] + start


def _imagehash(hashes: Hashes, count: int) -> None:
    try:
        from imagehash import ImageHash
    except ModuleNotFoundError:
        print("  imagehash is not installed")
        return
    bits = np.unpackbits(hashes[:_SOME].view(np.uint8).reshape(-1, 8), axis=1).astype(bool)
    some = [ImageHash(one.reshape(8, 8)) for one in bits]
    began = time.process_time()
    near = sum(one - two <= DEFAULTS.radius for i, one in enumerate(some) for two in some[:i])
    each = (time.process_time() - began) / (len(some) * (len(some) - 1) / 2)
    print(f"  imagehash, all with all: {each * 1e6:.2f} µs a pair ({near:,} near of {_SOME:,}), so "
          f"{each * count**2:,.0f} s with mirrored ones")  # fmt: skip


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--faces", type=Path, help="a folder of pictures of other people each")
    parser.add_argument("--drawn", type=Path, help="a raw folder of drawn people that is there")
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/work/duplicates"))
    parser.add_argument("--half", type=int, choices=(0, 1), help="only copies of one half")
    parser.add_argument("--hashes", type=int, nargs="+")
    parser.add_argument("--search", type=int, nargs="+")
    asked = parser.parse_args()
    folder: Path = asked.folder
    if sizes := asked.hashes or asked.search:
        if len(sizes) > 1:  # each in a process of its own, for its memory
            how = "--hashes" if asked.hashes else "--search"
            for size in sizes:
                command = [sys.executable, __file__, how, str(size), "--folder", str(folder)]
                subprocess.run(command, check=True)
            return
        searched(sizes[0], folder, brute=bool(asked.hashes))
        return
    raw, out = folder / "raw", folder / "dataset"
    make(raw, asked.faces, asked.drawn or folder / "drawn", asked.images, seed=0)
    if not (out / "images" / "metadata.parquet").exists():
        facecrop("preprocess", raw, out, "--recipe", "raw", "--no-contact")
    judged(out, folder / TRUTH, only=asked.half)


if __name__ == "__main__":
    main()
