"""Which records form a batch, and fetching their pixels ahead of time.

Everything random is a pure function of seed and epoch, so that a resumed training sees the batches
that an uninterrupted one would have seen, and nothing needs to be saved for it.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facecrop.training.augment.batch import Batch
from facecrop.training.hidden import Cover

Rows = NDArray[np.int64]

_ORDER = 0x0D
"""Keeps this stream of random numbers apart from others of the same seed and epoch."""


def epoch_order(n: int, seed: int, epoch: int, weights: NDArray[np.floating] | None = None) -> Rows:
    """Return which of n records an epoch shows, in what order: a pure function of the arguments.

    Args:
        n: How many there are.
        seed: Of the training.
        epoch: Counted from 0.
        weights: (n,) how often each is drawn, in any unit; None: each once.

    Returns:
        (n,) numbers in [0, n). A record of weight w is drawn n * w / sum(w) times, rounded up or
        down by chance, so that the mean over epochs is exact.

    Source:
        Madow 1949, "On the theory of systematic sampling, II": one random start, then equal steps
        through the weights laid end to end, in random order. Independent draws, which samplers
        usually make, have the same mean, but leave out a third of the records of weight 1.

    Raises:
        ValueError: There is not one weight for each record, or their sum is not positive.
    """
    chance = np.random.default_rng([seed, epoch, _ORDER])
    order = chance.permutation(n)
    if weights is None or n == 0:
        return order
    if len(weights) != n or not np.sum(weights) > 0 or (np.asarray(weights) < 0).any():
        raise ValueError(f"{n} records need {n} weights of at least 0 with a positive sum")
    ends = np.cumsum(weights[order], dtype=np.float64)
    steps = (np.arange(n) + chance.random()) * (ends[-1] / n)
    # Rounding may put the last step beyond the last end.
    places = np.minimum(np.searchsorted(ends, steps, side="right"), _last(weights[order]))
    return np.asarray(chance.permutation(order[places]), np.int64)


def _last(weights: NDArray[np.floating]) -> int:
    return int(np.flatnonzero(weights)[-1])


def batches(order: Rows, batch_size: int, *, drop_last: bool) -> list[Rows]:
    """Cut an order into batches; the last may be smaller, or is left out.

    Where there are fewer records than one batch holds, that one is never left out: a training on
    few people must not silently do nothing.
    """
    size = len(order)
    if drop_last and size >= batch_size:
        size -= size % batch_size
    return [order[start : start + batch_size] for start in range(0, size, batch_size)]


def rank_part(size: int, rank: int, ranks: int) -> slice:
    """Return the part of a batch that one of several processes works on.

    Parts follow each other and differ in size by one at most, the first being the larger ones.

    >>> [rank_part(7, rank, 3) for rank in range(3)]
    [slice(0, 3, None), slice(3, 5, None), slice(5, 7, None)]
    """
    least, more = divmod(size, ranks)
    start = rank * least + min(rank, more)
    return slice(start, start + least + (rank < more))


@dataclass(frozen=True, slots=True)
class Examples:
    """All records of a dataset as a training wants them, N of them; nothing of it changes.

    Args:
        images: (N, H, W, 3) uint8, as a rule mapped from a file (`Pixels.array`).
        targets: Output of the network -> (N, width) float32 rows.
        weight: (N,) float32.
        regions: (N, 2, 4) float32, eyes and face as fractions of the input (`Pixels.regions`).
        labels: Axis -> (N,) int64 class, -1 where unknown.
        cover: What is painted over in each picture; None: nothing.
    """

    images: NDArray[np.uint8]
    targets: Mapping[str, Tensor]
    weight: Tensor
    regions: Tensor
    labels: Mapping[str, Tensor]
    cover: Cover | None = None

    def pictures(self, rows: Rows, into: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Return some pictures as the network is to see them, (n, H, W, 3) uint8.

        Args:
            rows: (n,) which; they may repeat.
            into: Where to put them, of that shape; None: into an array of their own.
        """
        # Straight into place, a copy of whole pictures each; "clip" because with "raise" numpy
        # would copy through a buffer, and `rows` are ours.
        taken = np.take(self.images, rows, axis=0, out=into, mode="clip")
        if self.cover is not None:
            self.cover.paint(taken, rows)
        return taken

    def batch(self, rows: Rows, *, pin: bool = False) -> Batch:
        """Return some records as a batch: images (N, 3, H, W) uint8 in channels-last memory.

        Args:
            rows: (N,) which; they may repeat.
            pin: Whether images are put into memory from which a GPU copies by itself.
        """
        shape = (len(rows), *self.images.shape[1:])
        pixels = torch.empty(shape, dtype=torch.uint8, pin_memory=pin)
        self.pictures(rows, pixels.numpy())
        pick = torch.from_numpy(np.asarray(rows, np.int64))
        return Batch(
            images=pixels.permute(0, 3, 1, 2),
            targets={name: target[pick] for name, target in self.targets.items()},
            weight=self.weight[pick],
            regions=self.regions[pick],
            labels={axis: classes[pick] for axis, classes in self.labels.items()},
            rows=pick,
        )


@dataclass(frozen=True, slots=True)
class Loader:
    """Makes batches ahead of time in threads; can be gone through as often as wished.

    Batches come in their order, whatever thread made them. What goes wrong in a thread is raised
    where its batch is asked for, and whoever stops in the middle leaves no thread behind.

    Args:
        examples: Where records come from.
        batches: Rows of each batch, in order; a resumed epoch gives those that are left.
        change: What becomes of each batch in the thread, given its number in `batches`; None:
            nothing. On the CPU the place for augmentation, on a GPU for nothing.
        threads: How many batches are made at a time: one is enough to fetch, while augmentation
            uses as many cores as there are threads.
        pin: As in `Examples.batch`.
    """

    examples: Examples
    batches: Sequence[Rows]
    change: Callable[[Batch, int], Batch] | None = None
    threads: int = 1
    pin: bool = False

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        waiting: deque[Future[Batch]] = deque()
        with ThreadPoolExecutor(self.threads, "loader") as threads:
            try:
                for number in range(len(self.batches)):
                    waiting.append(threads.submit(self._make, number))
                    if len(waiting) > self.threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def _make(self, number: int) -> Batch:
        batch = self.examples.batch(self.batches[number], pin=self.pin)
        return batch if self.change is None else self.change(batch, number)
