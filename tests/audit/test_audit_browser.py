"""The review page in a real browser: decided by keyboard, kept, saved, applied."""

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from browsers import api, needs_browser
from made_datasets import SEVEN
from review_browser import (
    MAN,
    NAMES,
    OLD,
    STRANGER,
    SWAPPED,
    TWIN,
    WOMAN,
    Visit,
    findings,
    stored,
    text_of,
    until,
)
from review_dataset import HOSTILE, a_dataset, a_page, dark, people, shared_picture

from facecrop.commands.audit import reviewed as audit_reviewed
from facecrop.commands.audit.data import dataset_id
from facecrop.commands.audit.files import read_accepted
from facecrop.commands.audit.serve import DECISIONS, MANIFEST, serve_audit
from facecrop.commands.relabel.command import relabel
from facecrop.index import INDEX_FILE, LABELS_FILE, read_table
from facecrop.labels.manifests import Correction, read_manifest

pytestmark = needs_browser


def test_find_decide_reload_save_relabel(
    visit: Visit, out: Path, tmp_path: Path, browser: Any
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(out, folder)
    visit.page.get_by_label("Reviewer").fill("Ann, =the first")
    visit.page.locator("#check").select_option("gender-suspect")
    visit.page.locator("#list").focus()
    assert visit.text("#found") == "2 of 47 entries"
    assert visit.who == WOMAN
    visit.press("p")  # dark stays open, so the page stays here
    assert visit.who == WOMAN
    visit.press(" ", "g", "1")  # dark is correct; the next one is a man: no change
    assert visit.who == MAN
    visit.press("g", "2")
    visit.page.locator("#check").select_option("swapped-masks")
    visit.page.locator("#list").focus()
    visit.press("s")
    visit.page.locator("#check").select_option("")
    visit.find(OLD)
    visit.press("a", "2")
    visit.find(STRANGER)
    visit.press("x", "1")
    visit.reload()
    assert visit.text("#progress") == "6 of 47 decided, 6 corrections"
    file = visit.save(tmp_path / "review.csv")
    assert relabel(folder, manifests=[str(file)]).rows == 6
    labels = {row["path"]: row for row in read_table(folder / LABELS_FILE).to_pylist()}
    assert {labels[f"{WOMAN}/{stem}.jpg"]["gender"] for stem in SEVEN} == {"male"}
    assert {labels[f"{MAN}/{stem}.jpg"]["gender"] for stem in SEVEN} == {"female"}
    assert labels[f"{SWAPPED}/normal.jpg"]["mask"] == "incorrect"
    assert labels[f"{SWAPPED}/incorrect_mask.jpg"]["mask"] == "none"
    assert {labels[f"{OLD}/{stem}.jpg"]["age_group"] for stem in SEVEN} == {"middle"}
    assert [path for path, row in labels.items() if not row["kept"]] == [
        f"{STRANGER}/{HOSTILE}.jpg"
    ]
    with file.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    signed = re.compile(r"review by Ann, =the first at \d{4}-\d\d-\d\dT.*Z")
    assert all(signed.fullmatch(row["source"]) for row in rows)
    assert rows[0]["reason"].startswith(("gender-suspect: labelled", "dark: mean"))
    # What was applied is no correction any more, on the page of the relabelled dataset.
    again = Visit(browser, a_page(folder, findings()).as_uri(), storage_state=None)
    again.page.evaluate("saved => localStorage.setItem(...saved)", stored(visit))
    again.reload()
    assert again.text("#progress").endswith(", 0 corrections")
    assert again.faults == []
    again.context.close()


def test_decisions_are_filed_under_their_dataset(visit: Visit, tmp_path: Path) -> None:
    visit.press(" ")
    assert visit.text("#progress").startswith("1 of")
    other = a_dataset(tmp_path / "other", people(80)[70:])
    visit.page.goto(a_page(other, [dark(people(80)[70])]).as_uri())
    visit.ready()
    assert visit.text("#progress").startswith("0 of")


def test_undo_takes_back_step_by_step_also_after_a_reload(visit: Visit, tmp_path: Path) -> None:
    visit.find(MAN)
    visit.press("p")
    visit.find(OLD)
    visit.press("a", "1", "a", "4")
    visit.page.keyboard.type("44")
    visit.press("Enter")
    assert visit.manifest(tmp_path) == [
        (OLD, None, "age", "60", "44"), (MAN, None, "gender", "male", "female"),
    ]  # fmt: skip
    visit.reload()
    visit.press("u")
    assert (OLD, None, "age_group", "old", "young") in visit.manifest(tmp_path)
    visit.press("u", "u")
    assert visit.text("#progress") == "0 of 47 decided, 0 corrections"
    visit.press("u")
    assert visit.text("#said") == "nothing to undo"


def test_a_decision_back_to_what_is_given_is_none(visit: Visit) -> None:
    visit.find(MAN)
    visit.press("g", "2", "g", "1")
    assert visit.text("#progress") == "0 of 47 decided, 0 corrections"


def test_each_label_can_be_set_by_keys_and_by_mouse(visit: Visit, tmp_path: Path) -> None:
    visit.find(TWIN)
    visit.press("7", "m", "1")  # the mask of the seventh picture is worn
    visit.find(OLD)
    visit.press("m", "2", "3")  # no picture is meant: the second is chosen, it has none
    visit.page.get_by_role("button", name="Set aside").click()
    visit.find(MAN)
    visit.page.get_by_role("button", name="gender male → female").click()
    assert visit.manifest(tmp_path) == [
        (OLD, None, "keep", "yes", "no"),
        (OLD, "mask2", "mask", "worn", "none"),
        (MAN, None, "gender", "male", "female"),
        (TWIN, "normal", "mask", "none", "worn"),
    ]


def test_two_pictures_of_ones_choice_can_be_swapped(visit: Visit, tmp_path: Path) -> None:
    visit.find(OLD)
    visit.press("1", "s", "2")  # of the two with another mask, the second
    assert sorted(visit.manifest(tmp_path), key=str) == [
        (OLD, "mask1", "mask", "worn", "none"), (OLD, "normal", "mask", "none", "worn"),
    ]  # fmt: skip


def test_a_picture_of_somebody_else_is_corrected_as_theirs(visit: Visit, tmp_path: Path) -> None:
    visit.find(TWIN)
    visit.press("8", "g", "1")
    assert visit.manifest(tmp_path) == [(NAMES[7], None, "gender", "female", "male")]


def test_a_note_becomes_the_reason(visit: Visit, tmp_path: Path) -> None:
    visit.find(MAN)
    visit.press("n")
    visit.page.keyboard.type('=a "beard", no')
    visit.press("Escape", "p")
    (row,) = read_manifest(visit.save(tmp_path / "noted.csv"))
    assert isinstance(row.content, Correction)
    assert row.content.reason == '=a "beard", no'


def test_decisions_can_be_taken_to_another_browser(
    visit: Visit, browser: Any, out: Path, tmp_path: Path
) -> None:
    visit.page.get_by_label("Reviewer").fill("Ann")
    visit.find(MAN)
    visit.press("p")
    visit.find(TWIN)
    visit.press(" ", "?")
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name="Save decisions").click()
    waiting.value.save_as(tmp_path / "review.json")
    saved = json.loads((tmp_path / "review.json").read_text(encoding="utf-8"))
    assert saved["accepted"] == [
        {"key": shared_picture(TWIN, NAMES[7]).key, "check": "duplicates", "reviewer": "Ann",
         "about": f"{TWIN}/normal.jpg", "reason": "correct as given"}
    ]  # fmt: skip
    (accepted,) = audit_reviewed.reviewed(saved)
    assert (accepted.check, accepted.reviewer) == ("duplicates", "Ann")
    assert saved["dataset"] == dataset_id(read_table(out / INDEX_FILE))
    other = Visit(browser, (out / "audit" / "index.html").as_uri())
    other.press("?")
    other.page.locator("#load-all").set_input_files(tmp_path / "review.json")
    api.expect(other.page.locator("#progress")).to_have_text("2 of 47 decided, 1 correction")
    other.reload()
    assert other.text("#progress") == "2 of 47 decided, 1 correction"
    (tmp_path / "wrong.json").write_text('{"dataset": "another"}')
    other.press("?")
    other.page.locator("#load-all").set_input_files(tmp_path / "wrong.json")
    api.expect(other.page.locator("#warning")).to_contain_text("no decisions about this dataset")
    assert other.faults == []
    other.context.close()


@pytest.mark.parametrize(
    "kept",
    ["{", "null", "3", '{"set": 3, "correct": [null, 3, ["k"]], "undone": "x"}',
     '{"set": [["not json", {"was": "a", "now": "b", "time": "t"}], ["[1]", {}]]}',
     '{"notes": [[1, 2]], "undone": [null, {"old": 1}, {"old": [["no", 1]]}]}'],
)  # fmt: skip
def test_what_is_no_decision_is_not_taken_for_one(visit: Visit, kept: str) -> None:
    visit.press(" ")
    name, _ = stored(visit)
    visit.page.evaluate("pair => localStorage.setItem(...pair)", [name, kept])
    visit.reload()
    assert visit.text("#progress") == "0 of 47 decided, 0 corrections"
    visit.press("u", " ")
    assert visit.text("#progress") == "1 of 47 decided, 0 corrections"


def test_a_browser_that_keeps_nothing_says_so(browser: Any, out: Path) -> None:
    address = (out / "audit" / "index.html").as_uri()
    visit = Visit(browser, address)
    visit.page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
    visit.press(" ")
    assert "save the manifest" in visit.text("#warning")
    visit.context.close()


def test_served_decisions_are_beside_the_dataset_at_once(
    browser: Any, out: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(out, folder)
    with serve_audit(folder) as url:
        visit = Visit(browser, url)
        visit.page.get_by_label("Reviewer").fill("Ann")
        visit.find(MAN)
        visit.press("p")
        until(visit, lambda: "female" in text_of(folder / MANIFEST))
        (row,) = read_manifest(folder / MANIFEST)
        assert isinstance(row.content, Correction)
        assert (row.content.profile, row.content.now) == (MAN, "female")
        assert str(row.content.source).startswith("review by Ann at ")
        visit.find(TWIN)
        visit.press(*[" ", "u"] * 5, " ")  # quicker than the server: the last state is what counts
        until(visit, lambda: '"duplicates"' in text_of(folder / DECISIONS))
        assert visit.page.evaluate("localStorage.length") == 0
        assert visit.faults == []
        visit.context.close()
    with serve_audit(folder) as url:
        visit = Visit(browser, url)
        assert visit.text("#progress") == "2 of 47 decided, 1 correction"
        assert visit.page.locator("#reviewer").input_value() == "Ann"
        visit.page.locator("#status").select_option("all")
        visit.find(MAN)
        assert "corrected" in visit.texts(".finding .badge")
        whole = visit.page.locator(".pictures img.whole")
        api.expect(whole).to_have_count(7)
        assert str(whole.first.get_attribute("src")).startswith("http://127.0.0.1:")
        visit.context.close()
    assert relabel(folder, manifests=[str(folder / MANIFEST)]).rows == 1
    assert [one.check for one in read_accepted(folder).values()] == ["duplicates"]


def test_two_windows_do_not_overwrite_each_other(browser: Any, out: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(out, folder)
    with serve_audit(folder) as url:
        one, other = Visit(browser, url), Visit(browser, url)
        one.find(MAN)
        one.press("p")
        until(one, lambda: "female" in text_of(folder / MANIFEST))
        other.press(" ")
        api.expect(other.page.locator("#warning")).to_contain_text("reload this one")
        other.reload()
        assert other.text("#progress").endswith("1 correction")
        one.context.close()
        other.context.close()
