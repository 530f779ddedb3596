"""The current labels: raw labels, then the corrections that hold, then the age policy."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.errors import TableError
from facecrop.index import INDEX_FILE, LABELS_FILE, LABELS_SCHEMA, read_columns, write_batches
from facecrop.labels.ages import AgePolicy, active_policy
from facecrop.labels.history import read_history
from facecrop.labels.overrides import Overrides, resolve
from facecrop.tables import count_rows

NEEDED = ("path", "profile", "name", "digest", "mask_raw", "gender_raw", "age_raw")
"""The columns of the index that labels depend on."""

BATCH_ROWS = 1 << 17
"""Rows that are worked on at a time, and rows in a row group of the table."""

AGE_POLICY = "age-policy"
"""`kept_reason` of a record whose age the active policy leaves out."""

SET_ASIDE = "set-aside"
"""`kept_reason` of a record that a correction sets aside without saying why."""

_PERSON = ["profile", "gender", "age", "age_group"]


def current_labels(index: pa.Table, history: pa.Table | None, policy: AgePolicy) -> pa.Table:
    """Work out what is said about each record now.

    Args:
        index: With at least the columns `NEEDED`.
        history: With `HISTORY_SCHEMA`, or None.
        policy: Which ages are which group, and which are left out.

    Returns:
        With `LABELS_SCHEMA`, the same rows in the same order as the index.

    Raises:
        TableError: Two pictures of a person have different genders or ages.
    """
    overrides = resolve(history, [index])
    return pa.concat_tables(
        labels_of([index], overrides, policy), promote_options="none"
    ).combine_chunks()


def labels_of(
    index: Iterable[pa.Table], overrides: Overrides, policy: AgePolicy
) -> Iterator[pa.Table]:
    """Yield the current labels batch by batch; after the last, check that people are consistent.

    Raises:
        TableError: Two pictures of a person have different genders or ages.
    """
    return (labels for (labels,) in labels_under(index, overrides, [policy]))


def labels_under(
    index: Iterable[pa.Table], overrides: Overrides, policies: Sequence[AgePolicy]
) -> Iterator[tuple[pa.Table, ...]]:
    """Yield the current labels under each of several policies, batch by batch, as `labels_of`."""
    people: list[pa.Table] = []
    for batch in index:
        labels = tuple(_labels(batch, overrides, policy) for policy in policies)
        person = labels[0].select(_PERSON[1:]).add_column(0, "profile", batch["profile"])
        people.append(person.group_by(_PERSON, use_threads=False).aggregate([]))
        yield labels
    check_people(pa.concat_tables(people) if people else None)


def check_people(people: pa.Table | None) -> None:
    """Check that gender, age and age group are equal in all pictures of a person.

    Args:
        people: Columns profile, gender, age, age_group; rows may repeat.

    Raises:
        TableError: Somebody has two of one of them.
    """
    if people is None:
        return
    distinct = people.group_by(_PERSON, use_threads=False).aggregate([])
    counts = distinct.group_by("profile", use_threads=False).aggregate([([], "count_all")])
    several = counts.filter(pc.greater(counts["count_all"], 1))
    if not several.num_rows:
        return
    profile = several["profile"][0].as_py()
    rows = distinct.filter(pc.equal(distinct["profile"], profile)).to_pylist()
    name = next(name for name in _PERSON[1:] if rows[0][name] != rows[1][name])
    raise TableError(
        f"profile {profile!r} has {name} {rows[0][name]!r} in one picture and {rows[1][name]!r} "
        f"in another ({several.num_rows} such profiles); gender and age belong to the person: "
        "give all pictures of a profile the same in the raw table and run preprocess again"
    )


def write_labels(out: Path, index: pa.Table | None = None) -> pa.Table:
    """Write `labels.parquet` from the index, the history and the active policy of a dataset.

    Args:
        out: The dataset.
        index: With at least the columns `NEEDED`; read from the dataset if not given.

    Returns:
        The rows of the history whose record or person is not in the dataset any more.

    Raises:
        TableError: Two pictures of a person have different genders or ages.
    """
    overrides = resolve(read_history(out), index_batches(out, index))
    write_label_batches(out, labels_of(index_batches(out, index), overrides, active_policy(out)))
    return overrides.orphans


def write_label_batches(out: Path, batches: Iterable[pa.Table]) -> None:
    """Write `labels.parquet` whole or not at all; the same rows give the same bytes."""
    rows = count_rows(out / INDEX_FILE) if (out / INDEX_FILE).exists() else 0
    write_batches(batches, LABELS_SCHEMA, out / LABELS_FILE, rows=rows)


def index_batches(out: Path, index: pa.Table | None = None) -> Iterator[pa.Table]:
    """Yield the label columns of an index in batches of `BATCH_ROWS` rows.

    Args:
        out: The dataset.
        index: Used instead of the dataset's own, if given.

    Raises:
        TableError: The dataset has no index, or it cannot be read.
    """
    if index is not None:
        for start in range(0, index.num_rows, BATCH_ROWS):
            yield index.select(list(NEEDED)).slice(start, BATCH_ROWS)
        return
    yield from read_columns(out / INDEX_FILE, list(NEEDED), BATCH_ROWS)


def _labels(batch: pa.Table, overrides: Overrides, policy: AgePolicy) -> pa.Table:
    path, profile = (_array(batch[name]) for name in ("path", "profile"))
    age_now = pc.cast(overrides.of_people("age", profile), pa.int32())
    age = pc.coalesce(age_now, _array(batch["age_raw"]))
    bin_now = overrides.of_people("age_group", profile)
    # A bin that was set by hand survives every policy and its drops.
    dropped = pc.and_(pc.is_null(bin_now), policy.drops(age))
    aside, why = _set_aside(path, profile, overrides)
    reason = pc.if_else(dropped, pa.scalar(AGE_POLICY), pa.scalar(None, pa.string()))
    columns = [
        path,
        pc.coalesce(overrides.of_records("mask", path), _array(batch["mask_raw"])),
        pc.coalesce(overrides.of_people("gender", profile), _array(batch["gender_raw"])),
        age,
        pc.coalesce(bin_now, policy.groups(age)),
        pc.invert(pc.or_(aside, dropped)),
        pc.if_else(aside, why, reason),
    ]
    return pa.Table.from_arrays(columns, schema=LABELS_SCHEMA)


def _set_aside(
    path: pa.Array, profile: pa.Array, overrides: Overrides
) -> tuple[pa.Array, pa.Array]:
    """Return (N,) bool, which records corrections set aside, and (N,) string, why."""
    one = overrides.of_records("keep", path)
    keep = pc.coalesce(one, overrides.of_people("keep", profile), pa.scalar("yes"))
    why = pc.if_else(
        pc.is_valid(one),
        overrides.of_records("keep_reason", path),
        overrides.of_people("keep_reason", profile),
    )
    return pc.equal(keep, "no"), pc.coalesce(why, pa.scalar(SET_ASIDE))


def _array(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks()
