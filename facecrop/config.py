"""Settings: frozen models read from TOML, their fingerprints, and where the shipped ones lie."""

import json
import tomllib
from collections.abc import Collection, Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from facecrop.errors import ConfigError
from facecrop.faults import describe_fault

_PACKAGE = Path(__file__).parent
_S = TypeVar("_S", bound="Settings")


class Settings(BaseModel):
    """A group of settings: its fields are the TOML schema, the defaults and the validation.

    Fields hold finite bool, int, float, str, None, other `Settings`, and tuples of these, so that
    their JSON is unique. Defaults are validated like any value (30 becomes 30.0 for a float): a
    setting that is written out is the same as one that is left out. A field added after a release
    carries `json_schema_extra={"neutral": value}` and is left out of fingerprints while it has that
    value. One with `{"part": "choose"}` is left out of the fingerprint of what it does not change;
    one with `{"part": "runtime"}`, of all, as they hold what it resolved to.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        validate_default=True,
        use_attribute_docstrings=True,
    )


_RUNTIME = "runtime"
"""The `part` of fields that name what runs a model."""


def fingerprint(
    name: str,
    version: int,
    settings: Settings,
    resolved: Mapping[str, str] | None = None,
    without: Collection[str] = (),
) -> str:
    """Return what identifies an outcome: 64 hex digits, equal for equal settings.

    Args:
        name: What the settings belong to ("yunet", "render").
        version: Raised by whoever changes the output without changing a setting.
        settings: All fields count, except later ones that still have their neutral value, and those
            of the part `runtime`: what they resolve to counts.
        resolved: What was found out at run time and changes the output: digests of weights,
            runtime, precision, class of device.
        without: Leave out the fields whose `part` is one of these, too.
    """
    spec = {
        "name": name,
        "version": version,
        "settings": plain(settings, (*without, _RUNTIME)),
        "resolved": dict(resolved or {}),
    }
    return sha256(json.dumps(spec, sort_keys=True, allow_nan=False).encode()).hexdigest()


def plain(value: object, without: Collection[str] = ()) -> object:
    """Return settings as what JSON and TOML know, without neutral fields and those of some parts.

    Raises:
        TypeError: A field holds something whose JSON would not be unique.
    """
    if isinstance(value, Settings):
        return {
            field: plain(getattr(value, field), without)
            for field, info in type(value).model_fields.items()
            if not _left_out(info.json_schema_extra, getattr(value, field), without)
        }
    if isinstance(value, tuple):
        return [plain(item, without) for item in value]
    if isinstance(value, float):
        return value + 0.0  # -0.0 equals 0.0, but its JSON does not
    if value is None or isinstance(value, bool | int | str):
        return value
    raise TypeError(f"a setting must not be a {type(value).__name__}: its JSON would not be unique")


def _left_out(extra: object, value: object, without: Collection[str]) -> bool:
    if not isinstance(extra, dict):
        return False
    neutral = "neutral" in extra and extra["neutral"] == value
    return neutral or extra.get("part") in without


def manifests_dir() -> Path:
    """Return the folder of shipped recipes, policies and label fixes.

    In an installed wheel it lies inside the package, in a checkout beside it.
    """
    inside = _PACKAGE / "manifests"
    return inside if inside.is_dir() else _PACKAGE.parent / "manifests"


def find_manifest(kind: str, name_or_file: str, folder: str, suffix: str = ".toml") -> Path:
    """Return the file that a user means by a shipped name or a path of their own.

    Args:
        kind: What it is, for messages ("recipe").
        name_or_file: A shipped name without suffix, or a path (with suffix or a separator).
        folder: Where the shipped ones lie below `manifests/`.
        suffix: Ending of the shipped files.

    Raises:
        ConfigError: There is no such file or name.
    """
    path = Path(name_or_file)
    if path.suffix == suffix or path.name != name_or_file:
        if not path.is_file():
            raise ConfigError(f"{kind} file {name_or_file!r} does not exist")
        return path
    files = (manifests_dir() / folder).glob(f"*{suffix}")
    shipped = {file.stem: file for file in sorted(files, key=lambda file: file.stem)}
    if name_or_file not in shipped:
        near = get_close_matches(name_or_file, shipped, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"no {kind} named {name_or_file!r}.{hint} Choose from: {', '.join(shipped)}; "
            f"or give the path of a {suffix} file"
        )
    return shipped[name_or_file]


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: It cannot be read or parsed; the message has the file and the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None


def override(data: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return `data` with `a.b=value` assignments applied.

    A value is read as TOML (`0.3`, `true`, `[1, 2]`, `"text"`); what is not TOML is text.

    Raises:
        ConfigError: An assignment has no `=`, or runs through something that is no table.
    """
    result = deepcopy(data)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set needs KEY=VALUE, got {assignment!r}")
        *tables, last = key.strip().split(".")
        here = result
        for table in tables:
            here = here.setdefault(table, {})
            if not isinstance(here, dict):
                raise ConfigError(f"--set {key}: {table!r} is a value, not a table")
        here[last] = _toml_value(text.strip())
    return result


def _toml_value(text: str) -> object:
    try:
        read = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    return read["value"] if len(read) == 1 else text


def toml_text(values: Mapping[str, Any], table: str = "") -> str:
    """Return a mapping as TOML; None is left out, as TOML has no word for it.

    Args:
        values: Nested mappings of what JSON knows.
        table: Name of the table that they are in, with dots.
    """
    plain_values = {
        key: one for key, one in values.items() if not isinstance(one, Mapping) and one is not None
    }
    lines = [f"{_toml_key(key)} = {_toml_literal(one)}" for key, one in plain_values.items()]
    if lines and table:
        lines = ["", f"[{table}]", *lines]
    for key, value in values.items():
        if isinstance(value, Mapping):
            inner = toml_text(value, f"{table}.{_toml_key(key)}" if table else _toml_key(key))
            lines += [inner.rstrip()] if inner.strip() else []
    return "\n".join(lines) + "\n"


def _toml_key(key: str) -> str:
    return (
        key
        if key.replace("-", "").replace("_", "").isalnum() and key.isascii()
        else json.dumps(key)
    )


def _toml_literal(value: object) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(
            f"{_toml_key(key)} = {_toml_literal(one)}"
            for key, one in value.items()
            if one is not None
        )
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml_literal, value))}]"
    return json.dumps(value, ensure_ascii=False)


def validate(model: type[_S], data: Mapping[str, Any], place: str) -> _S:
    """Build settings from plain data.

    Args:
        model: The settings class.
        data: Nested mapping, as read from TOML.
        place: Where the data came from, for messages.

    Raises:
        ConfigError: All faults in one line, each with its key, value and cure.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        faults = "; ".join(describe_fault(model, dict(fault)) for fault in found)
        raise ConfigError(f"{place}: {faults}") from None
