"""Shards: which profiles of a raw folder are whose, when several runs share it."""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Self

from facecrop.errors import ConfigError
from facecrop.labels.paths import same_name

_SPELT = re.compile(r"(\d{1,9})\s*(?:/|-of-)\s*(\d{1,9})", re.ASCII)


@dataclass(frozen=True, order=True, slots=True)
class Shard:
    """One of so many parts of a raw folder.

    Profiles are dealt by a hash of their names: every run finds its own without asking the
    others, and a profile stays where it is when others come or go. Names that a file system may
    take for one go together, because their crops share a folder.

    >>> Shard.parse("2/3"), str(Shard(2, 3)), Shard(2, 3).folder
    (Shard(number=2, count=3), '2/3', '2-of-3')
    >>> Shard.of("000001_female_Asian_45", 3) == Shard.of("000001_FEMALE_Asian_45", 3)
    True

    Args:
        number: Which one, from 1.
        count: How many there are.
    """

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `2/3`, or `2-of-3`.

        Raises:
            ConfigError: That is no shard.
        """
        found = _SPELT.fullmatch(text.strip())
        number, count = map(int, found.groups()) if found else (0, 0)
        if not 1 <= number <= count:
            raise ConfigError(
                f"no shard named {text!r}; write its number and how many there are, "
                "from 1/8 to 8/8 if there are eight"
            )
        return cls(number, count)

    @classmethod
    def of(cls, profile: str, count: int) -> Self:
        """Return whose a profile is, if there are so many shards."""
        digest = sha256(same_name(profile).encode("utf-8", "surrogatepass")).digest()
        return cls(1 + int.from_bytes(digest[:8]) % count, count)

    def holds(self, profile: str) -> bool:
        """Tell whether a profile is its own."""
        return self.of(profile, self.count) == self

    @property
    def folder(self) -> str:
        """What its folder in the store is called."""
        return f"{self.number}-of-{self.count}"

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
