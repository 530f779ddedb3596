"""Object storage that is busy, breaks off, refuses, or is not there; and runs that are killed."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fakes import write_profiles
from object_server import Server, forget_connections
from program import PROGRAM, environment, typed
from runs import run

from facecrop.errors import FacecropError, StoreError
from facecrop.index import INDEX_FILE, read_table
from facecrop.storage import files_below, objects, place, write_whole
from facecrop.storage.objects import RemoteError


@pytest.fixture
def raw(bucket: Path, server: Server, tmp_path: Path) -> Path:
    """Two profiles of three pictures in a bucket."""
    folder = write_profiles(tmp_path / "raw", 2)
    found = [(file, file.relative_to(folder).as_posix()) for file in folder.rglob("*.*")]
    return server.fill(bucket / "raw", ((name, file.read_bytes()) for file, name in found))


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait less between tries, for tests in which every one of them fails."""
    import s3fs  # noqa: PLC0415 - slow to import

    monkeypatch.setattr(s3fs.S3FileSystem, "retries", 2)
    forget_connections()
    yield
    forget_connections()


@pytest.fixture(autouse=True)
def _one_layer(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have s3fs alone try again: botocore, below it, waits up to 15 s between its own tries."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    forget_connections()
    yield
    forget_connections()


def crops(out: Path, server: Server) -> dict[str, bytes]:
    return {name: data for name, data in server.held(out).items() if name.endswith(".jpg")}


@pytest.mark.parametrize(("what", "every"), [("busy", 9), ("reset", 11), ("slow", 6)])
def test_faults_that_pass_cost_nothing(
    what: str, every: int, raw: Path, server: Server, tmp_path: Path
) -> None:
    out = raw.parent / "out"
    failed = set[tuple[str, str]]()

    def fault(number: int, method: str, key: str) -> str | None:
        """Fail at every so many requests, but never twice at the same: that would be for good."""
        if number % every or (method, key) in failed:
            return None
        failed.add((method, key))
        return what

    with server.failing(fault):
        result = run(raw, out)
    assert server.faults > 5
    assert result.statuses == {"ok": 6}
    run(tmp_path / "raw", tmp_path / "out")
    written = {
        file.path: (tmp_path / "out" / file.path).read_bytes()
        for file in files_below(tmp_path / "out")
        if file.path.endswith(".jpg")
    }
    assert crops(out, server) == written


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("what", ["busy", "reset"])
def test_a_picture_that_cannot_be_had_is_a_row_and_tried_again(
    what: str, raw: Path, bucket: Path, server: Server
) -> None:
    name = min(server.held(raw))
    with server.failing(
        lambda _, method, key: what if method == "GET" and key.endswith(name) else None
    ):
        result = run(raw, bucket / "out")
    assert server.faults > 1
    assert result.statuses == {"ok": 5, "reject": 1}
    (row,) = [row for row in read_table(bucket / "out" / INDEX_FILE).to_pylist() if row["reason"]]
    assert (row["path"], row["reason"]) == (name, "permission")
    assert run(raw, bucket / "out").statuses == {"ok": 6}


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("name", ["index.parquet", "state.parquet", "run.json", ".jpg"])
def test_what_cannot_be_written_is_one_line_and_the_next_run_goes_on(
    name: str, raw: Path, bucket: Path, server: Server
) -> None:
    out = bucket / "out"
    with (
        server.failing(
            lambda _, method, key: "busy" if method == "PUT" and key.endswith(name) else None
        ),
        pytest.raises(StoreError) as caught,
    ):
        run(raw, out)
    assert str(caught.value).startswith(str(out))
    assert "\n" not in str(caught.value)
    assert run(raw, out).statuses == {"ok": 6}


@pytest.mark.usefixtures("_hasty")
@pytest.mark.parametrize("name", ["index.parquet", "raw", "list"])
def test_what_cannot_be_read_is_one_line(
    name: str, raw: Path, bucket: Path, server: Server
) -> None:
    run(raw, bucket / "out")
    with server.failing(
        lambda _, method, key: (
            "busy"
            if key.endswith(name) or (name == "list" and method == "GET" and key.count("/") == 1)
            else None
        )
    ):
        ended = typed("preprocess", raw, bucket / "out", "--engine", "serial")
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("error: ")
    assert str(bucket) in ended.stderr


def test_a_bucket_that_is_not_there_is_one_line_with_its_cure(raw: Path) -> None:
    ended = typed("preprocess", raw, "s3://nobody-made-it/out", "--engine", "serial")
    assert ended.stderr.count("\n") == 1
    assert "does not exist; make it first, or look at AWS_PROFILE and AWS_END" in ended.stderr


def test_a_bucket_that_is_not_there_is_one_line(raw: Path, tmp_path: Path) -> None:
    for ends in (("s3://nobody-made-it/raw", tmp_path / "out"), (raw, "s3://nobody-made-it/out")):
        ended = typed("preprocess", *ends, "--engine", "serial", "--recipe", "center-crop")
        assert ended.returncode == 1
        assert ended.stderr.startswith("error: ")
        assert "s3://nobody-made-it" in ended.stderr
        assert ended.stderr.count("\n") == 1


@pytest.mark.usefixtures("_hasty")
def test_missing_credentials_and_a_server_that_is_away_are_one_line(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for variables, said in (
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "Could not connect to the endpoint URL"),
        (
            {"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None},
            "Unable to locate credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and",
        ),
        (
            {"AWS_PROFILE": "nobody", "AWS_ACCESS_KEY_ID": None},
            "The config profile (nobody) could not be found; set AWS_PROFILE, or",
        ),
    ):
        with monkeypatch.context() as patch:
            for variable, value in variables.items():
                patch.delenv(variable) if value is None else patch.setenv(variable, value)
            forget_connections()
            ended = typed("preprocess", raw, tmp_path / "out")
        assert ended.returncode == 1
        assert ended.stderr.count("\n") == 1
        assert ended.stderr.startswith(f"error: {raw}: {said}")
    forget_connections()


def test_google_without_credentials_is_one_line_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("gcsfs", reason="gcsfs is not installed")
    # Else it asks whether this is a machine of Google's, and asks again.
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.delenv("CLOUDSDK_CONFIG", raising=False)
    objects.system.cache_clear()
    slept: list[float] = []
    monkeypatch.setattr(objects.time, "sleep", slept.append)
    ended = typed("split", "gs://bucket/out")
    objects.system.cache_clear()
    assert ended.stderr.startswith(
        "error: gs://bucket/out/index.parquet: Your default credentials were not found; "
        "run: gcloud auth application-default login, or set GOOGLE_"
    )
    assert ended.stderr.count("\n") == 1
    assert ended.returncode == 1
    assert slept == []


def test_whoever_says_as_whom_to_ask_google_is_not_overruled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[dict[str, Any]] = []
    fsspec = SimpleNamespace(
        config=SimpleNamespace(conf={}),
        filesystem=lambda _, **options: asked.append(options),
    )
    monkeypatch.setattr(objects, "import_module", lambda _: fsspec)
    for config, variable, token in (
        ({}, None, "google_default"),
        ({"gs": {"token": "anon"}}, None, None),
        ({"gcs": {"endpoint_url": "http://localhost"}}, None, None),
        ({}, "http://localhost", None),
    ):
        objects.system.cache_clear()
        fsspec.config.conf = config
        with monkeypatch.context() as patch:
            if variable:
                patch.setenv("STORAGE_EMULATOR_HOST", variable)
            objects.system("gs", 0)
        assert asked[-1].get("token") == token
    objects.system.cache_clear()


class Flaky:
    """A connection whose first answers are errors."""

    def __init__(self, errors: list[Exception]) -> None:
        self.errors = errors

    def cat_file(self, _: str) -> bytes:
        if self.errors:
            raise self.errors.pop(0)
        return b"at last"


@pytest.mark.parametrize(
    ("make", "raised"),
    [
        (lambda: [TimeoutError("slow"), ConnectionResetError(), RuntimeError("odd")], None),
        (lambda: [OSError("two\nlines")] * 9, "memory://a: two"),
        (lambda: [PermissionError("not yours")] * 9, "memory://a: not yours"),
    ],
)
def test_errors_of_any_package_are_tried_again_and_then_one_line(
    make: Callable[[], list[Exception]], raised: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    flaky = Flaky(make())
    before = len(flaky.errors)
    monkeypatch.setattr("facecrop.storage.remote.system", lambda *_: flaky)
    monkeypatch.setattr(objects, "_WAIT_S", 0)
    if raised is None:
        assert place("memory://a").read_bytes() == b"at last"
        return
    with pytest.raises(RemoteError) as caught:
        place("memory://a").read_bytes()
    assert str(caught.value) == raised
    assert isinstance(caught.value, FacecropError)
    assert isinstance(caught.value, OSError)
    tried = before - len(flaky.errors)
    assert tried == (1 if "yours" in raised else objects._TRIES)  # noqa: SLF001 - the bound


def test_an_object_is_not_there_while_writing_it_fails(bucket: Path, server: Server) -> None:
    with (
        server.failing(lambda _, method, __: "reset" if method == "PUT" else None),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr("s3fs.S3FileSystem.retries", 1)
        forget_connections()
        with pytest.raises(RemoteError):
            write_whole(bucket / "a", lambda file: file.write_bytes(b"whole"))
    forget_connections()
    assert server.held(bucket) == {}


def test_a_killed_run_goes_on_where_it_was(bucket: Path, server: Server, tmp_path: Path) -> None:
    folder = write_profiles(tmp_path / "raw", 12)
    found = [(file, file.relative_to(folder).as_posix()) for file in folder.rglob("*.*")]
    raw = server.fill(bucket / "raw", ((name, file.read_bytes()) for file, name in found))
    out = bucket / "out"
    options = ["--recipe", "center-crop", "--workers", "1", "--no-contact"]
    arguments: list[Any] = [*PROGRAM, "preprocess", str(raw), str(out), *options]
    with subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.DEVNULL, start_new_session=True
    ) as program:
        while len(crops(out, server)) < 5:
            assert program.poll() is None
            time.sleep(0.02)
        os.killpg(program.pid, signal.SIGKILL)
    assert 5 <= len(crops(out, server)) < len(found)
    result = run(raw, out, recipe="center-crop")
    assert result.statuses == {"ok": len(found)}
    run(folder, tmp_path / "out", recipe="center-crop")
    for file in files_below(tmp_path / "out" / "images"):
        if file.path.endswith(".jpg"):
            data = (tmp_path / "out" / "images" / file.path).read_bytes()
            assert crops(out, server)[f"images/{file.path}"] == data
    lookups = [name for name in server.held(out) if "lookup" in name or name.endswith(".tmp")]
    assert lookups == []
