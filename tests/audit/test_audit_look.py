"""The review page in a real browser: what is shown, found, reached and announced."""

import re
from pathlib import Path
from typing import Any

import pytest
from browsers import api, colours_of, contrast, luminance, needs_browser
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
)
from review_dataset import HOSTILE

pytestmark = needs_browser


def test_filters_narrow_and_survive_a_reload(visit: Visit) -> None:
    assert visit.text("#found") == "46 of 47 entries"
    visit.page.locator("#status").select_option("known")
    assert visit.who == NAMES[59]
    visit.page.locator("#status").select_option("all")
    assert visit.text("#found") == "47 of 47 entries"
    visit.page.locator("#score").fill("0.7")
    assert visit.text("#found") == "6 of 47 entries"
    visit.page.locator("#class").select_option("age_group:old")
    assert visit.texts("#list .row .path") == [SWAPPED, OLD]
    visit.reload()
    assert visit.texts("#list .row .path") == [SWAPPED, OLD]
    visit.page.get_by_role("button", name="Clear").click()
    assert visit.text("#found") == "46 of 47 entries"
    visit.find("labelled OTHERWISE")
    assert visit.who == TWIN
    visit.find("nobody")
    assert visit.text("#none") == "Nothing fits these filters."
    assert visit.text("#detail") == ""
    visit.find("")
    visit.press(" ")
    visit.page.locator("#status").select_option("decided")
    assert visit.text("#found") == "1 of 47 entries"


def test_the_order_can_be_changed(visit: Visit) -> None:
    visit.page.locator("#order").select_option("profile")
    shown = visit.texts("#list .row .path")[1:]  # the dataset has no profile
    assert shown == sorted(shown)
    visit.page.locator("#order").select_option("score")
    scores = [float(one.removeprefix("score ")) for one in visit.texts("#list .row .score")]
    assert scores == sorted(scores, reverse=True)


def test_seven_pictures_stand_side_by_side_with_given_against_predicted(visit: Visit) -> None:
    visit.find(WOMAN)
    figures = visit.page.locator(".pictures figure")
    assert figures.count() == 7
    assert len({round(box["y"]) for box in (one.bounding_box() for one in figures.all())}) == 1
    assert visit.texts(".pictures .path") == list(SEVEN)
    bars = visit.page.locator(".bars").first.get_attribute("aria-label")
    assert re.fullmatch(r"predicted: male \d\d %, female \d+ %", str(bars))
    visit.find(SWAPPED)
    assert "incorrect" in visit.text(".predicted.differs")
    sizes = visit.page.locator(".pictures img").evaluate_all(
        "all => Promise.all(all.map(one => one.decode().then(() => one.naturalWidth)))"
    )
    assert len(sizes) == 7
    assert all(sizes)


def test_people_of_the_other_class_are_there_to_compare_with(visit: Visit) -> None:
    visit.find(WOMAN)
    heads = visit.texts(".compare h3")
    assert heads == ["Others labelled male", "Others labelled female as this one is"]
    labels = (
        visit.page.locator(".compare > div")
        .first.locator("img")
        .evaluate_all("all => all.map(one => one.alt)")
    )
    assert len(labels) == 5
    assert all("_male_" in label for label in labels)


def test_hostile_names_are_shown_and_do_nothing(visit: Visit) -> None:
    visit.find("onerror")
    assert visit.who == STRANGER
    assert HOSTILE in visit.texts(".pictures .path")
    for key in ("1", "m", "Escape", "x", "Escape", "?", "Escape"):
        visit.press(key)
    visit.press("p", " ")
    visit.page.wait_for_timeout(200)
    assert visit.page.locator("[onerror], img[src='x']").count() == 0


def test_only_rows_in_view_exist(visit: Visit) -> None:
    count = visit.page.locator("#list .row").count()
    assert 0 < count < 20
    visit.page.locator("#list").evaluate("one => one.scrollTo(0, one.scrollHeight)")
    expected = visit.page.locator("#list .row[aria-posinset='46']")
    api.expect(expected).to_be_visible()
    api.expect(expected.locator("img")).to_have_count(1)
    assert visit.page.locator("#list .row").count() < 20
    visit.press("End")
    selected = visit.page.locator("#list .row[aria-selected=true]")
    assert selected.get_attribute("aria-posinset") == "46"
    visit.press("Home", "k")
    assert visit.text("#said") == "this is the first"


def test_what_is_typed_into_fields_is_no_command(visit: Visit) -> None:
    visit.press("/")
    visit.page.keyboard.type("gamsxup 1")
    assert visit.page.locator("#search").input_value() == "gamsxup 1"
    assert visit.text("#progress").startswith("0 of")


def test_a_picture_is_chosen_by_its_number_and_let_go_again(visit: Visit) -> None:
    visit.find(MAN)
    pressed = visit.page.locator(".picture[aria-pressed=true]")
    visit.press("3")
    assert "mask3" in str(pressed.get_attribute("aria-label"))
    visit.press("3")
    assert pressed.count() == 0
    visit.press("9")
    assert pressed.count() == 0


def test_everything_is_announced_and_has_a_name(visit: Visit) -> None:
    visit.find(WOMAN)
    visit.press("g")
    assert visit.text("#said") == "Gender: 1 male, 2 female"
    visit.press("1")
    assert visit.text("#said") == f"{WOMAN}: gender male"
    unnamed = visit.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, dialog, section, form")]
        .filter((one) => one.getClientRects().length)
        .filter((one) => {
          const title = document.getElementById(one.getAttribute("aria-labelledby"));
          const names = [one.getAttribute("aria-label"), one.innerText, one.labels?.[0]?.innerText,
            title?.innerText];
          return !names.some((name) => name?.trim());
        })
        .map((one) => one.outerHTML)"""
    )
    assert unnamed == []
    active = visit.page.locator("#list").get_attribute("aria-activedescendant")
    assert visit.page.locator(f"#{active}").get_attribute("aria-selected") == "true"
    label = visit.page.locator(".picture").first.get_attribute("aria-label")
    assert re.match(r"picture 1, mask1, mask worn, predicted worn \d\d %, doubted", str(label))


@pytest.mark.parametrize(
    ("width", "height"), [(320, 640), (390, 800), (640, 400), (1280, 800), (1920, 1080)]
)  # 640 x 400 is 1280 x 800 at 200 % zoom
def test_nothing_is_cut_off_on_narrow_or_zoomed_windows(
    browser: Any, out: Path, width: int, height: int
) -> None:
    address = (out / "audit" / "index.html").as_uri()
    visit = Visit(browser, address, viewport={"width": width, "height": height})
    visit.find(STRANGER)  # the longest name there is
    for reading in (False, True):
        if reading:
            visit.press("Enter")
            assert visit.page.locator("#detail").is_visible()
            visit.press("z")
            visit.page.locator(".actions button").first.scroll_into_view_if_needed()
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
        wide = visit.page.evaluate(
            """() => ["#detail", "#list", ".top"].map((one) => document.querySelector(one))
            .filter((one) => one.clientWidth && one.scrollWidth > one.clientWidth + 1)
            .map((one) => one.id)"""
        )
        assert wide == []
        if reading and height > 480:  # on a lower window the page scrolls as a whole
            assert visit.page.evaluate("document.documentElement.scrollHeight") <= height
    visit.press("x")
    option = visit.page.locator(".actions .option").first
    option.scroll_into_view_if_needed()
    box = option.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert visit.faults == []
    visit.context.close()


def test_on_a_narrow_window_one_reads_and_comes_back(browser: Any, out: Path) -> None:
    address = (out / "audit" / "index.html").as_uri()
    visit = Visit(browser, address, viewport={"width": 390, "height": 800}, has_touch=True)
    visit.page.locator("#list .row").nth(2).tap()
    assert visit.page.locator("#list").is_hidden()
    first = visit.who
    visit.page.get_by_role("button", name="Next").tap()
    assert visit.who != first
    visit.page.get_by_role("button", name="List").tap()
    assert visit.page.locator("#list").is_visible()
    assert visit.faults == []
    visit.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Any, out: Path, scheme: str) -> None:
    visit = Visit(browser, (out / "audit" / "index.html").as_uri(), color_scheme=scheme)
    visit.find(WOMAN)
    visit.press("p", "1")
    pairs = colours_of(
        visit.page,
        [
            "h1", ".eyebrow", "h1 .of", ".top .quiet", ".field", "#detail h2",
            "#detail .quiet", "figcaption .path", ".predicted", ".labels .was", ".now",
            ".badge.warning", ".badge.set", ".badge.new",
            ".finding .score", ".facts dt", ".facts dd", ".reason", ".cure", ".actions button",
            ".bar .word", ".share", ".compare h3", "button.main", "kbd", ".row-reason",
            ".row .path",
        ],
    )  # fmt: skip
    weak = {name: contrast(ink, at) for name, ink, at in pairs if contrast(ink, at) < 4.5}
    assert weak == {}  # WCAG 2.2, 1.4.3: 4.5 to 1 for text
    assert (luminance(pairs[0][2]) < 0.2) == (scheme == "dark")
    visit.context.close()


def test_without_scripts_it_says_so(browser: Any, out: Path) -> None:
    visit = Visit(browser, (out / "audit" / "index.html").as_uri(), java_script_enabled=False)
    assert visit.page.locator(".notice").first.is_visible()
    assert visit.page.locator(".work").is_hidden()
    visit.context.close()
