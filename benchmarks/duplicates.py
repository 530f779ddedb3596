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
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
from duplicates_made import CHANGES, TRUTH, make
from numpy.typing import NDArray
from planted import facecrop

from facecrop.checks.candidates import Sketches, candidate_pairs, sketched
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
Pairs = NDArray[np.int32]


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
        print(f"  {what:44s} {wall - self._wall:8.2f} s, {cpu - self._cpu:8.2f} s of CPU; "
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
    near, promising = set[tuple[int, int]](), set[tuple[int, int]]()
    with ThreadPoolExecutor() as threads:

        def draw(rows: Sequence[int]) -> Iterator[tuple[int, str | None]]:
            pictures = threads.map(lambda row: read_small(out / images[row]), rows)
            return enumerate(map(sketched, pictures))

        sketches = Sketches(out / "nowhere", [None] * len(digests), draw)
        plain, mirrored = candidate_pairs(hashes, rows, persons, DEFAULTS.radius)
        clock.lap(f"{len(plain.pairs):,} and {len(mirrored.pairs):,} near hashes")
        for mirror, (pairs, _) in zip((False, True), (plain, mirrored), strict=True):
            words = " of mirrored pictures" if mirror else ""
            few = sketches.promising(pairs, mirror=mirror)
            clock.lap(f"{len(few):,} near sketches{words}")
            near |= _of(pairs, copies)
            promising |= _of(few, copies)
    found = find_duplicates(out, index.select, persons, DEFAULTS.radius, DEFAULTS.agreement)
    clock.lap(f"all of it again, and proof: {len(found.links):,} links")
    _recalls(copies, near, promising, found, persons)
    _precision(copies, found, index)


def _of(pairs: Pairs, copies: list[tuple[int, int, str]]) -> set[tuple[int, int]]:
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


def planted(hashes: Hashes, share: float = 0.03) -> tuple[Hashes, Rows]:
    """Put neighbours of some hashes in the place of others; return all, and the pairs.

    They differ in up to 4, 8 and 12 bits, as many of each.
    """
    rng = np.random.default_rng(1)
    count = int(len(hashes) * share)
    places = rng.permutation(len(hashes))[: 2 * count].reshape(2, count)
    bits, moved = rng.choice((4, 8, 12), count), np.zeros(count, np.uint64)
    for turn in range(12):
        one = np.uint64(1) << rng.integers(0, 64, count).astype(np.uint64)
        moved |= np.where(turn < bits, one, np.uint64(0))
    hashes = hashes.copy()
    hashes[places[1]] = hashes[places[0]] ^ moved
    return hashes, np.sort(places.T, axis=1)


def searched(count: int, folder: Path, *, brute: bool) -> None:
    """Print how long the candidates of so many hashes take, and how many of all there are."""
    index = read_table(folder / "dataset" / INDEX_FILE, ["path", "phash"])
    real = index["phash"].to_numpy().astype(np.uint64)
    hashes, pairs = planted(more_hashes(real, count))
    persons, clock = np.arange(count), Clock()
    print(f"{count:,} hashes, each a person's", flush=True)
    near = candidate_pairs(hashes, persons, persons, DEFAULTS.radius)
    words = (f"{len(one.pairs):,} candidates within {one.radius} bits" for one in near)
    clock.lap("; mirrored ".join(words))
    radii: list[int] = [one.radius for one in near]
    apart: list[Rows] = []
    for mirror, (found, _) in zip((False, True), near, strict=True):
        apart.append(_distances(hashes, found, mirror=mirror))
        if not mirror:
            moved = np.bitwise_count(hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]])
            got = _held(found, pairs, count)
            shares = [f"{got[moved == bits].mean():.3f} at {bits}" for bits in np.unique(moved)]
            print(f"  planted neighbours found: {', '.join(shares)}")
        if count > len(real):
            copies = _copies(folder, index["path"].to_pylist(), mirror=mirror)
            copies = copies[(hashes[copies] == real[copies]).all(axis=1)]
            print(f"  of the copies: {interval(_held(found, copies, count).sum(), len(copies))}")
    clock = Clock()
    if brute:
        _exactly(hashes, radii, apart, clock)
        _imagehash(hashes, count)


def _held(found: Pairs, pairs: Rows, count: int) -> NDArray[np.bool_]:
    """Tell which of some pairs, (M, 2) of so many rows, are among those that were found."""
    every = found[:, 0].astype(np.int64) * count + found[:, 1]  # in order
    wanted = pairs.min(axis=1) * count + pairs.max(axis=1)
    place = np.searchsorted(every, wanted).clip(max=len(every) - 1)
    return np.asarray(every[place] == wanted)


def _copies(folder: Path, paths: list[str], *, mirror: bool) -> Rows:
    """Return the rows of copies and their originals, (M, 2)."""
    rows = {path: row for row, path in enumerate(paths)}
    with (folder / TRUTH).open(encoding="utf-8") as file:
        pairs = [
            (rows[row["copy"]], rows[row["original"]])
            for row in csv.DictReader(file)
            if ("mirrored" in row["change"]) == mirror
        ]
    return np.array(pairs)


def _distances(hashes: Hashes, pairs: Rows | Pairs, *, mirror: bool) -> Rows:
    """Return how many of some pairs differ in 0, 1 ... bits, (65,)."""
    others = hashes ^ MIRRORED if mirror else hashes
    apart = np.bitwise_count(hashes[pairs[:, 0]] ^ others[pairs[:, 1]])
    return np.bincount(apart, minlength=65)


def _exactly(hashes: Hashes, radii: list[int], found: list[Rows], clock: Clock) -> None:
    """Print how long comparing all with all takes, and how many of the pairs were found."""
    every = [list(all_with_all(hashes, radii[mirror], mirror=mirror)) for mirror in (False, True)]
    totals = [sum(map(len, parts)) for parts in every]
    clock.lap(f"all with all by popcount: {totals[0]:,} and {totals[1]:,}")
    for mirror, parts in zip((False, True), every, strict=True):
        there = _distances(hashes, np.concatenate(parts), mirror=mirror)
        shares = [f"{found[mirror][k] / there[k]:.3f} at {k}" for k in range(15) if there[k]]
        print(f"  found of all{' mirrored' if mirror else ''}: {', '.join(shares)}")


def all_with_all(hashes: Hashes, radius: int, *, mirror: bool) -> Iterator[Rows]:
    """Yield the pairs of near hashes by comparing all with all."""
    others = hashes ^ MIRRORED if mirror else hashes
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
