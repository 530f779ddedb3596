"""Look: ask the models about pictures, and ask each only what nobody has answered yet."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from facecrop.errors import StoreError
from facecrop.images.findings import Alpha, Boxes, Finding, Source, pack, unpack
from facecrop.images.frames import Box, Image
from facecrop.images.job import Job
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
    """

    picture: Picture
    region: Box | None = None
    cutout: Alpha | None = None
    cutout_key: bytes = b""

    @property
    def key(self) -> bytes:
        """What identifies the view of given bytes."""
        region = (
            "" if self.region is None else ",".join(str(int(side)) for side in self.region.corners)
        )
        return region.encode() + b"|" + self.cutout_key

    def pixels(self) -> Image:
        """Return what the finder sees."""
        image = self.picture.image
        if self.cutout is not None:
            height, width = image.shape[:2]
            alpha = alpha_in(self.cutout, Box(0, 0, width, height), height, width)
            image = (image * (alpha[..., None] / np.float32(255)) + np.float32(0.5)).astype(
                np.uint8
            )
        if self.region is not None:
            x0, y0, x1, y1 = (int(side) for side in self.region.corners)
            image = np.ascontiguousarray(image[y0:y1, x0:x1])
        return image


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
            finding = picture.source()
        if finding.reason not in RETRIED:
            self._remember(self.job.source_key, picture, key, finding)
        return finding

    def key(self, finder: FinderSettings, view: View) -> bytes:
        """Return the key of what a finder says about a view (32 bytes)."""
        return self._key(self._keys[finder.label], _digest(view.picture), view.key)

    def look(self, finder: FinderSettings, views: Sequence[View]) -> list[Finding]:
        """Return what a finder says about each view."""
        keys = [self.key(finder, view) for view in views]
        found = [
            self._recall(_digest(view.picture), key) for view, key in zip(views, keys, strict=True)
        ]
        unknown = [number for number, finding in enumerate(found) if finding is None]
        for number, finding in zip(
            unknown, self._ask(finder, [views[n] for n in unknown]), strict=True
        ):
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
    images = [view.pixels() for view in views]
    inputs = [model.prepare(image) for image in images]
    # A batch of one is a view, not a copy.
    outputs = model.infer(np.stack(inputs) if len(inputs) > 1 else inputs[0][None])
    return [
        _in_source(model.interpret(raw, *image.shape[:2]), view)
        for raw, image, view in zip(outputs, images, views, strict=True)
    ]


def _in_source(finding: Finding, view: View) -> Finding:
    """Move a finding from the pixels of its view to those of the upright source."""
    if view.region is None or isinstance(finding, Source):
        return finding
    x, y = view.region.x0, view.region.y0
    if isinstance(finding, Alpha):
        return Alpha(finding.values, finding.region.shift(x, y))
    return Boxes(
        tuple(
            type(one)(
                one.box.shift(x, y), one.score, tuple((px + x, py + y) for px, py in one.landmarks)
            )
            for one in finding.candidates
        )
    )
