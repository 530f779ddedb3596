"""What a user may ask of engines by name."""

from collections.abc import Sequence

from facecrop.errors import ConfigError

EITHER = ("local", "ray")
"""The engines of whatever a cluster may do as well as this machine."""


def check_engine(engine: str, address: str | None, known: Sequence[str] = EITHER) -> None:
    """Refuse an engine that there is not, and the address of a cluster that nobody would use.

    Args:
        engine: Its name.
        address: Of a Ray cluster, if one was given.
        known: The names that there are.

    Raises:
        ConfigError: It makes no sense.
    """
    if engine not in known:
        raise ConfigError(f"no engine named {engine!r}; choose from: {', '.join(known)}")
    if address is not None and engine != "ray":
        raise ConfigError(f"--address {address} needs --engine ray")
