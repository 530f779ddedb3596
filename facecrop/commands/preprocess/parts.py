"""What the shards of a dataset leave for the merge: each a folder of its own below the store.

`.store/shards/2-of-3/` holds `rows/` (tables of finished rows), `card.toml` (what `dataset.toml`
would say of this shard alone) and `run.json` (as `Memory` writes it). No shard writes into the
folder of another, so none has to wait for, or to know of, the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from facecrop.commands.preprocess.memory import Memory
from facecrop.errors import ConfigError, StoreError
from facecrop.index import write_atomic
from facecrop.labels.shards import Shard
from facecrop.storage import remove_all

_CARD = "card.toml"


@dataclass(frozen=True, slots=True)
class Part:
    """What one shard has left.

    Args:
        shard: Which one.
        folder: Where.
    """

    shard: Shard
    folder: Path

    @classmethod
    def of(cls, out: Path, shard: Shard) -> "Part":
        """Return the part of a shard, whether it is there or not."""
        return cls(shard, _folder(out) / shard.folder)

    @property
    def rows(self) -> Path:
        """The folder of its tables."""
        return self.folder / "rows"

    @property
    def memory(self) -> Memory:
        """What it remembers of its last run."""
        return Memory(self.folder)

    @property
    def card(self) -> str | None:
        """What it says of itself, or None if it did not come that far."""
        try:
            return (self.folder / _CARD).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeError) as error:
            raise StoreError(f"{self.folder / _CARD} cannot be read: {error}") from None

    def write_card(self, text: str) -> None:
        """Say of itself what `dataset.toml` would say.

        Raises:
            StoreError: The disk is full, or the folder cannot be written.
        """
        path = self.folder / _CARD
        if self.card != text:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def find_parts(out: Path) -> list[Part]:
    """Return what shards have left in a dataset, in order."""
    found = []
    for folder in _folder(out).glob("*-of-*"):
        try:
            found.append(Part(Shard.parse(folder.name), folder))
        except ConfigError:
            continue  # not ours
    return sorted(found, key=lambda part: (part.shard.count, part.shard.number))


def is_whole(parts: Sequence[Part]) -> bool:
    """Return whether these are all shards of one number, each come to its end."""
    counts = {part.shard.count for part in parts}
    return counts == {len(parts)} and all(part.memory.complete for part in parts)


def remove_parts(out: Path, parts: Iterable[Part]) -> None:
    """Remove what shards have left, after it has found its way into the index."""
    for part in parts:
        remove_all(part.folder)
    try:
        _folder(out).rmdir()
    except OSError:
        return  # somebody has begun again, or there never was one


def _folder(out: Path) -> Path:
    return out / ".store" / "shards"
