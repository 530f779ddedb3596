"""Whether the loop pays: train, audit, accept every proposal, train again, on unseen people.

Run:
    python benchmarks/loop.py                          # two seeds of 200 people, minutes each
    python benchmarks/loop.py --seeds 5 --people 400 --set optim.epochs=40

Draws people, 15 % of them with a planted label error (wrong gender, wrong age group, swapped
pictures, in equal parts), trains `small` on all folds, and takes what `facecrop audit --propose`
writes as it is. Then three trainings, alike but for the labels: as given, as repaired, as they were
drawn. All are judged on clean people of another seed by the macro-F1 over the 18 classes.
Every step is the command that a user types, and is done once: it goes on where it was stopped.
"""

import argparse
import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from planted import answers, facecrop, make_dataset, train_once

from facecrop.labels.manifests import Correction, write_manifest
from facecrop.labels.space import MASK_TASK

RATES = {"wrong-gender": 0.05, "wrong-age": 0.05, "swapped": 0.05}
CHECKS = ("gender-suspect", "age-suspect", "mask-suspect", "swapped-masks")
LABELS = ("as given", "repaired", "as drawn")
TEST = 1601
CLASSES = 18
_SETTINGS = ("input.size=[80,80]", "optim.epochs=14", "optim.batch_size=32")
_DRAWS = 2000
_WORTH_CLOSING = 0.05

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Judged:
    """What became of the labels of one seed, and of the models trained on them.

    Args:
        seed: Of the people.
        proposed: Corrections that the audit proposed, in pictures.
        right: Of these, how many gave a picture's label back as it was drawn.
        wrong: Pictures' labels that were wrong.
        counts: For each of `LABELS`, (P, 18, 18) of each test person: drawn class, said class.
    """

    seed: int
    proposed: int
    right: int
    wrong: int
    counts: list[Counts]


def judge(asked: argparse.Namespace, seed: int, test: Path) -> Judged:
    """Go round the loop once."""
    place = asked.folder / f"seed-{seed}-{asked.people}"
    given = make_dataset(place, asked.people, seed, RATES)
    if not (given / "splits" / "final.parquet").exists():
        facecrop("split", given, "--strategy", "final", "--name", "final")
    train_once(given, "folds", asked.set, "--folds", "all", "--repeats", asked.repeats)
    proposals, truth = place / "proposed.csv", place / "drawn.csv"
    if not proposals.exists():
        only = [f"--check={name}" for name in CHECKS]
        facecrop("audit", given, "--run", "folds", "--propose", proposals, *only)
    write_manifest(truth, _true_corrections(place / "raw.truth.csv"))
    outs = [given, place / "repaired", place / "as-drawn"]
    for out, manifest in zip(outs[1:], (proposals, truth), strict=True):
        _copy(given, out)
        facecrop("relabel", out, "--manifest", manifest)  # twice is once
    counts = [_tested(asked, out, test) for out in outs]
    return Judged(seed, *_repaired(outs), counts)


def _copy(given: Path, out: Path) -> None:
    """Copy a dataset with its splits, but without what was trained on its labels."""
    if out.exists():
        return
    part = out.with_name(f"{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(given, part, ignore=shutil.ignore_patterns("runs", "audit"))
    part.rename(out)


def _tested(asked: argparse.Namespace, out: Path, test: Path) -> Counts:
    """Train on everybody of a dataset, and count what is said of the test people, (P, 18, 18)."""
    total = np.zeros((asked.test_people, CLASSES, CLASSES), np.int64)
    for number in range(asked.trainings):
        chosen = [*asked.set, f"seed={number}"]
        run = train_once(out, f"final-{number}", chosen, "--split", "final")
        file = run / "test.parquet"
        if not file.exists():
            facecrop("predict", run, test, "--out", file, "--tta", "flip")
        truth, said, people = answers(file, test)
        _, person = np.unique(people, return_inverse=True)
        np.add.at(total, (person, truth, said), 1)
    return total


def _true_corrections(table: Path) -> list[Correction]:
    """Return what makes the labels those that were drawn."""
    found = {}
    for row in csv.DictReader(table.open(encoding="utf-8")):
        _, gender, _, age = row["profile"].split("_")
        for field, was in (("gender", gender), ("age", age)):
            if row[field] != was:
                found[row["profile"], field] = Correction(
                    row["profile"], None, field, was, row[field]
                )
        if "swapped" in row["faults"].split() and row["name"] == "incorrect_mask":
            found[row["profile"], "mask"] = Correction(
                row["profile"], "incorrect_mask", "mask", "incorrect", "swap:normal"
            )
    return list(found.values())


def _repaired(outs: Sequence[Path]) -> tuple[int, int, int]:
    """Return how many pictures got another class, how many of these the true one; wrong ones."""
    before, after, truth = (
        MASK_TASK.encode_table(pq.read_table(out / "labels.parquet")) for out in outs
    )
    changed = before != after
    return int(changed.sum()), int((changed & (after == truth)).sum()), int((before != truth).sum())


def macro_f1(counts: Floats | Counts) -> Floats:
    """Return macro-F1 of confusion matrices, (..., 18, 18), over the classes that were drawn."""
    hits = np.einsum("...cc->...c", counts).astype(float)
    drawn, said = counts.sum(axis=-1), counts.sum(axis=-2)
    f1 = 2 * hits / np.maximum(drawn + said, 1)
    return np.asarray((f1 * (drawn > 0)).sum(axis=-1) / (drawn > 0).sum(axis=-1), np.float64)


def show(found: Sequence[Judged]) -> None:
    """Print each seed, and all together with intervals over resampled people and seeds."""
    for one in found:
        scores = [float(macro_f1(counts.sum(axis=0))) for counts in one.counts]
        words = ", ".join(f"{name} {s:.3f}" for name, s in zip(LABELS, scores, strict=True))
        print(
            f"seed {one.seed}: {one.wrong} pictures labelled wrong; {one.proposed} changed, "
            f"{one.right} of them to what was drawn; macro-F1: {words}{_closed(*scores)}"
        )
    rng = np.random.default_rng(0)
    people = len(found[0].counts[0])
    drawn = []
    for _ in range(_DRAWS):
        weight = np.bincount(rng.integers(0, people, people), minlength=people)
        seeds = rng.integers(0, len(found), len(found))
        every = [[np.tensordot(weight, found[s].counts[k], 1) for k in range(3)] for s in seeds]
        drawn.append(macro_f1(np.array(every)).mean(axis=0))
    means = np.mean([[macro_f1(c.sum(axis=0)) for c in one.counts] for one in found], axis=0)
    low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
    print(f"{len(found)} seeds, {people} test people; intervals over both, 95 %:")
    for k, name in enumerate(LABELS):
        print(f"  {name:9s} {means[k]:.3f} [{low[k]:.3f}, {high[k]:.3f}]")
    gaps = np.array(drawn)
    for name, first, last in (("drawn - given", 0, 2), ("repaired - given", 0, 1)):
        some = np.percentile(gaps[:, last] - gaps[:, first], [2.5, 97.5])
        print(f"  {name:17s} {means[last] - means[first]:.3f} [{some[0]:.3f}, {some[1]:.3f}]")
    shares = (gaps[:, 1] - gaps[:, 0]) / np.maximum(gaps[:, 2] - gaps[:, 0], 1e-9)
    low_share, high_share = np.percentile(shares, [2.5, 97.5])
    print(f"  gap{_closed(*means)} [{low_share:.2f}, {high_share:.2f}]")


def _closed(given: float, repaired: float, drawn: float) -> str:
    if drawn - given < _WORTH_CLOSING:
        return f"; the gap of {drawn - given:.3f} is too small to speak of shares"
    return f"; closed {(repaired - given) / (drawn - given):.2f} of {drawn - given:.3f}"


def main() -> None:
    """Print what the loop closes of the gap between given and true labels."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--test-people", type=int, default=300)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--first", type=int, default=600, help="the first seed")
    parser.add_argument("--repeats", type=int, default=1, help="trainings of each fold")
    parser.add_argument("--trainings", type=int, default=1, help="final models of each labels")
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/work/loop"))
    parser.add_argument("--set", action="append", default=None, help="of all trainings")
    asked = parser.parse_args()
    asked.set = list(_SETTINGS) if asked.set is None else asked.set
    test = make_dataset(asked.folder / f"test-{asked.test_people}", asked.test_people, TEST, {})
    found = []
    for seed in range(asked.first, asked.first + asked.seeds):
        found.append(judge(asked, seed, test))
        show(found)


if __name__ == "__main__":
    main()
