"""One image's way through a recipe: look, choose, render; a profile at a time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from facecrop.engines.work import Marker, Task
from facecrop.images.ahead import Ahead
from facecrop.images.backends.devices import uses_gpu
from facecrop.images.backends.server import RemoteFinder, connect
from facecrop.images.choose import Plan, choose
from facecrop.images.choose.geometry import plan_crop
from facecrop.images.findings import Alpha, Boxes, Closer, Findings, Source
from facecrop.images.frames import Box, union
from facecrop.images.job import Job
from facecrop.images.look.alpha import coverage
from facecrop.images.look.cascade import closer_faces, closer_view, next_detector
from facecrop.images.look.finder import ELSEWHERE, Finder
from facecrop.images.look.looker import Looker, Tally, View
from facecrop.images.look.settings import FinderSettings
from facecrop.images.output import Output
from facecrop.images.picture import Item, Picture, PictureGoneError
from facecrop.images.rows import Row, Values, values

_PIXELS_KEPT = 64
"""Pictures of one profile whose pixels stay in memory; larger profiles are decoded twice."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one profile, and what it cost.

    Args:
        rows: What preprocess finds out about each record (`rows.COLUMNS`).
        tally: Time and calls.
    """

    rows: tuple[Values, ...]
    tally: Tally


class Pipeline:
    """The work of one worker process.

    Args:
        job: The run.
        load: Loads a finder.
    """

    def __init__(self, job: Job, load: Any = None) -> None:
        self.job = job
        self.recipe = job.recipe
        self.tally = Tally()
        self.looker = Looker(job, load or self._load, self.tally)
        self.output = Output(job)
        self.ahead = Ahead(job.root)

    def run(self, task: Task, marker: Marker) -> Iterator[tuple[int, Result]]:
        """Work through the profiles of a task, yielding each as it is done."""
        self.ahead.expect(item for items in task.parts for item in items)
        for part, items, blamed in task.each():
            if marker.stopping:
                return
            why = "decoder-timeout" if task.hung else "decoder-crash"
            rows = self.profile(items, dict.fromkeys(blamed, why), part, marker)
            if rows is None:
                return
            self.looker.write()
            rows = self.output.settle(rows, self.tally)
            found = tuple(values(row, self.job.fingerprint) for row in rows)
            yield part, Result(found, self._take_tally())

    def close(self) -> None:
        """Write what is still in memory."""
        self.ahead.close()
        self.looker.write(force=True)
        self.output.close()

    def profile(
        self, items: Sequence[Item], blamed: Mapping[int, str], part: int, marker: Marker
    ) -> tuple[Row, ...] | None:
        """Take one profile all the way; None if the run is being stopped.

        Args:
            items: Its records.
            blamed: Reasons of pictures that are not to be opened again, by number.
            part: The profile's number in its task.
            marker: Where to note what is opened.
        """
        pictures = [
            Picture(
                item,
                self.job.root,
                self.recipe.decode,
                fault=blamed.get(number),
                read=None if number in blamed else self.ahead.of(item),
            )
            for number, item in enumerate(items)
        ]
        numbers = {id(picture): number for number, picture in enumerate(pictures)}
        self.looker.mark = lambda picture: marker.at(part, numbers[id(picture)])
        sources = []
        for number, picture in enumerate(pictures):
            if marker.stopping:
                return None
            marker.at(part, number)
            sources.append(self.looker.source(picture))
            if len(pictures) > _PIXELS_KEPT:
                picture.forget()
        try:
            findings, matte_keys = self._look(pictures, sources)
        except PictureGoneError as gone:  # once more without it: siblings may have counted on it
            number = numbers[id(gone.picture)]
            return self.profile(items, {**blamed, number: gone.reason}, part, marker)
        with self.tally.time("choose"):
            plans = self._plan(findings)
        rows = []
        for number, picture in enumerate(pictures):
            if marker.stopping:
                return None
            marker.at(part, number)
            try:
                row = self._row(picture, findings[number], plans[number], matte_keys[number])
            except PictureGoneError as gone:
                lost = Findings(Source(reason=gone.reason))
                picture.digest = None
                row = self._row(picture, lost, self._plan([lost])[0], b"")
            rows.append(row)
            picture.forget()
        return tuple(rows)

    def _look(
        self, pictures: Sequence[Picture], sources: Sequence[Source]
    ) -> tuple[list[Findings], list[bytes]]:
        """Ask all models of the recipe; a picture that cannot be used is asked about nothing."""
        look = self.recipe.look
        found = [Findings(source) for source in sources]
        keys = [b""] * len(pictures)
        usable = [number for number, source in enumerate(sources) if source.reason is None]
        if look.persons is not None:
            views = [_view(pictures[number], found[number]) for number in usable]
            for number, boxes in zip(usable, self.looker.look(look.persons, views), strict=True):
                found[number] = replace(found[number], persons=_boxes(boxes))
        if look.matte is not None and look.matte_view == "source":
            self._matte(look.matte, pictures, found, keys, dict.fromkeys(usable))
        if look.faces is not None:
            self._faces(pictures, found, keys, usable)
        if look.matte is not None and look.matte_view == "subject":
            regions = self._subject_regions(found, usable)
            self._matte(look.matte, pictures, found, keys, regions)
        return found, keys

    def _matte(
        self,
        matte: FinderSettings,
        pictures: Sequence[Picture],
        found: list[Findings],
        keys: list[bytes],
        regions: dict[int, Box | None],
    ) -> None:
        views = [
            replace(_view(pictures[number], found[number]), region=region)
            for number, region in regions.items()
        ]
        for number, view, alpha in zip(regions, views, self.looker.look(matte, views), strict=True):
            if not isinstance(alpha, Alpha):
                raise TypeError(f"{matte.label} must find an alpha")
            found[number] = replace(found[number], alpha=alpha)
            keys[number] = self.looker.key(matte, view)

    def _faces(
        self,
        pictures: Sequence[Picture],
        found: list[Findings],
        keys: Sequence[bytes],
        usable: Sequence[int],
    ) -> None:
        """Ask the cascade, round by round, each detector only about pictures still in doubt."""
        faces = self.recipe.look.faces
        if faces is None:
            return
        asking = list(usable)
        while asking:
            rounds: dict[int, list[int]] = {}
            for number in asking:
                detector = next_detector(faces, found[number])
                if detector is not None:
                    rounds.setdefault(detector, []).append(number)
            for detector, numbers in sorted(rounds.items()):
                finder = faces.detectors[detector]
                views = [
                    self._face_view(pictures[number], found[number], keys[number])
                    for number in numbers
                ]
                for number, boxes in zip(numbers, self.looker.look(finder, views), strict=True):
                    seen = (*found[number].faces, (finder.label, _boxes(boxes)))
                    found[number] = replace(found[number], faces=seen)
            asking = [number for numbers in rounds.values() for number in numbers]
        for number in usable if faces.closer is not None else ():
            view = self._face_view(pictures[number], found[number], keys[number])
            found[number] = replace(found[number], closer=self._closer(view, found[number]))

    def _closer(self, whole: View, findings: Findings) -> tuple[Closer, ...]:
        """Look at each of several faces of similar size once more, from near."""
        faces, source = self.recipe.look.faces, findings.source
        if faces is None or faces.closer is None or source.width is None or source.height is None:
            return ()
        around = [
            (face, closer_view(face, border, source.width, source.height))
            for face in closer_faces(faces, findings)
            for border in faces.closer.borders
        ]
        views = [replace(whole, region=region) for _, region in around]
        return tuple(
            Closer(finder.label, face, _boxes(boxes))
            for finder in (faces.closer.detectors if views else ())
            for (face, _), boxes in zip(around, self.looker.look(finder, views), strict=True)
        )

    def _face_view(self, picture: Picture, findings: Findings, matte_key: bytes) -> View:
        faces = self.recipe.look.faces
        if faces is not None and faces.view == "cutout":
            return replace(_view(picture, findings), cutout=findings.alpha, cutout_key=matte_key)
        return _view(picture, findings)

    def _subject_regions(
        self, found: Sequence[Findings], usable: Sequence[int]
    ) -> dict[int, Box | None]:
        """Return where the matte model shall look: around the person or face chosen so far."""
        plans = choose(
            [found[number] for number in usable],
            self.recipe.choose,
            self.recipe.look.faces,
            self.recipe.need,
        )
        regions: dict[int, Box | None] = {}
        for number, plan in zip(usable, plans, strict=True):
            source = found[number].source
            seen = [one.box for one in (plan.person, plan.face) if one is not None]
            if not seen or source.width is None or source.height is None:
                regions[number] = None
                continue
            around = (
                union(seen).grow(self.recipe.look.matte_margin).clip(source.width, source.height)
            )
            whole = Box(*around.outward()).clip(source.width, source.height)
            regions[number] = whole if whole.area >= 1 else None
        return regions

    def _plan(self, findings: Sequence[Findings]) -> list[Plan]:
        recipe = self.recipe
        plans = choose(findings, recipe.choose, recipe.look.faces, recipe.need)
        return [
            self._with_crop(plan, one.source) for plan, one in zip(plans, findings, strict=True)
        ]

    def _with_crop(self, plan: Plan, source: Source) -> Plan:
        if plan.status == "reject" or source.width is None or source.height is None:
            return plan
        anchor = {"face": plan.face, "person": plan.person}.get(self.recipe.crop.around)
        box, rotation = plan_crop(
            anchor.box if anchor else None,
            plan.face.landmarks if plan.face else (),
            self.recipe.crop,
            self.recipe.align,
            source.height,
            source.width,
        )
        return replace(plan, crop=box, rotation=rotation)

    def _row(self, picture: Picture, findings: Findings, plan: Plan, matte_key: bytes) -> Row:
        kept = self.output.write(picture, plan, findings, matte_key, self.tally)
        alpha_coverage = None
        if findings.alpha is not None and findings.source.width and findings.source.height:
            whole = Box(0, 0, findings.source.width, findings.source.height)
            alpha_coverage = coverage(findings.alpha, whole)
        return Row(
            picture.item, picture.digest, findings, plan, alpha_coverage, matte_key or None, kept
        )

    def _take_tally(self) -> Tally:
        done = Tally(
            self.tally.seconds.copy(), self.tally.calls.copy(), self.tally.known, self.tally.decodes
        )
        self.tally.seconds.clear()
        self.tally.calls.clear()
        self.tally.known = self.tally.decodes = 0
        return done

    def _load(self, finder: FinderSettings) -> Finder:
        """Load a finder; one that can use the GPU sends its batches to the server there."""
        on_gpu = bool(self.job.servers) and uses_gpu(finder)
        place = ELSEWHERE if on_gpu else "cpu"
        loaded = finder.load(lambda name: self.job.weights[name].path, place)
        return RemoteFinder(finder, loaded, connect(self.job.servers)) if on_gpu else loaded


def _view(picture: Picture, findings: Findings) -> View:
    return View(picture, reduced=findings.source.reduced or 1)


def _boxes(finding: object) -> Boxes:
    if not isinstance(finding, Boxes):
        raise TypeError("a detector must find boxes")
    return finding
