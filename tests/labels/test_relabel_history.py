"""The history of corrections: what it tells, undo, and applying in any order or twice."""

from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from relabelled import MAN, a_small_dataset
from tables import a_dataset, a_manifest, people

from facecrop.commands.relabel.command import relabel, relabel_log
from facecrop.errors import ConfigError, StoreError
from facecrop.index import HISTORY_FILE, LABELS_FILE
from facecrop.labels.ages import active_policy
from facecrop.labels.history import read_history
from facecrop.store import Store

fresh = settings(max_examples=15, deadline=None)
fresh_each = settings(
    fresh, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # each example makes its own folder


def test_a_dry_run_writes_nothing_and_tells_the_same(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    manifest = a_manifest(tmp_path / "m.csv", (MAN, "", "gender", "male", "female", "seen"))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    dry = relabel(out, manifests=[manifest], set_policy="threshold-58", dry_run=True)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    wet = relabel(out, manifests=[manifest], set_policy="threshold-58")
    assert dry.changes == wet.changes
    assert (dry.rows, dry.images, dry.policy) == (wet.rows, wet.images, wet.policy)


def test_the_history_tells_who_what_when_from_where_and_why(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    row = (MAN, "", "gender", "male", "female", "seen twice", "two people", "high")
    manifest = a_manifest(tmp_path / "m.csv", row)
    relabel(out, manifests=[manifest], set_policy="threshold-58", who="somebody")
    first, *_, last = read_history(out).to_pylist()
    assert first.items() >= {
        "application": 1, "action": "correct", "who": "somebody", "manifest": "m.csv",
        "manifest_digest": sha256(manifest.read_bytes()).digest(), "line": 2, "scope": "profile",
        "path": f"{MAN}/incorrect_mask.jpg", "field": "gender", "was": "male", "now": "female",
        "reason": "seen twice", "source": "two people", "confidence": "high",
    }.items()  # fmt: skip
    assert last["action"] == "policy"
    (log,) = relabel_log(out)
    assert (log.number, log.who, log.images, log.policy) == (1, "somebody", 7, "threshold-58")
    assert (log.action, log.manifests, log.holds) == ("correct + policy", "m.csv", True)


def test_undo_goes_back_step_by_step_and_forgets_nothing(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    states = [(out / LABELS_FILE).read_bytes()]
    manifest = a_manifest(tmp_path / "m.csv", (MAN, "", "gender", "male", "female"))
    for step in ({"manifests": [manifest]}, {"set_policy": "threshold-58"}):
        relabel(out, **step)
        states.append((out / LABELS_FILE).read_bytes())
    assert relabel(out, undo=1).undone == (2,)
    assert active_policy(out).name == "official"
    assert (out / LABELS_FILE).read_bytes() == states[1]
    relabel(out, set_policy="drop-57-59")
    assert relabel(out, undo=2).undone == (4, 1)
    assert (out / LABELS_FILE).read_bytes() == states[0]
    assert [(one.action, one.holds) for one in relabel_log(out)] == [
        ("correct", False), ("policy", False), ("undo", True), ("policy", False), ("undo", True),
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="nothing holds that could be undone"):
        relabel(out, undo=1)


def test_reset_takes_back_everything_and_can_be_called_again(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    before = (out / LABELS_FILE).read_bytes()
    relabel(out, set_policy="threshold-57")
    relabel(out, manifests=[a_manifest(tmp_path / "m.csv", (MAN, "", "age", "20", "21"))])
    assert relabel(out, reset=True).undone == (2, 1)
    assert (out / LABELS_FILE).read_bytes() == before
    assert relabel(out, reset=True).undone == ()


FIELDS = st.sampled_from(
    [("gender", "male", "female"), ("age", "20", "58"), ("age_group", "young", "old")]
)
WISHES = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), FIELDS), max_size=6, unique=True)


def some_dataset(folder: Path) -> Path:
    return a_dataset(folder, people(*(f"{name}_male_Asian_20" for name in "abc"), stems=["normal"]))


def wishes_as_manifest(file: Path, wishes: list[tuple[str, tuple[str, str, str]]]) -> Path:
    rows = [(f"{name}_male_Asian_20", "", *wish) for name, wish in wishes]
    return a_manifest(file, *rows)


@fresh_each
@given(wishes=WISHES, policy=st.none() | st.sampled_from(["threshold-58", "drop-57-59"]))
def test_applied_twice_is_applied_once_and_undo_gives_back_what_was(
    tmp_path_factory: pytest.TempPathFactory,
    wishes: list[tuple[str, tuple[str, str, str]]],
    policy: str | None,
) -> None:
    folder = tmp_path_factory.mktemp("d")
    out = some_dataset(folder / "out")
    before = (out / LABELS_FILE).read_bytes()
    manifest = wishes_as_manifest(folder / "m.csv", wishes)
    relabel(out, manifests=[manifest], set_policy=policy)
    once, log = (out / LABELS_FILE).read_bytes(), len(relabel_log(out))
    second = relabel(out, manifests=[manifest], set_policy=policy)
    assert ((out / LABELS_FILE).read_bytes(), len(relabel_log(out))) == (once, log)
    assert (second.rows, second.already) == (0, len(wishes))
    if log:
        relabel(out, undo=1)
    assert (out / LABELS_FILE).read_bytes() == before


@fresh_each
@given(wishes=WISHES, cut=st.integers(0, 6))
def test_the_order_of_independent_manifests_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory,
    wishes: list[tuple[str, tuple[str, str, str]]],
    cut: int,
) -> None:
    folder = tmp_path_factory.mktemp("d")
    files = [
        wishes_as_manifest(folder / name, part)
        for name, part in (("one.csv", wishes[:cut]), ("other.csv", wishes[cut:]))
    ]
    outs = [some_dataset(folder / name) for name in ("ab", "ba", "both")]
    for file in files:
        relabel(outs[0], manifests=[file])
    for file in reversed(files):
        relabel(outs[1], manifests=[file])
    relabel(outs[2], manifests=files[::-1])
    assert len({(out / LABELS_FILE).read_bytes() for out in outs}) == 1


def test_a_damaged_history_is_named(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path)
    (out / HISTORY_FILE).write_bytes(b"nonsense")
    with pytest.raises(Exception, match=r"labels\.history\.parquet cannot be read"):
        relabel(out, set_policy="threshold-58")


def test_two_writers_do_not_write_at_once(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path)
    with Store(out / ".store").locked(), pytest.raises(StoreError, match="is being written"):
        relabel(out, set_policy="threshold-58")
