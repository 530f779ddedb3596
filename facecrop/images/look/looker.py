"""Look: ask the models about pictures, and ask each only what nobody has answered yet."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256

import numpy as np

from facecrop.errors import StoreError
from facecrop.images.findings import Alpha, Boxes, Finding, Source, pack, unpack
from facecrop.images.frames import Box, Image
from facecrop.images.job import Job
from facecrop.images.look import scaled
from facecrop.images.look.alpha import alpha_in
from facecrop.images.look.finder import Finder
from facecrop.images.look.settings import FinderSettings
from facecrop.images.picture import Picture
from facecrop.index import RETRIED
from facecrop.store import Entry, Store

_BATCH_ROWS, _BATCH_S = 512, 2.0
"""A fragment is written for so many findings, or after so many seconds."""


@dataclass(slots=True)
class Tally:
    """What a worker did: seconds by part, model calls by finder, findings that were known."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: Counter[str] = field(default_factory=Counter)
    known: int = 0
    decodes: int = 0

    @contextmanager
    def time(self, part: str) -> Iterator[None]:
        """Add the time spent inside to a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[part] += time.perf_counter() - start


@dataclass(frozen=True, slots=True)
class View:
    """What a finder is shown: a part of a picture, perhaps with its background painted over.

    Args:
        picture: The picture.
        region: Whole pixels of the upright source, or None for all of it.
        cutout: The matte outside which black is painted, or None.
        cutout_key: Key of that matte's finding.
        reduced: By what the sides of its pixels are divided, where there are enough of them.
    """

    picture: Picture
    region: Box | None = None
    cutout: Alpha | None = None
    cutout_key: bytes = b""
    reduced: int = 1

    @property
    def key(self) -> bytes:
        """What identifies the view of given bytes."""
        region = (
            "" if self.region is None else ",".join(str(int(side)) for side in self.region.corners)
        )
        fraction = f"|1/{self.reduced}" if self.reduced > 1 else ""
        return region.encode() + b"|" + self.cutout_key + fraction.encode()

    def shown_to(self, finder: FinderSettings) -> "View":
        """Return the same from all pixels, if those of a reduced picture are too few for it.

        The whole picture has enough of them for everybody: so its reduction was chosen.
        """
        if self.region is None or self.reduced == 1:
            return self
        height, width = int(self.region.height), int(self.region.width)
        enough = scaled.suffices(finder, height, width, self.reduced)
        return self if enough else replace(self, reduced=1)

    def pixels(self) -> tuple[Image, Box]:
        """Return what the finder sees, and what that covers, in pixels of the upright source."""
        image, place = self.picture.pixels(self.reduced)
        if self.cutout is not None:
            height, width = image.shape[:2]
            alpha = alpha_in(self.cutout, place, height, width)
            image = (image * (alpha[..., None] / np.float32(255)) + np.float32(0.5)).astype(
                np.uint8
            )
        if self.region is not None:
            start = place
            inside = self.region.shift(-start.x0, -start.y0).scale(*[1 / self.reduced] * 2)
            x0, y0, x1, y1 = inside.outward()  # of a reduced picture, whole pixels around it
            image = np.ascontiguousarray(image[y0:y1, x0:x1])
            place = Box(x0, y0, x1, y1).scale(*[self.reduced] * 2).shift(start.x0, start.y0)
        return image, place


class Looker:
    """Answers what finders say about pictures, from the store where it is known.

    Args:
        job: The run.
        load: Loads a finder; called once for each that is needed.
        tally: Where time and calls are counted.

    Attributes:
        mark: Called with a picture before a model sees it, so that a crash can be blamed on it.
    """

    def __init__(self, job: Job, load: Callable[[FinderSettings], Finder], tally: Tally) -> None:
        self.mark: Callable[[Picture], None] = lambda _: None
        self.job = job
        self.tally = tally
        self._load = load
        self._loaded: dict[str, Finder] = {}
        self._keys = {finder.label: job.finder_key(finder) for finder in job.recipe.look.finders}
        self._fresh: dict[str, list[Entry]] = {}
        self._fresh_by_key: dict[bytes, Finding] = {}
        look = job.recipe.look
        self._reduce = (
            partial(scaled.reduction, look.shown_whole) if look.decode == "scaled" else None
        )
        self._known: tuple[bytes, Mapping[bytes, tuple[str, bytes | None]]] = (b"", {})
        self._last_write = time.monotonic()

    def source(self, picture: Picture) -> Source:
        """Return what the pixels alone tell."""
        digest = picture.know_digest()
        if digest is None:
            return Source(reason=picture.fault)
        key = self._key(self.job.source_key, digest, b"")
        known = self._recall(digest, key)
        if isinstance(known, Source):
            return known
        with self.tally.time("decode"):
            self.tally.decodes += 1
            finding = picture.source(self._reduce)
        if finding.reason not in RETRIED:
            self._remember(self.job.source_key, picture, key, finding)
        return finding

    def key(self, finder: FinderSettings, view: View) -> bytes:
        """Return the key of what a finder says about a view (32 bytes)."""
        shown = view.shown_to(finder)
        return self._key(self._keys[finder.label], _digest(view.picture), shown.key)

    def look(self, finder: FinderSettings, views: Sequence[View]) -> list[Finding]:
        """Return what a finder says about each view."""
        keys = [self.key(finder, view) for view in views]
        found = [
            self._recall(_digest(view.picture), key) for view, key in zip(views, keys, strict=True)
        ]
        unknown = [number for number, finding in enumerate(found) if finding is None]
        asked = [views[number].shown_to(finder) for number in unknown]
        for number, finding in zip(unknown, self._ask(finder, asked), strict=True):
            self._remember(self._keys[finder.label], views[number].picture, keys[number], finding)
            found[number] = finding
        return [finding for finding in found if finding is not None]

    def write(self, *, force: bool = False) -> None:
        """Write what was learnt to the store, if it is much or has waited long.

        Raises:
            StoreError: The disk is full or cannot be written.
        """
        rows = sum(map(len, self._fresh.values()))
        if not rows or not (
            force or rows >= _BATCH_ROWS or time.monotonic() - self._last_write > _BATCH_S
        ):
            return
        store = Store(self.job.out / ".store")
        with self.tally.time("store"):
            try:
                for finder, entries in self._fresh.items():
                    store.write(finder, entries)
            except OSError as error:
                raise StoreError(
                    f"{error.filename or store.folder} cannot be written: {error.strerror}"
                ) from None
        self._fresh.clear()
        self._fresh_by_key.clear()
        self._last_write = time.monotonic()

    def _ask(self, finder: FinderSettings, views: Sequence[View]) -> Iterator[Finding]:
        if not views:
            return
        if finder.label not in self._loaded:
            with self.tally.time("load models"):
                self._loaded[finder.label] = self._load(finder)
        model = self._loaded[finder.label]
        for start in range(0, len(views), model.batch_size):
            batch = views[start : start + model.batch_size]
            self.mark(batch[0].picture)
            with self.tally.time(finder.label):
                yield from _infer(model, batch)
            self.tally.calls[finder.label] += len(batch)

    def _key(self, finder: str, digest: bytes, view: bytes) -> bytes:
        return sha256(bytes.fromhex(finder) + digest + view).digest()

    def _recall(self, digest: bytes, key: bytes) -> Finding | None:
        if key in self._fresh_by_key:
            return self._fresh_by_key[key]
        if self._known[0] != digest:
            self._known = digest, self.job.lookup.find(digest)
        stored = self._known[1].get(key)
        if stored is None:
            return None
        self.tally.known += 1
        return unpack(*stored)

    def _remember(self, finder: str, picture: Picture, key: bytes, finding: Finding) -> None:
        facts, alpha = pack(finding)
        self._fresh.setdefault(finder, []).append(Entry(_digest(picture), key, facts, alpha))
        self._fresh_by_key[key] = finding


def _digest(picture: Picture) -> bytes:
    if picture.digest is None:
        raise RuntimeError(f"{picture.item.path} was never read")
    return picture.digest


def _infer(model: Finder, views: Sequence[View]) -> list[Finding]:
    shown = [view.pixels() for view in views]
    inputs = [model.prepare(image) for image, _ in shown]
    # A batch of one is a view, not a copy.
    outputs = model.infer(np.stack(inputs) if len(inputs) > 1 else inputs[0][None])
    return [
        _in_source(model.interpret(raw, *image.shape[:2]), place, view.reduced)
        for raw, (image, place), view in zip(outputs, shown, views, strict=True)
    ]


def _in_source(finding: Finding, place: Box, reduced: int) -> Finding:
    """Move a finding from the pixels of its view to those of the upright source: exactly.

    Args:
        finding: In pixels of what was shown.
        place: What that covers.
        reduced: By what its sides were divided, a power of two.
    """
    x, y = place.x0, place.y0
    if (x, y, reduced) == (0, 0, 1) or isinstance(finding, Source):
        return finding
    if isinstance(finding, Alpha):
        return Alpha(finding.values, finding.region.scale(reduced, reduced).shift(x, y))
    return Boxes(
        tuple(
            type(one)(
                one.box.scale(reduced, reduced).shift(x, y),
                one.score,
                tuple((reduced * px + x, reduced * py + y) for px, py in one.landmarks),
            )
            for one in finding.candidates
        )
    )
