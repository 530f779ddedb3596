"""A server of the S3 protocol on this machine that counts requests, and fails on demand."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch
from wsgiref.types import StartResponse, WSGIEnvironment

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

from facecrop.storage import place
from facecrop.storage.objects import system

ACCESS = {
    "AWS_ACCESS_KEY_ID": "nobody",
    "AWS_SECRET_ACCESS_KEY": "nothing",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_BUSY = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>slow down</Message></Error>"


@dataclass
class Server:
    """What the tests ask of the server.

    Args:
        asked: Method, key and query of each request so far.
        fault: Is told the number, method and key of each request, from 1; what it returns is done:
            `busy` (HTTP 503), `reset` (the connection ends), `slow`, or None.
    """

    asked: list[tuple[str, str, str]] = field(default_factory=list)
    fault: Callable[[int, str, str], str | None] = lambda *_: None
    faults: int = 0

    def new(self, name: str) -> Path:
        """Make a bucket and return it."""
        system("s3", os.getpid()).mkdir(name)
        self.asked.clear()
        return place(f"s3://{name}")

    def fill(self, to: Path, files: Iterable[tuple[str, bytes]]) -> Path:
        """Put objects below a place, quicker than by asking for each; return the place."""
        bucket, *folders = to.parts
        for name, data in files:
            _backend().put_object(bucket, "/".join([*folders, name]), data)
        return to

    def held(self, where: Path) -> dict[str, bytes]:
        """Return what is below a place, by the way there, quicker than by asking for each."""
        bucket, *folders = where.parts
        own = "".join(f"{folder}/" for folder in folders)
        keys = _backend().get_bucket(bucket).keys
        return {name[len(own) :]: keys[name].value for name in keys if name.startswith(own)}

    @contextmanager
    def failing(self, fault: Callable[[int, str, str], str | None]) -> Iterator[None]:
        """Fail for a while."""
        self.asked.clear()
        self.fault, self.faults = fault, 0
        try:
            yield
        finally:
            self.fault = lambda *_: None

    def answer(
        self, app: Callable[..., Iterable[bytes]], environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        """Answer one request, or fail at it."""
        method, key = str(environ["REQUEST_METHOD"]), str(environ["PATH_INFO"])
        self.asked.append((method, key, str(environ.get("QUERY_STRING", ""))))
        what = self.fault(len(self.asked), method, key)
        if what is None:
            return app(environ, start)
        self.faults += 1
        if what == "slow":
            time.sleep(0.2)
            return app(environ, start)
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        if what == "reset":
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        start("503 Slow Down", [("Content-Type", "application/xml")])
        return [_BUSY]


def _backend() -> Any:
    return s3_backends[DEFAULT_ACCOUNT_ID]["aws"]


@contextmanager
def serving() -> Iterator[Server]:
    """Serve S3 on this machine, and have everybody in this environment ask there."""
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    server = Server()
    inside: Any = moto._server  # noqa: SLF001 - the only way to stand before it
    app = inside.app
    inside.app = lambda environ, start: server.answer(app, environ, start)
    with patch.dict(os.environ, ACCESS | {"AWS_ENDPOINT_URL": f"http://{host}:{port}"}):
        forget_connections()
        try:
            yield server
        finally:
            forget_connections()
            moto.stop()


def forget_connections() -> None:
    """Have the next request ask for credentials and endpoint anew."""
    system.cache_clear()
    import s3fs  # noqa: PLC0415 - slow to import, and asked for by storage alone

    s3fs.S3FileSystem.clear_instance_cache()
