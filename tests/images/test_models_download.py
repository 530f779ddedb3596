"""Downloads from a server that behaves as servers do: it breaks off, ignores ranges, lies."""

import hashlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from facecrop.errors import WeightsError
from facecrop.images.models import Catalogue, ModelStore
from facecrop.images.models.fetch import OriginError, download

CONTENT = hashlib.sha256(b"weights").digest() * 40_000  # 1.28 MB, several chunks


@dataclass
class Server:
    """What the server has, how it misbehaves, and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    breaks_after: list[int] = field(default_factory=list)
    """Bytes that each of the next answers brings before the connection is closed."""
    statuses: list[int] = field(default_factory=list)
    """Codes of the next answers, before it serves."""
    declared: int | None = None
    """A false Content-Length."""
    asked: list[str | None] = field(default_factory=list)
    """The Range header of each request."""


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        state: Server = self.server.state
        wanted = self.headers.get("Range")
        state.asked.append(wanted)
        if state.statuses:
            self.send_error(state.statuses.pop(0))
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and state.ranges else 0
        if start >= len(state.content):
            self.send_error(416)
            return
        body = state.content[start:]
        self.send_response(206 if start else 200)
        if start:
            end = len(state.content)
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{end}")
        self.send_header("Content-Length", str(state.declared or len(body)))
        self.end_headers()
        self.wfile.write(body[: state.breaks_after.pop(0)] if state.breaks_after else body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.state = state  # type: ignore[attr-defined]  # what the handler reads
    state.url = f"http://127.0.0.1:{http.server_address[1]}/model.onnx"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


def fetch(server: Server, part: Path, pauses_s: tuple[float, ...] = (0, 0)) -> list[Any]:
    seen: list[Any] = []
    download(server.url, part, lambda done, total: seen.append((done, total)), pauses_s)
    return seen


def catalogue(url: str, **entry: object) -> Catalogue:
    entry = entry or {"sha256": hashlib.sha256(CONTENT).hexdigest()}
    plain = {"task": "matte", "file": "model.onnx", "licence": "MIT", "commercial": "yes"}
    return Catalogue.model_validate(
        {"models": {"it": {**plain, "origins": [{"url": url}], **entry}}}
    )


def test_progress_goes_from_nothing_to_all(server: Server, tmp_path: Path) -> None:
    seen = fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


def test_a_broken_off_download_continues_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [500_000, 100_000]
    fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == [None, "bytes=500000-", "bytes=600000-"]


def test_progress_gives_a_shaky_connection_new_patience(server: Server, tmp_path: Path) -> None:
    server.breaks_after = [1000] * 8
    fetch(server, tmp_path / "part", pauses_s=(0,))
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_the_part_of_a_killed_process_is_continued(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT[:1234])
    seen = fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == ["bytes=1234-"]
    assert seen[0] == (1234, len(CONTENT))


def test_a_server_that_ignores_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.breaks_after = [700_000]
    fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_server_that_never_sends_all_is_given_up(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.declared = len(CONTENT) + 1
    with pytest.raises(OriginError, match=r"127\.0\.0\.1 .*1,280,000 of 1,280,001 bytes"):
        fetch(server, tmp_path / "part")
    assert len(server.asked) == 3


def test_a_part_longer_than_the_file_starts_anew(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(CONTENT + b"more")
    fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_an_overloaded_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [503, 429]
    fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_missing_file_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    server.statuses = [404, 404]
    with pytest.raises(OriginError, match=r"127\.0\.0\.1 answers 404"):
        fetch(server, tmp_path / "part")
    assert len(server.asked) == 1


def test_an_unreachable_host_is_named(tmp_path: Path) -> None:
    with pytest.raises(OriginError, match=r"127\.0\.0\.1 cannot be reached.*refused"):
        download("http://127.0.0.1:1/model.onnx", tmp_path / "part", lambda *_: None, (0,))


def test_a_disk_without_room_is_told_before_the_download(server: Server, tmp_path: Path) -> None:
    server.declared = 10**18
    with pytest.raises(WeightsError, match=r"is full, .* needed, .* free.*FACECROP_MODELS"):
        fetch(server, tmp_path / "part")
    assert not (tmp_path / "part").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "part").symlink_to("/dev/full")
    with pytest.raises(WeightsError, match=r"is full: make room"):
        fetch(server, tmp_path / "part")


def test_the_store_fetches_checks_and_leaves_only_the_file(server: Server, tmp_path: Path) -> None:
    seen: list[Any] = []
    store = ModelStore(
        tmp_path / "models",
        catalogue=catalogue(server.url),
        progress=lambda *progress: seen.append(progress),
    )
    assert store.path("it").read_bytes() == CONTENT
    assert seen[-1] == ("it", len(CONTENT), len(CONTENT))
    visible = {file.name for file in (tmp_path / "models").iterdir() if file.name[0] != "."}
    assert visible == {"model.onnx", "digests.json"}
    assert store.path("it") == store.path("it")
    assert len(server.asked) == 1


def test_wrong_bytes_are_removed_and_both_digests_told(server: Server, tmp_path: Path) -> None:
    server.content = b"<html>sign in</html>"
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    found = hashlib.md5(server.content, usedforsecurity=False).hexdigest()
    with pytest.raises(
        WeightsError, match=rf"md5 {found}, expected md5 {md5}.*sign-in page.*by hand"
    ):
        ModelStore(tmp_path, catalogue=catalogue(server.url, md5=md5)).path("it")
    assert not list(tmp_path.glob("model*"))


def test_a_part_of_another_file_costs_one_more_download(server: Server, tmp_path: Path) -> None:
    (tmp_path / "model.onnx.part").write_bytes(b"of an older release")
    store = ModelStore(tmp_path, catalogue=catalogue(server.url))
    assert store.path("it").read_bytes() == CONTENT
    assert server.asked == ["bytes=19-", None]


def test_the_next_origin_is_tried_and_all_failures_are_told(server: Server, tmp_path: Path) -> None:
    server.statuses = [404, 403, 404]
    origins = [{"url": f"{server.url}?first"}, {"url": server.url}]
    both = catalogue("http://x", md5="0" * 32, origins=origins)
    with pytest.raises(WeightsError, match=r"404 .*; .* 403 .*put model.onnx \(md5 0+\) into"):
        ModelStore(tmp_path, catalogue=both).path("it")
    right = catalogue("http://x", sha256=hashlib.sha256(CONTENT).hexdigest(), origins=origins)
    assert ModelStore(tmp_path, catalogue=right).path("it").read_bytes() == CONTENT


def test_without_a_published_digest_the_first_one_holds(server: Server, tmp_path: Path) -> None:
    unpublished = catalogue(server.url, check="first-use")
    (tmp_path / "model.onnx.part").write_bytes(b"could belong to anything")
    file = ModelStore(tmp_path, catalogue=unpublished).path("it")
    assert file.read_bytes() == CONTENT
    pin = file.with_name("model.onnx.sha256").read_text(encoding="utf-8")
    assert pin == f"{hashlib.sha256(CONTENT).hexdigest()}  model.onnx\n"
    file.unlink()
    server.content = b"replaced by somebody"
    with pytest.raises(WeightsError, match=r"expected sha256 "):
        ModelStore(tmp_path, catalogue=unpublished).path("it")


SCRIPT = """
import sys
from pathlib import Path
from facecrop.images.models import ModelStore, read_catalogue
print(ModelStore(Path(sys.argv[1]), catalogue=read_catalogue(Path(sys.argv[2]))).digest("it"))
"""


def test_two_processes_that_want_a_file_fetch_it_once(server: Server, tmp_path: Path) -> None:
    digest = hashlib.sha256(CONTENT).hexdigest()
    table = tmp_path / "models.toml"
    table.write_text(
        f'[models.it]\ntask = "matte"\nfile = "model.onnx"\nsha256 = "{digest}"\nlicence = "MIT"\n'
        f'commercial = "yes"\norigins = [{{ url = "{server.url}" }}]\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "models"), str(table)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in both] == [digest] * 2
    assert len(server.asked) == 1
