"""Putting a file or folder in the place of another in one step."""

import ctypes
import errno
import os
import shutil
from pathlib import Path

_HERE = -100
"""Linux's AT_FDCWD: names are relative to the working directory."""
_EXCHANGE = 2
"""Linux's RENAME_EXCHANGE: two names change places."""
_IN_THE_WAY = {errno.EISDIR, errno.ENOTDIR, errno.ENOTEMPTY, errno.EEXIST}
"""What a plain rename says of a folder that is to be replaced, or is to replace something."""

ASIDE = ".was"
"""How the name of a folder ends that was moved away to be replaced."""


def put_in_place(new: Path, path: Path) -> None:
    """Let a file or folder take the name of another one, which goes; nobody sees neither.

    Where the system cannot make two folders change places, the old one is moved aside first: a
    process that is killed in that moment leaves it there, and `restore` brings it back.

    Args:
        new: Beside `path`; whole, and synced.
        path: The name it takes; there may be a file, a folder, or nothing.

    Raises:
        OSError: The folder cannot be written.
    """
    try:
        new.replace(path)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
    else:
        return
    if _exchange(new, path):
        remove(new)
        return
    aside = new.with_suffix(ASIDE)
    path.rename(aside)
    new.rename(path)
    remove(aside)


def sync(folder: Path) -> None:
    """Have the names in a folder reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restore(folder: Path) -> None:
    """Bring back what `put_in_place` moved aside in a folder and did not come to replace.

    Nobody may be writing there.
    """
    for aside in folder.glob(f".*{ASIDE}"):
        path = aside.with_name(aside.name[1:].rpartition(ASIDE)[0].rpartition(".")[0])
        if path.exists():
            remove(aside)
        else:
            aside.rename(path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _exchange(one: Path, other: Path) -> bool:
    """Let two names change places; return whether this system can."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    names = (_HERE, os.fsencode(one), _HERE, os.fsencode(other))
    return int(rename(*names, _EXCHANGE)) == 0
