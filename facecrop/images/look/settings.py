"""How a recipe names a finder: settings that say who they are before anything heavy is loaded."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

from pydantic import BeforeValidator

from facecrop.config import validate
from facecrop.images.look.finder import Finder, Weights
from facecrop.registry import Registry


class FinderSettings(Protocol):
    """What a backend's settings class (a frozen `Settings`) offers besides its fields.

    A field with `json_schema_extra={"part": "choose"}` (a score threshold, say) is used when
    choosing only: it is left out of the key of findings, and changing it runs no model. One with
    `{"part": "runtime"}` is left out too: what it resolves to is told by `runs_on`. What can run on
    a GPU has `gpu_runtimes`, by what, the better one first.
    """

    name: str
    finds: ClassVar[str]
    """What it finds: `faces`, `persons` or `alpha`."""
    version: ClassVar[int]
    """Raised when the same settings and weights would give another finding."""

    @property
    def label(self) -> str:
        """Short name for tables, unique among a recipe's finders: `yunet-640`."""

    @property
    def models(self) -> tuple[str, ...]:
        """Names in `manifests/models.toml` of the weights it needs."""

    def runs_on(self, device: str) -> str:
        """Return what would run it there: package, version, precision, class of device."""

    def sees(self, height: int, width: int) -> tuple[int, int] | None:
        """Return the size, height and width, to which it brings a picture of that size itself.

        A picture that was reduced on its way from the file, but not below that size, will do. None
        if it wants every pixel.
        """

    def load(self, weights: Weights, device: str) -> Finder:
        """Load the model; `device` is `cpu`, `cuda:N`, or `ELSEWHERE`.

        With the last one, what is loaded only prepares and interprets.
        """


FINDERS: Registry[type[FinderSettings]] = Registry(
    "finder",
    {
        "blazeface-short": "facecrop.images.backends.blazeface:BlazeFaceShort",
        "blazeface-full": "facecrop.images.backends.blazeface:BlazeFaceFull",
        "yunet": "facecrop.images.backends.yunet:YuNet",
        "deepface": "facecrop.images.backends.deepface:DeepFace",
        "selfie": "facecrop.images.backends.selfie:Selfie",
        "rembg": "facecrop.images.backends.rembg:Rembg",
        "yolov8": "facecrop.images.backends.yolo:Yolo",
    },
)
"""Every finder a recipe can name. A new one is a file in `backends/` and a line here."""


def _by_name(value: object) -> object:
    if not isinstance(value, Mapping):
        return value
    name = str(value.get("name"))
    settings: Any = FINDERS.load(name)
    return validate(settings, value, f"finder {name!r}")


if TYPE_CHECKING:
    AnyFinder = FinderSettings
else:
    AnyFinder = Annotated[Any, BeforeValidator(_by_name)]
    """A settings field that holds any finder: its table's `name` says which class validates it."""
