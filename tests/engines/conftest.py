"""One Ray cluster for all tests of this folder: to start it takes longer than they do."""

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="package")
def cluster() -> Iterator[Any]:
    """Three nodes of one CPU each, to which this process is connected."""
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    from clusters import three_nodes  # noqa: PLC0415 - needs Ray

    with three_nodes() as cluster:
        yield cluster
