import json
from pathlib import Path

import numpy as np
import pytest
from made_datasets import CONSENSUS, names, published, record, seven_of, texture, write_dataset

from facecrop.commands.relabel.command import relabel
from facecrop.commands.split import read_settings, split
from facecrop.commands.stats.command import Stats, stats
from facecrop.commands.stats.page import render_page, write_page
from facecrop.errors import ConfigError, StoreError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published people; those of the consensus have pictures of noise."""
    rows = seven_of(*published())
    for number, row in enumerate(rows):
        row |= {"brightness": 60 + number % 120, "sharpness": number % 977}
        row |= {"face_x0": 98.0, "face_y0": 123.0, "face_x1": 279.0, "face_y1": 367.0}
    small = {
        str(row["path"]): np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        for number, row in enumerate(rows)
        if row["profile"] in CONSENSUS
    }
    out = write_dataset(tmp_path_factory.mktemp("published"), rows, small)
    split(out)
    return out


@pytest.fixture(scope="module")
def found(dataset: Path) -> Stats:
    return stats(dataset)


@pytest.mark.parametrize(
    ("policy", "cells", "people", "smallest", "largest"),
    [
        ("official", [549, 410, 83, 732, 817, 109], 2700, 83, 4085),
        ("threshold-59", [549, 364, 129, 732, 778, 148], 2700, 129, 3890),
        ("threshold-58", [549, 314, 179, 732, 669, 257], 2700, 179, 3660),
        ("threshold-57", [549, 277, 216, 732, 600, 326], 2700, 216, 3660),
        ("drop-57-59", [549, 277, 83, 732, 600, 109], 2350, 83, 3660),
        ("drop-17-20-and-57-59", [221, 277, 83, 194, 600, 109], 1484, 83, 3000),
    ],
)
def test_counts_are_the_published_ones_under_every_policy(
    found: Stats, *, policy: str, cells: list[int], people: int, smallest: int, largest: int
) -> None:
    tally = next(one for one in found.datasets[0].tallies if one.policy == policy)
    assert tally.people == cells
    assert tally.people_kept == people
    assert tally.kept == people * 7
    assert (tally.smallest, tally.largest) == (smallest, largest)
    assert tally.images == [each * files for files in (5, 1, 1) for each in cells]


def test_the_active_policy_comes_first_and_its_drops_leave_the_axes(dataset: Path) -> None:
    other = stats(dataset, "drop-57-59").datasets[1]
    assert other.tallies[0].policy == "drop-57-59"
    assert [one.policy for one in other.tallies if one.active] == ["official"]
    assert sum(other.axes["all"]["gender"].values()) == 2350 * 7
    assert other.kept_reasons == {"age-policy": 350 * 7}


def test_ages_are_the_published_histogram(found: Stats) -> None:
    ages = dict(found.datasets[0].ages)
    assert (ages[18], ages[60], len(ages)) == ([41, 151, 0], [83, 109, 0], 43)


def test_parts_of_the_split_add_up(found: Stats) -> None:
    classes = found.datasets[0].classes
    assert set(classes) == {"all", "train", "val"}
    assert (np.array(classes["train"]) + classes["val"]).tolist() == classes["all"]
    assert sum(classes["val"]) == 540 * 7


def test_pixels_are_pooled_over_the_crops_that_are_there(found: Stats) -> None:
    summary = found.datasets[0]
    every = summary.pixels["all"]["with background"]
    assert every.pixels == pytest.approx(84 * 256 / 1e6)
    assert every.mean == pytest.approx((0.5,) * 3, abs=0.02)
    assert every.std == pytest.approx((1 / 12**0.5,) * 3, abs=0.02)  # of uniform noise
    assert summary.unread == 0


def test_faces_and_measurements_are_spread_as_they_were_written(found: Stats) -> None:
    summary = found.datasets[0]
    assert summary.faces["quantiles"]["x0"]["50"] == pytest.approx(98 / 384, abs=1e-4)
    assert sum(map(sum, summary.faces["grid"])) == 18900
    assert summary.numbers["width"].quantiles["50"] == 384
    assert summary.numbers["brightness"].quantiles["0"] == 60
    assert sum(summary.numbers["sharpness"].counts) == 18900


def test_without_pixels_no_crop_is_opened(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def opened(self: Path) -> bytes:
        raise AssertionError(self)

    monkeypatch.setattr(Path, "read_bytes", opened)
    assert stats(dataset, pixels=False).datasets[0].pixels == {}


def test_a_bin_set_by_hand_counts_under_every_policy(tmp_path: Path) -> None:
    people = [*names(3, "male", 58), *names(3, "male", 20, 100)]
    out = write_dataset(tmp_path / "out", seven_of(*people))
    manifest = tmp_path / "bin.csv"
    manifest.write_text(f"profile,field,was,now\n{people[0]},age_group,middle,old\n")
    relabel(out, manifests=[str(manifest)])
    by_name = {one.policy: one.people for one in stats(out).datasets[0].tallies}
    assert by_name["official"] == [3, 2, 1, 0, 0, 0]
    assert by_name["drop-57-59"] == [3, 0, 1, 0, 0, 0]


def test_an_unlabelled_dataset_can_be_compared_with(tmp_path: Path, dataset: Path) -> None:
    rows = [record(f"{number}_?_?_?", "a", mask_raw=None) for number in range(30)]
    other = write_dataset(tmp_path, rows)
    both = stats(dataset, other, pixels=False)
    assert both.datasets[1].tallies[0].images == [0] * 18
    assert both.datasets[1].axes["all"]["gender"] == {
        "male": 0,
        "female": 0,
        "?": 30,
    }
    page = render_page(both)
    assert page.count("No ages are known.") == 1


def test_two_datasets_are_set_side_by_side(tmp_path: Path, dataset: Path) -> None:
    other = write_dataset(tmp_path, seven_of(*names(3), *names(1, "female", 60, 50)))
    both = stats(dataset, other, pixels=False)
    women = next(row for row in both.side_by_side() if row.label == "female")
    assert women.images == (1658 * 7, 7)
    assert women.shares == pytest.approx((1658 / 2700, 0.25))
    assert sum(row.shares[1] for row in both.side_by_side()) == pytest.approx(3)
    assert "Side by side" in render_page(both)
    assert stats(other, pixels=False).side_by_side() == []


def test_imbalance_is_told_for_each_axis_without_those_who_have_no_label(tmp_path: Path) -> None:
    rows = [*seven_of(*names(2), *names(1, "female", 60, 50)), record("9_?_?_?", "a")]
    found = stats(write_dataset(tmp_path, rows), pixels=False)
    expected = {"mask": 5, "gender": 2, "age_group": None, "classes": None}
    assert found.datasets[0].imbalance["all"] == expected
    assert found.as_json()["datasets"][0]["imbalance"]["all"] == expected


def test_folds_are_told_apart(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(10)))
    split(out, settings=read_settings({"strategy": "kfold"}))
    assert set(stats(out).datasets[0].classes) == {"all", *(f"fold {n}" for n in range(5))}


def test_a_split_of_another_time_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    out = write_dataset(tmp_path, seven_of(*names(10)))
    split(out)
    write_dataset(out, seven_of(*names(12)))
    classes = stats(out).datasets[0].classes
    assert sum(classes["all"]) == 84
    assert sum(classes["train"]) + sum(classes["val"]) == 70


def test_what_is_neither_dataset_nor_policy_is_named(dataset: Path) -> None:
    with pytest.raises(ConfigError, match="'drop-57' is no dataset, and no age policy named"):
        stats(dataset, "drop-57", pixels=False)


def test_the_json_is_json_and_the_same_every_time(found: Stats, dataset: Path) -> None:
    assert json.dumps(found.as_json()) == json.dumps(stats(dataset).as_json())


def test_the_page_needs_nothing_else_and_says_the_counts(found: Stats) -> None:
    page = render_page(found)
    assert "4,085" in page
    assert 'src="' not in page
    assert "href=" not in page
    assert "@import" not in page
    assert "url(" not in page
    assert page.count("<svg") == page.count("</svg>") >= 7
    assert "from 60" in page


def test_the_page_escapes_what_people_wrote(tmp_path: Path) -> None:
    out = write_dataset(tmp_path / "<script>alert(1)</script>", seven_of(*names(2)))
    page = render_page(stats(out))
    assert "<script>alert" not in page


def test_the_page_carries_its_numbers(found: Stats) -> None:
    page = render_page(found)
    data = page.split('id="data">')[1].split("</script>")[0]
    assert json.loads(data) == json.loads(json.dumps(found.as_json()))


def test_a_page_that_cannot_be_written_is_an_error_in_one_line(
    found: Stats, tmp_path: Path
) -> None:
    with pytest.raises(StoreError, match="cannot be written: No such file"):
        write_page(found, tmp_path / "no" / "page.html")


def test_crops_of_all_sizes_are_pooled_by_pixel(tmp_path: Path) -> None:
    rows = [record(person, "normal") for person in names(2)]
    pictures = {
        str(rows[0]["path"]): texture(1, 20, 20),
        str(rows[1]["path"]): texture(2, 40, 60),
    }
    found = stats(write_dataset(tmp_path, rows, pictures)).datasets[0].pixels["all"]
    every = np.concatenate([picture.reshape(-1, 3) for picture in pictures.values()]) / 255
    assert found["with background"].mean == pytest.approx(every.mean(axis=0), abs=1e-5)
    assert found["with background"].std == pytest.approx(every.std(axis=0), abs=1e-5)
