"""Rows of the index: what a worker hands back, in the columns of the contract."""

from dataclasses import dataclass
from typing import Any

from facecrop.images.choose import Plan
from facecrop.images.findings import LANDMARKS, Candidate, Findings
from facecrop.images.picture import Item, Kept

_SIDES = ("x0", "y0", "x1", "y1")

COLUMNS = (
    "path", "digest",
    "width", "height", "phash", "sharpness", "brightness",
    "status", "reason", "recipe",
    *(f"face_{side}" for side in _SIDES), "face_score", "face_source", "faces",
    *(f"{point}_{axis}" for point in LANDMARKS for axis in "xy"),
    *(f"person_{side}" for side in _SIDES), "person_score", "persons",
    "alpha_coverage",
    *(f"crop_{side}" for side in _SIDES), "rotation",
    "image", "image_sha256", "image_size", "image_mtime_ns", "render_key", "extras_key",
    "alpha_key",
)  # fmt: skip
"""What preprocess finds out about a record, in the order of `values`: columns of `index.parquet`,
and from `image_size` on what only the next run needs to know, which is kept in the store."""

Values = tuple[Any, ...]
"""One value for each of `COLUMNS`: plain, small, and quick to send to another process."""


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one record."""

    item: Item
    digest: bytes | None
    findings: Findings
    plan: Plan
    alpha_coverage: float | None
    alpha_key: bytes | None
    kept: Kept | None


def values(row: Row, recipe: bytes) -> Values:
    """Return the values of `COLUMNS`, for a recipe with this fingerprint."""
    plan, source, kept = row.plan, row.findings.source, row.kept or Kept()
    points = [axis for point in (plan.face.landmarks if plan.face else ()) for axis in point]
    return (
        row.item.path, row.digest,
        source.width, source.height, source.phash, source.sharpness, source.brightness,
        plan.status, plan.reason, recipe,
        *_candidate(plan.face), plan.face_source, plan.faces if row.findings.faces else None,
        *points, *[None] * (2 * len(LANDMARKS) - len(points)),
        *_candidate(plan.person), plan.persons if row.findings.persons is not None else None,
        row.alpha_coverage,
        *(map(int, plan.crop.corners) if plan.crop else [None] * len(_SIDES)),
        plan.rotation if plan.crop else None,
        kept.image, kept.image_sha256, kept.image_size, kept.image_mtime_ns, kept.render_key,
        kept.extras_key,
        row.alpha_key,
    )  # fmt: skip


def _candidate(candidate: Candidate | None) -> tuple[float | None, ...]:
    """Return box and score."""
    if candidate is None:
        return (None,) * (len(_SIDES) + 1)
    return (*candidate.box.corners, candidate.score)
