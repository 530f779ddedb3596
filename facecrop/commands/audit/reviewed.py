"""What was decided on the review page to be correct as given: accepted findings."""

import json
import re
from pathlib import Path
from typing import Any

from facecrop.commands.audit.data import dataset_id
from facecrop.commands.audit.files import FOLDER, Accepted, add_accepted
from facecrop.errors import ConfigError
from facecrop.index import INDEX_FILE, read_table
from facecrop.storage import place

REVIEW = Path(FOLDER) / "review.json"
"""All decisions of the page that `facecrop audit --serve` shows, below the dataset."""

_KEY = re.compile(r"[0-9a-f]{32}")
_FIELDS = ("key", "check", "about", "reviewer", "reason")


def accept_review(
    out: Path | str, file: Path | None = None, *, reviewer: str = "", reason: str = ""
) -> list[Accepted]:
    """Accept what a review called correct as given: later audits do not tell it again.

    Args:
        out: The dataset.
        file: The decisions that the page saved; None: those of `facecrop audit --serve`.
        reviewer: Who says so, where the review does not tell.
        reason: Why; None where the review's own reason stands.

    Returns:
        What was accepted now and was not before.

    Raises:
        ConfigError: The file is not there, is none of the page's, or of another dataset.
        TableError: The index or what was accepted before cannot be read.
        StoreError: It cannot be written.
    """
    out = place(out)
    file = out / REVIEW if file is None else file
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"{file} does not exist; the review page saves it: Keys and help, Save decisions"
        ) from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read ({error})") from None
    if not isinstance(said, dict) or "accepted" not in said:
        raise ConfigError(f"{file} holds no decisions of a review page")
    mine = dataset_id(read_table(out / INDEX_FILE, ["path", "digest"]))
    if said.get("dataset") != mine:
        raise ConfigError(f"{file} holds decisions about another dataset than {out}")
    rows = [
        Accepted(one.key, one.check, one.about, one.reviewer or reviewer, reason or one.reason)
        for one in reviewed(said)
    ]
    return add_accepted(out, rows)


def reviewed(said: object) -> list[Accepted]:
    """Return what the decisions of a page call correct as given.

    Raises:
        ConfigError: They are not as the page writes them.
    """
    rows = said.get("accepted") if isinstance(said, dict) else None
    found = [_accepted(row) for row in rows] if isinstance(rows, list) else []
    if not isinstance(rows, list) or None in found:
        raise ConfigError(f"what is accepted needs a list of {', '.join(_FIELDS)}")
    return [one for one in found if one is not None]


def _accepted(row: Any) -> Accepted | None:
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in _FIELDS):
        return None
    return Accepted(*(row[name] for name in _FIELDS)) if _KEY.fullmatch(row["key"]) else None
