"""Pictures whose mask is worn otherwise than labelled, and pairs that bear each other's label."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facecrop.checks.check import Check, Issue, Proposal, issue_key
from facecrop.checks.material import Material
from facecrop.checks.outoffold import (
    Ints,
    Said,
    codes,
    identities,
    paths_of,
    people_of,
    read_said,
)
from facecrop.checks.swaps import Swaps, doubt_pairs
from facecrop.index import MASKS
from facecrop.labels.members import name_of_image


def _single(material: Material) -> Iterator[Issue]:
    said, given, found = _doubts(material)
    for place in np.flatnonzero(found.wrong > material.limits.suspect).tolist():
        row, was = int(said.rows[place]), int(given[place])
        truth = found.truth[place]
        now = int(np.argmax(np.where(np.arange(len(MASKS)) == was, -1, truth)))
        votes = int(said.votes[place].sum())
        against = votes - int(said.votes[place, was])
        rows = said.rows[[place]]
        yield Issue(
            SUSPECT.name,
            SUSPECT.severity,
            material.index["profile"][row].as_py(),
            paths_of(material, rows),
            f"labelled {MASKS[was]}, seen as {MASKS[now]} in {against} of {votes} predictions",
            float(found.wrong[place]),
            issue_key(SUSPECT.name, *identities(material, rows), MASKS[was]),
            (_correction(material, row, MASKS[was], MASKS[now]),),
            {
                "seen as": MASKS[now],
                **{f"p_{word}": round(float(truth[k]), 4) for k, word in enumerate(MASKS)},
                "predictions": float(votes),
                "against the label": float(against),
            },
        )


def _swapped(material: Material) -> Iterator[Issue]:
    said, given, found = _doubts(material)
    for number in np.flatnonzero(found.exchanged > material.limits.suspect).tolist():
        one, other = sorted(found.pairs[number].tolist(), key=lambda place: int(given[place]))
        rows = said.rows[[one, other]]
        first, second = MASKS[given[one]], MASKS[given[other]]
        names = material.index["name"].take(pa.array(rows)).to_pylist()
        yield Issue(
            SWAPPED.name,
            SWAPPED.severity,
            material.index["profile"][int(rows[0])].as_py(),
            paths_of(material, rows),
            f"{names[0]!r} is labelled {first} and seen as {second}, "
            f"{names[1]!r} is labelled {second} and seen as {first}",
            float(found.exchanged[number]),
            issue_key(SWAPPED.name, *identities(material, rows), *sorted((first, second))),
            _exchange(material, rows, first, second),
            {
                f"{names[0]}: p_{second}": round(float(found.truth[one, given[other]]), 4),
                f"{names[1]}: p_{first}": round(float(found.truth[other, given[one]]), 4),
            },
        )


def _doubts(material: Material) -> tuple[Said, Ints, Swaps]:
    """Return what is said of labelled pictures, their labels, and what is thought of both."""
    said = read_said(material, "mask", MASKS)
    if said is None:
        nothing = np.zeros((0, len(MASKS)))
        said = Said(np.zeros(0, np.int64), nothing, nothing.astype(np.int64))
    said = said.where(codes(material.labels["mask"], MASKS, said.rows) >= 0)
    given = codes(material.labels["mask"], MASKS, said.rows)
    return said, given, doubt_pairs(said.log_p, given, people_of(material, said.rows).person)


def _exchange(material: Material, rows: Ints, first: str, second: str) -> tuple[Proposal, ...]:
    """Return the proposal of a swap; of two corrections where the raw labels are others.

    Manifests count a swap from the raw labels, so that doing it twice is doing it once.
    """
    one, other = (int(row) for row in rows)
    raw = material.index["mask_raw"]
    if (raw[one].as_py(), raw[other].as_py()) == (first, second):
        names = _name(material, one), _name(material, other)
        return (Proposal("mask", first, "swap", *names),)
    return (
        _correction(material, one, first, second),
        _correction(material, other, second, first),
    )


def _correction(material: Material, row: int, was: str, now: str) -> Proposal:
    return Proposal("mask", was, now, _name(material, row))


def _name(material: Material, row: int) -> str:
    index = material.index
    path, stem = (str(index[name][row].as_py()) for name in ("path", "name"))
    siblings = index["name"].filter(pc.equal(index["profile"], index["profile"][row]))
    return name_of_image(path, stem, siblings.to_pylist())


SUSPECT = Check(
    name="mask-suspect",
    title="pictures whose mask looks otherwise than labelled",
    severity="warning",
    cure="decide on the review page, then: facecrop relabel OUT --manifest FILE",
    needs=("predictions",),
    find=_single,
)

SWAPPED = Check(
    name="swapped-masks",
    title="two pictures of a person that bear each other's mask label",
    severity="warning",
    cure="decide on the review page, then: facecrop relabel OUT --manifest FILE",
    needs=("predictions",),
    find=_swapped,
)
