"""Shards: several runs share a raw folder, and a merge makes of them what one run would have."""

import errno
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from fakes import CrashingFinder, FakeDetector, draw, mark, usual_face, write_png, write_profiles
from program import typed
from runs import content, recipe, rows, run, trust

from facecrop.commands.cache import FINDINGS, cache_prune, cache_size
from facecrop.commands.known import LEDGER_SCHEMA, read_rows
from facecrop.commands.memory import Memory
from facecrop.commands.merge import merge
from facecrop.commands.preprocess import PreprocessResult
from facecrop.errors import ConfigError, StoreError, TableError
from facecrop.labels.shards import Shard
from facecrop.store import Store

SHARDS = Path(".store", "shards")
IMAGES = 26


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Eight profiles with whatever makes records depend on each other, and things to leave out."""
    raw = write_profiles(tmp_path / "raw", 6)
    quirks = raw / "000007_female_Asian_33"
    write_png(quirks / "normal.png", draw(face=usual_face(), shade=7))
    write_png(quirks / "Normal.bmp", draw(face=usual_face(), shade=8))
    write_png(quirks / "mask1.png", draw(face=None))  # borrows the face of its sibling
    write_png(quirks / "mask2.png", draw(face=None, body=False, shade=1))
    (quirks / "mask3.jpg").write_bytes(b"")
    (quirks / "mask4.jpg").write_bytes(b"no picture")
    (quirks / "100% ümlaut.png").write_bytes((quirks / "normal.png").read_bytes())
    other = raw / "000007_FEMALE_Asian_33"  # one folder of crops on some file systems
    write_png(other / "normal.png", draw(face=usual_face(), shade=9))
    (raw / "000008_male_Asian_40").mkdir()
    (raw / "notes.txt").write_text("not a picture")
    (quirks / "sheet.xls").write_text("nor this")
    return raw


@pytest.fixture
def exact_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the times of files however short before a scan they were written."""
    monkeypatch.setattr("facecrop.commands.plan_run._TRUST_NS", 0)


def shard(raw: Path, out: Path, number: int, count: int, **options: Any) -> PreprocessResult:
    return run(raw, out, shard=f"{number}/{count}", **options)


def sharded(raw: Path, out: Path, count: int, **options: Any) -> None:
    """Run all shards, in an order that nobody has promised."""
    numbers = list(range(1, count + 1))
    random.Random(count).shuffle(numbers)  # noqa: S311 - no secret
    for number in numbers:
        shard(raw, out, number, count, **options)


def pictures(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "contact").iterdir()}


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3/5", "1.0/3", ""])
def test_what_is_no_shard_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="from 1/8 to 8/8"):
        run(write_profiles(tmp_path / "raw", 1), tmp_path / "out", shard=text)


@pytest.mark.parametrize("count", [1, 3, 13])
def test_shards_and_a_merge_make_what_one_run_makes(raw: Path, tmp_path: Path, count: int) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    options = {"keep": ["alpha", "boxes"]}
    run(raw, whole, contact=True, **options)
    sharded(raw, out, count, **options)
    assert not (out / "index.parquet").exists()
    result = merge(out)
    assert content(out) == content(whole)
    assert pictures(out) == pictures(whole)
    assert not (out / SHARDS).exists()
    assert result.images == len(rows(whole))
    assert {row["reason"] for row in rows(out)} >= {"empty", "not-image", "face-by-sibling"}


@pytest.mark.parametrize("layout", ["flat", "table"])
def test_other_layouts_can_be_shared_too(tmp_path: Path, layout: str) -> None:
    raw = source = tmp_path / "raw"
    for number in range(8):
        write_png(raw / f"{number}.png", draw(face=usual_face(), shade=number))
    shutil.copy(raw / "1.png", raw / "1.bmp")
    if layout == "table":
        source = tmp_path / "table.csv"
        lines = [f"raw/{path.name},{path.name[:1]},30" for path in raw.iterdir()]
        source.write_text("\n".join(["path,profile,age", *lines]))
    run(source, tmp_path / "whole")
    sharded(source, tmp_path / "out", 3)
    merge(tmp_path / "out", contact=False)
    assert content(tmp_path / "out") == content(tmp_path / "whole")


def test_merging_twice_is_once_and_a_run_over_the_whole_finds_nothing_to_do(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    sharded(raw, out, 2)
    merge(out)
    before, written = content(out), (out / "index.parquet").stat().st_mtime_ns
    assert merge(out).images == IMAGES
    assert (out / "index.parquet").stat().st_mtime_ns == written
    trust(out)
    assert run(raw, out).progress.total == 0
    assert content(out) == before


def test_a_merge_names_the_shards_that_are_missing(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shard(raw, out, 2, 3)
    with pytest.raises(TableError, match=r"missing: 1/3, 3/3; .* --shard 1/3, or merge with"):
        merge(out)
    assert not (out / "index.parquet").exists()


def test_what_is_missing_may_be_left_pending_and_merged_later(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(raw, tmp_path / "whole")
    shard(raw, out, 2, 3)
    shard(raw, out, 3, 3)
    result = merge(out, allow_missing=True, contact=False)
    own = [row["status"] for row in rows(out) if Shard(1, 3).holds(row["profile"])]
    assert own == ["pending"] * result.statuses["pending"] != []
    shard(raw, out, 1, 3)
    merge(out, contact=False)
    assert content(out) == content(tmp_path / "whole")


def test_an_interrupted_shard_goes_on_and_is_not_taken_for_a_whole_one(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(raw, tmp_path / "whole")

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    shard(raw, out, 2, 2)
    with pytest.raises(KeyboardInterrupt):
        shard(raw, out, 1, 2, report=stop)
    with pytest.raises(TableError, match="not finished: 1/2"):
        merge(out)
    again = shard(raw, out, 1, 2)
    assert again.progress.cached > 0
    merge(out, contact=False)
    assert content(out) == content(tmp_path / "whole")


@pytest.mark.parametrize(
    ("second", "message"),
    [
        ({"recipe": recipe(margin=0.4)}, r"recipe\.crop\.margin is 0\.25 in 1/2, 0\.4 in 2/2"),
        ({"layout": "flat"}, "layout is 'profiles' in 1/2, 'flat' in 2/2"),
        ({"keep": ["boxes"]}, r"--keep is \[\] in 1/2, \['boxes'\] in 2/2"),
    ],
)
def test_shards_that_disagree_are_not_merged(
    raw: Path, tmp_path: Path, second: dict[str, Any], message: str
) -> None:
    out = tmp_path / "out"
    shard(raw, out, 1, 2)
    shard(raw, out, 2, 2, **second)
    with pytest.raises(ConfigError, match=message):
        merge(out, allow_missing=True)


def test_the_number_of_shards_may_change_and_nothing_is_learnt_twice(
    raw: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(raw, tmp_path / "whole")
    shard(raw, out, 1, 2)
    with pytest.raises(TableError, match="missing: 2/2"):
        merge(out)
    done = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    shard(raw, out, 1, 3)
    with pytest.raises(TableError, match=r"what there is \(1/2, 1/3\) does not make a whole"):
        merge(out)
    shard(raw, out, 2, 3)
    shard(raw, out, 3, 3)
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.jpg")}
    assert done.items() <= after.items(), "no crop was written again"
    merge(out, contact=False)
    assert content(out) == content(tmp_path / "whole")


def test_a_whole_set_is_merged_whatever_remains_of_another(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(raw, tmp_path / "whole")
    shard(raw, out, 1, 3, recipe=recipe(margin=0.4))
    sharded(raw, out, 2)
    merge(out, contact=False)
    assert content(out) == content(tmp_path / "whole")


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


def test_shards_run_side_by_side_and_keep_others_away(raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with Store(out / ".store").shared("shard 2/2"):
        shard(raw, out, 1, 2)
        with pytest.raises(StoreError, match=r"another facecrop \(shard 1/2\)"):
            run(raw, out)
        with pytest.raises(StoreError, match="being written"):
            merge(out)
    with (
        Store(out / ".store").locked(),
        pytest.raises(StoreError, match=r"another facecrop \(process \d+\)"),
    ):
        shard(raw, out, 2, 2)


def test_where_nothing_was_sharded_there_is_nothing_to_merge(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no facecrop dataset"):
        merge(tmp_path)
    raw = write_profiles(tmp_path / "raw", 1)
    Store(tmp_path / "out" / ".store").write_lookup(())
    with pytest.raises(TableError, match="has no shards to merge; run: facecrop preprocess RAW"):
        merge(tmp_path / "out")
    run(raw, tmp_path / "out")
    before = content(tmp_path / "out")
    merge(tmp_path / "out", contact=False)
    assert content(tmp_path / "out") == before


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


def test_a_picture_that_will_be_tried_again_does_not_hold_up_the_merge(
    tmp_path: Path,
) -> None:
    raw, out = write_profiles(tmp_path / "raw", 2), tmp_path / "out"
    victim = write_png(next(raw.rglob("mask1.png")), mark(draw(face=usual_face())))
    crashing = recipe(CrashingFinder(), background=False)
    for number in (1, 2):
        workers = {"workers": 1} if Shard(number, 2).holds(victim.parent.name) else {}
        shard(raw, out, number, 2, recipe=crashing, **workers)
    merge(out, contact=False)
    assert [row["reason"] for row in rows(out) if row["reason"]] == ["decoder-crash"]


def test_the_commands_say_what_comes_next(tmp_path: Path) -> None:
    raw, out = write_profiles(tmp_path / "raw", 3), tmp_path / "out"
    options = ["--recipe", "center-crop", "--engine", "serial"]
    for number in (1, 2):
        done = typed("preprocess", raw, out, *options, "--shard", f"{number}/2")
        assert done.returncode == 0, done.stderr
        assert f"facecrop merge {out}" in done.stdout.replace("\n", "")
    merged = typed("merge", out)
    assert "9 images: 9 ok, 0 fallback, 0 rejected; merged in" in merged.stdout, merged.stderr
    assert (out / "contact" / "index.html").is_file()
    wrong = typed("preprocess", raw, out, *options, "--shard", "3/2")
    assert (wrong.returncode, wrong.stderr[:16]) == (1, "error: no shard ")
