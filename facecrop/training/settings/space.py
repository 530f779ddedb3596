"""What a search of settings may choose from: a TOML file, one line a setting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from facecrop.config import Settings, find_manifest, read_toml, validate
from facecrop.errors import ConfigError

Number = int | float
Value = bool | int | float | str


class Range(Settings):
    """What one setting may be: a range of numbers, or one of some values."""

    low: Number | None = None
    high: Number | None = None
    """Both are possible. Whole numbers if both are written as such."""
    log: bool = False
    """Draw orders of magnitude evenly, not numbers."""
    choices: Annotated[tuple[Value, ...], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("choices stand alone: leave out low, high and log")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, got {self.low}")
        return self

    @property
    def whole(self) -> bool:
        """Whether it is a range of whole numbers."""
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True, slots=True)
class Space:
    """The settings that are searched.

    Args:
        ranges: By setting, in the order of the file.
    """

    ranges: Mapping[str, Range]


def read_space(name_or_file: str) -> Space:
    """Read a shipped space or a file.

    Raises:
        ConfigError: There is no such file, it is empty, or a line does not make sense.
    """
    path = find_manifest("search space", name_or_file, "tune")
    ranges = {key: _range(key, value, str(path)) for key, value in read_toml(path).items()}
    if not ranges:
        raise ConfigError(f'{path} names no setting; write lines such as "optim.lr" = {{ … }}')
    return Space(ranges)


def _range(key: str, value: Any, place: str) -> Range:
    if not isinstance(value, dict) or not {"low", "high", "log", "choices"} >= value.keys():
        raise ConfigError(
            f"{place}: {key!r} must be {{ low, high }} or {{ choices }}; settings with a dot stand "
            'in quotes, such as "optim.lr"'
        )
    return validate(Range, value, f"{place}: {key}")
