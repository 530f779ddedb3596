"""Where a training runs: the device, the other processes, and what makes it repeatable."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Literal, cast

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list
from torch import Tensor, nn

from facecrop.errors import ConfigError, DeviceError, FacecropError
from facecrop.training.batches import rank_part

Precision = Literal["float32", "bf16", "fp16"]
DEVICES = ("auto", "cpu", "cuda")
_PRECISIONS = {"float32": "no", "bf16": "bf16", "fp16": "fp16"}


def resolve_device(device: str) -> str:
    """Return `cpu` or `cuda` for what a user asked for.

    Raises:
        ConfigError: There is no such kind of device.
        DeviceError: A GPU was asked for by name, and there is none.
    """
    if device not in DEVICES:
        raise ConfigError(f"no device {device!r}; choose from: {', '.join(DEVICES)}")
    there = torch.cuda.is_available()
    if device == "cuda" and not there:
        raise DeviceError("--device cuda: torch finds no GPU here; use --device cpu or auto")
    return "cuda" if there and device != "cpu" else "cpu"


def resolve_precision(precision: str, device: str) -> Precision:
    """Return the precision that `auto` stands for on a device; another one as it is.

    Args:
        precision: `auto`, `float32`, `bf16` or `fp16`.
        device: `cpu` or `cuda`, as `resolve_device` returns it.
    """
    if precision != "auto":
        return cast("Precision", precision)
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    # Elsewhere a CPU emulates bf16, several times slower than float32.
    facts = torch.cpu.get_capabilities()
    return "bf16" if facts.get("avx512_bf16") or facts.get("amx_bf16") else "float32"


def get_threads() -> int:
    """Return how many threads a training on the CPU uses here; sums depend on how many."""
    return torch.get_num_threads()


def use_threads(count: int) -> None:
    """Let trainings of this process use so many threads on the CPU."""
    torch.set_num_threads(count)


def accelerator(device: str, precision: str, *, thaws: bool = False) -> Accelerator:
    """Return what places a training on its device and joins it with other processes.

    Args:
        device: `cpu` or `cuda`, as `resolve_device` returns it.
        precision: Of the forward pass: `float32`, `bf16` or `fp16`.
        thaws: Whether parts of the network rest for some epochs.

    Raises:
        ConfigError: The device does not know the precision.
    """
    if precision == "fp16" and device == "cpu":
        raise ConfigError("optim.precision = 'fp16' needs a GPU; use bf16 or float32")
    _forget_choices()
    AcceleratorState._reset_state()  # noqa: SLF001 - likewise; the precision is each training's own
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision=_PRECISIONS[precision],
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=thaws)],
    )


def _forget_choices() -> None:
    """Let this process choose again: accelerate keeps its first choice of device for good."""
    if not torch.distributed.is_initialized():
        PartialState._reset_state()  # noqa: SLF001 - has no public name


def by_first(device: str, work: Callable[[], str]) -> str:
    """Let the first of several processes do something, and return what it says in all of them.

    Args:
        device: `cpu` or `cuda`.
        work: What is to be done once.

    Raises:
        FacecropError: It could not be done; in the other processes too, so that none waits.
    """
    _forget_choices()
    state = PartialState(cpu=device == "cpu")
    said: list[str | None] = [None]
    try:
        if state.is_main_process:
            said[0] = work()
    finally:
        if state.num_processes > 1:
            broadcast_object_list(said)
    if said[0] is None:
        raise FacecropError("the first process has failed; see its message")
    return said[0]


def is_first() -> bool:
    """Tell whether this is the first of the processes that train together, or the only one."""
    return bool(PartialState().is_main_process)


def wait() -> None:
    """Wait until all processes are here."""
    PartialState().wait_for_everyone()


@contextmanager
def repeatable(device: str) -> Iterator[None]:
    """Make equal trainings give equal weights on a CPU; on a GPU, let speed come first.

    What is changed for that, torch's generators included, is as it was afterwards.
    """
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    memory: Any = torch.utils.deterministic  # its attribute is made by a property of the module
    filled = memory.fill_uninitialized_memory
    benchmark = torch.backends.cudnn.benchmark
    if device == "cpu":
        torch.use_deterministic_algorithms(True, warn_only=True)
        memory.fill_uninitialized_memory = False  # costs time, helps debugging
    else:
        torch.backends.cudnn.benchmark = True
    try:
        with torch.random.fork_rng(devices=None if device == "cuda" else []):
            yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        memory.fill_uninitialized_memory = filled
        torch.backends.cudnn.benchmark = benchmark


def seed_of(*parts: int | str) -> int:
    """Return a seed in [0, 2^63) that is a pure function of some words and numbers.

    Neighbouring numbers (the next epoch, the next step) give unrelated seeds.
    """
    digest = sha256(",".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a network runs with a precision; on a CPU fp16 is float32."""
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    possible = kind is not None and not (device.type == "cpu" and precision == "fp16")
    return torch.autocast(device.type, kind, enabled=possible)


class Ranks:
    """The processes that train one network together, often just this one.

    Args:
        accelerator: Of this process.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self.rank: int = accelerator.process_index
        self.count: int = accelerator.num_processes

    def part(self, size: int) -> slice:
        """Return the part of a batch that is this process's."""
        return rank_part(size, self.rank, self.count)

    def whole(self, part: Tensor, size: int) -> Tensor:
        """Return a tensor of the whole batch; gradients flow into this process's part alone.

        With the loss taken of the whole batch in each process, and their gradients added up, two
        processes do what one would, whatever the loss: a soft F1 is no mean over records.
        """
        if self.count == 1:
            return part
        parts = [rank_part(size, rank, self.count) for rank in range(self.count)]
        sizes = [one.stop - one.start for one in parts]
        padded = part.new_zeros((max(sizes), *part.shape[1:]))
        padded[: len(part)] = part.detach()
        gathered = self._accelerator.gather(padded).split(max(sizes))
        rows = [one[:count] for one, count in zip(gathered, sizes, strict=True)]
        rows[self.rank] = part
        return torch.cat(rows)

    def added(self, tensor: Tensor) -> Tensor:
        """Return the sum of a tensor over the processes."""
        return tensor if self.count == 1 else self._accelerator.reduce(tensor, "sum")

    def share_buffers(self, modules: Sequence[nn.Module]) -> None:
        """Let all processes have the first one's batch norm statistics; each saw other pictures."""
        if self.count == 1:
            return
        for module in modules:
            for buffer in module.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def wait(self) -> None:
        """Wait until all processes are here."""
        self._accelerator.wait_for_everyone()
