"""The records of a person as corrections see them, and which one a name means."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.labels.ages import OFFICIAL
from facecrop.labels.current import index_batches
from facecrop.labels.history import read_history
from facecrop.labels.names import forms
from facecrop.labels.overrides import Overrides, resolve
from facecrop.labels.paths import same_name


class WrongRowError(Exception):
    """A row does not fit the dataset; collected with all others, never seen by a user."""


class MissingError(Exception):
    """A row speaks of something that the dataset does not have; collected or counted."""


class Record(NamedTuple):
    """What is known of a record of a corrected person; values as words, None if unknown."""

    path: str
    profile: str
    name: str
    digest: bytes | None
    mask_raw: str | None
    mask: str | None
    gender: str | None
    age: str | None
    age_group: str | None
    keep: str


def people_now(
    out: Path, profiles: Iterable[str], index: pa.Table | None = None
) -> dict[str, list[Record]]:
    """Return the records of some profiles of a dataset, as they are labelled now.

    Args:
        out: The dataset.
        profiles: Directory names, possibly wrong ones.
        index: With at least the columns `current.NEEDED`; read from the dataset if not given.

    Raises:
        TableError: A table is missing or cannot be read.
    """
    overrides = resolve(read_history(out), index_batches(out, index))
    return members_of(profiles, index_batches(out, index), overrides)


def members_of(
    profiles: Iterable[str], index: Iterable[pa.Table], overrides: Overrides
) -> dict[str, list[Record]]:
    """Return the records of each profile that exists, as they are labelled now.

    Args:
        profiles: Directory names, possibly wrong ones.
        index: Its label columns in batches.
        overrides: What corrections say so far.
    """
    wanted = sorted({form for profile in profiles for form in forms(profile)})
    names = pa.array(wanted, pa.string())
    members: dict[str, list[Record]] = {}
    for batch in index:
        hit = batch.filter(pc.is_in(batch["profile"], value_set=names))
        for record in _records(hit, overrides):
            members.setdefault(record.profile, []).append(record)
    return members


def _records(batch: pa.Table, overrides: Overrides) -> Iterator[Record]:
    raw = {name: batch[name].combine_chunks() for name in batch.column_names}
    path, profile = raw["path"], raw["profile"]
    # What an age group was is the official bin of the raw age, whatever policy is active.
    group = pc.coalesce(overrides.of_people("age_group", profile), OFFICIAL.groups(raw["age_raw"]))
    age = pc.coalesce(overrides.of_people("age", profile), pc.cast(raw["age_raw"], pa.string()))
    keep = pc.coalesce(
        overrides.of_records("keep", path),
        overrides.of_people("keep", profile),
        pa.scalar("yes"),
    )
    columns = [
        path, profile, raw["name"], raw["digest"], raw["mask_raw"],
        pc.coalesce(overrides.of_records("mask", path), raw["mask_raw"]),
        pc.coalesce(overrides.of_people("gender", profile), raw["gender_raw"]),
        age, group, keep,
    ]  # fmt: skip
    return map(Record._make, zip(*(column.to_pylist() for column in columns), strict=True))


def name_of_image(path: str, stem: str, stems: Iterable[str]) -> str:
    """Return what a manifest calls a picture: its stem, or its file where others share that.

    Args:
        path: Of the picture.
        stem: Likewise.
        stems: Of all pictures of its profile.
    """
    shared = sum(same_name(one) == same_name(stem) for one in stems) > 1
    return path.rpartition("/")[2] if shared else stem


def image_named(name: str, records: list[Record]) -> Record:
    """Return the record of a profile that a stem or a whole file name means.

    Raises:
        MissingError: The profile has no such image.
        WrongRowError: It has several, or one whose name differs in case only.
    """
    same = [record for record in records if same_name(record.name) == same_name(name)]
    for form in forms(name):
        for record in records:
            if record.path.rpartition("/")[2] == form or (record.name == form and len(same) == 1):
                return record
    profile = records[0].profile
    if len(same) > 1:
        files = " or ".join(repr(record.path.rpartition("/")[2]) for record in same)
        raise WrongRowError(
            f"{len(same)} files of {profile!r} share the stem {name!r}: name {files}"
        )
    if same:
        raise WrongRowError(f"no image {name!r} in {profile!r}; did you mean {same[0].name!r}?")
    known = [record.name for record in records]
    near = get_close_matches(name, known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(known)}"
    raise MissingError(f"no image {name!r} in {profile!r}{hint}")
