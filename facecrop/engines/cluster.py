"""A connection to a Ray cluster, or a Ray of our own on this machine."""

import contextlib
import logging
import os
import socket
from collections.abc import Iterator

from facecrop.engines.cores import usable_cores
from facecrop.errors import ConfigError, MissingExtraError, WorkerError

try:
    import ray
    from ray.exceptions import RayError
except ImportError as error:
    raise MissingExtraError(
        f"the engine 'ray' cannot be used ({error}); run: pip install \"facecrop[ray]\""
    ) from None

TRIES = 3
"""How often a training whose worker was lost is gone on with."""
_ANSWER_S = 10.0
"""How long a cluster may take to answer."""
_OBJECTS_BYTES = 100 << 20
"""Shared memory of a Ray of our own: results are a few rows."""


@contextlib.contextmanager
def connected(address: str | None, cpus: int | None, gpus: int | None = 0) -> Iterator[bool]:
    """Connect to a cluster, or start one; yield whether it is this process's own.

    Args:
        address: As of the engine.
        cpus: Of a Ray of our own; None for as many as this process may use.
        gpus: Likewise; None for all that Ray finds.

    Raises:
        ConfigError: The cluster cannot be reached.
    """
    address = address or os.environ.get("RAY_ADDRESS")  # set where Ray runs this as a job
    if address:
        _check(address)
    if ray.is_initialized():
        yield False
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address:
        _connect(address)
    else:
        _start_own(cpus or len(usable_cores()), gpus)
    try:
        yield not address
    finally:
        ray.shutdown()


def lines(error: Exception) -> list[str]:
    """Return what an error says, line by line: Ray says much, and leaves lines empty."""
    return [line.strip() for line in str(error).splitlines() if line.strip()]


def lost(what: str, said: str, needs: str) -> WorkerError:
    """Return the error for what has lost its workers too often.

    Args:
        what: A training of whatever kind.
        said: What Ray says of it.
        needs: What every machine needs, besides the same software.
    """
    return WorkerError(
        f"{what} was lost {TRIES + 1} times on Ray: {said}; every machine needs the same Python, "
        f"facecrop in the same version, and {needs}"
    )


def _start_own(cpus: int, gpus: int | None) -> None:
    os.environ.setdefault("RAY_worker_niceness", "0")  # its own choice yields to everything else
    ray.init(
        address="local",
        num_cpus=cpus,
        num_gpus=gpus,
        include_dashboard=False,
        object_store_memory=_OBJECTS_BYTES,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _check(address: str) -> None:
    """Tell soon where nobody answers: Ray itself tries for ten minutes."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "//" in host:
        return  # `auto` and the like: Ray knows
    try:
        socket.create_connection((host, int(port)), _ANSWER_S).close()
    except (OSError, OverflowError) as error:
        raise _unreachable(address, error) from None


def _unreachable(address: str, error: Exception) -> ConfigError:
    said = (lines(error) or [type(error).__name__])[0]
    return ConfigError(f"no Ray cluster at {address} ({said}); start one with: ray start --head")


def _connect(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, RayError) as error:
        raise _unreachable(address, error) from None
