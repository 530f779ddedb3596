"""The corrections that hold, as one manifest that can be read, cited and applied elsewhere."""

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from facecrop.labels.history import CORRECT, PERSON_FIELDS, RECORD_FIELDS
from facecrop.labels.manifests import Correction
from facecrop.labels.members import Record, members_of, name_of_image
from facecrop.labels.overrides import Overrides, resolve


def corrections_that_hold(
    history: pa.Table, index: Callable[[], Iterable[pa.Table]]
) -> Iterator[Correction]:
    """Yield the difference between the raw labels and the corrected ones, person by person.

    Args:
        history: With `HISTORY_SCHEMA`.
        index: Gives the label columns of the index in batches, anew at each call.
    """
    overrides = resolve(history, index())
    paths = {path for look in overrides.records.values() for path in look.keys.to_pylist()}
    profiles = {name for look in overrides.people.values() for name in look.keys.to_pylist()}
    for batch in index():
        pairs = zip(batch["path"].to_pylist(), batch["profile"].to_pylist(), strict=True)
        profiles.update(profile for path, profile in pairs if path in paths)
    raw = members_of(profiles, index(), Overrides())
    now = members_of(profiles, index(), overrides)
    why = _provenance(history)
    for profile in sorted(now):
        yield from _of_person(raw[profile], now[profile], why)


def _of_person(
    raw: list[Record], now: list[Record], why: dict[tuple[bytes, str], tuple[str | None, ...]]
) -> Iterator[Correction]:
    def made(record: Record, name: str | None, field: str, was: str | None) -> Correction:
        reason, source, confidence = why.get((record.digest or b"", field), (None, None, None))
        value = getattr(record, field)
        return Correction(
            record.profile, name, field, was, value, reason, source, confidence
        )  # fmt: skip

    for field in PERSON_FIELDS:
        if getattr(raw[0], field) != getattr(now[0], field):
            yield made(now[0], None, field, getattr(raw[0], field))
    everyone = all(record.keep == "no" for record in now)
    if everyone:
        yield made(now[0], None, "keep", "yes")
    for before, after in zip(raw, now, strict=True):
        name = name_of_image(after.path, after.name, [one.name for one in now])
        for field in RECORD_FIELDS:
            changed = getattr(before, field) != getattr(after, field)
            if changed and not (field == "keep" and everyone):
                yield made(after, name, field, getattr(before, field))


def _provenance(history: pa.Table) -> dict[tuple[bytes, str], tuple[str | None, ...]]:
    """Return reason, source and confidence of the newest change of each record and field."""
    columns = ["action", "digest", "field", "reason", "source", "confidence"]
    frame = history.select(columns).to_pandas().astype(object)
    frame = frame[frame["action"] == CORRECT].drop_duplicates(["digest", "field"], keep="last")
    frame = frame.where(frame.notna(), None)
    return {
        (row.digest or b"", row.field): (row.reason, row.source, row.confidence)
        for row in frame.itertuples(index=False)
    }
