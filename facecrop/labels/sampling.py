"""Which records a training draws and how much each counts; validation always sees all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from facecrop.config import Settings
from facecrop.labels.order import hashed_order, words
from facecrop.labels.space import WORDS, LabelSpace

Axis = Literal["mask", "gender", "age_group"]
Scheme = Literal["none", "inverse", "sqrt", "effective", "oversample"]


class Sampling(Settings):
    """What a training draws from its part of a split."""

    worn_per_person: Annotated[int, Field(ge=1)] | None = None
    """Pictures with a worn mask that are drawn of each person; None: all of them. The task has five
    of these for one of each other kind."""
    weights: Scheme = "none"
    """How much a record counts, by its class: `inverse` 1 / n, `sqrt` 1 / sqrt(n), `effective`
    (1 - beta) / (1 - beta^n); `oversample` as `inverse`, but in how often it is drawn."""
    beta: float = Field(default=0.999, ge=0, lt=1)
    """Of `effective`: 0 weighs all classes alike, towards 1 it becomes `inverse`."""
    undersample: Annotated[float, Field(ge=1)] | None = None
    """Records of a class that are drawn, at most, as a multiple of the smallest class."""
    axes: tuple[Axis, ...] = ("mask", "gender", "age_group")
    """Labels whose combinations are the classes."""
    only: tuple[str, ...] = ()
    """Labels whose records are weighed, all others count 1; none named: all are weighed."""
    augment: tuple[str, ...] = ()
    """Labels whose records the training augments more; only recorded here."""

    @model_validator(mode="after")
    def _labels_exist(self) -> "Sampling":
        words = [word for axis in WORDS.values() for word in axis]
        for label in (*self.only, *self.augment):
            if label not in words:
                raise ValueError(f"no label is called {label!r}; choose from: {', '.join(words)}")
        return self

    @property
    def columns(self) -> list[str]:
        """Columns of the labels that `sample` reads; the path only where some are left out."""
        leaves_out = self.worn_per_person is not None or self.undersample is not None
        return [*(["path"] if leaves_out else []), *WORDS]

    @property
    def use(self) -> str:
        """What the weights are for: `draws` (how often) or `loss` (how much)."""
        return "draws" if self.weights == "oversample" else "loss"


def _inverse(counts: NDArray[np.float64], _: float) -> NDArray[np.float64]:
    return 1 / counts


def _sqrt(counts: NDArray[np.float64], _: float) -> NDArray[np.float64]:
    return 1 / np.sqrt(counts)


def _effective(counts: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    return (1 - beta) / (1 - beta**counts)


_SCHEMES: dict[str, Callable[[NDArray[np.float64], float], NDArray[np.float64]]] = {
    "inverse": _inverse,
    "oversample": _inverse,
    "sqrt": _sqrt,
    "effective": _effective,
}


def class_weights(
    counts: NDArray[np.int64], scheme: Scheme, beta: float = 0.999
) -> NDArray[np.float64]:
    """Return how much a record of each class counts.

    Args:
        counts: (C,) records of each class in training.
        scheme: As in `Sampling.weights`.
        beta: As in `Sampling.beta`.

    Returns:
        (C,) summing to the number of classes that are there; 0 for the others.

    Source:
        Cui, Jia, Lin, Song and Belongie 2019, "Class-Balanced Loss Based on Effective Number of
        Samples", equation 2; n is the number of *training* records of the class, not of a batch.

    >>> class_weights(np.array([10, 30, 0]), "inverse").tolist()
    [1.5, 0.5, 0.0]
    """
    there = counts > 0
    weights = np.zeros(len(counts))
    if scheme == "none":
        weights[there] = 1
    else:
        weights[there] = _SCHEMES[scheme](counts[there].astype(np.float64), beta)
    return np.asarray(weights * there.sum() / max(weights.sum(), np.finfo(float).tiny))


@dataclass(frozen=True, slots=True)
class Drawn:
    """What sampling decided.

    Args:
        kept: (N,) bool, whether a training draws the record at all.
        weights: (N,) float32, how much it counts; 1 on average over the training records.
    """

    kept: NDArray[np.bool_]
    weights: NDArray[np.float32]


def sample(
    sampling: Sampling,
    labels: pa.Table,
    *,
    persons: NDArray[np.int64],
    usable: NDArray[np.bool_],
    folds: NDArray[np.int64],
    folds_in_turn: int | None,
    seed: int,
) -> Drawn:
    """Decide what a training draws.

    With folds every record is training data of all folds but its own, so classes are counted over
    all of them; each training has a like share of every class.

    Args:
        sampling: What is wanted.
        labels: (N,) rows with `sampling.columns`.
        persons: (N,) a number for each record's person.
        usable: (N,) kept records that have a crop.
        folds: (N,) each record's fold, -1 for those set aside.
        folds_in_turn: How many folds are validation, each in its turn; None: fold 0 alone is.
        seed: Which ones are drawn.
    """
    train = usable & (folds >= 0)
    train &= (folds > 0) | (folds_in_turn is not None)
    order = np.zeros(0, np.int64)
    if "path" in sampling.columns:
        order = hashed_order(words(labels["path"]), seed)
    kept = np.ones(len(train), bool)
    if sampling.worn_per_person is not None:
        worn = pc.fill_null(pc.equal(labels["mask"], "worn"), False).to_numpy()
        kept &= _first_of_each(persons, worn & train, order, sampling.worn_per_person)
    space = LabelSpace(tuple((axis, WORDS[axis]) for axis in sampling.axes))
    classes = space.encode_table(labels).astype(np.int64)
    drawn = train & kept & (classes >= 0)
    counts = np.bincount(classes[drawn], minlength=len(space))
    if sampling.undersample is not None and drawn.any():
        limit = int(sampling.undersample * counts[counts > 0].min())
        kept &= _first_of_each(classes, drawn, order, limit)
        drawn &= kept
        counts = np.bincount(classes[drawn], minlength=len(space))
    # Of k folds a training sees k - 1; with one split, all that was counted.
    seen = counts * (folds_in_turn - 1) // folds_in_turn if folds_in_turn else counts
    weights = np.ones(len(train))
    weighed = drawn & _named(labels, sampling.only)
    by_class = class_weights(np.maximum(seen, counts > 0), sampling.weights, sampling.beta)
    weights[weighed] = by_class[classes[weighed]]
    used = train & kept
    weights = np.where(train, weights * used, 1)
    if used.any():
        weights[used] /= weights[used].mean()
    return Drawn(kept, weights.astype(np.float32))


def _named(labels: pa.Table, words: tuple[str, ...]) -> NDArray[np.bool_]:
    if not words:
        return np.ones(labels.num_rows, bool)
    named = np.zeros(labels.num_rows, bool)
    for axis in WORDS:
        named |= pc.is_in(labels[axis], value_set=pa.array(words, pa.string())).to_numpy()
    return named


def _first_of_each(
    keys: NDArray[np.int64], among: NDArray[np.bool_], order: NDArray[np.int64], limit: int
) -> NDArray[np.bool_]:
    """Return (N,) bool: all that are not among those, and of those the first few of each key."""
    rows = order[among[order]]
    rows = rows[np.argsort(keys[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(keys[rows], prepend=-1))
    place = np.arange(len(rows)) - np.repeat(starts, np.diff(starts, append=len(rows)))
    kept = ~among
    kept[rows[place < limit]] = True
    return kept
