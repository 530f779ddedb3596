"""Our folds against StratifiedGroupKFold on 500 random skewed cases: needs scikit-learn.

Run: python benchmarks/splits.py [cases] [first seed]
"""

import sys
import time
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from facecrop.labels.balance import Deviation, deal, deviation

try:
    from sklearn.model_selection import (  # type: ignore[import-not-found]  # not one of our packages
        StratifiedGroupKFold,
    )
except ModuleNotFoundError:
    sys.exit("the baseline is scikit-learn's; install it: pip install scikit-learn")


@dataclass(frozen=True)
class Case:
    """Groups with skewed sizes, half of the time nearly pure in their class."""

    n_folds: int
    counts: NDArray[np.int64]


def random_case(seed: int) -> Case:
    rng = np.random.default_rng(seed)
    n_folds = int(rng.integers(2, 9))
    n_groups, n_classes = int(rng.integers(n_folds, 120)), int(rng.integers(2, 19))
    sizes = np.clip(rng.pareto(rng.uniform(0.7, 3), n_groups) * 5, 1, 1000).astype(int)
    shares = rng.dirichlet(np.full(n_classes, rng.uniform(0.1, 2)))
    pure = rng.random() < 0.5
    rows = []
    for size in sizes:
        mixed = shares
        if pure:
            mixed = 0.9 * np.eye(n_classes)[rng.choice(n_classes, p=shares)] + 0.1 * shares
        rows.append(rng.multinomial(size, mixed / mixed.sum()))
    counts = np.array(rows, np.int64)
    return Case(n_folds, counts[:, counts.sum(axis=0) > 0])


def ours(case: Case) -> NDArray[np.int64]:
    shares = np.full(case.n_folds, 1 / case.n_folds)
    folds = deal(case.counts, shares, np.arange(len(case.counts)))
    return np.stack([case.counts[folds == fold].sum(axis=0) for fold in range(case.n_folds)])


def theirs(case: Case) -> NDArray[np.int64]:
    n_groups, n_classes = case.counts.shape
    labels = np.concatenate([np.repeat(np.arange(n_classes), row) for row in case.counts])
    groups = np.repeat(np.arange(n_groups), case.counts.sum(axis=1))
    parts = StratifiedGroupKFold(case.n_folds).split(labels, labels, groups)
    return np.stack([np.bincount(labels[test], minlength=n_classes) for _, test in parts])


def unavoidable(case: Case) -> int:
    """Return how often folds lack a class at the least: where it has fewer groups than folds."""
    holders = (case.counts > 0).sum(axis=0)
    return int(np.maximum(case.n_folds - holders, 0).sum())


def main(n_cases: int, first: int) -> None:
    warnings.simplefilter("ignore")
    found: list[tuple[Deviation, Deviation]] = []
    empty, avoidable, seconds, refused = [0, 0], [0, 0], [0.0, 0.0], 0
    for seed in range(first, first + n_cases):
        case = random_case(seed)
        shares = np.full(case.n_folds, 1 / case.n_folds)
        start = time.perf_counter()
        mine = ours(case)
        middle = time.perf_counter()
        try:
            other = theirs(case)
        except ValueError:
            refused += 1
            continue
        seconds[0] += middle - start
        seconds[1] += time.perf_counter() - middle
        found.append((deviation(mine, shares), deviation(other, shares)))
        for place, folds in enumerate((mine, other)):
            empty[place] += int((folds.sum(axis=1) == 0).sum())
            avoidable[place] += found[-1][place].missing > unavoidable(case)
    seeds = f"seeds {first} to {first + n_cases - 1}"
    print(f"{len(found)} cases ({seeds}), {refused} refused by scikit-learn; ours first")
    print(f"empty folds: {empty[0]}, {empty[1]}; seconds: {seconds[0]:.1f}, {seconds[1]:.1f}")
    print(f"cases that lack more than classes with fewer groups than folds: {avoidable}")
    for name in ("missing", "share", "size"):
        pairs = np.array([[getattr(one, name) for one in pair] for pair in found], float)
        better, worse = (pairs[:, 0] < pairs[:, 1]).sum(), (pairs[:, 0] > pairs[:, 1]).sum()
        means = pairs.mean(axis=0)
        print(
            f"{name}: better {better}, equal {len(pairs) - better - worse}, worse {worse}; "
            f"mean {means[0]:.4f}, {means[1]:.4f}; "
            f"worst loss {(pairs[:, 0] - pairs[:, 1]).max():.4f}"
        )


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    main(*given, *(500, 0)[len(given) :])
