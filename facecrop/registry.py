"""Tables of the choices a user has, each entry imported only when it is asked for."""

from collections.abc import Iterator
from difflib import get_close_matches
from importlib import import_module
from typing import Generic, TypeVar, cast

from facecrop.errors import ConfigError

T = TypeVar("T")


def no_such(kind: str, name: str, known: list[str]) -> ConfigError:
    """Return the error for an unknown name: what is wrong, the nearest name, all names."""
    near = get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return ConfigError(f"no {kind} named {name!r}.{hint} Choose from: {', '.join(known)}")


class Registry(Generic[T]):
    """A table `name -> "module:attribute"`, one line for each choice a user has.

    Args:
        kind: What the names stand for, used in messages ("detector").
        table: Import path of each class or function.
    """

    def __init__(self, kind: str, table: dict[str, str]) -> None:
        self.kind = kind
        self._table = table

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def load(self, name: str) -> T:
        """Import and return what the name stands for.

        Raises:
            ConfigError: There is no such name; the message has the nearest one.
        """
        if name not in self._table:
            raise no_such(self.kind, name, list(self._table))
        module, _, attribute = self._table[name].partition(":")
        return cast("T", getattr(import_module(module), attribute))
