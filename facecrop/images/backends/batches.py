"""Batches across callers: what waits is run together, as much at once as the device can hold."""

import logging
import sys
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecrop.errors import DeviceError
from facecrop.images.look.finder import Finder

_log = logging.getLogger(__name__)

_LANES = 2
"""Threads a model: one lays out the next batch while the device works on the other's."""


@dataclass(slots=True, eq=False)
class Request:
    """Pictures of one caller, and what becomes of them.

    Args:
        pictures: (N, H, W, 3) uint8, prepared.
    """

    pictures: NDArray[np.uint8]
    outputs: list[Any] = field(default_factory=list)
    error: Exception | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Batches:
    """Runs one model for many callers.

    Each caller waits for its own answer, so no more can ever be queued than there are callers.
    Pictures of equal shape that are waiting when the model gets free make one batch, up to the
    model's `batch_size`. When the device's memory does not suffice, the batch is halved, and no
    larger one is tried again.

    Args:
        model: What infers.
        label: Its name, for messages.
        device: Where it runs, for messages.
    """

    def __init__(self, model: Finder, label: str, device: str) -> None:
        self.limit = model.batch_size
        self._model, self._label, self._device = model, label, device
        self._waiting: deque[Request] = deque()
        self._changed = threading.Condition()
        self._infers = threading.Lock()
        for _ in range(_LANES):
            threading.Thread(target=self._work, daemon=True).start()

    def infer(self, pictures: NDArray[np.uint8]) -> list[Any]:
        """Return the raw output of each picture; they may have company on their way.

        Raises:
            Exception: Whatever the model raised for these pictures.
            DeviceError: The device's memory does not even suffice for one picture.
        """
        request = Request(pictures)
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()
        request.done.wait()
        if request.error is not None:
            raise request.error
        return request.outputs

    def _work(self) -> None:
        stage = _Stage(pinned=self._device.startswith("cuda"))
        while True:
            together = self._take()
            try:
                self._answer(together, stage)
            except Exception as error:  # noqa: BLE001 - carried to whoever asked
                self._blame(together, error, stage)
            for request in together:
                request.done.set()

    def _take(self) -> list[Request]:
        """Wait for a request; return it with those that fit into its batch."""
        with self._changed:
            while not self._waiting:
                self._changed.wait()
            first = self._waiting.popleft()
            taken, count = [first], len(first.pictures)
            for request in tuple(self._waiting):
                fits = count + len(request.pictures) <= self.limit
                if fits and request.pictures.shape[1:] == first.pictures.shape[1:]:
                    self._waiting.remove(request)
                    taken.append(request)
                    count += len(request.pictures)
            return taken

    def _answer(self, together: Sequence[Request], stage: "_Stage") -> None:
        outputs = self._run(stage.lay_out([request.pictures for request in together]))
        start = 0
        for request in together:
            request.outputs = outputs[start : start + len(request.pictures)]
            start += len(request.pictures)

    def _blame(self, together: Sequence[Request], error: Exception, stage: "_Stage") -> None:
        """Find out whose pictures an error is about: the others get their answers."""
        if len(together) == 1:
            together[0].error = error
            return
        for request in together:
            try:
                self._answer([request], stage)
            except Exception as own:  # noqa: BLE001 - carried to whoever asked
                request.error = own

    def _run(self, pictures: NDArray[np.uint8]) -> list[Any]:
        """Return the outputs of any number of pictures, in batches that the device can hold."""
        outputs: list[Any] = []
        while len(outputs) < len(pictures):
            with self._infers:
                size = self.limit
                found = self._try(pictures[len(outputs) : len(outputs) + size])
                if found is None:
                    self._shrink(min(size, len(pictures) - len(outputs)))
            outputs += found or []
        return outputs

    def _try(self, batch: NDArray[np.uint8]) -> list[Any] | None:
        """Return the outputs of a batch, or None where the device's memory did not suffice."""
        try:
            return list(self._model.infer(batch))
        except Exception as error:
            if not _out_of_memory(error):
                raise
            return None

    def _shrink(self, tried: int) -> None:
        """Halve the limit, now that what the failed call held has been let go.

        Raises:
            DeviceError: A single picture was too much.
        """
        if tried == 1:
            raise DeviceError(
                f"the memory of {self._device} does not suffice for one picture of {self._label}: "
                "end what else runs there (nvidia-smi), or use a smaller model or --device cpu"
            )
        self.limit = tried // 2
        _free_memory()
        _log.warning(
            "%s: out of memory with %d pictures at once, goes on with %d",
            self._device,
            tried,
            self.limit,
        )


class _Stage:
    """Memory in which a batch is laid out, kept from one to the next.

    Args:
        pinned: Whether it is such that a GPU can fetch from it by itself.
    """

    def __init__(self, *, pinned: bool) -> None:
        self._pinned = pinned
        self._memory = np.empty(0, np.uint8)

    def lay_out(self, parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Return the parts one after the other; the next call writes over it."""
        if len(parts) == 1 and not self._pinned:
            return parts[0]
        count, size = sum(map(len, parts)), sum(part.size for part in parts)
        if self._memory.size < size:
            self._memory = _pinned(size) if self._pinned else np.empty(size, np.uint8)
        batch: NDArray[np.uint8] = self._memory[:size].reshape(count, *parts[0].shape[1:])
        return np.concatenate(parts, out=batch)


def _pinned(size: int) -> NDArray[np.uint8]:
    """Return pinned memory where torch is what runs the models, else plain one."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return np.empty(size, np.uint8)
    return np.asarray(torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy())


def _out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(error, torch.OutOfMemoryError)


def _free_memory() -> None:
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
