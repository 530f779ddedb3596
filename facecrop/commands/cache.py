"""`facecrop cache`: how large the store of a dataset is, and dropping what it needs no more."""

from dataclasses import dataclass
from pathlib import Path

from facecrop.config import read_toml
from facecrop.errors import TableError
from facecrop.index import CARD_FILE
from facecrop.store import Store


@dataclass(frozen=True, slots=True)
class CacheRow:
    """The findings of one finder.

    Args:
        label: Its name, or the beginning of its key if the current recipe does not use it.
        findings: How many.
        size_bytes: On disk.
        in_use: Whether the current recipe asks this finder, with these settings and weights.
    """

    label: str
    findings: int
    size_bytes: int
    in_use: bool


def cache_size(out: Path) -> list[CacheRow]:
    """Return what the findings of a dataset take on disk, by finder.

    Raises:
        TableError: There is no dataset.
    """
    labels = {key: label for label, key in _keys(out).items()}
    return [
        CacheRow(labels.get(key, key[:12]), findings, size, key in labels)
        for key, (findings, size) in Store(out / ".store").size().items()
    ]


def cache_prune(out: Path) -> int:
    """Delete the findings that the dataset's current recipe does not use; return the bytes freed.

    Raises:
        TableError: There is no dataset.
        StoreError: Another process is writing it.
    """
    keys = _keys(out)
    store = Store(out / ".store")
    with store.locked():
        return store.prune(keys.values())


def _keys(out: Path) -> dict[str, str]:
    if not (out / CARD_FILE).is_file():
        raise TableError(
            f"{out} is no finished dataset: it has no {CARD_FILE}; "
            f"run: facecrop preprocess RAW {out}"
        )
    return {
        label: str(finder["key"]) for label, finder in read_toml(out / CARD_FILE)["finders"].items()
    }
