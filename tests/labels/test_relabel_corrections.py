"""Corrections: what manifests and policies make of labels, and how they are exported."""

from collections.abc import Iterable
from pathlib import Path

from relabelled import MAN, OLD, WOMAN, a_small_dataset
from tables import a_dataset, a_manifest, a_record, labels, people

from facecrop.commands.relabel.command import relabel, relabel_export, relabel_list
from facecrop.index import LABELS_FILE
from facecrop.labels.ages import active_policy, load_policy
from facecrop.labels.cells import Fault
from facecrop.labels.current import AGE_POLICY, SET_ASIDE
from facecrop.labels.manifests import Correction, Row, read_manifest


def people_of(rows: Iterable[Row]) -> set[str]:
    contents = [row.content for row in rows]
    assert not [content for content in contents if isinstance(content, Fault)]
    return {content.profile for content in contents if isinstance(content, Correction)}


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
