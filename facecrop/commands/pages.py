"""What all pages are made with."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"


def environment(*, trim: bool = False) -> Environment:
    """Return what fills templates: every value is escaped, and none may be missing.

    Args:
        trim: Leave out the empty lines that tags would leave behind.
    """
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=trim,
        lstrip_blocks=trim,
    )


def style(name: str) -> Markup:
    """Return one of our style sheets as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - ours
