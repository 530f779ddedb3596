"""The contact sheet in a real browser: no network, keyboard, narrow, dark."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsers import Watched, api, colours_of, contrast, luminance, needs_browser
from drawn_dataset import HOSTILE, a_dataset, a_fallback, a_reject, a_row

from facecrop.commands.contact.command import write_contact
from facecrop.images.codec import Limits

pytestmark = needs_browser

OK, FALLBACKS, NO_FACE = 30, 60, 25


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with records of each kind, hostile names among them."""
    folder = tmp_path_factory.mktemp("sheet")
    sides = {"person_x0": 5.0, "person_y0": 20.0, "person_x1": 90.0, "person_y1": 128.0}
    rows = [a_row(f"ok_{n:02}/normal.png", persons=1, person_score=0.8, **sides) for n in range(OK)]
    rows += [a_fallback(f"sib_{n:02}/mask1.png") for n in range(FALLBACKS)]
    rows += [a_reject(f"none_{n:02}/mask2.png", "no-face") for n in range(NO_FACE)]
    rows += [
        a_reject("broken/mask3.png", "truncated", width=None, height=None),
        a_row(f"{HOSTILE}/1.png", face_source=HOSTILE, rotation=9.0),
        a_row("x%25%26%3C/2.png", profile=f'"{HOSTILE}', image=f'images/"{HOSTILE}/2.jpg'),
        a_reject("slug/1.png", HOSTILE),
    ]
    return write_contact(a_dataset(folder, rows), folder / "raw", Limits())


TOTAL = OK + FALLBACKS + NO_FACE + 4


class Visit(Watched):
    """An open sheet, which should not ask for anything."""

    def __init__(self, browser: Any, file: Path, **options: Any) -> None:
        super().__init__(browser, **options)
        self.page.on("request", self._asked)
        self.address = file.as_uri()
        self.page.goto(self.address)

    def _asked(self, request: Any) -> None:
        if not request.url.startswith(("data:", self.address)):
            self.faults.append(f"request: {request.url}")

    def texts(self, selector: str) -> list[str]:
        return list(self.page.locator(selector).all_text_contents())  # also of those out of view

    def build_all(self) -> None:
        """Ask for more cards until there are no more; the button itself may go at any moment."""
        for _ in range(10):
            self.page.evaluate("document.getElementById('more').click()")

    @property
    def found(self) -> str:
        return str(self.page.locator("#found").inner_text())


@pytest.fixture
def visit(browser: Any, file: Path) -> Iterator[Visit]:
    one = Visit(browser, file)
    yield one
    one.page.context.close()
    assert one.faults == []


def test_cards_are_built_while_scrolling_until_all_are_there(visit: Visit) -> None:
    assert 0 < visit.page.locator(".card").count() < TOTAL
    for _ in range(20):
        visit.page.mouse.wheel(0, 4000)
        visit.page.wait_for_timeout(50)
    assert visit.page.locator(".card").count() == TOTAL
    assert visit.page.locator("#more").is_hidden()


def test_source_and_crop_are_shown_with_everything_that_was_found(visit: Visit) -> None:
    visit.page.goto(f"{visit.address}#search=ok_00")
    visit.page.reload()
    card = visit.page.locator(".card").first
    layers = card.locator("svg[role=img] > g").evaluate_all(
        "all => all.map(one => one.classList[1])"
    )
    assert layers == ["matte", "person", "crop", "face", "landmarks"]
    loaded = card.locator(".stage > img").evaluate(
        "one => one.decode().then(() => one.naturalWidth)"
    )
    assert loaded == 48
    label = card.locator("svg[role=img]").get_attribute("aria-label")
    assert label == (
        "source picture with face box, landmarks, person box, outline of the matte, crop box"
    )


def test_hostile_names_are_shown_and_do_nothing(visit: Visit) -> None:
    visit.build_all()
    visit.page.wait_for_timeout(200)
    assert f"{HOSTILE}/1.png" in visit.texts(".card .path")
    assert visit.page.locator("img:not([alt=crop])").count() == 0
    assert visit.page.locator("[onerror]").count() == 0
    visit.page.locator("#search").fill("onerror")
    assert visit.page.locator(".card").count() == 1
    visit.page.locator(".view").click()
    assert visit.page.locator("#large-title").inner_text() == f"{HOSTILE}/1.png"


def test_a_picture_that_cannot_be_read_shows_why(visit: Visit) -> None:
    visit.page.locator("#search").fill("broken")
    assert visit.texts(".card .absent") == ["the file ends too early", "no crop"]


def test_filters_narrow_the_records_and_count_them(visit: Visit) -> None:
    assert visit.found == f"{TOTAL} of {TOTAL} records"
    visit.page.get_by_label(re.compile("^reject")).check(force=True)
    assert visit.found == f"{NO_FACE + 2} of {TOTAL} records"
    assert set(visit.texts(".badge")) == {"reject"}
    visit.page.get_by_label("Reason").select_option("no-face")
    assert visit.found == f"{NO_FACE} of {TOTAL} records"
    visit.page.get_by_label("Profile or file").fill("NONE_07")
    assert visit.texts(".card .path") == ["none_07/mask2.png"]
    visit.page.get_by_label("Profile or file").fill("nobody")
    assert visit.page.locator("#none").is_visible()
    visit.page.get_by_role("button", name="Clear filters").click()
    assert visit.found == f"{TOTAL} of {TOTAL} records"
    visit.page.get_by_label("Detector").select_option("sibling")
    assert visit.found == f"{FALLBACKS} of {TOTAL} records"


def test_the_numbers_of_the_summary_lead_to_their_records_and_the_address_keeps_them(
    visit: Visit,
) -> None:
    visit.page.get_by_role("link", name=re.compile("the file ends too early")).click()
    assert visit.texts(".card .path") == ["broken/mask3.png"]
    assert visit.page.url.endswith("#reason=truncated")
    visit.page.reload()
    assert visit.texts(".card .path") == ["broken/mask3.png"]


def test_doubtful_records_come_first_and_the_order_can_be_changed(visit: Visit) -> None:
    visit.build_all()
    badges = visit.texts(".badge")
    assert badges == sorted(badges, key=["fallback", "reject", "ok"].index)
    visit.page.get_by_label("Order").select_option("path")
    visit.build_all()
    paths = visit.texts(".card .path")
    assert paths == sorted(paths)


def test_everything_can_be_done_by_keyboard(visit: Visit) -> None:
    press = visit.page.keyboard.press
    press("/")
    visit.page.keyboard.type("sib_0")
    assert visit.found == f"10 of {TOTAL} records"
    visit.page.locator(".view").first.focus()
    press("Enter")
    assert visit.page.locator("#large").is_visible()
    assert visit.page.locator("#place").inner_text() == "1 of 10"
    press("ArrowRight")
    press("ArrowRight")
    press("ArrowLeft")
    assert visit.page.locator("#large-title").inner_text() == "sib_01/mask1.png"
    press("Escape")
    assert visit.page.locator("#large").is_hidden()
    focused = visit.page.locator(".view:focus")
    api.expect(focused).to_have_attribute("aria-label", "Enlarge sib_01/mask1.png")


def test_each_kind_of_drawing_can_be_hidden(visit: Visit) -> None:
    for layer in ("face", "matte", "crop"):
        drawn = visit.page.locator(f".card .layer.{layer}").first
        assert drawn.is_visible()
        visit.page.get_by_label(layer, exact=True).uncheck()
        assert drawn.is_hidden()


def test_every_control_has_a_name_for_screen_readers(visit: Visit) -> None:
    visit.page.locator(".view").first.click()
    unnamed = visit.page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a, dialog, main, form")]
        .filter((one) => !(one.getAttribute("aria-label") || one.innerText.trim()
            || one.labels?.[0]?.innerText.trim()
            || document.getElementById(one.getAttribute("aria-labelledby"))?.innerText.trim()))
        .map((one) => one.outerHTML)"""
    )
    assert unnamed == []
    assert visit.page.locator("html").get_attribute("lang") == "en"
    headings = visit.page.locator("h1, h2, h3").evaluate_all("all => all.map(one => one.tagName)")
    assert headings[:2] == ["H1", "H2"]


@pytest.mark.parametrize("width", [320, 640, 1280])  # 640 is 1280 at 200 % zoom
def test_nothing_is_cut_off_on_narrow_or_zoomed_windows(
    browser: Any, file: Path, width: int
) -> None:
    visit = Visit(browser, file, viewport={"width": width, "height": 500})
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    visit.page.locator(".view").first.click()
    box = visit.page.locator("#large").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    assert visit.faults == []
    visit.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Any, file: Path, scheme: str) -> None:
    visit = Visit(browser, file, color_scheme=scheme)
    visit.build_all()
    pairs = colours_of(
        visit.page,
        [
            "h1", ".lede", ".quiet", "code", ".path", ".facts dt", ".facts dd",
            ".absent span", ".badge.ok", ".badge.fallback", ".badge.reject",
            ".eyebrow", ".field", ".segments span",
        ],
    )  # fmt: skip
    weak = {
        name: contrast(ink, ground) for name, ink, ground in pairs if contrast(ink, ground) < 4.5
    }
    assert weak == {}  # WCAG 2.2, 1.4.3: 4.5 to 1 for text
    assert (luminance(pairs[0][2]) < 0.2) == (scheme == "dark")
    visit.page.context.close()


def test_without_scripts_the_summary_is_there_and_says_where_pictures_are(
    browser: Any, file: Path
) -> None:
    visit = Visit(browser, file, java_script_enabled=False)
    assert visit.page.locator(".notice").is_visible()
    assert visit.page.locator(".tools").is_hidden()
    assert visit.page.locator(".statuses").is_visible()
    visit.page.context.close()
