"""The folder of an export: whole or not there, and never over what somebody else wrote."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from facecrop.config import toml_text
from facecrop.errors import ConfigError, StoreError

MARKER = "export.toml"
"""What every export has: how it was made, and that it may be replaced."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Where an export is written.

    Args:
        path: The folder, empty at first.
    """

    path: Path

    def write_text(self, name: str, text: str) -> None:
        """Write a file, UTF-8; folders on the way are made."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")

    def write_json(self, name: str, data: object) -> None:
        """Write a file as JSON, names and texts as they are."""
        self.write_text(name, json.dumps(data, ensure_ascii=False, indent=1) + "\n")


@contextmanager
def export_folder(
    target: Path, facts: Mapping[str, object], *, apart: Mapping[str, Path], overwrite: bool
) -> Iterator[Folder]:
    """Make a folder that is there, whole, when the context ends without an error.

    Args:
        target: Where it shall be.
        facts: What `export.toml` says.
        apart: Folders in which it must not lie, and which must not lie in it, by what they are.
        overwrite: Replace an earlier export; nothing else is ever replaced.

    Raises:
        ConfigError: The target is not empty, or lies where no export belongs.
        StoreError: It cannot be written.
    """
    whole = target.resolve()
    _check(target, whole, apart, overwrite=overwrite)
    temporary, aside = (
        whole.with_name(f".{whole.name}.{uuid4().hex}.{end}") for end in ("tmp", "old")
    )
    try:
        temporary.mkdir(parents=True)
        folder = Folder(temporary)
        yield folder
        text = "# What this folder was made from. Written by facecrop export.\n"
        folder.write_text(MARKER, text + toml_text(facts))
        if whole.exists():
            whole.rename(aside)
        temporary.rename(whole)
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror or error}") from None
    finally:
        if aside.exists() and not whole.exists():
            aside.rename(whole)
        for gone in (temporary, aside):
            shutil.rmtree(gone, ignore_errors=True)


def _check(target: Path, whole: Path, apart: Mapping[str, Path], *, overwrite: bool) -> None:
    for what, folder in apart.items():
        if whole == folder.resolve() or folder.resolve() in whole.parents:
            raise ConfigError(f"{target} lies in {what} {folder}; export to a folder outside")
        if whole in folder.resolve().parents:
            raise ConfigError(f"{target} holds {what} {folder}; export to a folder beside it")
    if whole.exists() and not whole.is_dir():
        raise ConfigError(f"{target} is a file; name a folder")
    if not whole.is_dir() or not any(whole.iterdir()):
        return
    if not (whole / MARKER).is_file():
        raise ConfigError(f"{target} is not empty, and no export lies there; name another folder")
    if not overwrite:
        raise ConfigError(f"{target} holds an export; replace it with --overwrite")
