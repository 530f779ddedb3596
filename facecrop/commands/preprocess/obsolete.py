"""Removing crops that belong to no record any more."""

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.commands.streams import Rows, paired
from facecrop.images.output import KEEP, extra_file

_COLUMNS = ("path", "image")
_FEW = 1 << 12
"""So many names are looked for in each part of the rows; more, in all rows at once."""


def remove_obsolete(out: Path, before: pa.Array, now: Rows) -> None:
    """Remove crops that belong to no record any more, and what was kept beside them.

    Args:
        out: The dataset.
        before: Crops that records had (`replaced`).
        now: The rows of all records, with `image`.
    """
    if not len(before):
        return
    stays = _those_in_use(before, (rows["image"] for rows in now(_COLUMNS)))
    gone = before.filter(pc.invert(pc.is_in(before, stays)))
    targets = pa.array(map(_target, gone.to_pylist()), pa.string())
    in_use = set(
        _those_in_use(targets, (_targets(rows["image"]) for rows in now(_COLUMNS))).to_pylist()
    )
    for name, target in zip(gone.to_pylist(), targets.to_pylist(), strict=True):
        # After a change of format, what lies beside the new crop bears the same name.
        beside = [] if target in in_use else [extra_file(kind, target) for kind in KEEP]
        for path in (out / file for file in (name, *beside)):
            path.unlink(missing_ok=True)
            _remove_empty(path.parent)


def replaced(before: Rows, now: Rows) -> pa.Array:
    """Return the crops that records had and have not any more, unless some other record has.

    Args:
        before: The rows as they were, with `image`.
        now: The same as they are.
    """
    gone = [pa.array([], pa.string())]
    for old, new in paired(before(_COLUMNS), now(_COLUMNS)):
        if not len(old) or (len(new) and old["image"].equals(new["image"])):
            continue
        images = old["image"].combine_chunks().drop_null()
        stays = new["image"].combine_chunks() if len(new) else pa.array([], pa.string())
        gone.append(images.filter(pc.invert(pc.is_in(images, stays))))
    return pa.concat_arrays(gone)


def _those_in_use(names: pa.Array, used: Iterable[pa.ChunkedArray]) -> pa.Array:
    """Return those of some names that are used."""
    if len(names) > _FEW:
        whole = pa.chunked_array([chunk for part in used for chunk in part.chunks], pa.string())
        return names.filter(pc.is_in(names, whole.combine_chunks()))
    found = [part.filter(pc.is_in(part, names)).combine_chunks() for part in used]
    return pa.concat_arrays([pa.array([], pa.string()), *found])


def _targets(images: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.replace_substring_regex(images, r"(?s)^images/(.*)\.[^.]*$", r"\1")


def _target(image: str) -> str:
    """Return a crop's place without its folder and extension: `0001/mask1`."""
    return image.removeprefix("images/").rpartition(".")[0]


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # still in use
