"""Where a run brings crops: what was asked for, else what the dataset has."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facecrop.commands.preprocess.ledger import Ledger
from facecrop.commands.streams import Rows
from facecrop.config import read_toml
from facecrop.crops import homes, in_tars
from facecrop.crops.places import Places
from facecrop.crops.shards import SHARD_SIZE
from facecrop.errors import ConfigError
from facecrop.index import CARD_FILE

FILES, SHARDS = "files", "shards"
STORE_AS = (FILES, SHARDS)
"""`files`: each crop is one; `shards`: many together are a tar file (`docs/shards.md`)."""


@dataclass(frozen=True, slots=True)
class Home:
    """How a dataset keeps its crops.

    Args:
        store_as: One of `STORE_AS`.
        most: Crops of a tar at most.
    """

    store_as: str = FILES
    most: int = SHARD_SIZE

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> "Home":
        """Return what `dataset.toml`, or the card of a shard, says."""
        return cls(str(card.get("store_as", FILES)), int(card.get("shard_size", SHARD_SIZE)))

    @classmethod
    def known(cls, out: Path, cards: Iterable[str | None]) -> "Home":
        """Return what a dataset has; of a new one, what the first of its shards has.

        Args:
            out: The dataset.
            cards: What shards say of themselves.
        """
        if (out / CARD_FILE).exists():
            return cls.of(read_toml(out / CARD_FILE))
        said = next(filter(None, cards), None)
        return cls.of(tomllib.loads(said)) if said else cls(SHARDS if in_tars(out) else FILES)

    def asked(self, store_as: str | None, most: int | None) -> "Home":
        """Return this, changed by what was asked for.

        Raises:
            ConfigError: There is no such way to keep crops, or the size does not belong to it.
        """
        wanted = self.store_as if store_as is None else store_as
        if wanted not in STORE_AS:
            raise ConfigError(
                f"cannot store crops as {wanted!r}; choose from: {', '.join(STORE_AS)}"
            )
        if most is None:
            return Home(wanted, self.most)
        if wanted != SHARDS:
            raise ConfigError(f"--shard-size {most} needs --store-as {SHARDS}")
        if most < 1:
            raise ConfigError(f"--shard-size must be 1 or more, got {most}")
        return Home(wanted, most)

    @property
    def tars(self) -> bool:
        """Whether crops go into tar files."""
        return self.store_as == SHARDS

    @property
    def facts(self) -> dict[str, Any]:
        """What a card says of it; nothing where crops are files."""
        return {"store_as": self.store_as, "shard_size": self.most} if self.tars else {}

    def has_all(self, out: Path, rows: Rows, places: Places) -> bool:
        """Tell whether all crops are where they belong, and none waits.

        Args:
            out: The dataset.
            rows: Of its index.
            places: Where crops lie that are not files.
        """
        told = rows(("path", "image", "image_sha256"))
        return homes.is_at_home(out, told, places, tars=self.tars)

    def settle(self, ledger: Ledger, places: Places) -> list[str]:
        """Bring all crops to where they belong; nothing is removed.

        Args:
            ledger: All rows of the dataset; is told what is known anew of crops that were moved.
            places: As in `has_all`.

        Returns:
            The paths of records whose crop is nowhere.

        Raises:
            StoreError: The disk is full or cannot be written.
        """
        rows = ledger.gathered()
        if self.tars:
            return homes.pack(ledger.out, lambda: rows(homes.COLUMNS), places, self.most)
        settled = homes.unpack(ledger.out, rows(homes.COLUMNS), places)
        ledger.restamp(settled.stamps)
        return settled.lost

    def missing(self, ledger: Ledger, places: Places) -> list[str]:
        """Return the paths of records whose crop is nowhere, as `settle` does, and do nothing."""
        if not self.tars:
            return []
        return homes.missing(ledger.out, ledger.gathered()(homes.COLUMNS), places)

    def tidy(self, out: Path, rows: Rows) -> None:
        """Remove what is left of crops elsewhere, after the index was written.

        Args:
            out: The dataset.
            rows: All of its index.
        """
        images = (part["image"] for part in rows(("path", "image")))
        homes.tidy(out, images, tars=self.tars)
