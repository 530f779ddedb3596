"""Tables read side by side and merged in parts: what comes out is what the whole would give."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.commands import streams
from facecrop.commands.preprocess.known import LEDGER_SCHEMA, Known
from facecrop.commands.preprocess.obsolete import remove_obsolete, replaced
from facecrop.commands.preprocess.targets import Targets
from facecrop.commands.streams import (
    Along,
    Rows,
    Source,
    held,
    matched,
    merged,
    paired,
    rebatched,
)
from facecrop.errors import StoreError, TableError
from facecrop.index import INDEX_FILE, write_table
from facecrop.labels.paths import crop_names
from facecrop.labels.raw import RAW_SCHEMA

NAMES = ["path", "value"]
PATHS = st.sets(st.sampled_from("abcdefghijklmnop"), max_size=12)


def rows_of(paths: Sequence[str], value: int = 0) -> pa.Table:
    """Return a table of these paths, in order."""
    ordered = sorted(paths)
    return pa.table(
        {"path": pa.array(ordered, pa.string()), "value": pa.array([value] * len(ordered))}
    )


def in_parts(table: pa.Table, size: int) -> Rows:
    """Return a table as a stream of parts of so many rows, the first of them empty."""

    def parts(names: Sequence[str]) -> Iterator[pa.Table]:
        for start in range(-size, len(table), size):
            yield table.select(list(names)).slice(max(start, 0), size if start >= 0 else 0)

    return parts


@given(st.lists(st.tuples(PATHS, st.integers(1, 5)), max_size=6))
def test_of_equal_paths_the_last_source_tells(given_: list[tuple[set[str], int]]) -> None:
    expected = {path: number for number, (paths, _) in enumerate(given_) for path in paths}
    sources = [
        Source(min(paths, default=""), in_parts(rows_of(list(paths), number), size))
        for number, (paths, size) in enumerate(given_)
    ]
    found = [row for part in merged(sources, NAMES) for row in part.to_pylist()]
    assert [(row["path"], row["value"]) for row in found] == sorted(expected.items())


@given(PATHS, PATHS, st.integers(1, 5), st.integers(1, 5))
def test_two_streams_are_read_side_by_side(
    left: set[str], right: set[str], one: int, other: int
) -> None:
    pairs = list(
        paired(
            in_parts(rows_of(list(left)), one)(NAMES), in_parts(rows_of(list(right)), other)(NAMES)
        )
    )
    assert [path for mine, _ in pairs for path in mine["path"].to_pylist()] == sorted(left)
    assert [path for _, its in pairs for path in its["path"].to_pylist()] == sorted(right)
    for mine, its in pairs:
        found = matched(mine["path"], its)["path"].to_pylist()
        assert found == [path if path in right else None for path in mine["path"].to_pylist()]


def test_sources_that_follow_each_other_are_open_one_at_a_time() -> None:
    opened: list[str] = []
    closed: list[str] = []

    def source(first: str) -> Source:
        def rows(_: Sequence[str]) -> Iterator[pa.Table]:
            opened.append(first)
            yield rows_of([first + "1", first + "2"])
            closed.append(first)

        return Source(first, rows)

    most = 0
    for _ in merged([source(first) for first in "cabd"], NAMES):
        most = max(most, len(opened) - len(closed))
    assert opened == list("abcd")
    assert most <= 1


def test_what_is_in_no_order_is_refused_and_named() -> None:
    table = pa.table({"path": ["b", "a"], "value": [1, 2]})
    with pytest.raises(TableError, match="here is not in the order of its paths"):
        list(merged([Source("", held(table), "here")], NAMES))
    parts = iter([rows_of("cd"), rows_of("ab")])
    with pytest.raises(TableError, match="not in the order"):
        list(paired([rows_of("abcd")], parts))


@given(st.lists(st.integers(0, 7), max_size=8), st.integers(1, 6))
def test_rows_are_put_together_anew_in_pieces_of_one_size(sizes: list[int], rows: int) -> None:
    table = rows_of([f"{number:03}" for number in range(sum(sizes))])
    ends = [sum(sizes[:number]) for number in range(len(sizes))]
    parts = [table.slice(start, size) for start, size in zip(ends, sizes, strict=True)]
    found = list(rebatched(parts, rows))
    assert all(len(part) == rows for part in found[:-1])
    assert sum(map(len, found)) == len(table)
    assert not found or pa.concat_tables(found).equals(table)
    along = Along(parts)
    again = [along.take(len(part)) for part in found]
    assert all(one.equals(other) for one, other in zip(found, again, strict=True))


RAW_FILES = st.builds(
    "{}/{}{}".format,
    st.sampled_from(["a", "A", "Å", "A\u030a", "b", "long" * 61]),
    st.sampled_from(["x", "X", "x.jpg", "y", "x.png.jpg", "z" * 241]),
    st.sampled_from([".jpg", ".JPG", ".png", ".jpg.jpg"]),
)


@given(st.lists(RAW_FILES, unique=True, max_size=12), st.integers(1, 5))
def test_crops_are_called_as_if_all_names_were_seen_at_once(files: list[str], size: int) -> None:
    files = sorted(files)
    profiles = [path.partition("/")[0] for path in files]
    names = [path.rpartition("/")[2].rpartition(".")[0] for path in files]
    columns = {"path": files, "profile": profiles, "name": names}
    table = pa.table(
        {
            field.name: pa.array(columns.get(field.name, [None] * len(files)), field.type)
            for field in RAW_SCHEMA
        }
    )
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(streams, "WINDOW", size)
        targets = Targets(table)
        found = [
            name
            for start in range(0, len(files), size)
            for name in targets.of(table.slice(start, size), start).to_pylist()
        ]
    assert found == crop_names(profiles, names, files)


def known(paths: Sequence[str], **columns: object) -> pa.Table:
    """Return rows as a journal has them."""
    return pa.table(
        {
            field.name: pa.array(
                sorted(paths) if field.name == "path" else [columns.get(field.name)] * len(paths),
                field.type,
            )
            for field in LEDGER_SCHEMA
        }
    )


def test_journals_of_any_size_tell_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = tmp_path / ".store" / "rows"
    journal.mkdir(parents=True)
    for number, paths in enumerate(("adgj", "bcd", "ghi")):
        write_table(known(paths, status="ok", width=number), journal / f"{number}.parquet")
    whole = pa.concat_tables(Known(tmp_path)(["path", "width"]))
    assert dict(zip(*whole.to_pydict().values(), strict=True)) == {
        "a": 0, "b": 1, "c": 1, "d": 1, "g": 2, "h": 2, "i": 2, "j": 0,
    }  # fmt: skip
    monkeypatch.setattr("facecrop.commands.preprocess.known._SMALL_ROWS", 0)
    monkeypatch.setattr("facecrop.commands.preprocess.known._JOURNAL_ROWS", 2)
    assert pa.concat_tables(Known(tmp_path)(["path", "width"])).equals(whole)


def test_a_large_journal_with_wrong_bytes_ends_the_command_and_is_gone_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facecrop.commands.preprocess.known._SMALL_ROWS", 0)
    path = tmp_path / ".store" / "rows" / "large.parquet"
    path.parent.mkdir(parents=True)
    write_table(known([f"{number:05}" for number in range(3000)], status="ok"), path)
    data = bytearray(path.read_bytes())
    data[4:2000] = bytes(1996)
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"large\.parquet was damaged, and is removed; run"):
        list(Known(tmp_path)(LEDGER_SCHEMA.names))
    assert not path.exists()
    assert not sum(map(len, Known(tmp_path)(LEDGER_SCHEMA.names)))


def test_an_index_that_was_put_in_another_order_is_named(tmp_path: Path) -> None:
    table = known(["a", "b"], status="ok").take([1, 0])
    write_table(table, tmp_path / INDEX_FILE)
    with pytest.raises(TableError, match=r"index\.parquet is not in the order of its paths"):
        list(Known(tmp_path)(["path", "status"]))


@pytest.mark.parametrize("few", [0, 100])
def test_only_crops_that_no_record_has_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr("facecrop.commands.preprocess.obsolete._FEW", few)

    def table(images: dict[str, str | None]) -> Rows:
        return held(
            pa.table(
                {"path": pa.array(list(images)), "image": pa.array(images.values(), pa.string())}
            )
        )

    before = {"p/a": "a.jpg", "p/b": "b.jpg", "p/c": "c.jpg", "q/d": "d.jpg", "q/e": None}
    now = {"p/a": "a.jpg", "p/b": "b.png", "p/c": None, "r/d": "d.jpg"}
    folder = tmp_path / "images"
    files = {f"images/{image}" for image in before.values() if image}
    for file in [*files, "boxes/b.jpg", "boxes/c.jpg", "images/b.png"]:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    old, new = (
        table({path: image and f"images/{image}" for path, image in one.items()})
        for one in (before, now)
    )
    remove_obsolete(tmp_path, replaced(old, new), new)
    assert sorted(file.name for file in folder.iterdir()) == ["a.jpg", "b.png", "d.jpg"]
    assert [file.name for file in (tmp_path / "boxes").iterdir()] == ["b.jpg"]
