"""Predict: what trained models say of every record of a dataset, rejects included."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.errors import ConfigError, TableError
from facecrop.index import Status
from facecrop.labels.ages import OFFICIAL
from facecrop.labels.space import WORDS
from facecrop.training.answer import Answer
from facecrop.training.crops import Size, as_input, read_crop
from facecrop.training.pool import pool
from facecrop.training.predictions import Floats, Ints, Predictions
from facecrop.training.task import JOINT
from facecrop.training.trained import Trained, predict_rows
from facecrop.training.vote import vote

_OF_A_PICTURE = "mask"
"""A person may take the mask off: of rejects it is guessed even where the person is known."""

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Said:
    """What one model says of the M records of a dataset that have crops.

    Args:
        answer: Of these, by person where that was asked for.
        prior: (P,) share of each joint class among its training records.
    """

    answer: Answer
    prior: Floats

    def likely(self, name: str, keys: tuple[str, ...]) -> Predictions:
        """Return its probabilities, and what it answers."""
        joint = _numpy(self.answer.log_joint.exp())
        return self._of(joint, name, keys)

    def decided(self, name: str, keys: tuple[str, ...]) -> Predictions:
        """Return what it answers by: probabilities after its prior correction, of sum 1."""
        scores = self.answer.log_joint
        if self.answer.correction is not None:
            scores = scores - self.answer.correction.to(scores)
        return self._of(_numpy(scores.softmax(dim=1)), name, keys)

    def _of(self, joint: Floats, name: str, keys: tuple[str, ...]) -> Predictions:
        classes = self.answer.joint.cpu().numpy().astype(np.int64)
        joint = joint / joint.sum(axis=1, keepdims=True)
        return Predictions(name, keys, self.answer.space, classes, joint)


def usable(index: pa.Table) -> NDArray[np.bool_]:
    """Return (N,) which rows of an index have a crop."""
    status = pc.is_in(index["status"], pa.array([Status.OK, Status.FALLBACK], pa.string()))
    return np.asarray(pc.and_(status, pc.is_valid(index["image"])).to_numpy(), bool)


def say(
    trained: Trained,
    out: Path,
    index: pa.Table,
    *,
    tta: Sequence[str] | None = None,
    by_person: bool = False,
    official: bool = False,
    batch_size: int = 64,
    workers: int = 2,
    report: Report | None = None,
) -> Said:
    """Ask one model about the crops of a dataset.

    Args:
        trained: The model.
        out: The dataset.
        index: (M,) rows of its index, each with a crop: image, image_sha256, profile.
        tta: As for `predict_rows`.
        by_person: Let the pictures of a person agree about gender and age (`pool`).
        official: Answer in the official age groups, whatever groups were learnt; only a model that
            knows years can.
        batch_size: Pictures at a time.
        workers: Threads that decode.
        report: Called with pictures done and all.

    Raises:
        ConfigError: The official age groups are asked of a model that has learnt other ones.
        TableError: A crop is missing or damaged.
    """
    if official and trained.task.years is None and trained.policy.cuts != OFFICIAL.cuts:
        raise ConfigError(
            f"--bins official needs a model of years; this one has learnt the age groups of "
            f"{trained.policy.name!r}: train with model.age = 'distribution'"
        )
    batches = inputs(
        out, index, trained.size, trained.center_crop, batch_size=batch_size, workers=workers
    )
    logits = predict_rows(trained, _counted(batches, index.num_rows, report), tta)
    answer = trained.answer(logits, OFFICIAL.cuts if official else None)
    if by_person:
        answer = pool(answer, np.array(index["profile"].to_pylist(), str))
    counts = _numpy(trained.priors[JOINT])
    return Said(answer, counts / counts.sum())


def inputs(
    out: Path,
    index: pa.Table,
    size: Size,
    center_crop: Size | None,
    *,
    batch_size: int = 64,
    workers: int = 2,
) -> Iterator[NDArray[np.uint8]]:
    """Yield crops as a network sees them, in order, decoded as they are needed and kept nowhere.

    Trainings read the same pictures often, and map them from a file (`open_pixels`); here each is
    read once. Both go through `read_crop` and `as_input`.

    Args:
        out: The dataset.
        index: (M,) rows with image and image_sha256.
        size: Height and width of the input.
        center_crop: Height and width that are cut from the middle first.
        batch_size: Pictures at a time.
        workers: Threads; they are one batch ahead.

    Yields:
        (N, H, W, 3) uint8.

    Raises:
        TableError: A crop is missing or damaged.
    """
    names, digests = index["image"].to_pylist(), index["image_sha256"].to_pylist()

    def one(row: int) -> NDArray[np.uint8]:
        return as_input(read_crop(out, names[row], digests[row]), size, center_crop)

    with ThreadPoolExecutor(workers) as threads:
        rows = iter(range(index.num_rows))
        ahead = [threads.submit(one, row) for row in islice(rows, batch_size)]
        while ahead:
            now, ahead = ahead, [threads.submit(one, row) for row in islice(rows, batch_size)]
            yield np.stack([job.result() for job in now])


def together(said: Sequence[Said], keys: tuple[str, ...], name: str = "predict") -> Predictions:
    """Let several models decide together: a soft vote.

    What is averaged to choose a class is what each model itself chooses by, prior correction
    included; what is averaged as probabilities are the models' own. So one model, or copies of it,
    answer what it answers. Models of different labels are put together label by label.

    Args:
        said: At least one, of the same records.
        keys: (M,) paths of the records.
        name: Of the outcome.
    """
    decided = vote([one.decided(str(n), keys) for n, one in enumerate(said)], "soft")
    likely = vote([one.likely(str(n), keys) for n, one in enumerate(said)], "soft")
    return replace(decided, name=name, probabilities=likely.probabilities)


def ages(said: Sequence[Said]) -> Floats | None:
    """Return (M,) the mean of the ages in years that models tell; None if none does."""
    known = [_numpy(one.answer.age) for one in said if one.answer.age is not None]
    return np.mean(known, axis=0) if known else None


def prior_of(said: Sequence[Said]) -> Predictions:
    """Return what is answered of a picture that cannot be seen: the most common class.

    It is the one most common in training, whatever prior correction the models choose by; of
    several models the mean of their shares.
    """
    rows = [
        Predictions(
            str(number),
            ("",),
            one.answer.space,
            np.array([int(one.prior.argmax())]),
            one.prior[None],
        )
        for number, one in enumerate(said)
    ]
    return vote(rows, "soft")


def everybody(
    answered: Predictions,
    rows: Ints,
    keys: tuple[str, ...],
    prior: Predictions,
    persons: Sequence[str] | None = None,
) -> Predictions:
    """Give records that cannot be seen an answer too.

    Args:
        answered: Of M records.
        rows: (M,) their places among all N.
        keys: (N,) paths.
        prior: The answer of the others, one row (`prior_of`).
        persons: (N,) whose each record is. If given, records that cannot be seen share gender and
            age of the person's others, which must have been pooled; the mask alone is guessed.

    Returns:
        Of all N records.

    Raises:
        TableError: No record can be seen at all.
    """
    if not len(rows):
        raise TableError("none of the pictures has a usable crop: there is nothing to predict from")
    count, space = len(keys), answered.space
    joint = np.repeat(prior.distribution(), count, axis=0)
    classes = np.repeat(prior.classes, count)
    joint[rows], classes[rows] = answered.distribution(), answered.classes
    result = Predictions(answered.name, keys, space, classes, joint)
    if persons is None:
        return result
    first = {persons[row]: place for place, row in reversed(list(enumerate(rows.tolist())))}
    seen = set(rows.tolist())
    blind = [row for row in range(count) if row not in seen and persons[row] in first]
    known = answered.take(np.array([first[persons[row]] for row in blind], np.int64))
    masks = len(WORDS[_OF_A_PICTURE]) if _OF_A_PICTURE in answered.axes else 1
    others = len(space) // masks  # classes of the labels after the mask, which is the first
    of_person = known.distribution().reshape(len(blind), 1, masks, others).sum(axis=2)
    of_picture = prior.distribution().reshape(1, masks, others).sum(axis=2)
    joint[blind] = (of_picture[:, :, None] * of_person).reshape(len(blind), len(space))
    classes[blind] = prior.classes // others * others + known.classes % others
    return replace(result, classes=classes, probabilities=joint)


def _counted(
    batches: Iterator[NDArray[np.uint8]], total: int, report: Report | None
) -> Iterator[NDArray[np.uint8]]:
    done = 0
    for batch in batches:
        yield batch
        done += len(batch)
        if report is not None:
            report(done, total)


def _numpy(values: object) -> Floats:
    return np.asarray(values, np.float64)
