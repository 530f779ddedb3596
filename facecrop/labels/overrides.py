"""What the corrections of a history that hold say about the records of today."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.labels.history import CORRECT, HISTORY_SCHEMA, standing

if TYPE_CHECKING:
    import pandas as pd


_S = pa.string()


@dataclass(frozen=True, slots=True)
class Lookup:
    """Values by key, for whole columns at a time.

    Args:
        keys: (K,) string, unique.
        values: (K,) string.
    """

    keys: pa.Array = field(default_factory=lambda: pa.array([], _S))
    values: pa.Array = field(default_factory=lambda: pa.array([], _S))

    def take(self, column: pa.Array) -> pa.Array:
        """Return (N,) string: the value of each of (N,) keys, null where there is none."""
        if not len(self.keys):
            return pa.nulls(len(column), _S)
        return self.values.take(pc.index_in(column, value_set=self.keys))


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the corrections that hold say, by person and by record.

    Args:
        people: For each of gender, age, age_group, keep and keep_reason: profile -> value.
        records: For each of mask, keep and keep_reason: path -> value.
        orphans: Rows of the history whose record or person cannot be found any more.
    """

    people: dict[str, Lookup] = field(default_factory=dict)
    records: dict[str, Lookup] = field(default_factory=dict)
    orphans: pa.Table = field(default_factory=HISTORY_SCHEMA.empty_table)

    def of_people(self, name: str, profiles: pa.Array) -> pa.Array:
        """Return (N,) string: what was set for each of (N,) profiles, null where nothing was."""
        return self.people.get(name, Lookup()).take(profiles)

    def of_records(self, name: str, paths: pa.Array) -> pa.Array:
        """Return (N,) string: what was set for each of (N,) paths, null where nothing was."""
        return self.records.get(name, Lookup()).take(paths)


def resolve(history: pa.Table | None, index: Iterable[pa.Table]) -> Overrides:
    """Find out what the corrections that hold say about the records of today.

    A record is found by its bytes, wherever it lies now, if exactly one record has them; else by
    its path. A person is found by their directory name while one of their pictures is still in
    it, else where most of the pictures went; so a folder can be renamed, and a picture that was
    moved to somebody else takes nothing along.

    Args:
        history: With `HISTORY_SCHEMA`, or None.
        index: The index in batches, at least with path, profile and digest. Read only if needed.
    """
    if history is None or not history.num_rows:
        return Overrides()
    holds = pc.is_in(history["application"], value_set=pa.array(standing(history), pa.int32()))
    rows = history.filter(pc.and_(holds, pc.equal(history["action"], CORRECT)))
    if not rows.num_rows:
        return Overrides()
    frame = rows.select(
        ["application", "scope", "path", "profile", "digest", "field", "now", "reason"]
    ).to_pandas()
    frame["row"] = range(len(frame))
    found = _mentioned(rows, index)
    frame = _follow(frame, found)
    person = frame["scope"] == "profile"
    people = _people(frame[person], set(found["profile"]))
    records = frame[~person & frame["to_path"].notna()]
    lost = sorted(
        {
            *people.loc[people["to"].isna(), "row"],
            *frame.loc[~person & frame["to_path"].isna(), "row"],
        }
    )
    people = people[people["to"].notna()]
    return Overrides(
        people=_lookups(people.rename(columns={"to": "key"})),
        records=_lookups(_not_overruled(records.rename(columns={"to_path": "key"}), people)),
        orphans=rows.take(pa.array(lost, pa.int64())),
    )


def _mentioned(rows: pa.Table, index: Iterable[pa.Table]) -> "pd.DataFrame":
    """Return path, profile and digest of the records that rows of the history may speak of."""
    wanted = {name: pc.unique(rows[name]).drop_null() for name in ("path", "profile", "digest")}
    parts = []
    for batch in index:
        hit = [pc.is_in(batch[name], value_set=values) for name, values in wanted.items()]
        parts.append(batch.select(list(wanted)).filter(pc.or_(pc.or_(hit[0], hit[1]), hit[2])))
    mentioned: pd.DataFrame = pa.concat_tables(parts).to_pandas()
    return mentioned


def _follow(rows: "pd.DataFrame", found: "pd.DataFrame") -> "pd.DataFrame":
    """Add where the record of each row is now: to_path and to_profile, missing if nowhere."""
    by_digest = found[found["digest"].notna()]
    same = by_digest.merge(rows[["row", "path", "digest"]], on="digest", suffixes=("", "_then"))
    same["stayed"] = same["path"] == same["path_then"]
    same = same.sort_values(["row", "stayed"], ascending=[True, False])
    best = same.drop_duplicates("row").set_index("row")
    certain = best["stayed"] | (same.groupby("row").size() == 1)
    stayed = rows["path"].isin(found["path"]) & ~rows["row"].isin(best.index)
    moved = best[certain.reindex(best.index)]
    path_now = rows["row"].map(moved["path"]).where(~stayed, rows["path"])
    profile_of = found.drop_duplicates("path").set_index("path")["profile"]
    return rows.assign(to_path=path_now, to_profile=path_now.map(profile_of))


def _people(rows: "pd.DataFrame", profiles: set[str]) -> "pd.DataFrame":
    """Return one row for each correction of a person, with where the person is now, in `to`."""
    keys = ["application", "profile", "field"]
    home = rows["to_profile"] == rows["profile"]
    votes = rows.assign(home=home).groupby(keys, sort=False)
    people = votes.agg(
        row=("row", "last"), now=("now", "last"), reason=("reason", "last"),
        home=("home", "any"), size=("row", "size"), places=("to_profile", "nunique"),
        seen=("to_profile", "count"), first=("to_profile", "first"),
    ).reset_index()  # fmt: skip
    exists = people["profile"].isin(profiles)
    moved = (people["places"] == 1) & (2 * people["seen"] > people["size"]) & ~people["home"]
    stays = people["home"] | (exists & ~moved)
    to = people["first"].where(moved, None).where(~stays, people["profile"])
    return people.assign(to=to)


def _not_overruled(records: "pd.DataFrame", people: "pd.DataFrame") -> "pd.DataFrame":
    """Leave out what was said of single records before the same was said of the whole person."""
    latest = people[people["field"] == "keep"].groupby("to")["row"].max()
    since = records["to_profile"].map(latest).astype("float64")
    overruled = (records["field"] == "keep") & (since > records["row"])
    return records[~overruled]


def _lookups(rows: "pd.DataFrame") -> dict[str, Lookup]:
    """Return the newest value of each field and key."""
    newest = rows.sort_values("row").drop_duplicates(["field", "key"], keep="last")
    lookups = {}
    for name, part in newest.groupby("field"):
        keys = pa.array(part["key"], _S)
        lookups[str(name)] = Lookup(keys, pa.array(part["now"], _S))
        if name == "keep":
            lookups["keep_reason"] = Lookup(keys, pa.array(part["reason"], _S))
    return lookups
