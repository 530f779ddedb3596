import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facecrop.errors import StoreError
from facecrop.store import Entry, Lookup, Store

FINDER, OTHER = "aa" * 32, "bb" * 32

digests = st.sampled_from([bytes(32), b"\xff" * 32, b"\xff" * 8 + bytes(24), sha256(b"a").digest()])
entries = st.builds(
    Entry,
    digest=digests,
    key=st.binary(min_size=32, max_size=32),
    facts=st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    alpha=st.none() | st.binary(max_size=5),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "out" / ".store")


def some(start: int, count: int) -> list[Entry]:
    """Return entries that differ, the alphas of odd ones missing."""
    return [
        Entry(
            sha256(b"image %d" % number).digest(),
            sha256(b"key %d" % number).digest(),
            f'{{"number": {number}}}',
            None if number % 2 else bytes([number % 256]) * 100,
        )
        for number in range(start, start + count)
    ]


def known(lookup: Lookup, wanted: Sequence[Entry]) -> list[Entry]:
    """Return the entries that a lookup has of those that are wanted."""
    found = []
    for entry in wanted:
        value = lookup.find(entry.digest).get(entry.key)
        if value is not None:
            found.append(Entry(entry.digest, entry.key, *value))
    return found


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@settings(max_examples=40)
@given(st.lists(st.lists(entries, min_size=1, max_size=4), max_size=4))
def test_what_was_written_is_found(fragments: list[list[Entry]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for fragment in fragments:
            store.write(FINDER, fragment)
        lookup = store.write_lookup([FINDER])
        for digest in {entry.digest for fragment in fragments for entry in fragment} | {b"\1" * 32}:
            of_one = [e for fragment in fragments for e in fragment if e.digest == digest]
            found = lookup.find(digest)
            assert set(found) == {entry.key for entry in of_one}
            for key, value in found.items():
                assert value in {(e.facts, e.alpha) for e in of_one if e.key == key}


def test_only_the_findings_of_the_finders_asked_for_are_looked_up(store: Store) -> None:
    mine, others = some(0, 5), some(5, 5)
    store.write(FINDER, mine)
    store.write(OTHER, others)
    assert known(store.write_lookup([FINDER]), mine + others) == mine
    assert known(store.write_lookup([OTHER, FINDER, OTHER]), mine + others) == mine + others
    assert known(store.write_lookup([]), mine) == []


def test_a_lookup_reads_many_groups_and_keeps_few_in_memory(store: Store) -> None:
    fragments = [some(10 * number, 3) for number in range(40)]
    for fragment in fragments:
        store.write(FINDER, fragment)
    lookup = store.write_lookup([FINDER])
    everything = [entry for fragment in fragments for entry in fragment]
    assert known(lookup, everything) == everything
    assert known(lookup, everything[::-1]) == everything[::-1]
    assert len(lookup._groups) < len(fragments)  # noqa: SLF001 - memory is the promise


def test_a_lookup_is_mapped_and_travels_as_two_names(store: Store) -> None:
    store.write(FINDER, some(0, 3))
    lookup = store.write_lookup([FINDER])
    lookup.find(some(0, 1)[0].digest)
    assert isinstance(lookup._table.base, np.memmap)  # noqa: SLF001 - shared by all workers
    copy = pickle.loads(pickle.dumps(lookup))  # noqa: S301 - made here
    assert (copy.path, copy.fragments) == (lookup.path, lookup.fragments)
    assert len(pickle.dumps(lookup)) < 1000


def test_a_lookup_works_in_another_process(store: Store) -> None:
    store.write(FINDER, some(0, 3))
    lookup = store.write_lookup([FINDER])
    code = (
        "import pickle, sys; lookup = pickle.load(sys.stdin.buffer); "
        f"print(sorted(lookup.find({some(1, 1)[0].digest!r}).values()))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps(lookup), capture_output=True, check=True
    )
    assert run.stdout.decode().strip() == """[('{"number": 1}', None)]"""


def test_compaction_keeps_every_finding_in_fewer_files(store: Store) -> None:
    everything = some(0, 60)
    for start in range(0, 60, 5):
        store.write(FINDER, everything[start : start + 5])
    store.write(OTHER, some(60, 5))
    before = store.size()
    store.compact()
    after = store.size()
    assert len(store.fragments([FINDER])) == 1
    assert len(store.fragments([OTHER])) == 1
    assert after[FINDER][0] == before[FINDER][0] == 60
    assert after[OTHER] == before[OTHER]
    assert known(store.write_lookup([FINDER]), everything) == everything
    store.compact()
    assert known(store.write_lookup([FINDER]), everything) == everything


def test_compaction_leaves_groups_small_enough_to_read_alone(store: Store) -> None:
    for start in range(0, 60, 5):
        store.write(FINDER, some(start, 5))
    store.compact()
    (path,) = store.fragments([FINDER])
    assert pq.ParquetFile(path).num_row_groups == 12


def test_few_fragments_are_left_as_they_are(store: Store) -> None:
    for start in range(3):
        store.write(FINDER, some(start, 1))
    before = store.fragments([FINDER])
    store.compact()
    assert store.fragments([FINDER]) == before


@pytest.mark.parametrize("left", [0, 1, 200, -1])
def test_a_torn_fragment_is_removed_and_the_others_serve(store: Store, left: int) -> None:
    good, torn = some(0, 3), some(3, 3)
    store.write(FINDER, torn)
    (path,) = map(Path, store.fragments([FINDER]))
    path.write_bytes(path.read_bytes()[:left])
    store.write(FINDER, good)
    assert known(store.write_lookup([FINDER]), good + torn) == good
    assert not path.exists()


@pytest.mark.parametrize("after", ["before the run", "within the run"])
def test_damage_inside_a_fragment_is_never_taken_for_a_finding(store: Store, after: str) -> None:
    good, spoilt = some(0, 3), some(4, 1)
    store.write(FINDER, spoilt)
    (path,) = map(Path, store.fragments([FINDER]))
    store.write(FINDER, good)
    lookup = store.write_lookup([FINDER])
    data = path.read_bytes()
    wanted = spoilt[0].alpha if after == "within the run" else spoilt[0].digest
    assert wanted is not None
    path.write_bytes(data.replace(wanted, bytes(len(wanted))))
    if after == "before the run":
        lookup = store.write_lookup([FINDER])
        assert not path.exists()
    assert known(lookup, good + spoilt) == good


def test_a_torn_fragment_of_a_finder_nobody_asked_for_stops_nothing(store: Store) -> None:
    for start in range(6):
        store.write(OTHER, some(start, 1))
    torn = Path(store.fragments([OTHER])[0])
    torn.write_bytes(b"PAR1")
    store.compact()
    assert store.size()[OTHER][0] == 5


def test_a_fragment_that_went_away_is_as_if_nobody_had_looked(store: Store) -> None:
    store.write(FINDER, some(0, 2))
    lookup = store.write_lookup([FINDER])
    store.prune([])
    assert known(lookup, some(0, 2)) == []


def test_pruning_deletes_all_but_what_is_kept_and_says_how_much(store: Store) -> None:
    store.write(FINDER, some(0, 3))
    store.write(OTHER, some(0, 4))
    (store.findings / ".DS_Store").write_bytes(b"x")
    sizes = store.size()
    assert set(sizes) == {FINDER, OTHER}
    assert store.prune([FINDER]) == sizes[OTHER][1] > 0
    assert store.size() == {FINDER: sizes[FINDER]}


def test_an_empty_store_has_nothing_and_finds_nothing(store: Store) -> None:
    assert store.size() == {}
    assert store.prune([]) == 0
    store.compact()
    assert store.write_lookup([FINDER]).find(bytes(32)) == {}


def test_a_write_that_fails_leaves_nothing_behind(store: Store) -> None:
    with pytest.raises((TypeError, ValueError)):
        store.write(FINDER, [Entry(b"too short", b"", "", None)])
    assert files(store.folder) == set()


HOLD = """
import sys, time
from pathlib import Path
from facecrop.store import Store
with Store(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_told_who_is_first_until_that_one_is_gone(store: Store) -> None:
    command = [sys.executable, "-c", HOLD, str(store.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == b"locked\n"
        with pytest.raises(StoreError) as caught, store.locked():
            raise AssertionError("two writers")
        assert f"is being written by another facecrop (process {first.pid})" in str(caught.value)
        first.send_signal(signal.SIGKILL)
        first.wait()
        with store.locked():
            assert (store.folder / "lock").read_text() == str(os.getpid())


def test_the_lock_is_free_again_after_an_error(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), store.locked():
        raise ZeroDivisionError
    with store.locked():
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StoreError, match="file cannot be written: Not a directory"),
        Store(tmp_path / "file" / ".store").locked(),
    ):
        raise AssertionError("a lock in a file")


def test_what_a_killed_run_left_is_swept_and_nothing_else(store: Store) -> None:
    out = store.folder.parent
    store.write(FINDER, some(0, 1))
    keep = {
        "index.parquet",
        ".store/run.json",
        "images/p/.hidden.jpg",
        ".mine.tmp",
        *files(out),
    }
    stale = {
        f".index.parquet.{'0' * 32}.tmp",
        f"images/.metadata.parquet.{'0' * 32}.tmp",
        ".store/lookup-1.npy",
        ".store/tmp/half-a-crop",
        f".store/findings/{FINDER}/{'0' * 32}.tmp",
    }
    for name in keep | stale:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_bytes(b"x")
    with store.locked():
        assert files(out) == keep | {".store/lock"}
