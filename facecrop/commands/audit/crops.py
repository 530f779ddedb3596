"""Crops of records, for a terminal to show."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.crops import crop_data
from facecrop.images.codec import decode_crop
from facecrop.images.frames import Image
from facecrop.index import INDEX_FILE, read_table


def crops_of(out: Path, paths: Sequence[str]) -> dict[str, Image]:
    """Return the crops of those records that have one that can be read.

    Args:
        out: The dataset.
        paths: Of records; what is none is left out.
    """
    index = read_table(out / INDEX_FILE, ["path", "image"])
    wanted = pc.is_in(index["path"], value_set=pa.array(list(paths), pa.string()))
    found = {}
    for row in index.filter(pc.and_(wanted, pc.is_valid(index["image"]))).to_pylist():
        try:
            image = decode_crop(crop_data(out / row["image"])).image
        except OSError:
            continue
        if image is not None:
            found[row["path"]] = image
    return found
