"""A browser with a review page in it, and a dataset to review."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from browsers import Watched
from review_dataset import (
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

from facecrop.labels.manifests import Correction, read_manifest

NAMES = people(60)
STRANGER = str(hostile_records()[0]["profile"])
MAN, WOMAN, OLD, SWAPPED, TWIN = NAMES[4], NAMES[1], NAMES[2], NAMES[5], NAMES[6]


def findings() -> list[Any]:
    return [
        leak(), shared_picture(TWIN, NAMES[7]), swapped(SWAPPED), gender_suspect(WOMAN),
        gender_suspect(MAN, 0.75), age_suspect(OLD, "old", "middle", 0.7), dark(WOMAN),
        dark(STRANGER, HOSTILE, 0.65), *(dark(name, score=0.3) for name in NAMES[20:]),
    ]  # fmt: skip


class Visit(Watched):
    """An open review page, and what it asked for."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        super().__init__(browser, **options)
        self.requests: list[str] = []
        self.page.on("request", lambda one: self.requests.append(one.url))
        self.address = address
        self.page.goto(address)
        self.ready()

    def ready(self) -> None:
        if self.page.evaluate("!document.querySelector('noscript p')"):
            self.page.wait_for_selector("html[data-ready]")

    def reload(self) -> None:
        self.page.reload()
        self.ready()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def find(self, text: str) -> None:
        """Search, and go back to the list."""
        self.press("Escape", "/")
        self.page.locator("#search").fill(text)
        self.press("Escape")

    def text(self, selector: str) -> str:
        return " ".join(str(self.page.locator(selector).first.inner_text()).split())

    def texts(self, selector: str) -> list[str]:
        return [" ".join(one.split()) for one in self.page.locator(selector).all_inner_texts()]

    @property
    def who(self) -> str:
        return self.text("#detail h2")

    def save(self, file: Path) -> Path:
        with self.page.expect_download() as waiting:
            self.press("e")
        waiting.value.save_as(file)
        return file

    def manifest(self, folder: Path) -> list[tuple[str, str | None, str, str | None, str]]:
        rows = [row.content for row in read_manifest(self.save(folder / "saved.csv"))]
        assert all(isinstance(row, Correction) for row in rows), rows
        return [(row.profile, row.name, row.field, row.was, row.now) for row in rows]  # type: ignore[union-attr]  # corrections, as just seen


def reviewed(folder: Path) -> Path:
    """Write a dataset with a run and a page of findings."""
    folder = a_dataset(folder, NAMES, extra=hostile_records())
    mistaken = {WOMAN: {"gender": "male"}, MAN: {"gender": "female"}, OLD: {"age_group": "middle"}}
    run = a_run(folder, mistaken | {f"{SWAPPED}/normal.jpg": {"mask": "incorrect"}})
    a_page(folder, findings(), frozenset([dark(NAMES[59], score=0.3).key]), run)
    return folder


@contextmanager
def visiting(browser: Any, out: Path) -> Iterator[Visit]:
    """Open the page; at the end nothing must have gone wrong, or been asked of a network."""
    one = Visit(browser, (out / "audit" / "index.html").as_uri())
    yield one
    one.context.close()
    assert one.faults == []
    assert all(url.startswith(("file:", "blob:", "data:")) for url in one.requests)


def stored(visit: Visit) -> list[str]:
    (pair,) = visit.page.evaluate("Object.entries(localStorage)")
    return list(pair)


def text_of(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


def until(visit: Visit, true: Callable[[], bool]) -> None:
    for _ in range(100):
        if true():
            return
        visit.page.wait_for_timeout(100)
    pytest.fail("it did not come about in ten seconds")
