"""Corrections stay with their pictures when preprocess writes the index anew."""

from hashlib import sha256
from pathlib import Path

import pyarrow.compute as pc
from relabelled import MAN, OLD, WOMAN, a_small_dataset
from tables import a_dataset, a_manifest, a_record, an_index, labels, people

from facecrop.commands.card import write_metadata
from facecrop.commands.relabel.command import relabel
from facecrop.index import INDEX_FILE, LABELS_FILE, METADATA_FILE, read_table, write_table
from facecrop.labels.ages import active_policy
from facecrop.labels.current import current_labels, write_labels
from facecrop.labels.history import read_history


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


def test_the_table_beside_the_crops_tells_what_the_labels_are_now(tmp_path: Path) -> None:
    out = a_small_dataset(tmp_path / "out")
    manifest = a_manifest(tmp_path / "m.csv", (MAN, "", "gender", "male", "female"))
    relabel(out, manifests=[manifest])
    assert not (out / METADATA_FILE).exists()  # there are no crops
    relabel(out, undo=1)
    index = read_table(out / INDEX_FILE)
    crops = pc.binary_join_element_wise("images/", index["path"], "")
    place = index.column_names.index("image")
    write_table(index.set_column(place, index.schema.field("image"), crops), out / INDEX_FILE)
    write_metadata(out)
    relabel(out, manifests=[manifest])
    told = read_table(out / METADATA_FILE)
    assert told["gender"].to_pylist() == read_table(out / LABELS_FILE)["gender"].to_pylist()
    assert told.num_rows == index.num_rows
    after = (out / METADATA_FILE).read_bytes()
    write_metadata(out)
    assert (out / METADATA_FILE).read_bytes() == after
