"""What identifies a training: the data it saw, what was chosen, and the versions it ran with."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from facecrop.config import fingerprint, plain, read_toml
from facecrop.errors import TableError
from facecrop.index import CARD_FILE, INDEX_FILE
from facecrop.labels.ages import AgePolicy
from facecrop.training.records import Records
from facecrop.training.runs import Run, git_commit, versions

_CHECKED = {
    "crops": "the crops changed",
    "labels": "the labels changed",
    "split": "the split was made anew",
    "policy": "another age policy is active",
}
"""What must not change while a training goes on, with what it means if it did."""


def card_of(out: Path) -> dict[str, Any]:
    """Read `dataset.toml`; empty where a dataset has none."""
    file = out / CARD_FILE
    return read_toml(file) if file.exists() else {}


def digests(out: Path, records: Records) -> dict[str, str]:
    """Return what identifies the data of a training, by name, 64 hex digits each.

    `index` is of the file, which changes with times and inodes too; the others are of what a
    training sees.
    """
    crops = sha256()
    for path, digest in zip(records.paths.to_pylist(), records.digests, strict=True):
        crops.update(f"{path}\0".encode() + digest)
    return {
        "index": _file_digest(out / INDEX_FILE),
        "crops": crops.hexdigest(),
        "labels": _table_digest(records.labels.append_column("kept", pa.array(records.kept))),
        "split": records.split_sha256,
        "policy": policy_digest(records.policy),
        "recipe": str(card_of(out).get("recipe_fingerprint", "")),
    }


def policy_digest(policy: AgePolicy) -> str:
    """Return what identifies an age policy."""
    return fingerprint("age-policy", 1, policy)


def base_facts(out: Path, records: Records, preset: str) -> dict[str, Any]:
    """Return what is known of a training before it begins, for `run.json`."""
    return {
        "preset": preset,
        "split": records.split,
        "policy": plain(records.policy),
        "digests": digests(out, records),
        "versions": versions(),
        "git": git_commit(),
        "card": card_of(out),
    }


def check_unchanged(run: Run, facts: Mapping[str, Any], now: Mapping[str, str]) -> None:
    """Refuse to go on with a training on other data than it began with.

    Raises:
        TableError: Something that a training sees has changed.
    """
    for name, words in _CHECKED.items():
        if facts["digests"][name] != now[name]:
            raise TableError(
                f"run {run.name!r} cannot go on: {words} since it began; train under another --name"
            )


def _file_digest(file: Path) -> str:
    if not file.is_file():
        return ""
    with file.open("rb") as opened:
        digest = sha256()
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _table_digest(table: pa.Table) -> str:
    digest = sha256()
    for name in table.column_names:
        digest.update(name.encode())
        for value in table[name].cast(pa.string()).to_pylist():
            digest.update(b"\1" if value is None else value.encode() + b"\0")
    return digest.hexdigest()
