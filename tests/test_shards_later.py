"""Shards of a dataset that changes: what is new, what is kept, and what is in use meanwhile."""

import errno
import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from fakes import FakeDetector, draw, usual_face, write_png
from program import typed
from runs import content, recipe, run, trust
from shard_runs import IMAGES, SHARDS, shard, sharded, write_quirks

from facecrop.commands.cache import FINDINGS, cache_prune, cache_size
from facecrop.commands.merge import merge
from facecrop.commands.preprocess.known import LEDGER_SCHEMA, read_rows
from facecrop.commands.preprocess.memory import Memory
from facecrop.errors import StoreError, TableError
from facecrop.labels.shards import Shard


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return write_quirks(tmp_path / "raw")


@pytest.fixture
def exact_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the times of files however short before a scan they were written."""
    monkeypatch.setattr("facecrop.commands.preprocess.plan._TRUST_NS", 0)


def test_a_run_over_the_whole_takes_over_what_shards_have_done(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(raw, tmp_path / "whole")
    done = shard(raw, out, 1, 2)
    memory = out / SHARDS / "1-of-2" / "run.json"
    known = json.loads(memory.read_text())
    memory.write_text(json.dumps(known | {"scanned_ns": known["scanned_ns"] + 10_000_000_000}))
    assert run(raw, out).progress.total == IMAGES - done.progress.total
    assert content(out) == content(tmp_path / "whole")
    assert not (out / SHARDS).exists()


def test_pictures_that_come_or_change_after_a_shard_are_not_overlooked(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sharded(raw, out, 2)
    late = write_png(raw / "000001_male_Asian_20" / "mask2.png", draw(face=None))
    owner = Shard.of(late.parent.name, 2)
    with pytest.raises(
        TableError, match=f"4 of .* come, changed or lost their crop since: {owner}"
    ):
        merge(out)
    shard(raw, out, owner.number, 2)
    run(raw, tmp_path / "whole")
    merge(out, contact=False)
    assert content(out) == content(tmp_path / "whole")


def test_shards_bring_a_dataset_up_to_date(raw: Path, tmp_path: Path) -> None:
    out, changed = tmp_path / "out", recipe(margin=0.4)
    run(raw, out)
    shutil.rmtree(raw / "000003_male_Asian_22")
    write_png(raw / "000009_male_Asian_50" / "normal.png", draw(face=usual_face(), shade=11))
    sharded(raw, out, 2, recipe=changed)
    merge(out, contact=False)
    run(raw, tmp_path / "whole", recipe=changed)
    assert content(out) == content(tmp_path / "whole")
    assert not (out / "images" / "000003_male_Asian_22").exists()


def test_after_a_merge_a_shard_has_only_what_is_new_to_do(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sharded(raw, out, 2)
    merge(out, contact=False)
    trust(out)
    before = content(out)
    assert [shard(raw, out, number, 2).progress.total for number in (1, 2)] == [0, 0]
    merge(out, contact=False)
    assert content(out) == before


@pytest.mark.usefixtures("exact_times")
def test_after_updates_by_shards_too_only_what_is_new_is_worked_on(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sharded(raw, out, 2)
    merge(out, contact=False)
    for number in (1, 2):
        late = write_png(raw / f"00010{number}_male_Asian_20" / "normal.png", draw(shade=number))
        done = {of: shard(raw, out, of, 2).progress.total for of in (1, 2)}
        assert done == {of: int(Shard(of, 2).holds(late.parent.name)) for of in (1, 2)}
        merge(out, contact=False)
    assert [shard(raw, out, of, 2).progress.total for of in (1, 2)] == [0, 0]
    merge(out, contact=False)
    assert run(raw, out).progress.total == 0
    run(raw, tmp_path / "whole")
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.usefixtures("exact_times")
def test_shards_that_begin_to_keep_something_do_so_once(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(raw, out)
    sharded(raw, out, 2, keep=["boxes"])
    merge(out, contact=False)
    again = [shard(raw, out, of, 2, keep=["boxes"]).progress.total for of in (1, 2)]
    assert again == [0, 0]


@pytest.mark.parametrize("keep", [[], ["boxes"]])
def test_what_some_shards_have_seen_and_kept_is_not_said_of_all(
    raw: Path, tmp_path: Path, keep: list[str]
) -> None:
    out = tmp_path / "out"
    run(raw, out)
    before = Memory(out / ".store").scanned_ns
    shard(raw, out, 1, 2, keep=keep)
    merge(out, allow_missing=True, contact=False)
    after = Memory(out / ".store")
    assert (after.scanned_ns, after.keep, after.complete) == (before, frozenset(), True)


def test_what_a_run_over_the_whole_left_unfinished_is_not_said_to_be_kept(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(raw, out)
    sharded(raw, out, 2, keep=["boxes"])
    Memory(out / ".store").forget()  # as such a run does first
    merge(out, contact=False)
    assert Memory(out / ".store").keep == frozenset()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ESTALE])
def test_finished_rows_stay_where_the_system_would_not_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    table = tmp_path / "rows.parquet"
    pq.write_table(LEDGER_SCHEMA.empty_table(), table)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, "a fault that passes")

    with monkeypatch.context() as patched:
        patched.setattr(pq, "read_table", refuse)
        with pytest.raises(StoreError, match=r"rows\.parquet cannot be read: .*; run the command"):
            list(read_rows([table]))
    assert [rows.num_rows for rows in read_rows([table])] == [0]


def test_torn_tables_of_finished_rows_are_removed_and_lost_ones_left_out(tmp_path: Path) -> None:
    torn, whole = tmp_path / "torn.parquet", tmp_path / "whole.parquet"
    pq.write_table(LEDGER_SCHEMA.empty_table(), whole)
    torn.write_bytes(whole.read_bytes()[:-20])
    gone = tmp_path / "gone.parquet"
    assert len(list(read_rows([torn, gone, whole]))) == 1
    assert sorted(tmp_path.iterdir()) == [whole]


def test_findings_of_shards_that_wait_for_their_merge_are_in_use(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(raw, out)
    before = {row.label for row in cache_size(out) if row.kind == FINDINGS}
    shard(raw, out, 1, 2, recipe=recipe(FakeDetector(level=200)))
    found = [row for row in cache_size(out) if row.kind == FINDINGS]
    assert len(found) > len(before), "the shard has findings of its own"
    assert all(row.in_use for row in found)
    assert cache_prune(out)[FINDINGS] == 0


def test_labels_stay_what_they_were_corrected_to(raw: Path, tmp_path: Path) -> None:
    out, fixes = tmp_path / "out", tmp_path / "fixes.csv"
    run(raw, out)
    fixes.write_text("profile,field,was,now\n000001_male_Asian_20,age,20,61\n")
    assert typed("relabel", out, "--manifest", fixes).returncode == 0
    sharded(raw, out, 2, recipe=recipe(margin=0.4))
    merge(out, contact=False)
    labels = pq.read_table(out / "labels.parquet").to_pylist()
    ages = {row["age"] for row in labels if row["path"].startswith("000001")}
    assert ages == {61}


def test_what_has_come_since_a_merge_needs_a_run_or_all_shards(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    advice = f"run: facecrop preprocess RAW {out}, or all its shards$"
    shard(raw, out, 1, 2)
    merge(out, allow_missing=True, contact=False)
    with pytest.raises(TableError, match=f"images of .* are not worked out; {advice}"):
        merge(out)
    shard(raw, out, 2, 2)
    merge(out, contact=False)
    write_png(raw / "000009_male_Asian_50" / "normal.png", draw(face=usual_face(), shade=11))
    with pytest.raises(TableError, match=f"^1 of 27 images of .* are not worked out; {advice}"):
        merge(out)
