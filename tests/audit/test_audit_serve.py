"""Deciding beside the dataset: who may ask, and what is written."""

import http.client
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from review_dataset import HOSTILE, a_dataset, a_page, dark, people

from facecrop.commands.audit.serve import DECISIONS, MANIFEST, serve_audit
from facecrop.commands.relabel.command import relabel
from facecrop.errors import ConfigError
from facecrop.index import LABELS_FILE, read_table
from facecrop.labels.manifests import Correction, read_manifest

NAMES = people(3)
ROW = {
    "profile": NAMES[0], "name": "", "field": "gender", "was": "male", "now": "female",
    "reason": "=cmd|' /C calc'!A0", "source": "review by Ann at 2026-11-03T12:00:00Z",
    "confidence": "reviewed",
}  # fmt: skip


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = a_dataset(tmp_path / "set", NAMES)
    a_page(folder, [dark(NAMES[0])])
    return folder


@pytest.fixture
def visitor(out: Path) -> Iterator["Visitor"]:
    with serve_audit(out) as url:
        yield Visitor(url)


class Visitor:
    """Asks the server as a browser would, unless told otherwise."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port, self.page = parts.hostname, parts.port, parts.path
        self.origin = f"http://{parts.netloc}"
        self.root = self.page.removesuffix("audit/index.html")

    def ask(
        self,
        method: str,
        place: str,
        body: bytes | None = None,
        headers: Mapping[str, str | None] | None = None,
    ) -> tuple[int, bytes, http.client.HTTPMessage]:
        sent: dict[str, str | None] = {"Host": f"{self.host}:{self.port}"}
        if method == "POST":
            sent |= {"Origin": self.origin, "Content-Type": "application/json"}
        sent |= headers or {}
        connection = http.client.HTTPConnection(self.host, self.port or 0, timeout=10)
        connection.putrequest(method, place, skip_host=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body or b"")))
        connection.endheaders(body)
        reply = connection.getresponse()
        return reply.status, reply.read(), reply.headers

    def kept(self) -> Any:
        return json.loads(self.ask("GET", f"{self.root}review")[1])

    def decide(self, *rows: object, revision: str | None = None, **decisions: object) -> Any:
        said = {
            "revision": revision or self.kept()["revision"],
            "corrections": rows,
            "decisions": decisions,
        }
        return self.ask("POST", f"{self.root}review", json.dumps(said).encode())


def test_the_page_and_the_crops_of_the_dataset_are_served_and_nothing_else(
    out: Path, visitor: Visitor
) -> None:
    assert visitor.ask("GET", visitor.page)[:2] == (
        200,
        (out / "audit" / "index.html").read_bytes(),
    )
    crop = f"images/{NAMES[0]}/normal.png"
    status, body, headers = visitor.ask("GET", f"{visitor.root}{crop}")
    assert (status, body) == (200, (out / crop).read_bytes())
    assert headers["Content-Type"].startswith("image/png")
    assert headers["X-Content-Type-Options"] == "nosniff"
    (out / "images" / "secret.png").write_bytes(b"not in the index")
    for place in (
        "labels.parquet", "images/secret.png", "images/../labels.parquet",
        "images/%2e%2e/labels.parquet", "/etc/passwd", "..%2f..%2fetc%2fpasswd", "",
    ):  # fmt: skip
        assert visitor.ask("GET", f"{visitor.root}{place}")[0] == 404


def test_whoever_does_not_know_the_token_learns_nothing(visitor: Visitor) -> None:
    for place in ("/", "/review", "/audit/index.html", "/wrong/audit/index.html", "/%C3%A9/review"):
        assert visitor.ask("GET", place)[0] == 404
    assert visitor.ask("POST", "/wrong/review", b"{}")[0] == 404


def test_each_start_has_another_token(out: Path) -> None:
    with serve_audit(out) as one, serve_audit(out) as other:
        assert urlsplit(one).path != urlsplit(other).path


def test_only_this_machine_is_listened_to(visitor: Visitor) -> None:
    assert visitor.host == "127.0.0.1"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "", None])
def test_another_name_for_this_server_is_refused(visitor: Visitor, host: str | None) -> None:
    name = None if host is None else host.format(port=visitor.port)
    status, body, _ = visitor.ask("GET", visitor.page, headers={"Host": name})
    assert (status, body) == (403, b"not this server's name")


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": None},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ],
)
def test_pages_of_other_sites_cannot_decide(
    out: Path, visitor: Visitor, headers: dict[str, str | None]
) -> None:
    said = {"revision": visitor.kept()["revision"], "corrections": [ROW], "decisions": {}}
    body = json.dumps(said).encode()
    assert visitor.ask("POST", f"{visitor.root}review", body, headers)[0] == 403
    assert not (out / MANIFEST).exists()
    assert visitor.ask("POST", f"{visitor.root}review", body)[0] == 200


def test_decisions_become_a_manifest_that_relabel_takes(out: Path, visitor: Visitor) -> None:
    assert visitor.decide(ROW, set=[["k", {}]])[0] == 200
    (row,) = read_manifest(out / MANIFEST)
    assert row.content == Correction(**{name: value or None for name, value in ROW.items()})  # type: ignore[arg-type]  # its columns
    assert relabel(out, manifests=[str(out / MANIFEST)]).images == 7
    labels = read_table(out / LABELS_FILE).to_pylist()
    assert {one["gender"] for one in labels if one["path"].startswith(NAMES[0])} == {"female"}
    assert visitor.kept()["decisions"] == {"set": [["k", {}]]}


def test_the_same_decisions_give_the_same_bytes(out: Path, visitor: Visitor) -> None:
    visitor.decide(ROW, a=1, b=2)
    before = (out / MANIFEST).read_bytes(), (out / DECISIONS).read_bytes()
    visitor.decide(ROW, b=2, a=1)
    assert ((out / MANIFEST).read_bytes(), (out / DECISIONS).read_bytes()) == before
    assert {one.name for one in (out / "audit").iterdir()} == {
        "index.html", "review.csv", "review.json",
    }  # fmt: skip


def test_taking_everything_back_leaves_an_empty_manifest(out: Path, visitor: Visitor) -> None:
    visitor.decide(ROW)
    visitor.decide()
    assert list(read_manifest(out / MANIFEST)) == []


def test_what_another_window_decided_is_not_overwritten(out: Path, visitor: Visitor) -> None:
    old = visitor.kept()["revision"]
    assert visitor.decide(ROW, set=["something"])[0] == 200
    status, why, _ = visitor.decide(revision=old)
    assert status == 409
    assert b"reload" in why
    assert len(list(read_manifest(out / MANIFEST))) == 1


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (ROW | {"field": "colour"}, b"no field 'colour'"),
        (ROW | {"now": "male"}, b"the row changes nothing"),
        (ROW | {"now": 3}, b"a correction needs profile"),
        ({"profile": HOSTILE}, b"a correction needs profile"),
        ("gender", b"a correction needs profile"),
        (ROW | {"field": "age", "now": "200"}, b"from 0 to"),
    ],
)
def test_what_is_no_correction_is_not_written(
    out: Path, visitor: Visitor, row: object, why: bytes
) -> None:
    status, said, _ = visitor.decide(ROW, row)
    assert status == 400
    assert why in said
    assert not (out / MANIFEST).exists()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b'{"decisions": 3}', b"\xff", b"\x7b\x7d"]
)
def test_what_is_no_request_is_refused(out: Path, visitor: Visitor, body: bytes) -> None:
    assert visitor.ask("POST", f"{visitor.root}review", body)[0] == 400
    assert not (out / DECISIONS).exists()


def test_a_manifest_of_somebody_else_is_not_overwritten(out: Path) -> None:
    (out / MANIFEST).write_text("profile,name,field,was,now\n")
    with pytest.raises(ConfigError, match=r"review\.csv would be overwritten"), serve_audit(out):
        pass


def test_without_a_page_it_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="run: facecrop audit"), serve_audit(tmp_path):
        pass


def test_a_taken_port_is_an_error_of_one_line(out: Path, visitor: Visitor) -> None:
    assert visitor.port is not None
    with (
        pytest.raises(ConfigError, match=f"cannot listen on port {visitor.port}"),
        serve_audit(out, visitor.port),
    ):
        pass


def test_after_the_end_nobody_answers(out: Path) -> None:
    with serve_audit(out) as url:
        visitor = Visitor(url)
        assert visitor.ask("GET", visitor.page)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        visitor.ask("GET", visitor.page)
