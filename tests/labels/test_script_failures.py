"""The nine ways in which hand-written fix scripts of this field failed, and what happens here."""

import csv
import re
import sys
from pathlib import Path

import pytest
from tables import a_dataset, a_manifest, a_record, labels, people

from facecrop.commands.relabel.command import relabel, relabel_export, relabel_log
from facecrop.errors import ManifestError
from facecrop.index import INDEX_FILE, LABELS_FILE
from facecrop.labels.ages import active_policy
from facecrop.labels.manifests import COLUMNS

GIRL, WOMAN, MAN = "001720_female_Asian_18", "001498_female_Asian_59", "001498-1_male_Asian_23"


def test_1_a_fix_that_changes_nothing_is_an_error_and_not_silence(tmp_path: Path) -> None:
    """`gender == 'female'` where `=` was meant: the fix never happened."""
    out = a_dataset(tmp_path / "out", people(GIRL))
    manifest = a_manifest(tmp_path / "m.csv", (GIRL, "", "gender", "female", "female"))
    with pytest.raises(ManifestError, match="the row changes nothing"):
        relabel(out, manifests=[manifest])


def test_2_a_suffix_is_part_of_the_name_and_a_prefix_hits_nobody_else(tmp_path: Path) -> None:
    """`dir[:6] in ids` never meets `001498-1`, and `001498` meets two people."""
    out = a_dataset(tmp_path / "out", people(WOMAN, MAN))
    relabel(out, manifests=[a_manifest(tmp_path / "m.csv", (MAN, "", "gender", "male", "female"))])
    assert {row["gender"] for path, row in labels(out).items() if path.startswith(MAN)} == {
        "female"
    }
    prefix = a_manifest(tmp_path / "p.csv", ("001498", "", "gender", "female", "male"))
    with pytest.raises(ManifestError, match=f"is an id, .* did you mean '{WOMAN}'\\?"):
        relabel(out, manifests=[prefix])


def test_3_an_id_that_lost_its_zeros_is_an_error_that_names_the_person(tmp_path: Path) -> None:
    """`str(id) in ["1720", ...]` against `"001720"`: all but one fix were lost."""
    out = a_dataset(tmp_path / "out", people(GIRL, MAN))
    manifest = a_manifest(
        tmp_path / "m.csv",
        ("1720", "", "gender", "female", "male"),
        ("1498-1", "", "gender", "male", "female"),
    )
    with pytest.raises(ManifestError, match=f"(?s){GIRL}.*{MAN}"):
        relabel(out, manifests=[manifest])
    assert relabel_log(out) == []


def test_4_corrections_are_found_by_name_wherever_they_stand(tmp_path: Path) -> None:
    """Ages matched by position in a dictionary while walking folders."""
    rows = [(GIRL, "", "age", "18", "20"), (MAN, "", "age", "23", "24")]
    results = []
    for order in (rows, rows[::-1]):
        out = a_dataset(tmp_path / str(len(results)), people("000001_male_Asian_30", GIRL, MAN))
        relabel(out, manifests=[a_manifest(tmp_path / "m.csv", *order)])
        results.append((out / LABELS_FILE).read_bytes())
    assert results[0] == results[1]


def test_5_a_swap_twice_is_a_swap_once_whatever_the_extensions(tmp_path: Path) -> None:
    """Renaming in place swaps back when it runs again, and only `.jpg` was handled."""
    rows = [a_record(f"{GIRL}/incorrect_mask.jpeg"), a_record(f"{GIRL}/normal.png")]
    out = a_dataset(tmp_path / "out", rows)
    swap = a_manifest(tmp_path / "m.csv", (GIRL, "normal", "mask", "none", "swap:incorrect_mask"))
    assert [relabel(out, manifests=[swap]).images for _ in range(3)] == [2, 0, 0]
    assert labels(out)[f"{GIRL}/normal.png"]["mask"] == "incorrect"


def test_6_nothing_but_the_tables_of_labels_is_ever_written(tmp_path: Path) -> None:
    """Renamed folders no longer met the table beside them."""
    raw = tmp_path / "raw" / GIRL
    raw.mkdir(parents=True)
    (raw / "normal.jpg").write_bytes(b"a picture")
    out = a_dataset(tmp_path / "out", people(GIRL))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    manifest = a_manifest(tmp_path / "m.csv", (GIRL, "", "gender", "female", "male"))
    relabel(out, manifests=[manifest], set_policy="threshold-58")
    changed = {
        path.name
        for path in tmp_path.rglob("*")
        if path.is_file() and path != manifest and before.get(path) != path.read_bytes()
    }
    assert changed == {"labels.parquet", "labels.history.parquet", "dataset.toml", "lock"}
    assert INDEX_FILE not in changed


def test_7_what_was_applied_can_be_read_from_the_dataset(tmp_path: Path) -> None:
    """A call commented out, fixes written and switched off: nobody could tell what held."""
    out = a_dataset(tmp_path / "out", people(GIRL, MAN))
    relabel(out, manifests=[a_manifest(tmp_path / "a.csv", (GIRL, "", "gender", "female", "male"))])
    relabel(out, manifests=[a_manifest(tmp_path / "b.csv", (MAN, "", "keep", "yes", "no"))])
    relabel(out, undo=1)
    assert [(one.manifests, one.holds) for one in relabel_log(out)][:2] == [
        ("a.csv", True),
        ("b.csv", False),
    ]


def test_8_a_list_of_suspects_becomes_a_manifest_that_still_has_to_fit(tmp_path: Path) -> None:
    """Suspects were found by models and inspected by eye; their lists were never published."""
    out = a_dataset(tmp_path / "out", people(GIRL, MAN))
    relabel(out, manifests=[a_manifest(tmp_path / "m.csv", (GIRL, "", "age", "18", "31", "seen"))])
    found = tmp_path / "found.csv"
    relabel_export(out, found)
    with found.open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert tuple(row) == COLUMNS
    assert row["reason"] == "seen"
    found.write_text(found.read_text().replace(",18,31,", ",19,31,"))
    relabel(out, undo=1)
    with pytest.raises(ManifestError, match=re.escape("is '18', but the row expects '19'")):
        relabel(out, manifests=[found])


def test_9_leaving_the_noise_in_is_the_default_and_taking_it_out_is_recorded(
    tmp_path: Path,
) -> None:
    """One team kept the noise on purpose, two removed it: a choice, not a fact."""
    out = a_dataset(tmp_path / "out", people("006359_female_Asian_18"))
    assert labels(out)["006359_female_Asian_18/normal.jpg"]["gender"] == "female"
    assert (active_policy(out).name, relabel_log(out)) == ("official", [])
    relabel(out, manifests=["consensus"], skip_missing=True)
    assert labels(out)["006359_female_Asian_18/normal.jpg"]["gender"] == "male"
    assert [one.manifests for one in relabel_log(out)] == ["consensus.csv"]
    relabel(out, reset=True)
    assert labels(out)["006359_female_Asian_18/normal.jpg"]["gender"] == "female"


def test_no_picture_is_opened(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    out = a_dataset(tmp_path / "out", people(GIRL))
    for folder, suffix in ((raw, "jpg"), (out / "images", "jpg"), (out / "alpha", "png")):
        (folder / GIRL).mkdir(parents=True)
        (folder / GIRL / f"normal.{suffix}").write_bytes(b"")
    manifest = a_manifest(tmp_path / "m.csv", (GIRL, "", "gender", "female", "male"))
    opened: list[str] = []
    watching = [True]
    sys.addaudithook(
        lambda event, args: opened.append(str(args[0])) if watching and event == "open" else None
    )
    relabel(out, manifests=[manifest], set_policy="threshold-58")
    watching.clear()
    assert any(path.endswith("m.csv") for path in opened)
    assert not [path for path in opened if path.endswith((".jpg", ".png"))]
