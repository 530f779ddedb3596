"""What runs ask of object storage: requests for each picture, by kind, and what waiting costs.

    python benchmarks/storage.py                     # 210 pictures
    python benchmarks/storage.py --wait 30           # each answer comes 30 ms later

RAW and OUT are in a bucket of moto's S3 server, in this process; every request is counted. Runs are
of the embedded recipe with one worker. Read the requests; the seconds are those of a server in
Python, and of a machine that others may use.
"""

import argparse
import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from drawn import draw
from moto.server import ThreadedMotoServer

from facecrop.commands.audit.command import audit
from facecrop.commands.merge import merge
from facecrop.commands.preprocess.command import preprocess
from facecrop.commands.split import split
from facecrop.storage import place

KINDS = (
    "read raw",
    "read crop",
    "read other",
    "look",
    "list",
    "write crop",
    "write other",
    "remove",
)


def kind(method: str, key: str, query: str) -> str:
    """Return what a request is for, one of `KINDS`."""
    where = "raw" if "/raw/" in key else "crop" if "/images/" in key else "other"
    if method == "GET":
        return "list" if "list-type" in query else f"read {where}"
    if method == "HEAD":
        return "look"
    if method == "PUT":
        return f"write {where}"
    return "remove"


class Counted:
    """Counts the requests to an application, and answers them later.

    Args:
        app: The server's.
        wait: Seconds.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], wait: float) -> None:
        self.app, self.wait = app, wait
        self.counts: Counter[str] = Counter()

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one."""
        key, query = environ["PATH_INFO"], environ.get("QUERY_STRING", "")
        self.counts[kind(environ["REQUEST_METHOD"], key, query)] += 1
        time.sleep(self.wait)
        return self.app(environ, start)


def main() -> None:
    """Print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=210)
    parser.add_argument("--wait", type=float, default=0, help="milliseconds before each answer")
    given = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    inside: Any = server._server  # noqa: SLF001 - the only way to stand before it
    counted = inside.app = Counted(inside.app, 0)
    import s3fs

    s3fs.S3FileSystem().mkdir("bucket")
    with tempfile.TemporaryDirectory() as folder:
        images = draw(Path(folder, "raw"), given.images)
        raw, out = place("s3://bucket/raw"), place("s3://bucket/out")
        for file in Path(folder, "raw").rglob("*.*"):
            (raw / file.relative_to(Path(folder, "raw")).as_posix()).write_bytes(file.read_bytes())
    time.sleep(3)  # what is younger than two seconds is read again
    counted.wait = given.wait / 1000

    def run(**options: Any) -> None:
        preprocess(raw, out, workers=1, contact=False, offline=True, device="cpu", **options)

    def shards() -> None:
        for number in (1, 2):
            preprocess(raw, "s3://bucket/sharded", workers=1, shard=f"{number}/2", offline=True)
        merge("s3://bucket/sharded", contact=False)

    runs: dict[str, Callable[[], object]] = {
        "first run": run,
        "nothing to do": run,
        "another margin": lambda: run(settings=["crop.margin=0.4"]),
        "two shards, merge": shards,
        "split": lambda: split(out),
        "audit": lambda: audit(out),
        "audit again": lambda: audit(out),
    }
    print(f"{images} pictures, an answer takes {given.wait:.0f} ms more than the server's")
    print(f"{'':20}" + "".join(f"{name:>12}" for name in (*KINDS, "all", "a picture", "seconds")))
    for name, work in runs.items():
        counted.counts.clear()
        start = time.perf_counter()
        work()
        took, total = time.perf_counter() - start, counted.counts.total()
        numbers = [counted.counts[one] for one in KINDS]
        cells = [*map(str, numbers), str(total), f"{total / images:.2f}", f"{took:.1f}"]
        print(f"{name:20}" + "".join(f"{cell:>12}" for cell in cells), flush=True)
    server.stop()


if __name__ == "__main__":
    main()
