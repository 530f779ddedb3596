"""What is wrong with settings, in the words of whoever wrote them."""

import re
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel


def describe_fault(model: type[BaseModel], fault: dict[str, Any]) -> str:
    """Return one fault with its key, value and cure.

    Args:
        model: The settings.
        fault: As pydantic tells it.
    """
    location = [str(part) for part in fault["loc"]]
    *groups, last = _keys(model, location)
    key = ".".join([*groups, last])
    if fault["type"] == "extra_forbidden":
        known = _fields_at(model, location[:-1])
        near = get_close_matches(last, known, n=1)
        hint = (
            f" Did you mean {'.'.join([*groups, near[0]])!r}?"
            if near
            else f" Known here: {', '.join(known)}"
        )
        return f"no setting {key!r}.{hint}"
    if fault["type"] == "missing":
        return f"{key} must be given"
    if fault["type"] == "union_tag_invalid":
        known = re.findall(r"'([^']+)'", fault["ctx"]["expected_tags"])
        near = get_close_matches(fault["ctx"]["tag"], known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return (
            f"{key}.name: there is no {fault['ctx']['tag']!r}.{hint} Choose from: "
            f"{', '.join(known)}"
        )
    if fault["type"] == "union_tag_not_found":
        return f"{key}.name must be given"
    if fault["type"] == "value_error":
        # Our own validators say what they got; the input may be a whole table of settings.
        return f"{key}: {fault['ctx']['error']}" if key else str(fault["ctx"]["error"])
    message = str(fault["msg"])
    return f"{key}: {message[0].lower()}{message[1:]}, got {fault['input']!r}"


def _keys(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return a location as a user writes it: without the names of union members in between."""
    last = len(location) - 1
    return [
        part
        for number, part in enumerate(location)
        if number == last or part not in _member_names(model, location[:number])
    ] or [""]


def _member_names(model: type[BaseModel], location: list[str]) -> set[object]:
    """Return the names that tell the members of the union at a location apart."""
    named = [one.model_fields.get("name") for one in _models_at(model, location)]
    return {field.default for field in named if field is not None}


def _fields_at(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return the field names of the group at a location; of a union, those of all members."""
    return sorted({field for one in _models_at(model, location) for field in one.model_fields})


def _models_at(model: type[BaseModel], location: list[str]) -> list[type[BaseModel]]:
    """Return the settings classes that can stand at a location."""
    here: list[type[BaseModel]] = [model]
    for part in location:
        inner = [
            cls
            for one in here
            if part in one.model_fields
            for cls in _classes(one.model_fields[part].annotation)
        ]
        here = inner or here
    return here


def _classes(annotation: object) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [cls for inner in getattr(annotation, "__args__", ()) for cls in _classes(inner)]
