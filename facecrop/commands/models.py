"""What models there are, what their licences allow, and fetching them ahead of time."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from facecrop.images.models import Catalogue, Model, ModelStore, Progress


@dataclass(frozen=True, slots=True)
class ModelRow:
    """One model as it stands on this machine.

    Args:
        name: As recipes and `--weights` call it.
        model: Its entry in the table of models.
        state: `ready`, `absent`, `altered` (its digest is wrong) or `own` (given by the user).
        path: Its file; None while absent.
        origin: Where it comes from, in one word: a host, or `package==version`.
    """

    name: str
    model: Model
    state: str
    path: Path | None
    origin: str


@dataclass(frozen=True, slots=True)
class LicenceRow:
    """One licence and what it covers.

    Args:
        licence: SPDX identifier; NOASSERTION where the authors state none.
        commercial: Whether it allows commercial use: `yes`, `no`, `unclear`.
        models: Names of the models under it.
        notes: What a user should know, each once.
    """

    licence: str
    commercial: str
    models: tuple[str, ...]
    notes: tuple[str, ...]


def models_list(
    folder: Path | None = None,
    *,
    own: Mapping[str, Path] = {},
    catalogue: Catalogue | None = None,
) -> list[ModelRow]:
    """List the models facecrop knows, and which of them are on this machine.

    Args:
        folder: The models folder; by default FACECROP_MODELS or the user's cache.
        own: The user's own files by name.
        catalogue: Another table than the shipped one.
    """
    store = ModelStore(folder, offline=True, own=own, catalogue=catalogue)
    names = [*store.catalogue.models, *(name for name in own if name not in store.catalogue.models)]
    return [_row(store, name) for name in names]


def models_pull(
    names: Iterable[str],
    folder: Path | None = None,
    *,
    own: Mapping[str, Path] = {},
    accept: Iterable[str] = (),
    offline: bool = False,
    progress: Progress | None = None,
    catalogue: Catalogue | None = None,
) -> list[ModelRow]:
    """Fetch models ahead of time and check them.

    Args:
        names: Models, or sets of them: `embedded` is what the default recipe needs.
        folder: The models folder; by default FACECROP_MODELS or the user's cache.
        own: The user's own files by name.
        accept: Names whose licence, though it forbids commercial use, the user accepts.
        offline: Only check what is there.
        progress: Is told name, bytes done and total.
        catalogue: Another table than the shipped one.

    Raises:
        WeightsError: A model cannot be had or may not be used.
        ConfigError: There is no such name.
    """
    store = ModelStore(
        folder, offline=offline, own=own, progress=progress, accept=accept, catalogue=catalogue
    )
    sets = store.catalogue.sets
    wanted = dict.fromkeys(one for name in names for one in sets.get(name, (name,)))
    for name in wanted:
        store.entry(name)  # a mistyped name is told before anything is fetched
    store.paths(wanted)
    return [_row(store, name) for name in wanted]


def models_licences(catalogue: Catalogue | None = None) -> list[LicenceRow]:
    """List the licences of all models, and whether they allow commercial use.

    Args:
        catalogue: Another table than the shipped one.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    models = ModelStore(catalogue=catalogue).catalogue.models
    for name, model in models.items():
        groups.setdefault((model.licence, model.commercial), []).append(name)
    return [
        LicenceRow(licence, commercial, tuple(names), _notes(models[name] for name in names))
        for (licence, commercial), names in groups.items()
    ]


def _notes(models: Iterable[Model]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(model.note for model in models if model.note))


def _row(store: ModelStore, name: str) -> ModelRow:
    model, state = store.entry(name), store.state(name)
    if state == "own":
        return ModelRow(name, model, state, store.own[name], "own file")
    path = None if state == "absent" else store.folder / model.file
    return ModelRow(name, model, state, path, store.catalogue.origin(name))
