"""How pictures get into an export: as they are, as links, or upright where they lay on a side."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import quote_from_bytes

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.config import read_toml
from facecrop.crops import in_tars
from facecrop.errors import ConfigError, TableError
from facecrop.images.codec import Limits, decode, encode
from facecrop.images.formats import sniff
from facecrop.images.readers import FaultError, open_picture
from facecrop.index import CARD_FILE
from facecrop.labels.paths import unescape
from facecrop.labels.raw import raw_of, root_of
from facecrop.training.crops import crop_bytes

_AS_THEY_ARE = frozenset({"jpeg", "png", "webp", "bmp", "gif"})
"""Formats that every tool reads alike, if the picture is stored upright."""


class Placed(NamedTuple):
    """A picture in an export: its name below the folder with `/`, and its size."""

    name: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Pictures:
    """Where the pictures of records come from.

    Args:
        folder: OUT for crops, RAW for raw pictures.
        files: Each record's picture below it, escaped as paths are; and its sha256.
        source: Whether they are raw pictures.
        link: Link to them instead of copying them.
    """

    folder: Path
    files: Mapping[str, tuple[str, bytes]]
    source: bool
    link: bool

    @classmethod
    def of(cls, out: Path, index: pa.Table, *, source: bool, link: bool) -> Self:
        """Find the pictures of a dataset.

        Raises:
            ConfigError: The raw pictures are asked for and are not there any more, or links to
                crops that lie in tars.
        """
        names = ["path", "path", "digest"] if source else ["path", "image", "image_sha256"]
        rows = index.filter(pc.is_valid(index["image"]))
        columns = (rows[name].to_pylist() for name in names)
        files = {path: (file, digest) for path, file, digest in zip(*columns, strict=True)}
        if link and not source:
            refuse_tars(out, "--link")
        raw = raw_folder(out)
        if source and raw is None:
            raise ConfigError(f"the raw pictures of {out} are not there any more: export its crops")
        return cls(raw if source and raw is not None else out, files, source, link)

    def address(self, path: str) -> str:
        """Return a record's picture below `folder` as it stands in a URL.

        Raises:
            ConfigError: It is a crop that lies in a tar.
        """
        if not self.source:
            refuse_tars(self.folder, "the address of a crop")
        name = self._on_disk(path)
        return quote_from_bytes(name.encode(errors="surrogateescape"))

    def place(self, path: str, folder: Path) -> Placed:
        """Put a record's picture below a folder.

        Crops have there the name they have below `images/`. A raw picture that only looks upright
        because its file says how to turn it, or of a format that tools read in different ways, is
        written as PNG, upright, so that boxes lie where they belong whatever reads it.

        Raises:
            TableError: It is missing, or not the one that the index names.
        """
        data = self._read(path)
        name = self.files[path][0].removeprefix("images/") if not self.source else path
        try:
            opened = open_picture(data)
        except FaultError as fault:
            raise TableError(f"{path}: its picture cannot be read ({fault})") from None
        as_it_is = opened.orientation == 1 and sniff(data) in _AS_THEY_ARE
        height, width = opened.height, opened.width
        if not as_it_is:
            limits = Limits(max_pixels=max(height * width, 1), min_side=1)
            image = decode(data, limits).image
            if image is None:
                raise TableError(f"{path}: its picture cannot be decoded")
            height, width = image.shape[:2]
            name, data = f"{name}.png", encode(image, "png", 0)
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            raise TableError(
                f"{path}: another picture becomes {name}, too; rename one, or export --images crops"
            )
        if self.link and as_it_is:
            file.symlink_to((self.folder / self._on_disk(path)).resolve())
        else:
            file.write_bytes(data)
        return Placed(name, width, height)

    def _on_disk(self, path: str) -> str:
        """Return a picture's name below `folder` as the file system has it."""
        file = self.files[path][0]
        return unescape(file) if self.source else file  # crops are called as they are written

    def _read(self, path: str) -> bytes:
        file, digest = self.files[path]
        if not self.source:
            return crop_bytes(self.folder, file, digest)
        name = self.folder / self._on_disk(path)
        cure = "run facecrop preprocess again"
        try:
            data = name.read_bytes()
        except OSError as error:
            raise TableError(f"{path} cannot be read ({error.strerror}); {cure}") from None
        if sha256(data).digest() != digest:
            raise TableError(f"{path} has changed since it was preprocessed; {cure}")
        return data


def refuse_tars(out: Path, what: str) -> None:
    """Refuse what needs crops that are files of their own.

    Raises:
        ConfigError: They lie in tars.
    """
    if in_tars(out):
        raise ConfigError(
            f"{what} needs crops that are files, and those of {out} lie in tars; take "
            "--images source, or run facecrop preprocess with --store-as files"
        )


def raw_folder(out: Path) -> Path | None:
    """Return the folder that the raw pictures of a dataset are in; None if it is not there."""
    raw = raw_of(out, read_toml(out / CARD_FILE)) if (out / CARD_FILE).exists() else None
    return root_of(raw) if raw is not None and raw.exists() else None
