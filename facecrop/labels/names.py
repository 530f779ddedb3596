"""Names in a manifest against names in a dataset: what was meant by one that does not exist."""

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from difflib import get_close_matches

from facecrop.labels.paths import escape

_WINDOW = 200
"""How far around the alphabetical place of a name a similar one is looked for."""

_FEW = 5000
"""So many names are all compared; of more, only those of the window."""


def forms(name: str) -> tuple[str, ...]:
    """Return how the same name may be written in an index: as is, escaped, composed or not."""
    if name.isascii() and "%" not in name:
        return (name,)
    composed = [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]
    return tuple(dict.fromkeys([name, escape(name), *composed]))


class Profiles:
    """The profiles of a dataset, to find the one that a wrong name means.

    Args:
        names: Directory names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = sorted(names)
        self._by_id: dict[str, list[str]] = {}
        self._by_digits: dict[str, list[str]] = {}
        for name in self._names:
            person = name.partition("_")[0]
            self._by_id.setdefault(person, []).append(name)
            for key in {name.lstrip("0"), person.lstrip("0")}:
                self._by_digits.setdefault(key, []).append(name)

    def mistaken(self, name: str) -> str | None:
        """Return what is wrong if `name` surely means a profile of this dataset, else None."""
        if name in self._by_id:
            return f"{name!r} is an id, not a directory name; did you mean {self._list(name)}?"
        digits = name.removesuffix(".0").lstrip("0")  # ids that went through a column of numbers
        if digits in self._by_digits:
            meant = " or ".join(map(repr, self._by_digits[digits]))
            return f"no profile {name!r}: leading zeros are lost; did you mean {meant}?"
        return None

    def _list(self, person: str) -> str:
        return " or ".join(map(repr, self._by_id[person]))

    def nearest(self, name: str) -> str | None:
        """Return the most similar profile, or None."""
        names = self._names
        if len(names) > _FEW:
            here = bisect_left(names, name)
            names = names[max(0, here - _WINDOW) : here + _WINDOW]
        return next(iter(get_close_matches(name, names, n=1, cutoff=0.7)), None)
