"""A real browser for tests of pages, and what WCAG says of colours."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

api = pytest.importorskip("playwright.sync_api", reason="the package playwright is not installed")
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needs_browser = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium on this machine")

SWITCHES = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
)  # fmt: skip


@contextmanager
def launched() -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=BROWSER, args=list(SWITCHES))
        try:
            yield one
        finally:
            one.close()


class Watched:
    """A page that can be opened, and everything that it should not have done."""

    def __init__(self, browser: Any, **options: Any) -> None:
        usual = {"viewport": {"width": 1280, "height": 800}, "accept_downloads": True}
        self.context = browser.new_context(**usual | options)
        self.context.set_default_timeout(10_000)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", lambda one: self.faults.append(one.text))
        self.page.on("pageerror", lambda one: self.faults.append(str(one)))
        self.page.on("dialog", self._alerted)

    def _alerted(self, dialog: Any) -> None:
        self.faults.append(f"alert: {dialog.message}")
        dialog.dismiss()


def colours_of(page: Any, selectors: Sequence[str]) -> list[tuple[str, str, str]]:
    """The first of each: what it is, the colour of its text, that of the ground it stands on."""
    found = page.evaluate(
        """(selectors) => selectors.map((selector) => {
          const one = document.querySelector(selector);
          let ground = one;
          const colour = (node) => getComputedStyle(node).backgroundColor;
          while (colour(ground) === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
          return [selector, getComputedStyle(one).color, colour(ground)];
        })""",
        list(selectors),
    )
    return [(name, ink, ground) for name, ink, ground in found]


def luminance(colour: str) -> float:
    """Relative luminance of a CSS colour (WCAG 2.2)."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return sum(weight * one for weight, one in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """Contrast of two CSS colours, 1 to 21 (WCAG 2.2)."""
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)
