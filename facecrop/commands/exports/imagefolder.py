"""Hugging Face imagefolder: pictures with a `metadata.parquet` beside them, a folder for each part.

`datasets.load_dataset(FOLDER)` reads it; the columns are those of `images/metadata.parquet`.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.commands.card import joined_tables
from facecrop.commands.exports.folder import Folder
from facecrop.commands.exports.material import Material
from facecrop.index import write_batches

PARTS = {None: "train", "train": "train", "val": "validation"}
"""Folders by part; what is not split is `train`, as the library itself would call it."""


def export(material: Material, folder: Folder) -> None:
    """Write a dataset as an imagefolder with a card that names its parts."""
    number = 0
    for part, entries in material.parts.items():
        place = folder.path / PARTS[part]
        names = {}
        for entry in entries:
            names[entry.path] = material.place(number, entry, place).name
            number += 1
        _write_metadata(material.out, names, place / "metadata.parquet")
    folder.write_text("README.md", _card([PARTS[part] for part in material.parts]))


def _write_metadata(out: Path, names: Mapping[str, str], file: Path) -> None:
    schema, tables = joined_tables(out)
    paths = pa.array(list(names), pa.string())
    files = pa.array(list(names.values()), pa.string())

    def chosen(table: pa.Table) -> pa.Table:
        rows = pc.index_in(table["path"], value_set=paths)
        mine = table.filter(pc.is_valid(rows))
        return mine.set_column(0, schema.field("file_name"), files.take(rows.drop_null()))

    write_batches(map(chosen, tables), schema, file)


def _card(parts: list[str]) -> str:
    lines = ["---", "configs:", "- config_name: default", "  data_files:"]
    for part in parts:
        lines += [f"  - split: {part}", f"    path: {part}/**"]
    return "\n".join([*lines, "---", ""])
