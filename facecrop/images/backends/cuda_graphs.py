"""CUDA graphs: a batch's hundreds of kernels recorded once, and started again with one call."""

import logging
from collections.abc import Callable

import torch
from torch import Tensor

_log = logging.getLogger(__name__)

STEP = 8
"""Batches are filled up to a multiple of this, so that there are few sizes to record."""
_WARM_UPS = 2
"""Runs before one is recorded, on a stream of their own as torch asks: libraries set themselves up
in them."""

Function = Callable[[Tensor], Tensor]
Record = Callable[[Function, Tensor], Callable[[], Tensor]]
"""Returns what does to the pictures in a tensor, whatever they are then, what the function does."""


class Graphs:
    """A function of pictures on a GPU, run from one recording for each size of batch.

    The first batch of a size is run as ever, then recorded. Where that fails (memory, an operation
    that cannot be recorded) a warning says so, and all goes on without. The recordings lie in one
    pool of memory, since only one runs at a time, and its result is copied before the next.

    Args:
        function: (N, H, W, 3) uint8 in, (N, ...) out, both on the device; each picture by itself.
        most: Pictures in one call at most.
        device: The GPU.
        record: What records; another one in tests.
    """

    def __init__(
        self, function: Function, most: int, device: torch.device, record: Record | None = None
    ) -> None:
        self._function, self._most, self._device = function, most, device
        self._record = record or OnDevice(device)
        self._ready: dict[tuple[int, ...], tuple[Tensor, Callable[[], Tensor]]] = {}
        self._able = True

    def __call__(self, pictures: Tensor) -> Tensor:
        """Return the function of some pictures (N, H, W, 3) uint8, which lie on the CPU.

        The result lies on the device, and holds until the next call.
        """
        count = len(pictures)
        size = min(-(-count // STEP) * STEP, self._most)
        if not self._able or size < count:
            return self._function(pictures.to(self._device, non_blocking=True))
        shape = (size, *pictures.shape[1:])
        if shape in self._ready:
            place, replay = self._ready[shape]
            place[:count].copy_(pictures, non_blocking=True)
            return replay()[:count]
        try:
            place = torch.zeros(shape, dtype=pictures.dtype, device=self._device)
            place[:count].copy_(pictures, non_blocking=True)
            result = self._function(place)
            self._ready[shape] = place, self._record(self._function, place)
            return result[:count]
        except RuntimeError as error:  # torch's errors of memory and of CUDA are such
            self._able = False
            self._ready.clear()
            _log.warning(
                "%s: a batch of %d cannot be recorded as a CUDA graph (%s), goes on without",
                self._device,
                size,
                (str(error).strip() or type(error).__name__).splitlines()[0],
            )
        # Not filled up: what is missing may be the memory for that, and if it is not, this tells.
        return self._function(pictures.to(self._device, non_blocking=True))


class OnDevice:
    """Records on a GPU.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        with torch.cuda.device(device):
            self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, function: Function, place: Tensor) -> Callable[[], Tensor]:
        """Record the function of what lies in `place`."""
        with torch.cuda.device(self._device):
            aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # torch's own lack
            aside.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(aside):
                for _ in range(_WARM_UPS):
                    function(place)
            torch.cuda.current_stream().wait_stream(aside)
            graph = torch.cuda.CUDAGraph()
            # Other threads lay out pinned memory and run other models meanwhile.
            with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
                result = function(place)

        def replay() -> Tensor:
            with torch.cuda.device(self._device):
                graph.replay()
            return result

        return replay
