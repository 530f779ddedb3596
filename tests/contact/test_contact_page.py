"""The contact sheet as files: what is on the page, when it is drawn again, what it survives."""

import json
import re
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from drawn_dataset import HOSTILE, a_dataset, a_fallback, a_portrait, a_reject, a_row, write_index

from facecrop.commands.contact.command import write_contact
from facecrop.errors import StoreError, TableError
from facecrop.images.codec import Limits, encode
from facecrop.index import INDEX_FILE, REASONS, read_table

LIMITS = Limits()
ROWS = [
    a_row("a_1/normal.png"),
    a_fallback("a_1/mask1.png"),
    a_reject("b_2/mask1.png", "no-face"),
    a_reject("b_2/mask2.png", "truncated", width=None, height=None),
]


def records(page: Path) -> dict[str, dict[str, Any]]:
    """What the page tells of each record, by path."""
    data = re.search(r'id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert data is not None
    return {record["path"]: record for record in json.loads(data[1])["records"]}


def pictures(page: Path) -> list[list[str | None]]:
    """The pictures on the page: source and crop of each record that has them."""
    blocks = re.findall(r'class="pictures">(.*?)</script>', page.read_text(encoding="utf-8"))
    return [pair for block in blocks for pair in json.loads(block)]


def shown(page: Path) -> str:
    """The text of the page without its markup."""
    return " ".join(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")).split())


def draw(out: Path, **limits: int) -> Path:
    return write_contact(out, out.parent / "raw", LIMITS, **limits)


def change_index(out: Path, **given: Any) -> None:
    rows = read_table(out / INDEX_FILE).to_pylist()
    write_index(out, [row | given for row in rows])


def test_every_record_is_there_with_what_the_index_says(tmp_path: Path) -> None:
    page = draw(a_dataset(tmp_path, ROWS))
    found = records(page)
    assert page == tmp_path / "out" / "contact" / "index.html"
    assert set(found) == {row["path"] for row in ROWS}
    assert found["a_1/normal.png"]["detector"] == "yunet-640"
    assert found["a_1/normal.png"]["score"] == 0.93
    assert found["a_1/mask1.png"]["guessed"] is True
    assert "score" not in found["a_1/mask1.png"]
    assert found["b_2/mask1.png"]["reason"] == "no-face"
    assert "crop" not in found["b_2/mask1.png"]


def test_the_summary_counts_the_whole_dataset(tmp_path: Path) -> None:
    text = shown(draw(a_dataset(tmp_path, ROWS)))
    assert "4 images of 2 profiles, recipe embedded" in text
    assert "2 reject 50.0 %" in text
    assert "Shown are the one ok record, the one fallback and all 2 rejects." in text
    assert f"{REASONS['face-by-sibling']} face-by-sibling 1" in text


def test_pictures_go_with_their_records_and_unreadable_ones_say_why(tmp_path: Path) -> None:
    page = draw(a_dataset(tmp_path, ROWS))
    found, pairs = records(page), pictures(page)
    has = {
        path: tuple(one is not None for one in pairs[record["picture"]])
        for path, record in found.items()
    }
    assert has == {
        "a_1/normal.png": (True, True),
        "a_1/mask1.png": (True, True),
        "b_2/mask1.png": (True, False),
        "b_2/mask2.png": (False, False),
    }
    assert found["b_2/mask2.png"]["absent"] == REASONS["truncated"]
    assert "absent" not in found["a_1/normal.png"]


def test_the_outline_of_the_matte_is_there_where_the_store_has_it(tmp_path: Path) -> None:
    out = a_dataset(tmp_path / "with", ROWS)
    assert records(draw(out))["a_1/normal.png"]["outline"].startswith("M")
    assert list((out / ".store").glob("lookup-*")) == []
    without = draw(a_dataset(tmp_path / "without", ROWS, mattes=False))
    assert "outline" not in records(without)["a_1/normal.png"]


def test_an_equal_index_leaves_page_and_picture_alone(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS)
    page = draw(out)
    before = [path.stat().st_ino for path in sorted(page.parent.iterdir())]
    draw(out)
    assert [path.stat().st_ino for path in sorted(page.parent.iterdir())] == before


def test_a_changed_index_or_a_missing_picture_draws_again(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS)
    page = draw(out)
    change_index(out, face_source="blazeface-full")
    draw(out)
    assert records(page)["a_1/normal.png"]["detector"] == "blazeface-full"
    (page.parent / "contact.png").unlink()
    draw(out)
    assert (page.parent / "contact.png").exists()


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    pages = [draw(a_dataset(tmp_path / name, ROWS)) for name in ("one", "two")]
    for name in ("index.html", "contact.png"):
        one, two = [(page.parent / name).read_bytes() for page in pages]
        assert one == two


def test_the_page_needs_nothing_from_outside(tmp_path: Path) -> None:
    text = draw(a_dataset(tmp_path, ROWS)).read_text(encoding="utf-8")
    links = re.findall(r'(?:src|href|action)="([^"]*)"', text)
    assert [link for link in links if not link.startswith("#") and link != "contact.png"] == []
    addresses = set(re.findall(r"https?://[^\s\"']+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, fetched by nobody
    assert "default-src 'none'" in text


def test_names_from_the_folder_are_text_wherever_they_stand(tmp_path: Path) -> None:
    script = "</script><script>alert(1)</script>"
    rows = [
        a_row("p/1.png", profile=HOSTILE),
        a_row("p/2.png", profile=script, name=script, face_source=HOSTILE),
        a_reject("p/3.png", "no-face", profile="{{ 7 * 7 }}"),
    ]
    page = draw(a_dataset(tmp_path, rows))
    text = page.read_text(encoding="utf-8")
    assert HOSTILE not in text
    assert script not in text
    assert records(page)["p/1.png"]["profile"] == HOSTILE
    assert records(page)["p/3.png"]["profile"] == "{{ 7 * 7 }}"


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    rows = [a_reject(f"p{number}/1.png", "no-face") for number in range(9)]
    page = draw(a_dataset(tmp_path, rows), most_cards=6, most_pictures=4)
    text = shown(page)
    assert "6 of 9 rejects" in text
    assert "only 4 of these 6 records have their pictures here" in text
    assert len(pictures(page)) == 4
    assert sum("picture" in record for record in records(page).values()) == 4


def test_a_raw_file_that_changed_or_went_away_gets_no_boxes_of_another_picture(
    tmp_path: Path,
) -> None:
    out = a_dataset(tmp_path, ROWS)
    (tmp_path / "raw" / "a_1" / "normal.png").write_bytes(encode(a_portrait(99), "png", 0))
    (tmp_path / "raw" / "a_1" / "mask1.png").unlink()
    page = draw(out)
    found = records(page)
    assert "changed" in found["a_1/normal.png"]["absent"]
    assert "can no longer be read" in found["a_1/mask1.png"]["absent"]
    assert [pair[0] is None for pair in pictures(page)] == [True, True, False, True]


def test_a_picture_that_killed_a_worker_is_not_opened_again(tmp_path: Path) -> None:
    page = draw(a_dataset(tmp_path, [a_reject("p/1.png", "decoder-crash")]))
    assert pictures(page) == [[None, None]]  # though this file could be read


def test_a_missing_crop_leaves_its_place_empty(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS[:1])
    (out / "images" / "a_1" / "normal.jpg").unlink()
    ((source, crop),) = pictures(draw(out))
    assert source is not None
    assert crop is None


def test_paths_that_are_no_unicode_are_found(tmp_path: Path) -> None:
    page = draw(a_dataset(tmp_path, [a_row("100%25/caf%E9.png", image=None)]))
    ((source, _),) = pictures(page)
    assert source is not None


def test_an_index_in_parts_gives_the_same_records(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS)
    whole = read_table(out / INDEX_FILE)
    (out / INDEX_FILE).unlink()
    (out / INDEX_FILE).mkdir()
    for part in range(2):
        pq.write_table(whole.slice(2 * part, 2), out / INDEX_FILE / f"{part}.parquet")
    page = draw(out)
    assert set(records(page)) == {row["path"] for row in ROWS}
    change = page.stat().st_ino
    draw(out)
    assert page.stat().st_ino == change


def test_an_empty_dataset_and_one_that_asks_for_no_face_have_a_page(tmp_path: Path) -> None:
    page = draw(a_dataset(tmp_path / "empty", []))
    assert records(page) == {}
    nothing = {name: None for name in a_row("a/1.png") if name.startswith("face")}
    plain = a_row("a/1.png", **nothing)
    text = draw(a_dataset(tmp_path / "plain", [plain])).read_text(encoding="utf-8")
    assert "the recipe asks for no face" in text


def test_a_folder_that_cannot_be_written_is_told_in_one_line(tmp_path: Path) -> None:
    out = a_dataset(tmp_path, ROWS)
    (out / "contact").write_text("in the way")
    with pytest.raises(StoreError, match="contact cannot be written"):
        draw(out)


def test_a_folder_without_an_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="facecrop preprocess"):
        draw(tmp_path)
