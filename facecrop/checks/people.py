"""Faces that contradict the folders: somebody else in a profile, one person in two profiles."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.faces import Vectors
from facecrop.checks.material import Material
from facecrop.checks.rows import row_issues

_LEAST = 3
"""Faces of a profile from which it can be told which of them is the stranger."""
_ENOUGH = 50
"""Faces with a mask label from which it is known how alike those of one person are."""
_FAR = 3.0
"""Robust deviations below the usual: a face with a mask is less like the one without."""
_TO_SIGMA = 1.4826
_AT_ONCE = 1024

Numbers = NDArray[np.float64]


def _strangers(material: Material) -> Iterator[Issue]:
    vectors = material.faces
    own, rest = _likeness(material, vectors)
    limit = material.limits.same_person
    usual = _usual(material, own)
    # The others must agree on who it is, or nobody could say which of them is the stranger.
    hit = (own < limit) & (own < usual) & (rest >= limit)
    rows = material.rows

    def reason(row: dict[str, object]) -> str:
        here = rows[str(row["path"])]
        return (
            f"its face is like the profile's others by {own[here]:.2f}, they by {rest[here]:.2f} "
            "among themselves"
        )

    yield from row_issues(
        material,
        STRANGER.name,
        STRANGER.severity,
        hit,
        score=np.nan_to_num((rest - own) / 2 + 0.5),
        reason=reason,
        facts={"likeness": own, "others": rest},
    )


def _likeness(material: Material, vectors: Vectors) -> tuple[Numbers, Numbers]:
    """Return how like a face is to the others of its profile, and they among themselves, (N,)."""
    own, rest = (np.full(len(vectors), np.nan) for _ in range(2))
    for rows in _profiles(material, vectors).values():
        if len(rows) < _LEAST:
            continue
        cosines = (vectors[rows] @ vectors[rows].T).astype(np.float64)
        for place, row in enumerate(rows.tolist()):
            others = np.delete(np.arange(len(rows)), place)
            own[row] = np.median(cosines[place, others])
            pairs = cosines[np.ix_(others, others)]
            rest[row] = np.median(pairs[np.triu_indices(len(others), 1)])
    return own, rest


def _profiles(material: Material, vectors: Vectors) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each profile's faces."""
    names = material.index["profile"].to_pylist()
    found: defaultdict[str, list[int]] = defaultdict(list)
    for row in np.flatnonzero(np.isfinite(vectors[:, 0])).tolist():
        found[names[row]].append(row)
    return {name: np.array(rows) for name, rows in found.items()}


def _usual(material: Material, own: Numbers) -> Numbers:
    """Return below which likeness a face stands out among those with its mask label, (N,)."""
    masks = np.array([mask or "" for mask in material.labels["mask"].to_pylist()])
    limits = np.full(len(own), np.inf)
    for mask in Counter(masks.tolist()):
        rows = (masks == mask) & np.isfinite(own)
        if rows.sum() >= _ENOUGH:
            median = np.median(own[rows])
            spread = _TO_SIGMA * np.median(np.abs(own[rows] - median))
            limits[rows] = median - _FAR * spread
    return limits


def _twice(material: Material) -> Iterator[Issue]:
    vectors = material.faces
    profiles = _profiles(material, vectors)
    names = list(profiles)
    if len(names) < 2:  # noqa: PLR2004 - nobody to compare with
        return
    means = np.stack([vectors[rows].mean(axis=0) for rows in profiles.values()])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    own, _ = _likeness(material, vectors)
    known = own[np.isfinite(own)]
    # As alike as the pictures of one person are, not merely as alike as two may be by chance.
    limit = max(material.limits.same_person, float(np.median(known)) if len(known) else 0.0)
    for start in range(0, len(names), _AT_ONCE):
        cosines = means[start : start + _AT_ONCE] @ means.T
        for here, other in np.argwhere(cosines > limit).tolist():
            if start + here < other:
                yield _pair(
                    material,
                    [names[start + here], names[other]],
                    [profiles[names[start + here]], profiles[names[other]]],
                    float(cosines[here, other]),
                )


def _pair(
    material: Material, names: list[str], rows: list[NDArray[np.int64]], cosine: float
) -> Issue:
    paths = [str(material.index["path"][int(some[0])].as_py()) for some in rows]
    return Issue(
        TWICE.name,
        TWICE.severity,
        names[0],
        tuple(paths),
        f"the faces of {names[0]} and {names[1]} are alike by {cosine:.2f}, as those of one person",
        round(min(max(cosine, 0.0), 1.0), 4),
        issue_key(TWICE.name, *sorted(_content(material, rows))),
        (),
        {"likeness": round(cosine, 4)},
    )


def _content(material: Material, rows: list[NDArray[np.int64]]) -> list[str]:
    every = np.concatenate(rows)
    taken = material.index.select(["digest", "path"]).take(every)
    hexes = [digest.hex() if digest else None for digest in taken["digest"].to_pylist()]
    paths = pc.cast(taken["path"], "string").to_pylist()
    return [one or other for one, other in zip(hexes, paths, strict=True)]


STRANGER = Check(
    name="wrong-person",
    title="pictures that show somebody else than the rest of the profile",
    severity="warning",
    cure="look at the profile side by side; set the stranger aside, or move the file in RAW",
    needs=("raw", "embeddings"),
    find=_strangers,
)
TWICE = Check(
    name="one-person-twice",
    title="profiles that seem to show one person",
    severity="warning",
    cure="look at both; if they are one, give them one folder in RAW, so that no split parts them",
    needs=("raw", "embeddings"),
    find=_twice,
)
