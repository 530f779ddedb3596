"""What machines that work on one dataset must have in common."""

import socket
from collections.abc import Mapping
from pathlib import Path

from facecrop.errors import ConfigError


def check_seen(folder: Path, proof: Path, *, what: str = "RAW and OUT") -> None:
    """Refuse to go on where this machine does not see a folder.

    Args:
        folder: It.
        proof: What must be there.
        what: All that must be seen.

    Raises:
        ConfigError: It does not.
    """
    if not proof.exists():
        raise ConfigError(
            f"machine {socket.gethostname()!r} does not see {str(folder)!r}; {what} must be on a "
            "file system that all machines share, at the same place"
        )


def check_alike(expected: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Refuse to go on where something is of another version than where the work began.

    Args:
        expected: There, by name.
        here: On this machine.

    Raises:
        ConfigError: It is.
    """
    for name, version in expected.items():
        if here.get(name) != version:
            raise ConfigError(
                f"machine {socket.gethostname()!r} has {name} {here.get(name)!r}, and this run "
                f"began with {version!r}; install the same versions everywhere"
            )
