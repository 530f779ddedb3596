"""Layouts: how a raw folder says which picture is whose, and what is claimed about it."""

import os
import re
import stat
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from operator import attrgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.errors import ConfigError, RawError
from facecrop.index import GENDERS
from facecrop.labels.paths import escape
from facecrop.labels.raw import (
    EXTENSIONS,
    Claims,
    RawFile,
    Scan,
    is_image,
    raw_file,
    without_extension,
)
from facecrop.labels.shards import Shard
from facecrop.labels.tables import read_table
from facecrop.registry import no_such
from facecrop.storage import Entry, files_below, is_remote, listed, place

__all__ = ["EXTENSIONS", "LAYOUTS", "STEMS", "RawFile", "Scan", "detect", "scan"]

STEMS = {f"mask{number}": "worn" for number in range(1, 6)} | {
    "incorrect_mask": "incorrect",
    "normal": "none",
}
"""The seven pictures of a profile of the mask task, and what their names claim."""

_PROFILE = re.compile(
    r"(?P<id>[^_]+)_(?P<gender>male|female)_(?P<race>[^_]+)_(?P<age>\d{1,3})", re.IGNORECASE
)
_UTKFACE = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?:\d_)?\d+")
_TABLES = frozenset({".csv", ".tsv", ".parquet"})


def scan(
    raw: Path, layout: str = "auto", skip: Path | None = None, shard: Shard | None = None
) -> Scan:
    """Find every record of a raw folder (or table), in the order of their paths.

    Links to files are followed, and links of profiles to folders outside; hidden files and what is
    no picture are left out and counted.

    Args:
        raw: The folder; for the layout `table` the table itself.
        layout: A name of `LAYOUTS`, or `auto`.
        skip: A folder, resolved, that is not part of RAW although it may lie in it.
        shard: Find only the records of its profiles, of which there may be none.

    Raises:
        RawError: It does not exist, cannot be read, or has no record.
        ConfigError: There is no such layout, or it does not fit.
    """
    if not (raw.exists() if is_remote(raw) else os.path.lexists(raw)):
        raise RawError(f"the raw folder {str(raw)!r} does not exist")
    is_folder = _is_folder(raw)
    name = detect(raw) if layout == "auto" else layout
    if name not in LAYOUTS:
        raise no_such("layout", name, ["auto", *LAYOUTS])
    if (name == "table") == is_folder:
        kind = "a folder" if is_folder else "no folder"
        raise ConfigError(f"the layout {name!r} does not fit {str(raw)!r}: it is {kind}")
    result = _profiles(raw, skip, shard) if name == "profiles" else LAYOUTS[name](raw, skip)
    if shard is not None and name != "profiles":
        _keep_own(result, shard)
    result.put_in_order()
    if not result.count and shard is None:
        raise RawError(_nothing_found(result))
    return result


def detect(raw: Path) -> str:
    """Return the layout that a raw folder or table seems to have.

    Folders named like profiles make it `profiles`, whatever lies beside them; pictures beside no
    such folder make it `flat`, or `utkface` if all are named so.

    Raises:
        RawError: It is neither a folder nor a table, or cannot be listed.
    """
    if not _is_folder(raw):
        if raw.is_file() and raw.suffix.lower() in _TABLES:
            return "table"
        tables = ", ".join(sorted(_TABLES))
        raise RawError(f"{str(raw)!r} is neither a folder nor a table ({tables})")
    entries = list(_entries(raw, "", Scan("", raw), deep=False))
    pictures = [entry.name for entry in entries if is_image(entry.name)]
    if not pictures or any(_PROFILE.fullmatch(entry.name) for entry in entries):
        return "profiles"
    return "utkface" if all(map(_UTKFACE.match, pictures)) else "flat"


def _profiles(raw: Path, skip: Path | None, shard: Shard | None = None) -> Scan:
    result = Scan("profiles", raw)
    seen = _Sevens()
    for folder in _entries(raw, "", result, key=_as_folder):
        if not _is_folder(folder):
            stray = "outside-a-profile" if is_image(folder.name) else "foreign"
            result.ignore(folder.name, stray)
            continue
        if folder.is_symlink() and _leads_into(folder, raw):
            result.ignore(folder.name, "link-to-folder")  # whoever that is, is here already
            continue
        if _is(folder, skip):
            continue
        claimed = _PROFILE.fullmatch(folder.name)
        gender = claimed["gender"].lower() if claimed else None
        age = int(claimed["age"]) if claimed else None
        profile, before = escape(folder.name), result.count
        if shard is not None and not shard.holds(profile):
            continue  # to list it would be as much work as everything else here
        for entry in _entries(folder, folder.name, result):
            path = f"{folder.name}/{entry.name}"
            if _is_folder(entry):
                result.ignore(path, "folder-in-a-profile")
                continue
            mask = STEMS.get(without_extension(entry.name).lower())
            _add(result, entry, path, profile, (mask, gender, age))
        seen.look_at(result, before)
        if result.count == before:
            result.empty_profiles.append(profile)
    seen.report(result)
    return result


def _as_folder(entry: Entry) -> str:
    """Return what orders folders as the paths below them: `a-b/` comes before `a/`."""
    return f"{entry.name}/"


class _Sevens:
    """Which profiles have not exactly the seven pictures of the mask task."""

    def __init__(self) -> None:
        self._known = 0
        self._others = array("q")  # first and last record of each such profile: there may be many

    def look_at(self, result: Scan, start: int) -> None:
        """Take note of a profile whose records are those from `start` on."""
        names = [file.name.lower() for file in result.latest(start)]
        known = len(STEMS.keys() & set(names))
        self._known += known
        if names and not known == len(names) == len(STEMS):
            self._others.extend((start, result.count))

    def report(self, result: Scan) -> None:
        """Say which they are, if this is the mask task at all."""
        if 2 * self._known < result.count:
            return
        table = result.table()
        for start, end in zip(self._others[::2], self._others[1::2], strict=True):
            rows = table.slice(start, end - start)
            profile = rows["profile"][0].as_py()
            names = [name.lower() for name in rows["name"].to_pylist()]
            if missing := sorted(STEMS.keys() - set(names)):
                result.missing[profile] = missing
            extra = Counter(names) - Counter(STEMS.keys())
            if extra:
                result.extra[profile] = sorted(extra.elements())


def _each_alone(
    layout: str, claims: Callable[[str], Claims]
) -> Callable[[Path, Path | None], Scan]:
    """Return the layout in which each picture is a person, who is called what the picture is."""

    def read(raw: Path, skip: Path | None) -> Scan:
        result = Scan(layout, raw)
        for entry, path in _walk(raw, "", result, skip):
            _add(result, entry, path, without_extension(escape(path)), claims(entry.name))
        result.replace(_told_apart(result.table()))
        return result

    return read


def _told_apart(table: pa.Table) -> pa.Table:
    """Return records of which each is a person: two of one name keep their extensions."""
    path, profile = table["path"], table["profile"]
    counts = pc.value_counts(profile)
    often = counts.field("values").filter(pc.greater(counts.field("counts"), 1))
    same = pc.or_(pc.is_in(profile, often), pc.is_in(profile, path.combine_chunks()))
    at = table.schema.get_field_index("profile")
    return table.set_column(at, table.schema.field(at), pc.if_else(same, path, profile))


def _keep_own(result: Scan, shard: Shard) -> None:
    profile = pc.dictionary_encode(result.table()["profile"].combine_chunks())
    mine = pa.array(map(shard.holds, profile.dictionary.to_pylist()), pa.bool_())
    result.replace(result.table().filter(mine.take(profile.indices)))


def _utkface_claims(name: str) -> Claims:
    claimed = _UTKFACE.match(name)
    if claimed is None:
        return None, None, None
    return None, GENDERS[int(claimed["gender"])], int(claimed["age"])


def _walk(
    folder: Path | Entry, prefix: str, result: Scan, skip: Path | None
) -> Iterator[tuple[Entry, str]]:
    for entry in _entries(folder, prefix, result):
        path = f"{prefix}/{entry.name}" if prefix else entry.name
        if not _is_folder(entry):
            yield entry, path
        elif entry.is_symlink():
            result.ignore(path, "link-to-folder")
        elif not _is(entry, skip):
            yield from _walk(entry, path, result, skip)


def _entries(
    folder: Path | Entry,
    prefix: str,
    result: Scan,
    *,
    deep: bool = True,
    key: Callable[[Entry], str] = attrgetter("name"),
) -> Iterator[Entry]:
    """Return what lies in a folder, without what is hidden or cannot be listed (both counted)."""
    try:
        entries = sorted(listed(folder, deep=deep), key=key)
    except OSError as error:
        if not prefix:
            raise RawError(
                f"the raw folder {str(folder)!r} cannot be listed: {error.strerror}"
            ) from None
        result.ignore(prefix, "unreadable-folder")
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            result.ignore(f"{prefix}/{entry.name}" if prefix else entry.name, "hidden")
        else:
            yield entry


def _add(result: Scan, entry: Entry, path: str, profile: str, claims: Claims) -> None:
    if not is_image(entry.name):
        result.ignore(path, "foreign")
        return
    try:
        facts = entry.stat()
    except OSError:
        result.ignore(path, "broken-link")
        return
    if not stat.S_ISREG(facts.st_mode):
        result.ignore(path, "not-a-file")
        return
    result.add(raw_file(path, profile, claims, facts))


def _is_folder(entry: Entry | Path) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is(entry: Entry, folder: Path | None) -> bool:
    """Tell whether an entry is a folder, given resolved; resolving every entry takes its time."""
    if folder is None or not (entry.name == folder.name or entry.is_symlink()):
        return False
    return place(entry.path).resolve() == folder


def _leads_into(link: Entry, raw: Path) -> bool:
    root, target = raw.resolve(), Path(link.path).resolve()
    return target == root or root in target.parents


def _nothing_found(result: Scan) -> str:
    message = f"no pictures found in {str(result.root)!r} as layout {result.layout!r}"
    folder = next(_folders_of_pictures(result.root), None)
    if folder is not None:
        above = str(folder.parent)
        return f"{message}; there are some in {str(folder)!r}: is {above!r} the raw folder?"
    counts = ", ".join(f"{count} {reason}" for reason, count in sorted(result.ignored.items()))
    found = f"; left out: {counts}" if counts else ""
    return f"{message}{found}; records are files ending in {' '.join(sorted(EXTENSIONS))}"


def _folders_of_pictures(root: Path) -> Iterator[Path]:
    if is_remote(root):
        yield from ((root / one.path).parent for one in files_below(root) if is_image(one.path))
        return
    for folder, inside, names in os.walk(root):
        inside[:] = sorted(name for name in inside if not name.startswith("."))
        if any(is_image(name) and not name.startswith(".") for name in names):
            yield Path(folder)


LAYOUTS: dict[str, Callable[[Path, Path | None], Scan]] = {
    "profiles": _profiles,
    "flat": _each_alone("flat", lambda _: (None, None, None)),
    "table": read_table,
    "utkface": _each_alone("utkface", _utkface_claims),
}
"""Every way a raw folder can be laid out."""
