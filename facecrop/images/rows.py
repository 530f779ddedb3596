"""Rows of the index: what a worker hands back, in the columns of the contract."""

from dataclasses import dataclass
from typing import Any

from facecrop.images.choose import Plan
from facecrop.images.findings import LANDMARKS, Candidate, Findings
from facecrop.images.picture import Item, Kept

STATE_COLUMNS = ("image_size", "image_mtime_ns", "render_key", "extras_key")
"""What the next run needs to know about files in OUT; with `alpha_key`, the key of the matte's
finding, kept in the store and not in the index."""

_SIDES = ("x0", "y0", "x1", "y1")


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


def columns(row: Row, recipe: bytes) -> dict[str, Any]:
    """Return the columns of `index.parquet` that preprocess finds out, and those of the state."""
    plan, source, kept = row.plan, row.findings.source, row.kept
    values: dict[str, Any] = {
        "path": row.item.path,
        "digest": row.digest,
        "width": source.width,
        "height": source.height,
        "phash": source.phash,
        "sharpness": source.sharpness,
        "brightness": source.brightness,
        "status": plan.status,
        "reason": plan.reason,
        "image": kept.image if kept else None,
        "image_sha256": kept.image_sha256 if kept else None,
        "recipe": recipe,
        "face_source": plan.face_source,
        "faces": plan.faces if row.findings.faces else None,
        "persons": plan.persons if row.findings.persons is not None else None,
        "alpha_coverage": row.alpha_coverage,
        "rotation": plan.rotation if plan.crop else None,
    }
    values |= _candidate("face", plan.face) | _candidate("person", plan.person)
    landmarks = plan.face.landmarks if plan.face else ()
    for name, (x, y) in zip(LANDMARKS, landmarks, strict=False):
        values |= {f"{name}_x": x, f"{name}_y": y}
    if plan.crop is not None:
        values |= {
            f"crop_{side}": int(value)
            for side, value in zip(_SIDES, plan.crop.corners, strict=True)
        }
    values |= {name: getattr(kept, name) if kept else None for name in STATE_COLUMNS}
    return values | {"alpha_key": row.alpha_key}


def _candidate(kind: str, candidate: Candidate | None) -> dict[str, float]:
    if candidate is None:
        return {}
    sides = {
        f"{kind}_{side}": value for side, value in zip(_SIDES, candidate.box.corners, strict=True)
    }
    return sides | {f"{kind}_score": candidate.score}
