"""What exporters see of a dataset: records with their labels, boxes and findings of the audit."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facecrop.checks.check import Issue
from facecrop.commands.audit.files import ISSUES, read_accepted, read_issues
from facecrop.commands.exports.pictures import Pictures, Placed
from facecrop.errors import ConfigError, TableError
from facecrop.index import INDEX_FILE, LABELS_FILE, Status, read_table
from facecrop.labels.certificate import read_split, refuse_pending, split_files
from facecrop.training.regions import Boxes, boxes_in_crops, boxes_in_sources

Images = Literal["crops", "source"]
IMAGES: tuple[Images, ...] = ("crops", "source")
DEFAULT_SPLIT = "default"
THINGS = ("face", "person")
_LABELS = ("mask", "gender", "age", "age_group")


@dataclass(frozen=True, slots=True)
class Entry:
    """A record as exporters see it; what is not known is left out of the mappings.

    Args:
        path: Its key.
        profile: Its person.
        labels: `mask`, `gender`, `age` (years), `age_group`, as `labels.parquet` has them.
        kept_reason: Why it is not kept; None if it is.
        status: `ok` or `fallback`.
        part: `train` or `val`; None without a split, or where the split sets it aside.
        boxes: `face` and `person`, each x0, y0, x1, y1 as fractions of the exported picture.
        scores: What their detectors said, in [0, 1].
        issues: What the last audit found about it and nobody accepted, the worst first.
    """

    path: str
    profile: str
    labels: Mapping[str, str | int]
    kept_reason: str | None
    status: str
    part: str | None
    boxes: Mapping[str, tuple[float, float, float, float]]
    scores: Mapping[str, float]
    issues: tuple[Issue, ...]


@dataclass(frozen=True, slots=True)
class Material:
    """A dataset, ready to be exported.

    Args:
        out: The dataset.
        entries: The records, in the order of the index.
        split: Name of the split that parts come from, None if there is none.
        pictures: Where pictures come from.
        image_root: What the addresses of pictures begin with, for tools that fetch them.
        left_out: Records that are not here, by why.
        report: Told how many pictures are done, and of how many.
    """

    out: Path
    entries: tuple[Entry, ...]
    split: str | None
    pictures: Pictures
    image_root: str
    left_out: Mapping[str, int]
    report: Callable[[int, int], None] | None = None

    @property
    def parts(self) -> dict[str | None, list[Entry]]:
        """The records of each part, `train` first; all of them as None where there is no split."""
        if self.split is None:
            return {None: list(self.entries)}
        found = {
            part: [entry for entry in self.entries if entry.part == part]
            for part in ("train", "val")
        }
        return {part: entries for part, entries in found.items() if entries}

    def place(self, number: int, entry: Entry, folder: Path) -> Placed:
        """Put the picture of a record below a folder; `number` counts from 0 over all records."""
        placed = self.pictures.place(entry.path, folder)
        if self.report is not None:
            self.report(number + 1, len(self.entries))
        return placed


def gather_export(
    out: Path,
    *,
    images: str = "crops",
    split: str | None = None,
    everything: bool = False,
    suspects: bool = False,
    image_root: str = "",
    link: bool = False,
    parted: bool = False,
    report: Callable[[int, int], None] | None = None,
) -> Material:
    """Read what an export needs of a dataset.

    Args:
        out: The dataset.
        images: `crops`, or `source` for the raw pictures.
        split: Its name; None: `default`, if there is one.
        everything: Also what is set aside, or left out by the age policy.
        suspects: Only what the last audit found something about.
        image_root: As in `Material`.
        link: Link pictures instead of copying them.
        parted: What a split sets aside has no place in the export.
        report: As in `Material`.

    Raises:
        TableError: A table is missing or damaged, records are pending, or nothing is left.
        ConfigError: There is no such split, or nothing was audited.
    """
    if images not in IMAGES:
        raise ConfigError(f"images are {' or '.join(IMAGES)}, got {images!r}")
    index = read_table(out / INDEX_FILE).combine_chunks()
    refuse_pending(index, out)
    labels = read_table(out / LABELS_FILE).combine_chunks()
    if labels["path"].to_pylist() != index["path"].to_pylist():
        raise TableError(
            f"{out / LABELS_FILE} does not list the records of {INDEX_FILE}; "
            f"run: facecrop preprocess RAW {out}"
        )
    pictures = Pictures.of(out, index, source=images == "source", link=link)
    split = split or _default_split(out)
    parts = {} if split is None else _parts(out, split)
    issues = _Issues(out, needed=suspects)
    found: list[Entry] = []
    left_out: Counter[str] = Counter()
    inside = (
        boxes_in_sources(index, THINGS)
        if images == "source"
        else boxes_in_crops(index, THINGS, out)
    )
    for entry in _entries(index, labels, inside, parts, issues):
        why = _left_out(entry, parts if parted else None, everything=everything)
        why = "not doubted by the last audit" if suspects and not (why or entry.issues) else why
        if why is None:
            found.append(entry)
        else:
            left_out[why] += 1
    if not found:
        reasons = ", ".join(f"{count:,} {why}" for why, count in sorted(left_out.items()))
        raise TableError(f"nothing of {out} is left to export: {reasons or 'it is empty'}")
    return Material(
        out, tuple(found), split, pictures, image_root, dict(sorted(left_out.items())), report
    )


def _left_out(
    entry: Entry, parts: Mapping[str, str | None] | None, *, everything: bool
) -> str | None:
    if entry.status not in (Status.OK, Status.FALLBACK):
        return "without a crop"
    if entry.kept_reason is not None and not everything:
        return "not kept"
    if parts and parts.get(entry.path) is None:
        return "in no part of the split"
    return None


def _default_split(out: Path) -> str | None:
    return DEFAULT_SPLIT if split_files(out, DEFAULT_SPLIT)[0].exists() else None


def _parts(out: Path, name: str) -> dict[str, str | None]:
    table = read_split(out, name).table
    return dict(zip(table["path"].to_pylist(), table["part"].to_pylist(), strict=True))


def _entries(
    index: pa.Table,
    labels: pa.Table,
    boxes: Boxes,
    parts: Mapping[str, str | None],
    issues: "_Issues",
) -> list[Entry]:
    cropped = pc.is_valid(index["image"]).to_pylist()
    scores = [index[f"{thing}_score"].to_pylist() for thing in THINGS]
    facts = index.select(["path", "profile", "status"]).to_pylist()
    entries = []
    for row, (fact, said) in enumerate(zip(facts, labels.to_pylist(), strict=True)):
        kept_reason = None if said["kept"] else said["kept_reason"] or "not kept"
        known = [n for n in range(len(THINGS)) if not np.isnan(boxes[row, n]).any()]
        entries.append(
            Entry(
                fact["path"],
                fact["profile"],
                {name: said[name] for name in _LABELS if said[name] is not None},
                kept_reason,
                fact["status"] if cropped[row] else Status.REJECT.value,
                parts.get(fact["path"]),
                {THINGS[n]: _corners(boxes[row, n]) for n in known},
                {THINGS[n]: float(scores[n][row]) for n in known if scores[n][row] is not None},
                issues.about(fact["path"], fact["profile"]),
            )
        )
    return entries


def _corners(box: Any) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box.tolist()
    return x0, y0, x1, y1


class _Issues:
    """What the last audit found, by record.

    Args:
        out: The dataset.
        needed: Whether there must have been an audit.
    """

    def __init__(self, out: Path, *, needed: bool) -> None:
        self._by_path: dict[str, list[Issue]] = {}
        self._by_profile: dict[str, list[Issue]] = {}
        if not (out / ISSUES).exists():
            if needed:
                raise ConfigError(f"{out} was not audited yet; run: facecrop audit {out}")
            return
        accepted = read_accepted(out)
        for issue in read_issues(out / ISSUES):
            if issue.key in accepted:
                continue
            for path in issue.paths:
                self._by_path.setdefault(path, []).append(issue)
            if issue.profile and not issue.paths:
                self._by_profile.setdefault(issue.profile, []).append(issue)

    def about(self, path: str, profile: str) -> tuple[Issue, ...]:
        """Return what was found about a record or its person, the surest first."""
        found: Sequence[Issue] = [
            *self._by_path.get(path, ()),
            *self._by_profile.get(profile, ()),
        ]
        return tuple(sorted(found, key=lambda one: (-one.score, one.check, one.key)))
