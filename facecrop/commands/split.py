"""Split a dataset into training and validation so that nobody is in both."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from facecrop.checks.duplicates import Found, Report, find_duplicates
from facecrop.config import validate
from facecrop.errors import ConfigError
from facecrop.index import INDEX_FILE, LABELS_FILE, read_columns, read_table
from facecrop.labels.certificate import (
    LABEL_COLUMNS,
    read_split,
    refuse_pending,
    verify_split,
    write_split,
)
from facecrop.labels.current import BATCH_ROWS
from facecrop.labels.people import People, people_of, usable_rows
from facecrop.labels.sampling import sample
from facecrop.labels.split_table import (
    SPLIT_FROM,
    cells_of_folds,
    groups_over,
    old_folds,
    placed_deviation,
    split_rows,
)
from facecrop.labels.splits import (
    LARGE_GROUP,
    Placement,
    SplitSettings,
    deal_images,
    place,
)
from facecrop.labels.splits import extend as extend_placement

__all__ = ["SplitResult", "split", "verify_split"]


@dataclass(frozen=True, slots=True)
class SplitResult:
    """What became of a dataset.

    Args:
        name: Of the split.
        settings: How it was made.
        cells: People by fold and cell (`male young`, ...).
        people: How many there are.
        groups: How many groups they form.
        links: Duplicate links by kind.
        candidates: Pairs of pictures that looked alike.
        large_groups: Groups of more than five people, each a list of profiles.
        set_aside: Profiles that no fold takes, each with those it would have joined.
        missing: Pairs of a fold and a class of pictures or people that it lacks.
        share_deviation: Largest difference of a class's share of a fold from its share of all.
        size_deviation: Largest difference of a fold's size from the wanted one, as a share of all.
        warnings: What a user should know.
    """

    name: str
    settings: SplitSettings
    cells: dict[str, dict[str, int]]
    people: int
    groups: int
    links: dict[str, int]
    candidates: int
    large_groups: list[list[str]]
    set_aside: dict[str, list[str]]
    missing: int
    share_deviation: float
    size_deviation: float
    warnings: list[str] = field(default_factory=list)


def split(
    out: Path,
    name: str = "default",
    settings: SplitSettings | None = None,
    extend: str | None = None,
    report: Report | None = None,
) -> SplitResult:
    """Split a dataset into training and validation so that nobody is in both.

    Writes `splits/<name>.parquet` and its certificate. The same seed gives the same split on any
    machine, in whatever order the records lie.

    Args:
        out: The dataset.
        name: Of the new split.
        settings: How; with `extend` None, as the old split was made.
        extend: Name of an old split whose people keep their folds; only new ones are placed.
        report: Called with what takes its time, how much of it is done, and of how much.

    Raises:
        ConfigError: There are too few people, or an extended split would have to move somebody.
        TableError: A table is missing, or records are pending.
    """
    # Columns are read when they are needed, and not kept: all at once they may not fit a memory.
    status = read_table(out / INDEX_FILE, ["status"])
    refuse_pending(status, out)
    labels = read_table(out / LABELS_FILE, list(LABEL_COLUMNS))
    old = None if extend is None else read_split(out, extend, ["profile", "fold"])
    if old is not None and settings not in (None, old.settings):
        raise ConfigError(f"--extend keeps the settings of {extend!r}; give no others with it")
    settings = old.settings if old else settings or SplitSettings()
    if old is not None and settings.strategy == "random":
        raise ConfigError(f"{extend!r} is a random split; only splits by person can be extended")
    usable = usable_rows(status["status"], labels["kept"])
    people = people_of(read_table(out / INDEX_FILE, ["profile"])["profile"], labels, usable)
    del status, labels
    pa.default_memory_pool().release_unused()  # else it keeps what they took
    found = find_duplicates(
        out,
        lambda names: read_table(out / INDEX_FILE, names),
        people.of_rows,
        settings.radius,
        settings.agreement,
        report=report,
    )
    pairs = [
        (int(people.of_rows[link.first]), int(people.of_rows[link.second])) for link in found.links
    ]
    if old is None:
        placement = place(people, pairs, settings)
    else:
        placement = extend_placement(people, pairs, settings, old_folds(people, old.table))
    folds = placement.folds[people.of_rows]
    if settings.strategy == "random":
        folds = deal_images(read_table(out / INDEX_FILE, ["path"])["path"], settings)
    drawn = sample(
        settings.sampling,
        read_table(out / LABELS_FILE, settings.sampling.columns),
        persons=people.of_rows,
        usable=usable,
        folds=folds,
        folds_in_turn=settings.folds if settings.strategy == "kfold" else None,
        seed=settings.seed,
    )
    cells = {} if settings.strategy == "random" else cells_of_folds(people, folds)
    result = _result(name, settings, cells, people=people, placement=placement, found=found)
    rows = split_rows(
        read_columns(out / INDEX_FILE, list(SPLIT_FROM), BATCH_ROWS),
        people,
        placement,
        folds=folds,
        kept=drawn.kept,
        weights=drawn.weights,
    )
    write_split(out, name, rows, settings, _facts(result, out, found))
    return result


def read_settings(data: Mapping[str, Any]) -> SplitSettings:
    """Return the settings of a split from plain data, as they are nested in TOML.

    Raises:
        ConfigError: Some setting does not exist or make sense.
    """
    return validate(SplitSettings, data, "split")


def _result(
    name: str,
    settings: SplitSettings,
    cells: dict[str, dict[str, int]],
    *,
    people: People,
    placement: Placement,
    found: Found,
) -> SplitResult:
    off = placed_deviation(people, placement, settings.shares)
    n_groups, large = groups_over(people, placement, LARGE_GROUP)
    result = SplitResult(
        name,
        settings,
        cells,
        len(people.profiles),
        n_groups,
        dict(sorted(Counter(link.kind for link in found.links).items())),
        found.candidates,
        large,
        {
            people.profiles[one]: [people.profiles[other] for other in others]
            for one, others in sorted(placement.bridges.items())
        },
        off.missing,
        off.share,
        off.size,
    )
    result.warnings.extend(_warnings(result, found))
    return result


def _warnings(result: SplitResult, found: Found) -> list[str]:
    warnings = []
    if result.settings.strategy == "random":
        warnings.append(
            "this split is random: pictures of one person lie on both sides, and validation will "
            "look far better than the model is; use it to show that, and nothing else"
        )
    warnings += [
        f"{len(group)} people are linked by duplicates into one group, beginning with "
        f"{group[0]!r}; look at them before you trust it"
        for group in result.large_groups
    ]
    if result.set_aside:
        warnings.append(
            f"{len(result.set_aside)} new people bridge folds of the old split and are set aside: "
            f"{', '.join(map(repr, list(result.set_aside)[:5]))}"
        )
    if result.missing and result.settings.strategy not in ("random", "profile"):
        warnings.append(
            f"{result.missing} times a fold lacks a class, as there are too few people of it"
        )
    if found.unread:
        warnings.append(
            f"{found.unread} records look like somebody else's but have no crop to prove it by"
        )
    if found.radius < result.settings.radius:
        warnings.append(
            f"very many pictures look alike: only hashes that differ in at most {found.radius} "
            f"bits were compared, not {result.settings.radius}; copies that are cropped may be "
            "missed"
        )
    return warnings


def _facts(result: SplitResult, out: Path, found: Found) -> dict[str, Any]:
    paths = read_table(out / INDEX_FILE, ["path"])["path"]
    links = [
        {
            "kind": link.kind,
            "score": link.score,
            "paths": [paths[link.first].as_py(), paths[link.second].as_py()],
        }
        for link in found.links
    ]
    return {
        "links": links,
        "candidates": found.candidates,
        "large_groups": result.large_groups,
        "set_aside": result.set_aside,
        "cells": result.cells,
        "missing": result.missing,
        "share_deviation": round(result.share_deviation, 6),
        "size_deviation": round(result.size_deviation, 6),
    }
