"""`facecrop cache`: how large the store of a dataset is, and dropping what it needs no more."""

import shutil
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facecrop.checks import measured
from facecrop.commands.card import known_cards
from facecrop.commands.predict.crops import kept_crops
from facecrop.commands.preprocess.parts import find_parts
from facecrop.errors import ConfigError, StoreError, TableError
from facecrop.index import CARD_FILE, INDEX_FILE, read_table
from facecrop.store import Store
from facecrop.training import pixels
from facecrop.training.records import crop_digests
from facecrop.training.runs import list_runs

FINDINGS, MEASURED, TRAINING, PREDICTION = "findings", "measured", "training", "prediction"
"""Kinds of what is kept: by preprocess, by checks and stats, by trainings, and by predict."""


@dataclass(frozen=True, slots=True)
class CacheRow:
    """Something that the store keeps.

    Args:
        kind: One of those above.
        label: A finder's name, or the beginning of its key if the current recipe does not use it;
            what was measured, and its version; the size of arrays for trainings; the raw pictures
            that crops for predictions were made of.
        entries: Findings, values or pictures.
        size_bytes: On disk.
        in_use: Whether it would be asked for again: by the current recipe, by this version's
            checks, with the current crops, by a run that is there.
    """

    kind: str
    label: str
    entries: int
    size_bytes: int
    in_use: bool


def cache_size(out: Path) -> list[CacheRow]:
    """Return what the store of a dataset takes on disk, by kind and by what is in it.

    Raises:
        TableError: There is no dataset.
    """
    return _rows(out, _look(out))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What there is, and what of it is used.

    Args:
        labels: The finders that are in use, label by key.
        arrays: The trainings' arrays: the file, count, height and width, and whether it is used.
        crops: As `kept_crops` returns them.
    """

    labels: dict[str, str]
    arrays: list[tuple[Path, tuple[int, int, int], bool]]
    crops: list[tuple[Path, Path | None, bool]]


def _look(out: Path) -> _Kept:
    return _Kept(_keys(out), _arrays(out), kept_crops(out))


def _rows(out: Path, kept: _Kept) -> list[CacheRow]:
    store = out / ".store"
    rows = [
        CacheRow(FINDINGS, kept.labels.get(key, key[:12]), count, size, key in kept.labels)
        for key, (count, size) in Store(store).size().items()
    ]
    rows += [
        CacheRow(MEASURED, name, count, size, name in measured.kinds())
        for name, (count, size) in Store(store, measured.FOLDER).size().items()
    ]
    rows += [
        CacheRow(
            TRAINING, f"{width} x {height}", count, _bytes([file, pixels.facts_file(file)]), used
        )
        for file, (count, height, width), used in kept.arrays
    ]
    rows += [
        CacheRow(
            PREDICTION,
            str(data or folder.name),
            _pictures(folder),
            _bytes(folder.rglob("*")),
            used,
        )
        for folder, data, used in kept.crops
    ]
    return rows


def cache_prune(out: Path) -> dict[str, int]:
    """Delete what nothing refers to any more; return the bytes freed by kind.

    Findings of finders that neither the current recipe nor an unmerged shard asks; what was
    measured on pictures that are gone, or by another version; arrays of crops that are no longer
    the current ones; crops made for predictions whose raw pictures, or runs, are gone.

    Raises:
        TableError: There is no dataset.
        StoreError: Another process is writing it.
    """
    _keys(out)  # refuses what is no dataset, before a lock makes a store of it
    store = Store(out / ".store")
    with store.locked():
        kept = _look(out)
        before = _sizes(_rows(out, kept))
        store.prune(kept.labels)
        measured.prune(out, _digests(out))
        _prune_arrays(out, kept)
        _prune_predictions(kept)
        after = _sizes(_rows(out, kept))
    return {kind: size - after[kind] for kind, size in before.items()}


def _sizes(rows: Iterable[CacheRow]) -> Counter[str]:
    """Return the bytes of each kind."""
    sizes = Counter[str]()
    for row in rows:
        sizes[row.kind] += row.size_bytes
    return sizes


def _keys(out: Path) -> dict[str, str]:
    """Return the finders that are in use, label by key: the dataset's, and those of its shards."""
    if not (out / CARD_FILE).is_file():
        raise TableError(
            f"{out} is no finished dataset: it has no {CARD_FILE}; "
            f"run: facecrop preprocess RAW {out}"
        )
    cards = known_cards(out, [part.card for part in find_parts(out)])
    return {
        str(finder["key"]): label for card in cards for label, finder in card["finders"].items()
    }


def _digests(out: Path) -> set[bytes]:
    """Return the digests of the dataset's raw pictures and crops."""
    index = read_table(out / INDEX_FILE, ["digest", "image_sha256"])
    return {one for name in index.column_names for one in index[name].drop_null().to_pylist()}


def _arrays(out: Path) -> list[tuple[Path, tuple[int, int, int], bool]]:
    found = []
    for file in sorted((out / pixels.FOLDER).glob("*.npy")):
        if file.name.endswith(".facts.npy"):
            continue
        with suppress(OSError, ValueError):  # half-written, or of no such kind
            found.append((file, np.load(file, mmap_mode="r").shape[:3]))
    if not found:
        return []
    digests = crop_digests(out)
    crops: set[tuple[int, int] | None] = {None}
    for run in list_runs(out):
        with suppress(ConfigError, TableError):  # a run of another version
            crops.add(run.settings().input.center_crop)
    return [
        (
            file,
            (count, height, width),
            any(file.stem == pixels.pixels_key(digests, (height, width), crop) for crop in crops),
        )
        for file, (count, height, width) in found
    ]


def _prune_arrays(out: Path, kept: _Kept) -> None:
    if not (out / pixels.FOLDER).is_dir():
        return
    with pixels.building(out / pixels.FOLDER):
        for file, _, used in kept.arrays:
            if not used:
                file.unlink(missing_ok=True)
                pixels.facts_file(file).unlink(missing_ok=True)


def _prune_predictions(kept: _Kept) -> None:
    for folder, _, used in kept.crops:
        if not used:
            with suppress(StoreError), Store(folder / ".store").locked():  # else it is being made
                shutil.rmtree(folder, ignore_errors=True)


def _pictures(folder: Path) -> int:
    return len(read_table(folder / INDEX_FILE, ["path"])) if (folder / INDEX_FILE).exists() else 0


def _bytes(files: Iterable[Path]) -> int:
    total = 0
    for file in files:
        with suppress(FileNotFoundError):
            total += file.stat().st_size if file.is_file() else 0
    return total
