"""Paths that users write on the command line: a URL is one, too."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from facecrop.errors import ConfigError

_P = ParamSpec("_P")
_T = TypeVar("_T")


def placed(command: Callable[_P, _T]) -> Callable[_P, _T]:
    """Return a command whose paths may be URLs: Typer takes each for a path on this machine.

    What is in memory ends with the command: a URL of that kind is refused.
    """

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        from facecrop.storage import is_in_memory, place  # noqa: PLC0415 - keeps --help fast

        def meant(value: object) -> object:
            if isinstance(value, list):
                return [meant(one) for one in value]
            if not isinstance(value, Path):
                return value
            if is_in_memory(path := place(value)):
                raise ConfigError(
                    f"{path} would be gone when this command ends: give a folder, s3:// or gs://"
                )
            return path

        given = {name: meant(value) for name, value in kwargs.items()}
        return command(*args, **given)  # type: ignore[arg-type]  # the same names, and paths again

    return run
