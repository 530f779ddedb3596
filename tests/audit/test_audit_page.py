"""What the review page holds, without a browser."""

import json
import re
from base64 import b64decode
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_datasets import SEVEN, record, texture, write_dataset
from review_dataset import (
    CHECKS,
    HOSTILE,
    a_dataset,
    a_page,
    a_run,
    age_suspect,
    dark,
    gender_suspect,
    hostile_records,
    leak,
    people,
    shared_picture,
    swapped,
)

from facecrop.checks.check import Issue
from facecrop.checks.material import Material
from facecrop.commands.audit.data import choose_issues, dataset_id
from facecrop.commands.relabel.command import relabel
from facecrop.errors import StoreError
from facecrop.images.codec import decode_crop, encode

NAMES = people(12)
BLOCK = re.compile(r'<script type="application/json" class="strips"[^>]*>(.*?)</script>', re.DOTALL)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = a_dataset(tmp_path_factory.mktemp("review") / "set", NAMES)
    a_run(folder, {NAMES[1]: {"gender": "male"}, NAMES[3]: {"age_group": "middle"}})
    return folder


def data_of(page: Path) -> dict[str, Any]:
    text = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def strips_of(page: Path) -> list[tuple[str | None, list[int | None]]]:
    text = page.read_text(encoding="utf-8")
    return [strip for block in BLOCK.findall(text) for strip in json.loads(block)]


def card_of(data: dict[str, Any], profile: str) -> dict[str, Any]:
    (card,) = [card for card in data["cards"] if card["profile"] == profile]
    found: dict[str, Any] = card
    return found


def test_a_person_is_one_card_with_seven_pictures_and_all_that_is_doubted(out: Path) -> None:
    issues = [dark(NAMES[1]), gender_suspect(NAMES[1]), gender_suspect(NAMES[4], 0.7)]
    data = data_of(a_page(out, issues))
    assert [card["profile"] for card in data["cards"]] == [NAMES[1], NAMES[4]]  # the surest first
    card = data["cards"][0]
    assert [one["name"] for one in card["records"]] == list(SEVEN)
    assert [one["check"] for one in card["issues"]] == ["gender-suspect", "dark"]
    assert data["people"][NAMES[1]] == {
        "gender": "female", "age": "45", "age_group": "middle", "pictures": 7,
    }  # fmt: skip


def test_what_is_given_is_what_a_correction_finds(tmp_path: Path) -> None:
    folder = a_dataset(tmp_path / "set", NAMES[:2])
    manifest = tmp_path / "fix.csv"
    manifest.write_text(
        "profile,name,field,was,now\n"
        f"{NAMES[1]},,gender,female,male\n"
        f"{NAMES[1]},normal,mask,none,incorrect\n"
        f"{NAMES[1]},mask1,keep,yes,no\n"
    )
    relabel(folder, manifests=[str(manifest)])
    data = data_of(a_page(folder, [dark(NAMES[1])]))
    assert data["people"][NAMES[1]]["gender"] == "male"
    records = {one["name"]: one for one in card_of(data, NAMES[1])["records"]}
    assert records["normal"]["mask"] == "incorrect"
    assert records["mask1"]["aside"] is True
    assert "aside" not in records["mask2"]


def test_predictions_are_means_over_repeats_of_models_that_had_not_seen_the_person(
    out: Path,
) -> None:
    material = Material(out, run=out / "runs" / "base")
    data = data_of(a_page(out, [gender_suspect(NAMES[1])], run=out / "runs" / "base"))
    table = material.predictions
    assert table is not None
    hit = [row for row in table.to_pylist() if row["profile"] == NAMES[1]]
    assert len(hit) == 14
    mean = np.mean([row["p_gender_male"] for row in hit])
    assert data["people"][NAMES[1]]["p"]["gender"][0] == pytest.approx(mean, abs=1e-3)
    record_rows = [row for row in hit if row["path"].endswith("/normal.jpg")]
    (shown,) = [one for one in card_of(data, NAMES[1])["records"] if one["name"] == "normal"]
    mean = np.mean([row["p_mask_none"] for row in record_rows])
    assert shown["p"][2] == pytest.approx(mean, abs=1e-3)


def test_people_to_compare_with_are_no_suspects_and_as_labelled(out: Path) -> None:
    issues = [gender_suspect(NAMES[1]), age_suspect(NAMES[3], "young", "middle")]
    data = data_of(a_page(out, issues, run=out / "runs" / "base"))
    labels = {name: name.split("_")[1] for name in NAMES}
    for word in ("male", "female"):
        found = data["examples"]["gender"][word]
        assert {labels[one["profile"]] for one in found} == {word}
        assert not {NAMES[1], NAMES[3]} & {one["profile"] for one in found}
        assert [one["p"] for one in found] == sorted(one["p"] for one in found)
    strips = strips_of(out / "audit" / "index.html")
    assert data["examples"]["mask"]["worn"]
    assert all(strips[one["strip"]][1] == [0] for one in data["examples"]["mask"]["worn"])


def test_without_a_run_nothing_is_predicted(out: Path) -> None:
    data = data_of(a_page(out, [dark(NAMES[0])]))
    assert data["examples"] == {}
    assert "p" not in data["people"][NAMES[0]]
    assert data["dataset"]["run"] is None


def test_strips_hold_the_pictures_in_the_order_of_the_records(tmp_path: Path) -> None:
    def crop(_: str, stem: str) -> Any:
        return np.full((64, 48, 3), 30 * list(SEVEN).index(stem) + 20, np.uint8)

    folder = a_dataset(tmp_path / "set", NAMES[:1], crop=crop)
    (folder / "images" / NAMES[0] / "mask3.png").unlink()
    page = a_page(folder, [dark(NAMES[0])])
    (base64, places), *rest = strips_of(page)
    assert rest == []
    records = data_of(page)["cards"][0]["records"]
    assert [one["name"] for one, at in zip(records, places, strict=True) if at is None] == ["mask3"]
    assert base64 is not None
    image = decode_crop(b64decode(base64)).image
    assert image is not None
    width, height = data_of(page)["tile"]
    assert image.shape == (height, 6 * width, 3)
    for one, at in zip(records, places, strict=True):
        if at is not None:
            tile = image[:, at * width + 4 : (at + 1) * width - 4]
            gray = 30 * list(SEVEN).index(one["name"]) + 20
            assert tile.mean() == pytest.approx(gray, abs=6)


def test_of_what_has_no_crop_the_raw_picture_is_shown_unless_it_is_damaged(tmp_path: Path) -> None:
    rows = [
        record(NAMES[0], stem, status="reject", reason=reason)
        for stem, reason in (("mask1", "no-face"), ("mask2", "corrupt"), ("normal", "no-person"))
    ]
    folder = write_dataset(tmp_path / "set", rows)
    for stem in ("mask1", "mask2"):
        (tmp_path / "raw" / NAMES[0]).mkdir(parents=True, exist_ok=True)
        picture = texture(1, 90, 60)
        (tmp_path / "raw" / NAMES[0] / f"{stem}.jpg").write_bytes(encode(picture, "jpg", 90))
    issues = [dark(NAMES[0])]
    assert strips_of(a_page(folder, issues)) == [[None, [None, None, None]]]
    (folder / "dataset.toml").write_text('raw = "../raw"\n')
    ((base64, places),) = strips_of(a_page(folder, issues))
    assert places == [0, None, None]
    assert base64 is not None


def test_pictures_of_others_come_after_the_persons_own(out: Path) -> None:
    data = data_of(a_page(out, [shared_picture(NAMES[6], NAMES[7])]))
    (card,) = data["cards"]
    assert [one.get("profile") for one in card["records"]] == [None] * 7 + [NAMES[7]]
    assert [card["records"][n]["name"] for n in card["issues"][0]["records"]] == ["normal"] * 2
    assert set(data["people"]) == {NAMES[6], NAMES[7]}


def test_a_folder_of_everybody_has_a_card_for_each_finding(tmp_path: Path) -> None:
    crowd = "all_male_Asian_30"
    rows = [record(crowd, f"face{number:02}") for number in range(40)]
    folder = a_dataset(tmp_path / "set", [], extra=rows)
    issues = [dark(crowd, "face03"), dark(crowd, "face07"), dark(crowd, "face03", 0.9)]
    data = data_of(a_page(folder, issues))
    assert [[one["name"] for one in card["records"]] for card in data["cards"]] == [
        ["face03"], ["face07"],
    ]  # fmt: skip
    assert data["people"][crowd]["pictures"] == 40


def test_what_is_about_no_record_has_a_card_of_its_own(out: Path) -> None:
    card = card_of(data_of(a_page(out, [leak(), dark(NAMES[0])])), "")
    assert card["records"] == []
    assert card["issues"][0]["reason"] == "a person is in train and val"


def test_paths_and_profiles_that_are_gone_do_no_harm(out: Path) -> None:
    gone = Issue("dark", "warning", "nobody", ("nobody/1.jpg",), "was dark", 0.5, "k1")
    data = data_of(a_page(out, [gone]))
    assert data["cards"][0]["records"] == []
    assert data["cards"][0]["issues"][0]["more"] == 1


def test_files_that_share_a_stem_are_called_by_their_whole_name(tmp_path: Path) -> None:
    twin = NAMES[0]
    rows = [record(twin, "normal"), record(twin, "normal", path=f"{twin}/normal.png")]
    folder = a_dataset(tmp_path / "set", [], extra=rows)
    card = card_of(data_of(a_page(folder, [dark(twin, "normal")])), twin)
    assert [(one["name"], one["stem"]) for one in card["records"]] == [
        ("normal.jpg", "normal"), ("normal.png", "normal"),
    ]  # fmt: skip


def test_too_many_findings_are_cut_off_fairly_and_the_page_says_so(out: Path) -> None:
    many = [dark(name, stem, 1.0) for name in NAMES for stem in SEVEN]
    page = a_page(out, [*many, gender_suspect(NAMES[1], 0.6)], most_issues=5)
    data = data_of(page)
    assert (data["counts"]["found"], data["counts"]["shown"]) == (85, 5)
    assert {one["name"]: one["shown"] for one in data["checks"]}["gender-suspect"] == 1
    assert {one["name"]: one["found"] for one in data["checks"]}["dark"] == 84
    assert "5 are shown" in page.read_text(encoding="utf-8")


def test_new_findings_come_before_those_that_were_accepted() -> None:
    old, new = dark("a", score=0.9), dark("b", score=0.1)
    assert choose_issues([old, new], frozenset([old.key]), 1) == [new]


def test_checks_that_found_nothing_are_there_and_strangers_too(out: Path) -> None:
    odd = Issue("not-listed", "warning", NAMES[0], (), "odd", 0.5, "k2")
    checks = {one["name"]: one for one in data_of(a_page(out, [odd]))["checks"]}
    assert set(checks) == {check.name for check in CHECKS} | {"not-listed"}
    assert checks["dark"]["found"] == 0


def test_names_that_are_markup_are_nowhere_markup(tmp_path: Path) -> None:
    folder = a_dataset(tmp_path / "set", NAMES[:2], extra=hostile_records())
    profile = str(hostile_records()[0]["profile"])
    page = a_page(folder, [dark(profile, HOSTILE)])
    text = page.read_text(encoding="utf-8")
    assert "<img src=x" not in text
    data = data_of(page)
    assert card_of(data, profile)["records"][0]["name"] == HOSTILE


def test_only_the_pages_own_script_may_run(out: Path) -> None:
    text = a_page(out, [dark(NAMES[0])]).read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (allowed,) = re.findall(r"script-src 'sha256-([^']+)'", text)
    assert b64decode(allowed) == sha256(script.encode()).digest()
    assert "default-src 'none'" in text
    assert not re.search(r"(src|href)=[\"']?https?:", text)


def test_the_same_input_gives_the_same_bytes(out: Path) -> None:
    issues = [gender_suspect(NAMES[1]), swapped(NAMES[5]), leak()]
    first = a_page(out, issues, run=out / "runs" / "base").read_bytes()
    assert a_page(out, issues[::-1], run=out / "runs" / "base").read_bytes() == first


def test_nothing_found_makes_a_page_too(out: Path) -> None:
    data = data_of(a_page(out, []))
    assert data["cards"] == []
    assert strips_of(out / "audit" / "index.html") == []


def test_an_empty_dataset_makes_a_page_too(tmp_path: Path) -> None:
    folder = a_dataset(tmp_path / "set", [])
    assert data_of(a_page(folder, [leak()]))["counts"]["images"] == 0


def test_the_name_of_a_dataset_survives_growth_and_differs_from_others(tmp_path: Path) -> None:
    grown = Material(a_dataset(tmp_path / "grown", NAMES)).index
    names = [dataset_id(grown.slice(0, rows)) for rows in range(1, len(grown) + 1)]
    assert len(set(names)) < 10  # 84 records: about 5 are the smallest so far
    assert names == sorted(names, reverse=True)
    assert names[-1] == dataset_id(grown.take(list(range(len(grown)))[::-1]))
    other = Material(a_dataset(tmp_path / "other", people(20)[12:])).index
    assert dataset_id(other) != names[-1]


def test_a_page_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    folder = a_dataset(tmp_path / "set", NAMES[:1])
    (folder / "audit").write_text("a file is in the way")
    with pytest.raises(StoreError, match="audit cannot be written"):
        a_page(folder, [])
