"""Recipes: what to look for in raw pictures, how to choose, how to render."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from facecrop.config import Settings, find_manifest, fingerprint, override, read_toml, validate
from facecrop.errors import ConfigError
from facecrop.images.choose import Choose
from facecrop.images.choose.geometry import Align, Crop
from facecrop.images.codec import Limits
from facecrop.images.look.cascade import Faces
from facecrop.images.look.settings import AnyFinder, FinderSettings
from facecrop.images.render import Render

RECIPE_VERSION = 1
"""Raised when equal recipes and findings would give another row or crop."""


class Look(Settings):
    """What to look for. Quality and hash are always looked at."""

    persons: AnyFinder | None = None
    """The detector of persons, or none."""
    matte: AnyFinder | None = None
    """The model that tells the person from the background, or none."""
    matte_view: Literal["source", "subject"] = "source"
    """What the matte model sees: the whole picture, or what is around the chosen person or face."""
    matte_margin: float = Field(default=0.1, ge=0, le=8)
    """Border around the subject's box that the matte model sees too, as a fraction of its sides."""
    faces: Faces | None = None
    """The cascade of face detectors, or none."""
    decode: Literal["full", "scaled"] = Field(default="full", json_schema_extra={"neutral": "full"})
    """From which pixels: all, or those of a JPEG decoded at 1/2, 1/4 or 1/8 of its size, as long as
    no model's own input is larger. Other formats are always decoded in full."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for field, finds in (("persons", "persons"), ("matte", "alpha")):
            finder = getattr(self, field)
            if finder is not None and finder.finds != finds:
                raise ValueError(f"look.{field} cannot be {finder.name!r}: it finds {finder.finds}")
        if self.matte_view == "subject" and self.faces is None and self.persons is None:
            raise ValueError("look.matte_view = 'subject' needs look.faces or look.persons")
        if self.faces is not None and self.faces.view == "cutout":
            if self.matte is None:
                raise ValueError("look.faces.view = 'cutout' needs look.matte")
            if self.matte_view == "subject":
                raise ValueError("look.faces.view = 'cutout' needs look.matte_view = 'source'")
        return self

    @property
    def finders(self) -> tuple[FinderSettings, ...]:
        """All finders that may be asked."""
        faces = self.faces.finders if self.faces else ()
        return tuple(one for one in (self.persons, self.matte, *faces) if one is not None)

    @property
    def shown_whole(self) -> tuple[FinderSettings, ...]:
        """All finders that may be shown a whole picture."""
        # Also a matte model that sees the subject: where nobody was found, it sees everything.
        detectors = self.faces.detectors if self.faces else ()
        return tuple(one for one in (self.persons, self.matte, *detectors) if one is not None)


class Recipe(Settings):
    """How raw pictures become crops."""

    decode: Limits = Limits()
    """What may be read at all."""
    look: Look = Look()
    """What to look for in one image: runs models."""
    choose: Choose = Choose()
    """Who is the subject, seen over the whole profile: numbers only."""
    crop: Crop = Crop()
    """What to cut out around the subject."""
    align: Align | None = None
    """Turn the picture so that the eyes are level, or not."""
    render: Render = Render()
    """How the cut-out becomes a file."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.crop.around == "face" and self.look.faces is None:
            raise ValueError("crop.around = 'face' needs look.faces")
        if self.crop.around == "person" and self.look.persons is None and self.look.matte is None:
            raise ValueError("crop.around = 'person' needs look.persons or look.matte")
        if self.render.background is not None and self.look.matte is None:
            raise ValueError("render.background needs look.matte")
        if self.render.decode == "scaled" and self.look.decode == "full":
            raise ValueError("render.decode = 'scaled' needs look.decode = 'scaled'")
        if self.align is not None and self.look.faces is None:
            raise ValueError("align needs look.faces")
        return self

    @property
    def need(self) -> Literal["face", "person", "none"]:
        """What a record must have to be `ok`."""
        return self.crop.around if self.crop.around in ("face", "person") else "none"

    def fingerprint(self, finders: Sequence[str]) -> bytes:
        """Return what identifies the outcome: settings and what ran the finders (32 bytes)."""
        own = fingerprint("recipe", RECIPE_VERSION, self)
        return sha256("\n".join([own, *finders]).encode()).digest()


SECTIONS = ("look", "render")
"""Parts whose own tables may be named without them: `--set background.mode=blur`."""


def load_recipe(name_or_file: str, assignments: Sequence[str] = ()) -> Recipe:
    """Read a shipped recipe or a file, with single settings changed.

    Args:
        name_or_file: `embedded`, or the path of a TOML file.
        assignments: `key=value`, with or without the names in `SECTIONS` before the key.

    Raises:
        ConfigError: There is no such recipe, or it does not make sense.
    """
    path = find_manifest("recipe", name_or_file, "recipes")
    data = override(read_toml(path), [_full_key(one) for one in assignments])
    place = f"recipe {name_or_file}" + (" with --set" if assignments else "")
    return validate(Recipe, data, place)


def _full_key(assignment: str) -> str:
    first = assignment.partition("=")[0].strip().split(".")[0]
    if first in Recipe.model_fields:
        return assignment
    for section in SECTIONS:
        group: Any = Recipe.model_fields[section].annotation
        if first in group.model_fields:
            return f"{section}.{assignment}"
    return assignment


def shipped_recipes() -> dict[str, str]:
    """Return the names of the shipped recipes with the first line of their comments."""
    folder = find_manifest("recipe", "embedded", "recipes").parent
    return {path.stem: _first_comment(path) for path in sorted(folder.glob("*.toml"))}


def _first_comment(path: Path) -> str:
    line = path.read_text(encoding="utf-8").splitlines()[0]
    if not line.startswith("# "):
        raise ConfigError(f"{path} does not begin with a comment that says what it is for")
    return line[2:]
