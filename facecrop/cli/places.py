"""Paths that users write on the command line: a URL is one, too."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


def placed(command: Callable[_P, _T]) -> Callable[_P, _T]:
    """Return a command whose paths may be URLs: Typer takes each for a path on this machine."""

    @wraps(command)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        from facecrop.storage import place  # noqa: PLC0415 - keeps --help fast

        def meant(value: object) -> object:
            if isinstance(value, list):
                return [meant(one) for one in value]
            return place(value) if isinstance(value, Path) else value

        given = {name: meant(value) for name, value in kwargs.items()}
        return command(*args, **given)  # type: ignore[arg-type]  # the same names, and paths again

    return run
