"""Removing crops that belong to no record any more."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.images.output import KEEP, extra_file


def remove_obsolete(out: Path, before: pa.ChunkedArray, now: pa.ChunkedArray) -> None:
    """Remove crops that belong to no record any more, and what was kept beside them.

    Args:
        out: The dataset.
        before: The column `image` as it was.
        now: The same as it is.
    """
    gone = before.filter(pc.invert(pc.is_in(before, now.combine_chunks()))).drop_null()
    if not len(gone):
        return
    stays = set(now.to_pylist()) - {None}
    in_use = {_target(name) for name in stays}
    for name in gone.to_pylist():
        target = _target(name)
        # After a change of format, what lies beside the new crop bears the same name.
        beside = [] if target in in_use else [extra_file(kind, target) for kind in KEEP]
        for path in (out / file for file in (name, *beside)):
            path.unlink(missing_ok=True)
            _remove_empty(path.parent)


def _target(image: str) -> str:
    """Return a crop's place without its folder and extension: `0001/mask1`."""
    return image.removeprefix("images/").rpartition(".")[0]


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # still in use
