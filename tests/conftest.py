"""What all tests share: no network, no home folder, and where the evaluation pictures are."""

import os
import signal
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

# Else onnxruntime tells a host of each import, past the fixture that refuses connections.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# numba, which rembg brings along, would else share OpenVINO's threads and wait for them at the end.
os.environ["NUMBA_THREADING_LAYER"] = "workqueue"

hypothesis.settings.register_profile("facecrop", deadline=None)
hypothesis.settings.load_profile("facecrop")

_HERE = ("127.0.0.1", "::1", "localhost")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Let tests interrupt the programs they start: in the background shells ignore SIGINT."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse every connection that leaves this machine."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in _HERE:
            raise OSError(f"tests have no network: {address}")
        connect(self, address)

    def look_up_here(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None and host not in _HERE:
            raise OSError(f"tests have no network: {host}")
        return look_up(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        patch.setattr(socket, "getaddrinfo", look_up_here)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_remains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Remove what others leave among temporary files: launchers always, all who are killed."""
    tmp_path_factory.getbasetemp()  # lies beside it: there stays what failed
    with (
        tempfile.TemporaryDirectory(prefix="facecrop-", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        Path(folder).chmod(0o755)  # some tests are somebody else
        patch.setenv("TMPDIR", folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Move the home folder and its caches away; `FACECROP_MODELS`, if given, stays."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        for variable in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
            patch.setenv(variable, str(home / variable.lower()))
        yield


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a browser for pages to be opened in."""
    from browsers import launched  # noqa: PLC0415 - needs playwright

    with launched() as one:
        yield one


@pytest.fixture(scope="session")
def eval_folder() -> Path:
    """Return the folder of evaluation pictures and weights that `FACECROP_EVAL` names."""
    folder = os.environ.get("FACECROP_EVAL")
    if not folder:
        pytest.skip("FACECROP_EVAL does not name a folder of evaluation pictures and weights")
    return Path(folder)
