"""What checks look at: the tables of a dataset, its files, and the predictions of a run."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from facecrop.config import Settings, read_toml
from facecrop.engines.each import Each, InThreads
from facecrop.errors import TableError
from facecrop.index import CARD_FILE, INDEX_FILE, LABELS_FILE, read_table
from facecrop.labels.ages import AgePolicy, active_policy
from facecrop.labels.raw import raw_of

if TYPE_CHECKING:
    from facecrop.checks.faces import Vectors
    from facecrop.checks.headers import Header
    from facecrop.checks.looks import Looks
    from facecrop.checks.photographs import Photographs
    from facecrop.checks.shortcut import Shortcut

SCAN_FILE = "scan.json"

Report = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and of how much."""


class Limits(Settings):
    """Where measured numbers begin to be worth a look; each is a setting of the audit.

    Pictures are measured on their crops, inside the face box where there is one.
    """

    blur: float = Field(default=0.65, ge=0, le=1)
    """Blur effect of Crete et al., from 0 for sharp to 1 for even."""
    dark: float = Field(default=0.12, ge=0, le=1)
    """Mean brightness, of 1."""
    bright: float = Field(default=0.92, ge=0, le=1)
    """Mean brightness, of 1."""
    blown: float = Field(default=0.4, ge=0, le=1)
    """Share of pixels at the upper end, where nothing is told apart any more."""
    bits: float = Field(default=4.5, ge=0, le=8)
    """Information of the grey levels, bits a pixel."""
    gray: float = Field(default=5.0, ge=0, le=255)
    """Levels between the strongest and the weakest channel, of nearly all pixels."""
    border: float = Field(default=0.03, ge=0, le=1)
    """Thickness of a bar along an edge, as a share of the picture."""
    matte: float = Field(default=0.15, ge=0, le=1)
    """Share of the crop that shows the person."""
    matte_face: float = Field(default=0.7, ge=0, le=1)
    """Share of the face box that shows the person."""
    matte_pieces: float = Field(default=0.2, ge=0, le=1)
    """Share of the person that lies apart from the largest piece."""
    same_person: float = Field(default=0.363, ge=-1, le=1)
    """Cosine between two faces of one person; for SFace, OpenCV's own value."""
    radius: int = Field(default=14, ge=0, le=15)
    """Bits by which the hashes of two pictures may differ for them to be compared."""
    agreement: float = Field(default=0.9, gt=0, le=1)
    """How far the registered pixels of two pictures must agree to be one photograph."""
    suspect: float = Field(default=0.5, gt=0, lt=1)
    """Probability that a label is wrong. The best threshold for F1 is half of the F1 that it
    reaches (Lipton et al. 2014, arXiv:1402.1892), so near 0.5 wherever errors can be found."""
    shortcut: float = Field(default=0.05, ge=0, le=1)
    """How far beyond chance a model that does not see faces must be, balanced accuracy."""


@dataclass(frozen=True)
class Material:
    """A dataset as checks see it; tables are read once, and only those that are asked for.

    Args:
        out: The dataset.
        run: Folder of the run whose out-of-fold predictions are used, None if there is none.
        hidden: Runs that did not see the `face`, or the `person`, by which of them.
        splits: Names of its splits.
        limits: Of the checks that measure.
        off: Checks that are switched off, for those that build on each other.
        recogniser: A face recognition model, `.onnx`; None if there is none at hand.
        report: Told how the slow passes go on.
        each: Looks at pictures, one by one.
    """

    out: Path
    run: Path | None = None
    splits: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    off: frozenset[str] = frozenset()
    recogniser: Path | None = None
    hidden: Mapping[str, Path] = field(default_factory=dict)
    report: Report | None = None
    each: Each = field(default_factory=InThreads)

    @cached_property
    def index(self) -> pa.Table:
        """`index.parquet`, all columns."""
        return read_table(self.out / INDEX_FILE)

    @cached_property
    def labels(self) -> pa.Table:
        """`labels.parquet`: the rows of the index in its order."""
        return read_table(self.out / LABELS_FILE)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """The row of each path."""
        return {path: row for row, path in enumerate(self.index["path"].to_pylist())}

    @cached_property
    def card(self) -> dict[str, Any]:
        """`dataset.toml`; empty where there is none."""
        file = self.out / CARD_FILE
        return read_toml(file) if file.exists() else {}

    @cached_property
    def policy(self) -> AgePolicy:
        """The active age policy."""
        return active_policy(self.out)

    @cached_property
    def scan(self) -> dict[str, Any]:
        """`scan.json`; empty where there is none.

        Raises:
            TableError: It cannot be read.
        """
        file = self.out / SCAN_FILE
        if not file.exists():
            return {}
        try:
            return dict(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise TableError(
                f"{file} cannot be read ({error}); run: facecrop preprocess RAW {self.out}"
            ) from None

    @property
    def raw(self) -> Path | None:
        """The raw folder, None if it is not there any more, or was a table."""
        folder = raw_of(self.out, self.card)
        return folder if folder is not None and folder.is_dir() else None

    @cached_property
    def predictions(self) -> pa.Table | None:
        """Out-of-fold rows of the run's predictions, None without a run."""
        if self.run is None:
            return None
        table = read_table(self.run / "predictions.parquet")
        return table.filter(pc.equal(table["part"], "val"))

    @cached_property
    def looks(self) -> "Looks":
        """What the crops look like, measured once however many checks ask."""
        from facecrop.checks.looks import measure_looks  # noqa: PLC0415 - it needs this module

        return measure_looks(self)

    @cached_property
    def headers(self) -> "list[Header]":
        """What the raw files' bytes tell, read once; nothing without the raw folder."""
        from facecrop.checks.headers import read_headers  # noqa: PLC0415 - likewise

        return read_headers(self)

    @cached_property
    def shortcuts(self) -> "tuple[Shortcut, ...]":
        """How well labels are told by runs that do not see faces; judged once."""
        from facecrop.checks.shortcut import measure_shortcuts  # noqa: PLC0415 - likewise

        return measure_shortcuts(self)

    @cached_property
    def faces(self) -> "Vectors":
        """A vector for each record's face, computed once; needs a recogniser and the raw folder."""
        from facecrop.checks.faces import face_vectors  # noqa: PLC0415 - likewise

        return face_vectors(self)

    @cached_property
    def photographs(self) -> "Photographs":
        """Which records show one photograph, found once."""
        from facecrop.checks.photographs import find_photographs  # noqa: PLC0415 - likewise

        return find_photographs(self)
