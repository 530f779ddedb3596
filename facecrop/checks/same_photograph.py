"""Photographs that are there twice: a nuisance, a leak, or the proof that a label is wrong."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from facecrop.checks.check import Check, Issue, Severity, issue_key
from facecrop.checks.material import Material
from facecrop.labels.ages import OFFICIAL
from facecrop.labels.certificate import read_split
from facecrop.labels.current import current_labels
from facecrop.labels.history import read_history

_KINDS = {"bytes": "the same bytes", "pixels": "the same photograph", "mirror": "mirrored"}
_AXES = ("mask", "gender", "age_group")
_WITHIN, _ACROSS = 0.3, 0.6
_YEARS_ONLY = 0.7
"""Other years in the same group: wrong as well, but it changes no class."""
_SHOWN = 6


def _duplicates(material: Material) -> Iterator[Issue]:
    profiles = material.index["profile"].to_pylist()
    splits = {name: read_split(material.out, name).table for name in material.splits}
    folds = {
        name: dict(zip(table["path"].to_pylist(), table["fold"].to_pylist(), strict=True))
        for name, table in splits.items()
    }
    for rows in material.photographs.groups:
        paths = _paths(material, rows)
        people = sorted({profiles[row] for row in rows})
        leaks = [
            name
            for name, fold in folds.items()
            if len({fold.get(path) for path in paths} - {None}) > 1
        ]
        where = f"{len(people)} profiles" if len(people) > 1 else "one profile"
        reason = f"{len(rows)} records of {where} are one photograph ({_proof(material, rows)})"
        severity: Severity = "warning"
        score = _ACROSS if len(people) > 1 else _WITHIN
        if leaks:
            severity, score = "error", 1.0
            reason += f", in several folds of split {', '.join(map(repr, leaks))}"
        yield _issue(material, DUPLICATES, rows, reason, severity=severity, score=score)


def _contradicting(material: Material) -> Iterator[Issue]:
    # On the official bins: whatever policy is active, those of the task are what is right or wrong.
    labels = current_labels(material.index, read_history(material.out), OFFICIAL)
    values = {axis: labels[axis].to_pylist() for axis in (*_AXES, "age")}
    for rows in material.photographs.groups:
        said = {axis: sorted({values[axis][row] for row in rows} - {None}) for axis in values}
        wrong = [axis for axis, words in said.items() if len(words) > 1]
        if wrong:
            words = "; ".join(
                f"{axis.replace('_', ' ')} {' and '.join(map(str, said[axis]))}" for axis in wrong
            )
            score = _YEARS_ONLY if wrong == ["age"] else 1.0
            reason = f"one photograph ({_proof(material, rows)}) is labelled {words}"
            yield _issue(material, CONTRADICTING, rows, reason, score=score)


def _proof(material: Material, rows: Sequence[int]) -> str:
    links = material.photographs.links[rows[0]]
    kinds = [kind for kind in _KINDS if any(link.kind == kind for link in links)]
    return ", ".join(_KINDS[kind] for kind in kinds)


def _paths(material: Material, rows: Sequence[int]) -> list[str]:
    return list(material.index["path"].take(pa.array(rows)).to_pylist())


def _issue(
    material: Material,
    check: Check,
    rows: Sequence[int],
    reason: str,
    *,
    severity: Severity = "error",
    score: float = 1.0,
) -> Issue:
    paths = _paths(material, rows)
    digests = sorted(
        digest or path.encode()
        for digest, path in zip(
            material.index["digest"].take(pa.array(rows)).to_pylist(), paths, strict=True
        )
    )
    names = ", ".join(paths[:_SHOWN]) + (" …" if len(paths) > _SHOWN else "")
    return Issue(
        check.name,
        severity,
        str(material.index["profile"][rows[0]].as_py()),
        tuple(paths),
        f"{reason}: {names}",
        score,
        issue_key(check.name, *digests),
    )


DUPLICATES = Check(
    name="duplicates",
    title="photographs that are there more than once",
    severity="error",
    cure="keep one of each, set the others aside; a split that holds them in two folds: make anew",
    needs=("crops",),
    find=_duplicates,
)
CONTRADICTING = Check(
    name="contradicting-labels",
    title="one photograph under labels of which one must be wrong",
    severity="error",
    cure="look which of them is right, and correct the others",
    needs=("crops",),
    find=_contradicting,
)
