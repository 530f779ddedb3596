"""Age policies: which years are young, middle and old, and which are left out."""

import json
import re
import tomllib
from bisect import bisect_right
from pathlib import Path
from typing import Annotated, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from facecrop.config import Settings, find_manifest, manifests_dir, read_toml, validate
from facecrop.errors import ConfigError
from facecrop.index import AGE_GROUPS, CARD_FILE, write_atomic
from facecrop.registry import no_such
from facecrop.storage import local

OLDEST = 150
"""No age is above this, in years."""

POLICIES_FILE = "age_policies.toml"
_KEY = "age_policy"
_LINE = re.compile(rf"^{_KEY}\s*=.*\n?", re.MULTILINE)

Age = Annotated[int, Field(ge=0, le=OLDEST)]


class AgePolicy(Settings):
    """Where one age group ends and the next begins, and the ages that are left out.

    >>> AgePolicy().group(59), AgePolicy(cuts=(30, 58)).group(59), AgePolicy(drop=(59,)).group(59)
    ('middle', 'old', None)
    """

    name: str = "official"
    """What it is called in tables and reports."""
    cuts: tuple[Age, Age] = (30, 60)
    """The first year of middle, and the first year of old."""
    drop: tuple[Age, ...] = ()
    """Years of age whose records are not kept."""

    @model_validator(mode="after")
    def _cuts_increase(self) -> Self:
        if self.cuts[0] >= self.cuts[1]:
            raise ValueError(f"cuts must increase, got {list(self.cuts)}")
        return self

    def group(self, age: int | None) -> str | None:
        """Return the group of an age in years; None if it is unknown or left out."""
        if age is None or age in self.drop:
            return None
        return AGE_GROUPS[bisect_right(self.cuts, age)]

    def groups(self, ages: pa.Array) -> pa.Array:
        """Return the groups of many ages.

        Args:
            ages: (N,) int32, years, null where unknown.

        Returns:
            (N,) string, null where the age is unknown or left out.
        """
        young, middle, old = (pa.scalar(group) for group in AGE_GROUPS)
        groups = pc.if_else(
            pc.less(ages, self.cuts[0]),
            young,
            pc.if_else(pc.less(ages, self.cuts[1]), middle, old),
        )
        return pc.if_else(self.drops(ages), pa.scalar(None, pa.string()), groups)

    def drops(self, ages: pa.Array) -> pa.Array:
        """Return (N,) bool: which of the ages, (N,) int32, are left out. An unknown age is not."""
        return pc.is_in(ages, value_set=pa.array(self.drop, pa.int32()))


OFFICIAL = AgePolicy()
"""The bins that the task is scored on; every evaluation reports on them too."""


def shipped_policies() -> dict[str, AgePolicy]:
    """Return the policies that come with facecrop, by name."""
    path = manifests_dir() / POLICIES_FILE
    return {
        name: validate(AgePolicy, {"name": name, **fields}, f"{path}: {name}")
        for name, fields in read_toml(path).items()
    }


def load_policy(name_or_file: str) -> AgePolicy:
    """Return the policy that a user means by a shipped name or a TOML file of their own.

    Raises:
        ConfigError: There is no such name or file, or the file does not hold a policy.
    """
    path = local(name_or_file)
    if path.suffix == ".toml" or path.name != name_or_file:
        file = find_manifest("age policy", name_or_file, "")
        return validate(AgePolicy, {"name": file.stem, **read_toml(file)}, str(file))
    policies = shipped_policies()
    if name_or_file not in policies:
        error = no_such("age policy", name_or_file, list(policies))
        raise ConfigError(f"{error}; or give the path of a .toml file")
    return policies[name_or_file]


def active_policy(out: Path) -> AgePolicy:
    """Return the age policy of a dataset, the official one if none was set.

    Raises:
        ConfigError: The card of the dataset cannot be read, or what it says is no policy.
    """
    card = out / CARD_FILE
    if not card.exists():
        return OFFICIAL
    data = read_toml(card)
    return validate(AgePolicy, data[_KEY], f"{card}: {_KEY}") if _KEY in data else OFFICIAL


def policy_line(policy: AgePolicy) -> str:
    """Return the line of `dataset.toml` that says which policy is active.

    >>> policy_line(OFFICIAL).strip()
    'age_policy = { name = "official", cuts = [30, 60], drop = [] }'
    """
    name = json.dumps(policy.name)
    return f"{_KEY} = {{ name = {name}, cuts = {list(policy.cuts)}, drop = {list(policy.drop)} }}\n"


def set_active_policy(out: Path, policy: AgePolicy) -> None:
    """Write into the card of a dataset which policy is active; the rest of the card stays.

    Raises:
        ConfigError: The card holds the policy in a form that is not ours.
    """
    card = out / CARD_FILE
    before = read_toml(card) if card.exists() else {}
    text = _LINE.sub("", card.read_text(encoding="utf-8") if card.exists() else "")
    text = policy_line(policy) + text
    try:
        after = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        after = {}
    # Compared without the key, so that no other part of somebody's card can be lost.
    policy_now = after.pop(_KEY, None)
    before.pop(_KEY, None)
    if policy_now is None or after != before:
        raise ConfigError(
            f"{card}: {_KEY} must be one line at the top, such as: {policy_line(OFFICIAL).strip()}"
        )
    write_atomic(card, lambda temporary: temporary.write_text(text, encoding="utf-8"))
