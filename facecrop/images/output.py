"""What a worker writes below OUT: crops, and on request alphas and pictures of the findings."""

import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from facecrop.config import fingerprint
from facecrop.errors import StoreError
from facecrop.images.choose import Plan
from facecrop.images.codec import encode
from facecrop.images.findings import Alpha, Findings
from facecrop.images.job import Job
from facecrop.images.look.looker import Tally
from facecrop.images.picture import Kept, Picture
from facecrop.images.render import RENDER_VERSION, render, source_alpha
from facecrop.images.render.draw import draw

_BOXES_QUALITY = 85

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
        self._temporary = job.out / ".store" / "tmp"
        self._temporary.mkdir(parents=True, exist_ok=True)
        self._name = uuid4().hex
        self._made: set[Path] = set()

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
        key = sha256(self._render_key + picture.digest + matte_key + _numbers(plan)).digest()
        if kept is not None and (kept.image, kept.render_key) == (image, key):
            return replace(kept, extras_key=extras_key)
        data = self._crop(picture, plan, findings.alpha, tally)
        with tally.time("write"):
            mtime_ns = self._put(image, data)
        return Kept(image, sha256(data).digest(), len(data), mtime_ns, key, extras_key)

    def _crop(self, picture: Picture, plan: Plan, alpha: Alpha | None, tally: Tally) -> bytes:
        settings = self.job.recipe.render
        with tally.time("decode"):
            image = picture.image
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

    def _put(self, name: str, data: bytes) -> int:
        """Write a file below OUT in one step; return its time of writing in ns."""
        path = self.job.out / name
        temporary = self._temporary / self._name
        try:
            if path.parent not in self._made:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._made.add(path.parent)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                mtime_ns = os.fstat(file.fileno()).st_mtime_ns
            # Replacing a file makes ext4 flush the new one at once, which takes twenty times as
            # long as taking the old one away first; a crop that is missing then is made again.
            path.unlink(missing_ok=True)
            temporary.replace(path)
        except OSError as error:
            raise StoreError(f"{path} cannot be written: {error.strerror}") from None
        return mtime_ns


def _numbers(plan: Plan) -> bytes:
    """Return what the plan says about the cut, as bytes that are equal for equal cuts."""
    return repr((plan.crop, round(plan.rotation, 4))).encode()
