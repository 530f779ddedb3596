from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tables import a_dataset, a_manifest, a_record, an_index, labels, people

from facecrop.commands.relabel import relabel, relabel_export, relabel_list, relabel_log
from facecrop.errors import ConfigError, StoreError
from facecrop.index import HISTORY_FILE, INDEX_FILE, LABELS_FILE, read_table, write_table
from facecrop.labels.ages import active_policy, load_policy
from facecrop.labels.current import AGE_POLICY, SET_ASIDE, current_labels, write_labels
from facecrop.labels.history import read_history
from facecrop.labels.manifests import Correction, Fault, Row, read_manifest
from facecrop.store import Store

WOMAN, MAN, OLD = "000020_female_Asian_50", "004418_male_Asian_20", "004348_male_Asian_59"
fresh = settings(max_examples=15, deadline=None)
fresh_each = settings(
    fresh, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # each example makes its own folder


def people_of(rows: Iterable[Row]) -> set[str]:
    contents = [row.content for row in rows]
    assert not [content for content in contents if isinstance(content, Fault)]
    return {content.profile for content in contents if isinstance(content, Correction)}


def a_small_dataset(out: Path) -> Path:
    return a_dataset(out, people(WOMAN, MAN, OLD))


def test_the_consensus_is_twelve_rows_and_sixty_nine_images_and_twice_is_once(
    tmp_path: Path,
) -> None:
    file = next(manifest.file for manifest in relabel_list()[0] if manifest.name == "consensus")
    profiles = people_of(read_manifest(file))
    out = a_dataset(tmp_path, people(*profiles, "001498_female_Asian_59"))
    first = relabel(out, manifests=["consensus"])
    after = (out / LABELS_FILE).read_bytes()
    second = relabel(out, manifests=["consensus"])
    assert (first.rows, first.images) == (12, 69)
    assert (second.rows, second.images, second.already) == (0, 0, 12)
    assert (out / LABELS_FILE).read_bytes() == after
    assert labels(out)["001498_female_Asian_59/normal.jpg"]["gender"] == "female"


def test_all_shipped_manifests_fit_together(
    tmp_path: Path,
) -> None:
    manifests, _ = relabel_list()
    rows = {one.name: list(read_manifest(one.file)) for one in manifests}
    assert {name: len(found) for name, found in rows.items()} == {
        "ages": 6,
        "consensus": 12,
        "disputed": 66,
        "likely": 4,
    }
    profiles = people_of(row for found in rows.values() for row in found)
    out = a_dataset(tmp_path, people(*profiles))
    assert relabel(out, manifests=list(rows)).rows == 6 + 12 + 66 + 4


def test_a_swap_exchanges_two_labels_and_a_half_done_one_is_completed(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    half = a_manifest(tmp_path / "half.csv", (WOMAN, "incorrect_mask", "mask", "incorrect", "none"))
    swap = a_manifest(
        tmp_path / "swap.csv", (WOMAN, "incorrect_mask", "mask", "incorrect", "swap:normal")
    )
    relabel(out, manifests=[half])
    assert relabel(out, manifests=[swap]).images == 1
    assert relabel(out, manifests=[swap]).images == 0
    assert labels(out)[f"{WOMAN}/incorrect_mask.jpg"]["mask"] == "none"
    assert labels(out)[f"{WOMAN}/normal.jpg"]["mask"] == "incorrect"


def test_a_corrected_person_is_corrected_in_every_picture(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    manifest = a_manifest(
        tmp_path / "m.csv", (MAN, "", "gender", "male", "female"), (MAN, "", "age", "20", "061")
    )
    relabel(out, manifests=[manifest])
    rows = [row for path, row in labels(out).items() if path.startswith(MAN)]
    assert {(row["gender"], row["age"], row["age_group"]) for row in rows} == {
        ("female", 61, "old")
    }


def test_a_bin_that_was_set_survives_policies_and_their_drops(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    relabel(
        out,
        manifests=[a_manifest(tmp_path / "m.csv", (OLD, "", "age_group", "middle", "old"))],
        set_policy="threshold-58",
    )
    for policy in ("official", "drop-57-59", "threshold-57"):
        relabel(out, set_policy=policy)
        row = labels(out)[f"{OLD}/normal.jpg"]
        assert (row["age"], row["age_group"], row["kept"]) == (59, "old", True)


def test_what_a_bin_was_is_the_official_one_whatever_policy_is_active(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    relabel(out, set_policy="threshold-58")  # calls the man of 59 old already
    manifest = a_manifest(tmp_path / "m.csv", (OLD, "", "age_group", "middle", "old"))
    assert relabel(out, manifests=[manifest]).images == 7
    relabel(out, set_policy="official")
    assert labels(out)[f"{OLD}/normal.jpg"]["age_group"] == "old"


def test_a_policy_drops_records_and_leaves_ages_alone(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    result = relabel(out, set_policy="drop-57-59")
    row = labels(out)[f"{OLD}/mask1.jpg"]
    assert (row["age"], row["age_group"], row["kept"], row["kept_reason"]) == (
        59,
        None,
        False,
        AGE_POLICY,
    )
    assert (result.policy_was.name, result.policy.name) == ("official", "drop-57-59")
    assert active_policy(out) == load_policy("drop-57-59")


def test_a_person_or_an_image_can_be_set_aside_with_a_reason(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    manifest = a_manifest(
        tmp_path / "m.csv",
        (MAN, "", "keep", "yes", "no", "not a photograph"),
        (WOMAN, "mask1", "keep", "yes", "no"),
    )
    relabel(out, manifests=[manifest])
    now = labels(out)
    assert now[f"{MAN}/mask2.jpg"]["kept_reason"] == "not a photograph"
    assert now[f"{WOMAN}/mask1.jpg"]["kept_reason"] == SET_ASIDE
    assert [now[f"{WOMAN}/{stem}.jpg"]["kept"] for stem in ("mask1", "mask2")] == [False, True]
    relabel(out, manifests=[a_manifest(tmp_path / "b.csv", (MAN, "mask2", "keep", "no", "yes"))])
    assert labels(out)[f"{MAN}/mask2.jpg"]["kept"] is True
    again = a_manifest(tmp_path / "a.csv", (MAN, "", "keep", "yes", "no"))
    relabel(out, manifests=[again])  # what is said of the person later holds for the image, too
    assert labels(out)[f"{MAN}/mask2.jpg"]["kept"] is False


def test_unlabelled_pictures_can_be_labelled(tmp_path: Path) -> None:
    out = a_dataset(tmp_path / "out", [a_record("a.jpg", profile="a", name="a")])
    manifest = a_manifest(
        tmp_path / "m.csv",
        ("a", "a", "mask", "", "worn"),
        ("a", "", "gender", "", "female"),
        ("a", "", "age", "", "31"),
    )
    relabel(out, manifests=[manifest])
    row = labels(out)["a.jpg"]
    assert [row[name] for name in ("mask", "gender", "age", "age_group", "kept")] == [
        "worn", "female", 31, "middle", True,
    ]  # fmt: skip


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


def test_a_new_preprocess_run_keeps_corrections_and_gives_them_to_new_pictures(
    tmp_path: Path,
) -> None:
    out = a_dataset(tmp_path / "out", people(MAN, stems=["mask1", "normal"]))
    manifest = a_manifest(
        tmp_path / "m.csv",
        (MAN, "", "gender", "male", "female"),
        (MAN, "normal", "mask", "none", "worn"),
    )
    relabel(out, manifests=[manifest])
    index = an_index(people(MAN))
    write_table(index, out / INDEX_FILE)
    assert write_labels(out, index).num_rows == 0
    now = labels(out)
    assert {row["gender"] for row in now.values()} == {"female"}
    assert (now[f"{MAN}/normal.jpg"]["mask"], now[f"{MAN}/mask5.jpg"]["mask"]) == ("worn", "worn")


def moved(rows: list[dict[str, object]], profile: str) -> list[dict[str, object]]:
    """The same pictures in a folder of another name."""
    return [
        a_record(f"{profile}/{str(row['path']).rpartition('/')[2]}", digest=row["digest"])
        for row in rows
    ]


def corrected(tmp_path: Path) -> Path:
    out = a_small_dataset(tmp_path / "out")
    manifest = a_manifest(
        tmp_path / "m.csv",
        (MAN, "", "gender", "male", "female"),
        (MAN, "normal", "mask", "none", "incorrect"),
    )
    relabel(out, manifests=[manifest])
    return out


def test_corrections_follow_a_renamed_profile(tmp_path: Path) -> None:
    out = corrected(tmp_path)
    renamed = "004418-2_male_Asian_20"
    write_table(an_index([*people(WOMAN), *moved(people(MAN), renamed)]), out / INDEX_FILE)
    assert write_labels(out).num_rows == 0
    assert labels(out)[f"{renamed}/mask1.jpg"]["gender"] == "female"
    assert labels(out)[f"{renamed}/normal.jpg"]["mask"] == "incorrect"
    assert labels(out)[f"{WOMAN}/mask1.jpg"]["gender"] == "female"


def test_corrections_of_a_vanished_profile_are_listed_as_orphans(tmp_path: Path) -> None:
    out = corrected(tmp_path)
    write_table(an_index(people(WOMAN)), out / INDEX_FILE)
    orphans = write_labels(out)
    assert set(pc.unique(orphans["profile"]).to_pylist()) == {MAN}
    assert set(orphans["field"].to_pylist()) == {"gender", "mask"}
    assert relabel(out, set_policy="threshold-58").orphans == orphans


def test_bytes_that_two_people_share_tell_nobody_where_a_vanished_one_went(tmp_path: Path) -> None:
    out = corrected(tmp_path)
    one, other = "000001_male_Asian_20", "000002_male_Asian_20"
    rows = [*moved(people(MAN), one), *moved(people(MAN), other)]
    write_table(an_index(rows), out / INDEX_FILE)
    assert write_labels(out).num_rows == 2
    assert {row["gender"] for row in labels(out).values()} == {"male"}


def test_a_picture_moved_to_somebody_else_takes_no_gender_along(tmp_path: Path) -> None:
    out = corrected(tmp_path)
    stray = moved(people(MAN, stems=["mask1"]), OLD)
    rows = [*people(MAN)[:1], *people(MAN)[2:], *people(OLD)[:1], *people(OLD)[2:], *stray]
    write_table(an_index(rows), out / INDEX_FILE)
    assert write_labels(out).num_rows == 0
    assert labels(out)[f"{OLD}/mask1.jpg"]["gender"] == "male"
    assert labels(out)[f"{MAN}/mask2.jpg"]["gender"] == "female"


def test_files_that_somebody_swapped_by_hand_are_not_swapped_twice(tmp_path: Path) -> None:
    out = a_dataset(tmp_path / "out", people(WOMAN))
    swap = (WOMAN, "incorrect_mask", "mask", "incorrect", "swap:normal")
    relabel(out, manifests=[a_manifest(tmp_path / "m.csv", swap)])
    rows = people(WOMAN)
    by_name = {row["name"]: row for row in rows}
    one, other = by_name["incorrect_mask"], by_name["normal"]
    one["digest"], other["digest"] = other["digest"], one["digest"]
    write_table(an_index(rows), out / INDEX_FILE)
    write_labels(out)
    assert labels(out)[f"{WOMAN}/incorrect_mask.jpg"]["mask"] == "incorrect"
    assert labels(out)[f"{WOMAN}/normal.jpg"]["mask"] == "none"


def test_a_picture_saved_anew_keeps_its_correction_by_its_path(tmp_path: Path) -> None:
    out = corrected(tmp_path)
    rows = people(WOMAN, MAN, OLD)
    for row in rows:
        row["digest"] = sha256(f"again {row['path']}".encode()).digest()
    write_table(an_index(rows), out / INDEX_FILE)
    assert write_labels(out).num_rows == 0
    assert labels(out)[f"{MAN}/normal.jpg"]["mask"] == "incorrect"
    assert labels(out)[f"{MAN}/mask1.jpg"]["gender"] == "female"


def test_labels_can_be_worked_out_again_from_index_and_history(tmp_path: Path) -> None:
    out = corrected(tmp_path)
    relabel(out, set_policy="drop-57-59")
    again = current_labels(read_table(out / INDEX_FILE), read_history(out), active_policy(out))
    assert again == read_table(out / LABELS_FILE)


def test_an_index_in_parts_gives_the_same_bytes_as_one_file(tmp_path: Path) -> None:
    out = corrected(tmp_path)
    before, index = (out / LABELS_FILE).read_bytes(), read_table(out / INDEX_FILE)
    (out / INDEX_FILE).unlink()
    (out / INDEX_FILE).mkdir()
    write_table(index.slice(0, 9), out / INDEX_FILE / "part-0.parquet")
    write_table(index.slice(9), out / INDEX_FILE / "part-1.parquet")
    write_labels(out)
    assert (out / LABELS_FILE).read_bytes() == before


def test_two_writers_do_not_write_at_once(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path)
    with Store(out / ".store").locked(), pytest.raises(StoreError, match="is being written"):
        relabel(out, set_policy="threshold-58")


def test_what_is_exported_applies_elsewhere_and_gives_the_same_labels(tmp_path: Path) -> None:
    evil = "=cmd|' -C calc'!A0"
    rows = [*people(WOMAN, MAN, OLD), *people(f"{evil}_female_Asian_30")]
    one, other = (a_dataset(tmp_path / name, rows) for name in ("one", "other"))
    manifest = a_manifest(
        tmp_path / "m.csv",
        (WOMAN, "incorrect_mask", "mask", "incorrect", "swap:normal", "@SUM(1)"),
        (MAN, "", "keep", "yes", "no", "+1"),
        (OLD, "mask1", "keep", "yes", "no"),
        (OLD, "", "age_group", "middle", "old"),
        (f"{evil}_female_Asian_30", "", "gender", "female", "male"),
    )
    relabel(one, manifests=[manifest])
    file = tmp_path / "export.csv"
    assert relabel_export(one, file) == 6
    assert not [line for line in file.read_text().splitlines() if line[:1] in "=+-@"]
    assert f"'{evil}" in file.read_text()
    assert ",'@SUM(1)," in file.read_text()
    relabel(other, manifests=[file])
    assert (one / LABELS_FILE).read_bytes() == (other / LABELS_FILE).read_bytes()


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
