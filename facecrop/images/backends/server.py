"""One process a GPU that does nothing but infer; workers decode, prepare, interpret and render.

The prepared pictures of a worker lie in memory that it shares with the server. One thread a worker
waits there for its next request; what several workers ask at the same time makes one batch
(`Batches`).
"""

import contextlib
import math
import mmap
import multiprocessing
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Client, Connection, Listener
from multiprocessing.reduction import recv_handle, send_handle
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from facecrop.engines.worker import portable
from facecrop.errors import DeviceError
from facecrop.images.backends.batches import Batches
from facecrop.images.findings import Finding
from facecrop.images.frames import Image
from facecrop.images.look.finder import Finder
from facecrop.images.look.settings import FinderSettings

_START_S = 30.0
_END_S = 5.0


class RemoteFinder:
    """A finder whose `infer` runs in a server; the rest stays in the worker.

    Args:
        settings: The finder; its model is loaded by the server alone.
        local: The same finder, of which `prepare` and `interpret` are used.
        pipe: To the server.
    """

    def __init__(self, settings: FinderSettings, local: Finder, pipe: Connection) -> None:
        self._settings, self._local, self._pipe = settings, local, pipe
        self._shared = np.empty(0, np.uint8)
        self.batch_size: int = self._ask(None)

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the image in the model's own fixed shape."""
        return self._local.prepare(image)

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[Any]:
        """Return the raw outputs of a batch, computed by the server.

        Raises:
            Exception: Whatever loading or running the model raised in the server.
            DeviceError: The server died.
        """
        outputs: Sequence[Any] = self._ask(batch)
        return outputs

    def interpret(self, raw: Any, height: int, width: int) -> Finding:
        """Return the finding in pixels of the image."""
        return self._local.interpret(raw, height, width)

    def _ask(self, batch: NDArray[np.uint8] | None) -> Any:
        """Return the raw outputs of a batch; of none, how many images make one there."""
        try:
            if batch is not None:
                self._share(batch)
            self._pipe.send((self._settings, None if batch is None else batch.shape))
            answer = self._pipe.recv()
        except (EOFError, OSError):
            raise DeviceError(
                "the process that runs the models on the GPU died; "
                "see the driver's log, run again to go on"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _share(self, batch: NDArray[np.uint8]) -> None:
        """Lay a batch into the memory that the server sees too; make it larger if need be."""
        if self._shared.size < batch.size:
            with _nameless() as file:  # nothing stays behind
                file.truncate(batch.size)
                self._shared = np.frombuffer(mmap.mmap(file.fileno(), batch.size), np.uint8)
                self._pipe.send((None, batch.size))
                send_handle(self._pipe, file.fileno(), None)
        self._shared[: batch.size] = batch.reshape(-1)


def _nameless() -> IO[bytes]:
    """Return a file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return open(os.memfd_create("facecrop"), "r+b")  # noqa: PTH123 - it has no path
    return tempfile.TemporaryFile()


def connect(addresses: Sequence[str]) -> Connection:
    """Return a connection to one of the servers; workers spread over them.

    Raises:
        DeviceError: The server is gone.
    """
    try:
        return Client(addresses[os.getpid() % len(addresses)], family="AF_UNIX")
    except OSError:
        raise DeviceError(
            "the process that runs the models on the GPU is gone; "
            "see the driver's log, run again to go on"
        ) from None


@contextlib.contextmanager
def serve(devices: Sequence[str], weights: Mapping[str, Path]) -> Iterator[tuple[str, ...]]:
    """Run a server for each device; yield where workers reach them.

    Args:
        devices: `cuda:0` and so on.
        weights: Model files by name.

    Raises:
        DeviceError: A server did not start.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="facecrop-") as folder:
        processes, addresses, ends = [], [], []
        try:
            for number, device in enumerate(devices):
                address = str(Path(folder) / str(number))
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=_live, args=(address, device, dict(weights), theirs), daemon=True
                )
                process.start()
                theirs.close()
                processes.append(process)
                addresses.append(address)
                ends.append(ours)
            for device, end in zip(devices, ends, strict=True):
                _wait_until_ready(device, end)
            yield tuple(addresses)
        finally:
            for process in processes:
                process.terminate()
                process.join(_END_S)
                process.kill()
                process.join()


def _wait_until_ready(device: str, end: Connection) -> None:
    try:
        if end.poll(_START_S):
            end.recv()
            return
    except (EOFError, OSError):
        raise DeviceError(f"the process for {device} died before it was ready") from None
    raise DeviceError(f"the process for {device} did not start within {_START_S:.0f} s")


def _live(address: str, device: str, weights: Mapping[str, Path], parent: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    models = _Models(device, weights.__getitem__)
    with Listener(address, family="AF_UNIX") as listener:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
        parent.send("ready")
        while True:
            worker = listener.accept()
            threading.Thread(target=_answer, args=(worker, models), daemon=True).start()


def _end_with(parent: Connection) -> None:
    """End this process when the parent does, however that ends."""
    with contextlib.suppress(EOFError, OSError):
        parent.recv()
    os._exit(0)


def _answer(worker: Connection, models: "_Models") -> None:
    """Answer one worker until it is gone.

    It sends settings with the shape of what it has laid into the shared memory, or with None to
    hear how many pictures make a batch; and before that, without settings, the size of new memory.
    """
    shared = np.empty(0, np.uint8)
    with contextlib.suppress(EOFError, OSError), worker:
        while True:
            settings, shape = worker.recv()
            if settings is None:
                shared = _received(worker, shape)
                continue
            try:
                pictures = None if shape is None else shared[: math.prod(shape)].reshape(shape)
                answer: Any = models.answer(settings, pictures)
            except Exception as error:  # noqa: BLE001 - carried to the worker, which raises it
                answer = portable(error)
            worker.send(answer)


def _received(worker: Connection, size: int) -> NDArray[np.uint8]:
    handle = recv_handle(worker)
    try:
        return np.frombuffer(mmap.mmap(handle, size), np.uint8)
    finally:
        os.close(handle)


class _Models:
    """The models of one device, each loaded when it is first needed."""

    def __init__(self, device: str, weights: Callable[[str], Path]) -> None:
        self._device, self._weights = device, weights
        self._loaded: dict[FinderSettings, Batches] = {}
        self._loading = threading.Lock()

    def answer(self, settings: FinderSettings, pictures: NDArray[np.uint8] | None) -> Any:
        """Return the raw outputs of pictures; of none, how many make a batch."""
        with self._loading:
            if settings not in self._loaded:
                model = settings.load(self._weights, self._device)
                self._loaded[settings] = Batches(model, settings.label, self._device)
            batches = self._loaded[settings]
        return batches.limit if pictures is None else batches.infer(pictures)
