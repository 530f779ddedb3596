"""Photographs that installed packages carry."""

from importlib.util import find_spec
from pathlib import Path

_KNOWN = (
    ("female", "skimage", "data/astronaut.png"),
    ("male", "ultralytics", "assets/bus.jpg"),
    ("male", "ultralytics", "assets/zidane.jpg"),
)


def installed_photos() -> list[tuple[str, Path]]:
    """Return the photographs found, each with a gender to claim; no package is imported."""
    found = []
    for gender, package, name in _KNOWN:
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            path = Path(spec.origin).parent / name
            if path.is_file():
                found.append((gender, path))
    return found
