"""What a worker needs to know of a run: plain values, resolved once by the parent."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from facecrop.config import Settings, fingerprint
from facecrop.images.backends.devices import uses_gpu
from facecrop.images.codec import DECODE_VERSION
from facecrop.images.look import scaled
from facecrop.images.look.quality import QUALITY_VERSION
from facecrop.images.look.settings import FinderSettings
from facecrop.images.recipe import Recipe
from facecrop.store import Lookup


@dataclass(frozen=True, slots=True)
class Weight:
    """A model file in use: where it lies, and what its bytes are (sha256, hex)."""

    path: Path
    digest: str


@dataclass(frozen=True, slots=True)
class Job:
    """One preprocess run, as every worker sees it.

    Args:
        root: RAW, or the folder of the table.
        out: The dataset.
        recipe: What to do.
        weights: Model files by their name.
        fingerprint: Of the recipe with all that it resolved to (32 bytes).
        device: What the models run on: `cpu`, `cuda:0`.
        lookup: Where findings of earlier runs lie.
        keep: What to write beside the crops: `alpha`, `boxes`.
        spool: Folder where crops wait for the tar files they go into; None where they are files.
        servers: Where the processes that run models on GPUs are reached; empty on the CPU.
    """

    root: Path
    out: Path
    recipe: Recipe
    weights: Mapping[str, Weight]
    fingerprint: bytes
    device: str
    lookup: Lookup
    keep: frozenset[str] = frozenset()
    spool: Path | None = None
    servers: tuple[str, ...] = ()

    def finder_key(self, finder: FinderSettings) -> str:
        """Return what identifies this finder's findings: settings, weights, runtime, device."""
        return finder_key(finder, self.weights, self.device)

    @property
    def source_key(self) -> str:
        """What identifies decoding and quality."""
        return source_key(self.recipe)


def finder_key(finder: FinderSettings, weights: Mapping[str, Weight], device: str) -> str:
    """Return what identifies a finder's findings: settings, weights, runtime, precision, device."""
    resolved = {f"weights {name}": weights[name].digest for name in finder.models}
    resolved["runtime"] = runs_on(finder, device)
    settings = cast("Settings", finder)
    return fingerprint(finder.name, finder.version, settings, resolved, without=("choose",))


def runs_on(finder: FinderSettings, device: str) -> str:
    """Return what runs a finder in a run on a device: runtime, version, precision, device class."""
    return finder.runs_on(device if uses_gpu(finder) else "cpu")


def source_key(recipe: Recipe) -> str:
    """Return what identifies decoding and quality."""
    versions = {"quality": str(QUALITY_VERSION)}
    if recipe.look.decode == "scaled":
        versions["scaled"] = scaled.key(recipe.look.shown_whole)
    return fingerprint("source", DECODE_VERSION, recipe.decode, versions)


def all_keys(recipe: Recipe, weights: Mapping[str, Weight], device: str) -> list[str]:
    """Return the keys of everything that a recipe may look at."""
    return [
        source_key(recipe),
        *(finder_key(finder, weights, device) for finder in recipe.look.finders),
    ]
