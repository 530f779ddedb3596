"""Who is asked in a vote: where their predictions are, and what they scored."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from facecrop.errors import ConfigError, TableError
from facecrop.storage import local
from facecrop.training.agreement import macro_f1
from facecrop.training.prediction_files import read_predictions, read_truth
from facecrop.training.predictions import Predictions
from facecrop.training.settings.vote import VoteMember, VoteSettings

_ENDINGS = (".csv", ".parquet")
_OF_A_RUN = "predictions.parquet"


def find_members(members: Sequence[str | Path], settings: VoteSettings) -> dict[str, Path]:
    """Return where each member's predictions are, by name.

    Args:
        members: Files, run folders, `NAME=FILE`; folders of predictions where members are named.
        settings: Which may name the members.

    Raises:
        ConfigError: There are none, two have one name, or a named one is not found.
    """
    given: dict[str, Path] = {}
    folders: list[Path] = []
    for member in members:
        name, path = _named(member)
        if path.is_dir() and (path / _OF_A_RUN).is_file():
            name, path = name or path.resolve().name, path / _OF_A_RUN
        if path.is_dir():
            folders.append(path)
            continue
        name = name or path.stem
        if name in given:
            raise ConfigError(f"two members are called {name!r}: name one, NAME={path}")
        given[name] = path
    if settings.members:
        return {one.name: _find(one, given, folders) for one in settings.members}
    if folders:
        raise ConfigError(
            f"{folders[0]} is no run: it has no {_OF_A_RUN}; give files of predictions"
        )
    if not given:
        raise ConfigError(
            "a vote needs files of predictions; make one: facecrop predict RUN RAW --out FILE.csv"
        )
    return given


def _named(member: str | Path) -> tuple[str | None, Path]:
    text = str(member)
    name, equals, path = text.partition("=")
    if equals and name and not Path(text).exists():
        return name, local(path)
    return None, local(text)


def _find(member: VoteMember, given: Mapping[str, Path], folders: Sequence[Path]) -> Path:
    if member.name in given:
        return given[member.name]
    places = [
        place
        for folder in folders
        for place in (
            *(folder / f"{member.name}{ending}" for ending in _ENDINGS),
            folder / member.name / _OF_A_RUN,
        )
    ]
    for place in places:
        if place.is_file():
            return place
    where = ", ".join(map(str, folders)) or "the files given"
    raise ConfigError(
        f"no predictions of the member {member.name!r} in {where}: put them there as "
        f"{member.name}.csv, or give {member.name}=FILE"
    )


def find_scores(
    asked: Sequence[Predictions],
    settings: VoteSettings,
    given: Path | Mapping[str, float] | None,
    truth: Predictions | None,
) -> dict[str, float]:
    """Return what members scored, by name, as far as that is known.

    Args:
        asked: The members.
        settings: Which may know scores.
        given: By name; a CSV file; or a folder of runs, judged by their validation predictions.
        truth: Members are scored by it, if it is there.

    Raises:
        TableError: A file cannot be read, or a member has no run in the folder.
    """
    scored = {one.name: one.score for one in settings.members if one.score is not None}
    if truth is not None:
        scored |= {one.name: macro_f1(one, truth) for one in asked}
    if isinstance(given, Path):
        scored |= _of_runs(given, asked) if given.is_dir() else _read_scores(given)
    elif given is not None:
        scored |= dict(given)
    return scored


def _of_runs(folder: Path, asked: Sequence[Predictions]) -> dict[str, float]:
    """Score each member by the validation predictions of its run."""
    scored = {}
    for one in asked:
        file = folder / one.name / _OF_A_RUN
        if not file.is_file():
            raise TableError(f"there is no {file} to score {one.name!r} by")
        scored[one.name] = macro_f1(read_predictions(file, one.name), read_truth(file))
    return scored


def _read_scores(file: Path) -> dict[str, float]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return {row["member"].strip(): float(row["score"]) for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{file} cannot be read: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TableError(f"{file} needs columns member and score, a number in each row") from None
