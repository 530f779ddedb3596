"""What a worker writes below OUT: crops, and on request alphas and pictures of the findings."""

import os
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from uuid import uuid4

from facecrop.config import fingerprint
from facecrop.crops.spool import Spool
from facecrop.errors import StoreError
from facecrop.images.choose import Plan
from facecrop.images.codec import encode
from facecrop.images.findings import Alpha, Findings
from facecrop.images.job import Job
from facecrop.images.look.looker import Tally
from facecrop.images.picture import Kept, Picture
from facecrop.images.render import RENDER_VERSION, render, source_alpha
from facecrop.images.render.draw import draw
from facecrop.images.render.scaled import on_reduced, reduction
from facecrop.images.rows import Row
from facecrop.storage import is_remote, put

_BOXES_QUALITY = 85
_SENDERS = 8
_PAGE = 4096
_MODE = 0o666
"""Of new files, before the user's umask: as of any file that a program makes."""

KEEP = {"alpha": "png", "boxes": "jpg"}
"""What may be kept beside the crops, and the format it is written in."""


def extra_file(kind: str, target: str) -> str:
    """Return where something kept beside the crops lies below OUT."""
    return f"{kind}/{target}.{KEEP[kind]}"


class Output:
    """Writes files whole or not at all, and only those that are not there already.

    Args:
        job: The run.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._render_key = bytes.fromhex(fingerprint("render", RENDER_VERSION, job.recipe.render))
        temporary = job.out / ".store" / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        # A request for each file takes longer than the work on it.
        self._pool = ThreadPoolExecutor(_SENDERS) if is_remote(job.out) else None
        self._sending: dict[str, Future[int]] = {}
        self._fresh, self._aside = (temporary / uuid4().hex for _ in range(2))
        self._made: set[Path] = set()
        self._spool = Spool(job.spool) if job.spool is not None else None
        self._unwanted = [
            kind for kind in KEEP if kind not in job.keep and (job.out / kind).is_dir()
        ]

    def write(
        self, picture: Picture, plan: Plan, findings: Findings, matte_key: bytes, tally: Tally
    ) -> Kept | None:
        """Make what the plan asks for, unless an earlier run left just that.

        Returns:
            What is on disk now, or None if there is no crop and nothing beside it.

        Raises:
            StoreError: The disk is full or cannot be written.
        """
        kept = picture.item.kept
        extras_key = self._extras(picture, plan, findings, matte_key, tally)
        if plan.crop is None or picture.digest is None:
            return Kept(extras_key=extras_key) if extras_key else None
        render = self.job.recipe.render
        image = f"images/{picture.item.target}.{render.encode.format}"
        reduced = reduction(plan.crop, render, findings.source.reduced or 1)
        key = sha256(
            self._render_key + picture.digest + matte_key + _numbers(plan, reduced)
        ).digest()
        if kept is not None and (kept.image, kept.render_key) == (image, key):
            return replace(kept, extras_key=extras_key)
        data = self._crop(picture, plan, findings.alpha, reduced, tally)
        with tally.time("write"):
            mtime_ns = self._store(image, data)
            self._remove_unwanted(picture.item.target)
        return Kept(image, sha256(data).digest(), len(data), mtime_ns, key, extras_key)

    def settle(self, rows: tuple[Row, ...], tally: Tally) -> tuple[Row, ...]:
        """Wait until what was written is in object storage; return the rows with its stamps.

        Raises:
            StoreError: Object storage does not answer, or refuses.
        """
        if not self._sending:
            return rows
        stamps = {}
        with tally.time("write"):
            for name, sending in self._sending.items():
                try:
                    stamps[name] = sending.result()
                except OSError as error:
                    place = self.job.out / name
                    raise StoreError(f"{place} cannot be written: {error.strerror}") from None
        self._sending.clear()
        return tuple(
            replace(row, kept=replace(row.kept, image_mtime_ns=stamps[row.kept.image]))
            if row.kept is not None and row.kept.image in stamps
            else row
            for row in rows
        )

    def _store(self, image: str, data: bytes) -> int:
        """Write a crop, or have it wait for its tar; return its time of writing in ns."""
        if self._spool is None:
            return self._put(image, data)
        self._spool.add(data)
        return time.time_ns()

    def _crop(
        self, picture: Picture, plan: Plan, alpha: Alpha | None, reduced: int, tally: Tally
    ) -> bytes:
        settings = self.job.recipe.render
        with tally.time("decode"):
            image, place = picture.pixels(reduced)
        if reduced > 1:
            plan, alpha = on_reduced(plan, alpha, place, reduced)
        with tally.time("render"):
            crop = render(image, plan, alpha, settings)
        with tally.time("encode"):
            return encode(crop, settings.encode.format, settings.encode.quality)

    def _extras(
        self, picture: Picture, plan: Plan, findings: Findings, matte_key: bytes, tally: Tally
    ) -> bytes | None:
        wanted = sorted(self.job.keep)
        if not wanted or picture.digest is None:
            return None
        key = sha256(
            self._render_key + picture.digest + matte_key + repr((wanted, plan)).encode()
        ).digest()
        kept = picture.item.kept
        if (kept is not None and kept.extras_key == key) or findings.source.reason is not None:
            return key
        image = picture.image
        target = picture.item.target
        with tally.time("keep"):
            if "alpha" in wanted and findings.alpha is not None:
                alpha = source_alpha(image, findings.alpha)
                self._put(extra_file("alpha", target), encode(alpha, "png", 0))
            if "boxes" in wanted:
                drawn = draw(image, plan, findings)
                self._put(extra_file("boxes", target), encode(drawn, "jpg", _BOXES_QUALITY))
        return key

    def close(self) -> None:
        """Write what waits, and remove the temporary files."""
        if self._spool is not None:
            self._spool.write()
        if self._pool is not None:
            self._pool.shutdown()
            return
        for path in (self._fresh, self._aside):
            path.unlink(missing_ok=True)

    def _remove_unwanted(self, target: str) -> None:
        """Remove what an earlier run kept beside a crop that is another one now."""
        for kind in self._unwanted:
            (self.job.out / extra_file(kind, target)).unlink(missing_ok=True)

    def _put(self, name: str, data: bytes) -> int:
        """Write a file below OUT in one step; return its time of writing in ns, or its stamp.

        The file that it replaces is not deleted but written over by the next one: to give blocks
        back and take new ones is ten times the work, and waits for the file system's journal. In
        the moment between the two steps there is no file; a crop that is missing is made again.
        """
        path = self.job.out / name
        try:
            if self._pool is not None:
                self._sending[name] = self._pool.submit(put, path, data)
                return 0  # until it is settled
            if path.parent not in self._made:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(path.parent)
            mtime_ns = _write_over(self._fresh, data)
            _set_aside(path, self._aside)
            self._fresh.replace(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from None
        self._fresh, self._aside = self._aside, self._fresh
        return mtime_ns


def _write_over(path: Path, data: bytes) -> int:
    """Give a file these bytes, whatever it held; return its time of writing in ns."""
    whole_pages = data + bytes(-len(data) % _PAGE)  # a part of one would have to be read first
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, _MODE), "wb") as file:
        file.write(whole_pages)
        file.truncate(len(data))
        return os.fstat(file.fileno()).st_mtime_ns


def _set_aside(path: Path, aside: Path) -> None:
    """Move a file to where it may be written over, if there is one and it is nobody else's."""
    try:
        path.replace(aside)
    except FileNotFoundError:
        return
    facts = aside.lstat()
    if facts.st_nlink > 1 or not S_ISREG(facts.st_mode) or not os.access(aside, os.W_OK):
        aside.unlink()  # a link to what must stay as it is, or protected


def _numbers(plan: Plan, reduced: int) -> bytes:
    """Return what the plan says about the cut, as bytes that are equal for equal cuts."""
    fraction = f"1/{reduced}" if reduced > 1 else ""
    return (repr((plan.crop, round(plan.rotation, 4))) + fraction).encode()
