"""Tables of many rows are folders of parts, and nobody who reads them notices."""

import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fakes import write_profiles
from runs import content, rows, run, trust
from shard_runs import sharded, write_quirks
from small_run import LOSSLESS, small_dataset

from facecrop import tables
from facecrop.commands.audit.command import audit
from facecrop.commands.merge import merge
from facecrop.commands.relabel.command import relabel
from facecrop.commands.split import split
from facecrop.commands.stats.command import stats
from facecrop.errors import StoreError, TableError
from facecrop.index import INDEX_FILE, read_batches, read_columns, read_names, read_table
from facecrop.index import write_batches as write
from facecrop.labels.splits import SplitSettings
from facecrop.storage import folders
from facecrop.training.prediction_files import read_truth

ROWS = 37
LOCAL = re.compile(r"/part-|history|metadata|audit/index.html")
"""Files that hold times, the name of the dataset, or as many row groups as the index."""
WHOLE = pa.table({"number": list(range(ROWS)), "text": [str(one) for one in range(ROWS)]})


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "PART_ROWS", 10)


def written(path: Path, table: pa.Table = WHOLE) -> Path:
    batches = (table.slice(start, 4) for start in range(0, len(table), 4))
    write(batches, table.schema, path, rows=len(table))
    return path


@pytest.mark.usefixtures("small_parts")
def test_a_table_of_many_rows_is_read_like_any_other(tmp_path: Path) -> None:
    path = written(tmp_path / "t.parquet")
    assert [pq.read_metadata(part).num_rows for part in sorted(path.iterdir())] == [10, 10, 10, 7]
    assert read_table(path).equals(WHOLE)
    assert read_table(path, ["text"]).equals(WHOLE.select(["text"]))
    assert read_names(path) == WHOLE.column_names
    assert pa.concat_tables(read_batches(path)).equals(WHOLE)
    assert [len(part) for part in read_columns(path, ["number"], 15)] == [15, 15, 7]
    assert tables.count_rows(path) == ROWS
    assert pd.read_parquet(path)["number"].tolist() == list(range(ROWS))


@pytest.mark.usefixtures("small_parts")
def test_equal_rows_are_equal_files_and_parts_without_a_change_keep_their_names(
    tmp_path: Path,
) -> None:
    one, other = (written(tmp_path / name) for name in ("one.parquet", "other.parquet"))
    assert content(one) == content(other)
    longer = pa.concat_tables([WHOLE, WHOLE])
    written(other, longer)
    assert len(content(one).items() & content(other).items()) == ROWS // 10


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("exchange", [True, False])
def test_files_and_folders_take_the_place_of_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exchange: bool
) -> None:
    if not exchange:
        monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    path = tmp_path / "t.parquet"
    for count in (3, 37, 25, 10, 11, 9):
        written(path, WHOLE.slice(0, count))
        assert path.is_dir() == (count > 10)
        assert read_table(path).equals(WHOLE.slice(0, count))
        assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("small_parts")
def test_a_reader_has_one_table_whoever_replaces_it(tmp_path: Path) -> None:
    path = written(tmp_path / "t.parquet")
    parts = read_columns(path, ["number"], 5)
    first = next(parts)
    other = WHOLE.set_column(0, "number", pa.array(range(100, 100 + ROWS)))
    written(path, other)
    assert pa.concat_tables([first, *parts]).equals(WHOLE.select(["number"]))
    assert read_table(path).equals(other)


@pytest.mark.usefixtures("small_parts")
def test_a_listing_that_is_out_of_date_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, old = written(tmp_path / "t.parquet"), tmp_path / "old"
    shutil.copytree(path, old)
    other = WHOLE.set_column(0, "number", pa.array(range(100, 100 + ROWS)))
    before = tables.files_of(path)
    written(path, other)
    listed = [before, before]
    really = tables.files_of
    monkeypatch.setattr(tables, "files_of", lambda given: listed.pop() if listed else really(given))
    assert read_table(path).equals(other)
    assert not listed
    listed.append(before)
    assert pa.concat_tables(read_batches(path)).equals(other)


@pytest.mark.usefixtures("small_parts")
def test_a_writer_that_fails_leaves_the_old_table(tmp_path: Path) -> None:
    path = written(tmp_path / "t.parquet")

    def fails() -> "object":
        yield WHOLE.slice(0, 12)
        raise OSError(28, os.strerror(28))

    with pytest.raises(StoreError, match=r"t\.parquet cannot be written: No space left"):
        write(fails(), WHOLE.schema, path, rows=ROWS)
    assert read_table(path).equals(WHOLE)
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_moved_aside_is_brought_back(tmp_path: Path) -> None:
    aside = tmp_path / f".t.parquet.{'0' * 32}{folders.ASIDE}"
    aside.mkdir()
    (aside / "part").write_text("old")
    folders.restore(tmp_path)
    assert (tmp_path / "t.parquet" / "part").read_text() == "old"
    aside.mkdir()
    folders.restore(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_a_folder_without_parts_is_no_table(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").mkdir()
    for read in (read_table, read_names, lambda path: list(read_batches(path))):
        with pytest.raises(TableError, match="cannot be read"):
            read(tmp_path / "t.parquet")


def test_commands_do_not_notice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, out = small_dataset(tmp_path, profiles=6)
    parted = tmp_path / "parted"
    manifest = tmp_path / "m.csv"
    manifest.write_text("profile,name,field,was,now\n000001_male_Asian_20,,age,20,44\n")
    found = []
    for dataset in (out, parted):
        if dataset == parted:
            monkeypatch.setattr(tables, "PART_ROWS", 4)
            run(raw, parted, recipe="raw", settings=[LOSSLESS])
            names = (INDEX_FILE, "labels.parquet", ".store/state.parquet")
            assert all((parted / name).is_dir() for name in names)
        relabel(dataset, manifests=[manifest])
        split(dataset, settings=SplitSettings(folds=3))
        trust(dataset)
        again = run(raw, dataset, recipe="raw", settings=[LOSSLESS], contact=True)
        assert again.progress.total == 0
        audit(dataset)
        truth = read_truth(dataset / "labels.parquet")
        saw = {name: value for name, value in content(dataset).items() if not LOCAL.search(name)}
        saw |= {"contact": (dataset / "contact" / "contact.png").read_bytes().hex()}
        numbers = stats(dataset).as_json()["datasets"][0]
        found.append((numbers | {"name": ""}, list(truth.keys), saw))
    one, other = found
    assert one[:2] == other[:2]
    assert {name: one[2][name] for name in other[2]} == other[2]
    assert read_table(parted / INDEX_FILE).equals(read_table(out / INDEX_FILE))
    assert (parted / INDEX_FILE).is_dir()


def test_a_run_finds_an_index_that_was_moved_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw, out = write_profiles(tmp_path / "raw", 3), tmp_path / "out"
    monkeypatch.setattr(tables, "PART_ROWS", 4)
    run(raw, out)
    trust(out)
    before = content(out)
    (out / INDEX_FILE).rename(out / f".{INDEX_FILE}.{'0' * 32}{folders.ASIDE}")
    assert run(raw, out).progress.total == 0
    assert content(out) == before


def test_shards_and_updates_keep_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = write_quirks(tmp_path / "raw")
    run(raw, tmp_path / "whole")
    monkeypatch.setattr(tables, "PART_ROWS", 8)
    out = tmp_path / "out"
    sharded(raw, out, 2, store_as="shards", shard_size=5)
    merge(out, contact=False)
    assert (out / "images" / "shards.parquet").is_dir()
    assert read_table(out / INDEX_FILE).equals(read_table(tmp_path / "whole" / INDEX_FILE))
    trust(out)
    assert run(raw, out).progress.total == 0
    shutil.rmtree(max(raw.glob("00000[1-6]*")))
    shutil.rmtree(max(raw.glob("00000[1-6]*")))
    run(raw, out, store_as="files")
    run(raw, tmp_path / "whole")
    assert rows(out) == rows(tmp_path / "whole")
    assert not (out / "images" / "shards.parquet").exists()
