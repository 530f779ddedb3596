"""What the store remembers of the last run of a dataset."""

import json
from collections.abc import Iterable
from pathlib import Path

from facecrop.errors import StoreError


class Memory:
    """What the store remembers of the last run that came to its end.

    Args:
        folder: Where it is written: the store, or the folder of a shard in it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "run.json"
        self.scanned_ns, self.keep, self.complete = 0, frozenset[str](), False
        self.known = False
        try:
            known = json.loads(self._path.read_text())
            self.scanned_ns, self.keep = int(known["scanned_ns"]), frozenset(known["keep"])
            self.complete = bool(known["complete"])
            self.known = True
        except (OSError, ValueError, KeyError, TypeError):
            return

    def adopt(self, others: Iterable["Memory"]) -> None:
        """Trust no more than what all runs whose rows are taken over have seen and kept."""
        self.follow((self, *others))

    def follow(self, others: Iterable["Memory"]) -> None:
        """Trust what all these have seen and kept, whatever was known before."""
        known = [one for one in others if one.known]
        if known:
            self.scanned_ns = min(one.scanned_ns for one in known)
            self.keep = frozenset.intersection(*(one.keep for one in known))

    def write(self, scanned_ns: int, keep: frozenset[str], *, complete: bool = True) -> None:
        """Remember a run; every file is compared with the time of its scan."""
        known = {"scanned_ns": scanned_ns, "keep": sorted(keep), "complete": complete}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(known))
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written: {error.strerror}") from None

    def forget(self) -> None:
        """Note that the dataset is being changed: until the end, its tables may lag behind."""
        self.write(self.scanned_ns, self.keep, complete=False)
