"""Real faces whose labels contradict each other, and where an audit ranks them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from cleanlab.rank import get_label_quality_scores
from utkface import WORK, described, folds_run

from facecrop.checks import age_suspects, gender_suspects, same_photograph
from facecrop.checks.material import Limits, Material
from facecrop.index import AGE_GROUPS, GENDERS

AXES = {"gender": GENDERS, "age_group": AGE_GROUPS}
_TOP = 10


@dataclass(frozen=True)
class Judged:
    """What became of byte-identical pictures with contradicting labels.

    Args:
        model: How it was trained, in a line.
        accuracy: Of out-of-fold predictions, by label, against the labels as given.
        contradicting: Sets of identical pictures that differ in gender or age group.
        hits: How many have a member among the tenth that is doubted most, by way of looking.
        proven: Sets of identical pictures that differ in gender or years that the check
            `contradicting-labels` names, and how many there are.
    """

    model: str
    accuracy: dict[str, float]
    contradicting: int
    hits: dict[str, int]
    proven: tuple[int, int]


def judge_faces(
    folder: Path, work: Path | None, repeats: int | None, settings: Sequence[str]
) -> Judged:
    """Rank the pictures of a folder in UTKFace's layout by doubt, by models of all its folds.

    The run is that of `utkface.py`: used if it is there, else trained.

    No fold has two pictures of one photograph (the split sees to it), so that the models that judge
    a picture have not learnt from its twin either.
    """
    run = folds_run(folder, work or WORK, repeats, settings)
    out = (work or WORK) / "dataset"
    material = Material(out, run=run.folder, limits=Limits(suspect=1e-9))
    table = material.predictions
    if table is None:
        raise SystemExit(f"{out} has no run")
    accuracy = {
        axis: pc.mean(pc.equal(table[f"pred_{axis}"], table[f"target_{axis}"])).as_py()
        for axis in AXES
    }
    sets = _contradicting(material, tuple(AXES))
    ranks = {"facecrop audit": _our_ranks(material), "cleanlab": _plain_ranks(material, table)}
    hits = {}
    for way, score in ranks.items():
        top = set(sorted(score, key=lambda path: -score[path])[: len(score) // _TOP])
        hits[way] = sum(any(path in top for path in one) for one in sets)
    differing = _contradicting(material, ("gender", "age"))
    named = [set(issue.paths) for issue in same_photograph.CONTRADICTING.find(material)]
    proven = sum(any(paths.issuperset(one) for paths in named) for one in differing)
    return Judged(described(run), accuracy, len(sets), hits, (proven, len(differing)))


def _our_ranks(material: Material) -> dict[str, float]:
    scores = dict.fromkeys(material.rows, 0.0)
    for check in (gender_suspects.CHECK, age_suspects.CHECK):
        for issue in check.find(material):
            for path in issue.paths:
                scores[path] = max(scores[path], issue.score)
    return scores


def _plain_ranks(material: Material, table: pa.Table) -> dict[str, float]:
    scores = dict.fromkeys(material.rows, 0.0)
    for axis, words in AXES.items():
        columns = [f"p_{axis}_{word}" for word in words]
        means = table.group_by("path").aggregate([(name, "mean") for name in columns])
        p = np.stack([means[f"{name}_mean"].to_numpy() for name in columns], axis=1)
        rows = [material.rows[path] for path in means["path"].to_pylist()]
        given = material.labels[axis].take(pa.array(rows)).to_pylist()
        known = [number for number, word in enumerate(given) if word in words]
        labels = np.array([words.index(given[number]) for number in known])
        quality = get_label_quality_scores(labels, p[known] / p[known].sum(axis=1, keepdims=True))
        for number, score in zip(known, 1 - quality, strict=True):
            path = means["path"][number].as_py()
            scores[path] = max(scores[path], float(score))
    return scores


def _contradicting(material: Material, axes: Sequence[str]) -> list[list[str]]:
    """Return the paths of byte-identical pictures that differ in one of these labels."""
    by_digest: dict[bytes, list[int]] = {}
    for row, digest in enumerate(material.index["digest"].to_pylist()):
        by_digest.setdefault(digest, []).append(row)
    labels = {axis: material.labels[axis].to_pylist() for axis in axes}
    return [
        [material.index["path"][row].as_py() for row in rows]
        for rows in by_digest.values()
        if any(len({labels[axis][row] for row in rows}) > 1 for axis in axes)
    ]
