"""The review page from a server of this machine, which writes decisions beside the dataset."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mimetypes import guess_type
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import unquote, urlsplit

from facecrop.commands.audit.files import FOLDER, Accepted, add_accepted
from facecrop.commands.audit.page import PAGE
from facecrop.commands.audit.reviewed import REVIEW as DECISIONS
from facecrop.commands.audit.reviewed import reviewed
from facecrop.crops import crop_data
from facecrop.errors import ConfigError, FacecropError
from facecrop.index import INDEX_FILE, read_table, write_atomic
from facecrop.labels.cells import Fault, escape_cell
from facecrop.labels.manifests import COLUMNS, Correction, correction, write_manifest

MANIFEST = Path(FOLDER) / "review.csv"
"""Below the dataset: what `facecrop relabel` reads; all decisions, for the page, are beside it."""
_HERE = "127.0.0.1"
_TOKEN_BYTES = 24
_MOST_BYTES = 1 << 26
"""Of one request: decisions about some 100,000 people."""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@contextmanager
def serve_audit(out: Path, port: int = 0) -> Iterator[str]:
    """Serve the review page while the context is open; yields its address.

    Only this machine can reach it, only at an address with a random token, and only pages of its
    own may send decisions. These are written to `audit/review.csv`, a manifest for `facecrop
    relabel`, and, with what is correct as given, to `audit/review.json`, both whole or not at all
    and the same for the same decisions. The page goes on from there the next time. What is correct
    as given is accepted at once (`audit/accepted.json`), and no more when that is undone.

    Args:
        out: The dataset, with a page that `write_audit_page` wrote.
        port: Where to listen; 0 for any that is free.

    Raises:
        ConfigError: There is no page, the port is taken, or `review.csv` is somebody else's.
        TableError: The index cannot be read.
    """
    if not (out / PAGE).is_file():
        raise ConfigError(f"{out / PAGE} does not exist; run: facecrop audit {out}")
    if (out / MANIFEST).exists() and not (out / DECISIONS).exists():
        raise ConfigError(
            f"{out / MANIFEST} would be overwritten, but was not written here: apply it with "
            "facecrop relabel, or move it away"
        )
    try:
        server = _Server(out, port)
    except OSError as error:
        raise ConfigError(f"cannot listen on port {port}: {error.strerror}") from None
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"{server.origins[0]}/{server.token}/{PAGE.as_posix()}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _RefusedError(Exception):
    """A request that is not answered: the status and why."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Server(ThreadingHTTPServer):
    """Knows what may be served.

    Args:
        out: The dataset.
        port: Where to listen.
    """

    daemon_threads = True

    def __init__(self, out: Path, port: int) -> None:
        super().__init__((_HERE, port), _Handler)
        self.out = out
        self.token = secrets.token_urlsafe(_TOKEN_BYTES)
        self.images = frozenset(
            read_table(out / INDEX_FILE, ["image"])["image"].drop_null().to_pylist()
        )
        self.lock = Lock()
        names = (_HERE, "localhost")
        self.origins = tuple(f"http://{name}:{self.server_address[1]}" for name in names)

    def decisions(self) -> dict[str, Any]:
        """Return what is kept, and what a change must say that it starts from."""
        try:
            raw = (self.out / DECISIONS).read_bytes()
        except FileNotFoundError:
            raw = b"{}"
        return {"kept": "facecrop", "revision": _revision(raw), "decisions": json.loads(raw)}

    def keep(self, said: object) -> dict[str, Any]:
        """Write decisions; return the new revision.

        Raises:
            _RefusedError: They are not understood, or something else was decided since.
            StoreError: They cannot be written.
        """
        if not isinstance(said, dict) or not isinstance(said.get("decisions"), dict):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "these are no decisions")
        rows = [_correction(row) for row in said.get("corrections") or []]
        with self.lock:
            if said.get("revision") != self.decisions()["revision"]:
                raise _RefusedError(
                    HTTPStatus.CONFLICT, "something was decided in another window: reload this one"
                )
            decisions = said["decisions"]
            text = json.dumps(decisions, ensure_ascii=False, indent=1, sort_keys=True)
            if "accepted" in decisions:
                add_accepted(self.out, _accepted(decisions), self._accepted_before())
            write_manifest(self.out / MANIFEST, rows)
            write_atomic(self.out / DECISIONS, lambda path: path.write_text(text, encoding="utf-8"))
        return {"revision": _revision(text.encode())}

    def _accepted_before(self) -> list[Accepted]:
        """Return what the decisions kept so far call correct as given."""
        try:
            return reviewed(self.decisions()["decisions"])
        except ConfigError:  # kept by an earlier version, or by hand
            return []


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal is the user's, and the address has the token in it."""

    def _answer(self, make: Callable[[str], tuple[str, bytes]]) -> None:
        try:
            kind, body = make(self._place())
            status = HTTPStatus.OK
        except _RefusedError as error:
            status, kind, body = error.status, "text/plain", str(error).encode()
        except FacecropError as error:
            status, kind, body = HTTPStatus.INTERNAL_SERVER_ERROR, "text/plain", str(error).encode()
        with suppress(ConnectionError):  # the page was closed meanwhile
            self._send(status, kind, body)

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _place(self) -> str:
        """Return what is asked for, below the token.

        Raises:
            _RefusedError: Whoever asks does not know the token, or asks in another name.
        """
        origins = self.server.origins
        # A page of another site that makes its name point here still says its own name.
        if f"http://{self.headers.get('Host')}" not in origins:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "not this server's name")
        if self.headers.get("Origin") not in (None, f"http://{self.headers['Host']}"):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "only the page itself may ask")
        token, _, place = urlsplit(self.path).path.removeprefix("/").partition("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")
        return unquote(place)

    def _get(self, place: str) -> tuple[str, bytes]:
        if place == "review":
            return "application/json", json.dumps(self.server.decisions()).encode()
        if place == PAGE.as_posix():
            return "text/html", self._read(place)
        if place in self.server.images:
            return guess_type(place)[0] or "application/octet-stream", self._read(place)
        raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")

    def _post(self, place: str) -> tuple[str, bytes]:
        if place != "review":
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is nothing here")
        if self.headers.get("Origin") is None or self.headers.get_content_type() != (
            "application/json"
        ):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "only the page itself may decide")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _MOST_BYTES:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too much at once")
        try:
            said = json.loads(self.rfile.read(int(length)))
        except ValueError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "this is no JSON") from None
        return "application/json", json.dumps(self.server.keep(said)).encode()

    def _read(self, place: str) -> bytes:
        try:
            return crop_data(self.server.out / place)
        except OSError:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "the file is not there any more") from None


def _correction(row: object) -> Correction:
    """Return a row as a manifest holds it.

    Raises:
        _RefusedError: It is none.
    """
    if not isinstance(row, Mapping) or not all(isinstance(row.get(name), str) for name in COLUMNS):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, f"a correction needs {', '.join(COLUMNS)}")
    found = correction({name: escape_cell(row[name]) for name in COLUMNS})
    if isinstance(found, Fault):
        raise _RefusedError(HTTPStatus.BAD_REQUEST, f"{row['profile']}: {found.message}")
    return found


def _accepted(decisions: Mapping[str, Any]) -> list[Accepted]:
    """Return what decisions call correct as given.

    Raises:
        _RefusedError: They are not understood.
    """
    try:
        return reviewed(decisions)
    except ConfigError as error:
        raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None


def _revision(raw: bytes) -> str:
    return sha256(raw).hexdigest()[:16]
