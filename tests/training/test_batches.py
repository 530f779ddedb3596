import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from facecrop.training.augment.batch import Batch
from facecrop.training.batches import Examples, Loader, batches, epoch_order, rank_part


def examples(n: int = 23, height: int = 6, width: int = 5) -> Examples:
    """Records whose every value tells which one it is."""
    rows = np.arange(n)
    images = np.broadcast_to(rows[:, None, None, None], (n, height, width, 3)).astype(np.uint8)
    images[:, 0, 0] = (1, 2, 3)
    number = torch.arange(n)
    return Examples(
        images,
        {"mask": torch.nn.functional.one_hot(number % 3).float(), "age": number[:, None].float()},
        number.float() / n,
        number.float().view(n, 1, 1).expand(n, 2, 4),
        {"mask": number % 3},
    )


@given(st.integers(0, 200), st.integers(0, 2**32), st.integers(0, 1000))
def test_an_epoch_shows_every_record_once_and_is_a_pure_function(
    n: int, seed: int, epoch: int
) -> None:
    order = epoch_order(n, seed, epoch)
    assert sorted(order) == list(range(n))
    assert (epoch_order(n, seed, epoch) == order).all()


def test_every_epoch_and_every_seed_has_its_own_order() -> None:
    orders = {tuple(epoch_order(50, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@given(
    st.lists(st.one_of(st.just(0.0), st.floats(1e-3, 1e3)), min_size=1, max_size=80).filter(any),
    st.integers(0, 2**32),
    st.integers(0, 100),
)
def test_a_record_is_drawn_as_often_as_its_weight_says(
    weights: list[float], seed: int, epoch: int
) -> None:
    n = len(weights)
    given_weights = np.array(weights)
    order = epoch_order(n, seed, epoch, given_weights)
    assert len(order) == n
    counts = np.bincount(order, minlength=n)
    expected = n * given_weights / given_weights.sum()
    assert (counts >= np.floor(expected - 1e-6)).all()
    assert (counts <= np.ceil(expected + 1e-6)).all()
    assert (counts[given_weights == 0] == 0).all()
    assert (epoch_order(n, seed, epoch, given_weights) == order).all()


def test_over_many_epochs_draws_are_as_the_weights() -> None:
    weights = np.array([0.1, 0.5, 1, 3, 0.4])
    counts = Counter(int(one) for epoch in range(4000) for one in epoch_order(5, 1, epoch, weights))
    share = np.array([counts[row] for row in range(5)]) / 4000
    assert share == pytest.approx(weights, abs=0.03)


def test_what_is_drawn_twice_does_not_stand_together() -> None:
    order = epoch_order(1000, 0, 0, np.array([10.0] * 100 + [0.0] * 900))
    assert (order[1:] == order[:-1]).mean() < 0.05


@pytest.mark.parametrize("weights", [[1.0, 2.0], [0.0, 0.0, 0.0], [1.0, -1.0, 1.0]])
def test_weights_that_make_no_sense_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="3 records need 3 weights"):
        epoch_order(3, 0, 0, np.array(weights))


@given(n=st.integers(1, 100), size=st.integers(1, 40), drop_last=st.booleans())
def test_batches_hold_the_order_piece_by_piece(n: int, size: int, *, drop_last: bool) -> None:
    order = epoch_order(n, 0, 0)
    cut = batches(order, size, drop_last=drop_last)
    held = np.concatenate(cut)
    assert (held == order[: len(held)]).all()
    assert all(len(one) == size for one in cut[:-1])
    left_out = n - len(held)
    assert left_out == (n % size if drop_last and n >= size else 0)
    assert len(cut) >= 1


@given(st.integers(0, 50), st.integers(1, 9))
def test_the_parts_of_all_ranks_are_the_batch(size: int, ranks: int) -> None:
    whole = list(range(size))
    parts = [whole[rank_part(size, rank, ranks)] for rank in range(ranks)]
    assert [one for part in parts for one in part] == whole
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_a_batch_has_every_value_of_its_records() -> None:
    rows = np.array([7, 3, 3, 22])
    batch = examples().batch(rows)
    assert batch.images.shape == (4, 3, 6, 5)
    assert batch.images.dtype == torch.uint8
    assert batch.images[:, 0, 3, 3].tolist() == rows.tolist()
    assert batch.images[0, :, 0, 0].tolist() == [1, 2, 3]
    assert batch.rows.tolist() == rows.tolist()
    assert batch.targets["age"][:, 0].tolist() == rows.tolist()
    assert batch.targets["mask"].argmax(dim=1).tolist() == (rows % 3).tolist()
    assert batch.labels["mask"].tolist() == (rows % 3).tolist()
    assert batch.weight == pytest.approx(rows / 23)
    assert (batch.regions[:, 1, 2] == torch.from_numpy(rows)).all()


def test_images_lie_as_they_were_stored_and_are_a_copy() -> None:
    source = examples()
    batch = source.batch(np.array([1, 2]))
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    batch.images.zero_()
    assert source.images[1, 3, 3, 0] == 1


def test_the_loader_gives_the_batches_in_order_as_often_as_asked() -> None:
    source = examples()
    order = batches(epoch_order(23, 4, 0), 5, drop_last=False)
    loader = Loader(source, order)
    assert len(loader) == 5
    for _ in range(2):
        found = list(loader)
        assert [batch.rows.tolist() for batch in found] == [rows.tolist() for rows in order]
        for batch, rows in zip(found, order, strict=True):
            assert (batch.images == source.batch(rows).images).all()


def test_a_resumed_epoch_sees_the_batches_that_were_left() -> None:
    order = batches(epoch_order(23, 4, 2), 5, drop_last=True)
    whole = [batch.rows.tolist() for batch in Loader(examples(), order)]
    again = batches(epoch_order(23, 4, 2), 5, drop_last=True)[2:]
    assert [batch.rows.tolist() for batch in Loader(examples(), again)] == whole[2:]


@pytest.mark.parametrize("threads", [1, 3])
def test_batches_are_made_ahead_but_not_all_of_them(threads: int) -> None:
    made: list[int] = []

    def note(batch: Batch, number: int) -> Batch:
        made.append(number)
        return batch

    loader = iter(Loader(examples(), batches(np.arange(20), 1, drop_last=False), note, threads))
    next(loader)
    assert len(made) <= threads + 1


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_batches_come_in_order_however_long_each_takes(threads: int) -> None:
    order = batches(epoch_order(23, 0, 0), 3, drop_last=False)

    def change(batch: Batch, number: int) -> Batch:
        time.sleep(0.002 * ((number * 5) % 4))
        return replace(batch, weight=batch.weight + number)

    found = list(Loader(examples(), order, change, threads))
    assert [batch.rows.tolist() for batch in found] == [rows.tolist() for rows in order]
    for number, (batch, rows) in enumerate(zip(found, order, strict=True)):
        assert batch.weight == pytest.approx(rows / 23 + number)


def test_what_goes_wrong_in_the_thread_is_raised_where_the_batch_is_asked_for() -> None:
    source = examples()
    broken = replace(source, targets={"age": torch.zeros(2, 1)})
    loader = Loader(broken, [np.array([0, 1]), np.array([5])])
    iterator = iter(loader)
    assert next(iterator).rows.tolist() == [0, 1]
    with pytest.raises(IndexError):
        next(iterator)
    assert not alive()


def test_whoever_stops_in_the_middle_leaves_no_thread() -> None:
    for batch in Loader(examples(), batches(np.arange(23), 2, drop_last=False)):
        assert len(batch) == 2
        break
    assert not alive()


def alive() -> list[str]:
    return [one.name for one in threading.enumerate() if one.name.startswith("loader")]
