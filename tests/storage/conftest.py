"""Places of every kind, each empty."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from object_server import Server, serving

from facecrop.storage import place


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server of the S3 protocol."""
    with serving() as server:
        yield server


@pytest.fixture
def bucket(server: Server) -> Path:
    """A bucket with nothing in it."""
    return server.new(f"bucket-{uuid4().hex}")


@pytest.fixture(params=["folder", "file", "memory", "s3"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A place of each kind."""
    if request.param == "folder":
        return place(tmp_path)
    if request.param == "file":
        return place(f"file://{tmp_path}")
    if request.param == "memory":
        return place(f"memory://{uuid4().hex}")
    bucket: Path = request.getfixturevalue("bucket")
    return bucket / "below"
