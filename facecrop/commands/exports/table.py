"""The table of exporters: one line for each tool or format that a dataset can be written for."""

from typing import Protocol

from facecrop.commands.exports.folder import Folder
from facecrop.commands.exports.material import Material
from facecrop.registry import Registry


class Exporter(Protocol):
    """Writes a dataset for another tool.

    It writes below the folder alone, gets pictures there by `material.place`, and writes the same
    bytes for the same material.
    """

    def __call__(self, material: Material, folder: Folder) -> None:
        """Write what the tool reads.

        Args:
            material: The records, and how their pictures get there.
            folder: Where.

        Raises:
            TableError: A picture is not the one that the index names.
            StoreError: The disk is full.
        """


EXPORTERS: Registry[Exporter] = Registry(
    "export",
    {
        "coco": "facecrop.commands.exports.coco:export",
        "fiftyone": "facecrop.commands.exports.fiftyone:export",
        "imagefolder": "facecrop.commands.exports.imagefolder:export",
        "labelstudio": "facecrop.commands.exports.labelstudio:export",
    },
)
