"""The review page of one dataset in a browser, for all tests that want to look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with findings, and their page."""
    from review_browser import reviewed  # noqa: PLC0415 - needs playwright

    return reviewed(tmp_path_factory.mktemp("review") / "set")


@pytest.fixture
def visit(browser: Any, out: Path) -> Iterator[Any]:
    """The page, opened; at the end nothing must have gone wrong."""
    from review_browser import visiting  # noqa: PLC0415 - needs playwright

    with visiting(browser, out) as one:
        yield one
