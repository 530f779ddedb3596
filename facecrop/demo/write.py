"""From people to a raw folder, a table of the truth, and mattes."""

import csv
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from facecrop.demo.encode import (
    APPLE_DOUBLE,
    cmyk,
    jpeg,
    near_copy,
    png,
    png_16_bit,
    truncated,
    turned,
    zeroed,
)
from facecrop.demo.faults import PHOTOGRAPH, PICTURE_QUIRKS, SWAPPED, Plan
from facecrop.demo.people import CUE_NAMES, CUES, Person
from facecrop.demo.portrait import Portrait, empty_scene, pair, portraits
from facecrop.demo.strokes import U8
from facecrop.images.frames import Box

COLUMNS = (
    "path", "profile", "name", "mask", "gender", "age", "face_x0", "face_y0", "face_x1", "face_y1",
    "faults", "of", "person", "mask_top", "mask_bottom", *(f"cue_{name}" for name in CUE_NAMES),
)  # fmt: skip
"""Columns of the truth: one row for each file.

`mask`, `gender` and `age` are true of the person whom the picture shows, who has the number
`person`; `of` is the file that a duplicate was copied from. Boxes are in pixels of the upright
picture. Fields that nobody knows, or that a file does not have, are empty.
"""

_FIRST_PHOTO = 900_000  # ids of photographs begin above those of drawn people
_SWAP = {"incorrect_mask": "normal", "normal": "incorrect_mask"}
_FORMATS: dict[str, Callable[[U8], bytes]] = {
    "exif-rotation": turned,
    "png-16-bit": png_16_bit,
    "cmyk": cmyk,
    "truncated": truncated,
    "zeroed-block": zeroed,
}


@dataclass(slots=True)
class Tally:
    """What was written: image files, all files, and how often each fault was planted."""

    images: int = 0
    files: int = 0
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class _File:
    """One image file to be: bytes, suffix, what it shows, and what is odd about it."""

    data: bytes
    suffix: str
    shown: Person | None
    alpha: U8 | None
    face: Box | None
    faults: tuple[str, ...] = ()
    of: str = ""


class TruthFile:
    """The table of the truth, written row by row."""

    def __init__(self, file: IO[str]) -> None:
        self._rows = csv.writer(file, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def add(self, cells: Mapping[str, object]) -> None:
        """Write a row; columns that are not given stay empty."""
        self._rows.writerow([cells.get(column, "") for column in COLUMNS])


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where things go.

    Args:
        raw: Existing folder for the profiles.
        truth: Gets a row for each file.
        mattes: Existing folder for the true mattes, or None.
        tally: Counts what is written.
    """

    raw: Path
    truth: TruthFile
    mattes: Path | None
    tally: Tally = field(default_factory=Tally)


def write_profiles(
    plans: Sequence[Plan],
    seed: int,
    out: Outputs,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Draw and write all profiles.

    Args:
        plans: What each profile holds.
        seed: Of the drawing.
        out: Where it goes.
        progress: Called with profiles done and in all, after each profile.
    """
    directories = {plan.person.number: plan.directory for plan in plans}
    for done, plan in enumerate(plans, 1):
        _write_profile(plan, _files(plan, seed, directories), out)
        if progress is not None:
            progress(done, len(plans))


def _write_profile(plan: Plan, files: Iterator[tuple[str, _File]], out: Outputs) -> None:
    folder = out.raw / plan.directory
    folder.mkdir()
    out.tally.faults.update(plan.faults)
    for name, file in files:
        stem = _SWAP.get(name, name) if SWAPPED in plan.faults else name
        path = folder / f"{stem}{file.suffix}"
        path.write_bytes(file.data)
        out.tally.images += 1
        out.tally.files += 1
        out.tally.faults.update(file.faults)
        cells = {
            "path": f"{plan.directory}/{path.name}",
            "profile": plan.directory,
            "name": stem,
            "faults": " ".join([*_label_faults(plan, name), *file.faults]),
            "of": file.of,
        }
        out.truth.add(cells | _shown(file, name))
        if out.mattes is not None and file.alpha is not None:
            (out.mattes / plan.directory).mkdir(exist_ok=True)
            (out.mattes / plan.directory / f"{stem}.png").write_bytes(png(file.alpha))
    _foreign_files(folder, plan, out)


def _label_faults(plan: Plan, name: str) -> list[str]:
    """Return the profile's faults that concern a file: a swap concerns two of them."""
    return [fault for fault in plan.faults if fault != SWAPPED or name in _SWAP]


def _shown(file: _File, name: str) -> dict[str, object]:
    """Return the cells that say what a picture shows."""
    cells: dict[str, object] = {}
    if file.face is not None:
        sides = ("face_x0", "face_y0", "face_x1", "face_y1")
        cells |= {
            side: f"{value:.1f}" for side, value in zip(sides, file.face.corners, strict=True)
        }
    person = file.shown
    if person is None:
        return cells
    wear = person.wears[name]
    cells |= {
        "mask": wear.mask,
        "gender": person.gender,
        "age": person.age,
        "person": person.number,
    }
    if wear.top is not None and wear.bottom is not None:
        cells |= {"mask_top": f"{wear.top:.4f}", "mask_bottom": f"{wear.bottom:.4f}"}
    cues = zip(CUES, person.cues, strict=True)
    return cells | {f"cue_{cue.name}": f"{value:.4f}" for cue, value in cues}


def _files(plan: Plan, seed: int, directories: dict[int, str]) -> Iterator[tuple[str, _File]]:
    odd = PICTURE_QUIRKS[plan.picture] if plan.picture else None
    for name, portrait in portraits(seed, plan.person):
        if name == odd:
            yield name, _odd_file(plan, name, portrait, seed, directories)
        else:
            yield name, _plain_file(plan, name, portrait)


def _plain_file(plan: Plan, name: str, portrait: Portrait) -> _File:
    suffix = ".jpg"
    if "mixed-extensions" in plan.faults:
        suffix = {"mask5": ".jpg", "normal": ".png"}.get(name, ".jpeg")
    data = png(portrait.image) if suffix == ".png" else jpeg(portrait.image)
    return _File(data, suffix, plan.person, portrait.alpha, portrait.face)


def _odd_file(
    plan: Plan, name: str, portrait: Portrait, seed: int, directories: dict[int, str]
) -> _File:
    quirk, other = plan.picture, plan.other
    if quirk is None or other is None:
        raise AssertionError("an odd picture has a kind and a second person")
    if quirk in _FORMATS:
        suffix = ".png" if quirk == "png-16-bit" else ".jpg"
        data = _FORMATS[quirk](portrait.image)
        return _File(data, suffix, plan.person, portrait.alpha, portrait.face, (quirk,))
    if quirk == "no-face":
        return _File(
            jpeg(empty_scene(seed, plan.person.number)), ".jpg", None, None, None, (quirk,)
        )
    if quirk == "two-people":
        both = pair(seed, plan.person, other, name)
        return _File(jpeg(both.image), ".jpg", plan.person, both.alpha, both.face, (quirk,))
    theirs = dict(portraits(seed, other, (name,)))[name]
    data, alpha, face = jpeg(theirs.image), theirs.alpha, theirs.face
    if quirk == "near-duplicate":
        data, alpha, face = near_copy(theirs.image, theirs.alpha, theirs.face)
    of = f"{directories[other.number]}/{name}.jpg"
    return _File(data, ".jpg", other, alpha, face, (quirk,), of)


def _foreign_files(folder: Path, plan: Plan, out: Outputs) -> None:
    """Write the hidden files that a profile may hold: no images of anybody."""
    hidden: dict[str, tuple[str, bytes]] = {}
    if "apple-double" in plan.faults:
        hidden["apple-double"] = ("._mask1.jpg", APPLE_DOUBLE)
    if "checkpoints" in plan.faults:
        (folder / ".ipynb_checkpoints").mkdir()
        copy = (folder / "mask1.jpg").read_bytes()
        hidden["checkpoints"] = (".ipynb_checkpoints/mask1-checkpoint.jpg", copy)
    for fault, (name, data) in hidden.items():
        path = folder / name
        path.write_bytes(data)
        out.tally.files += 1
        relative = f"{plan.directory}/{name}"
        out.truth.add(
            {"path": relative, "profile": plan.directory, "name": path.stem, "faults": fault}
        )


def write_photos(photos: Sequence[tuple[str, Path]], out: Outputs) -> None:
    """Lay photographs in, each as the `normal` picture of a profile of its own.

    Nobody's age is known: the folder name claims 40, and the truth leaves it open.

    Args:
        photos: Gender to claim in the folder's name, and file.
        out: Where they go.
    """
    for number, (gender, photo) in enumerate(photos, 1):
        directory = f"{_FIRST_PHOTO + number}_{gender}_Photo_40"
        (out.raw / directory).mkdir()
        path = out.raw / directory / f"normal{photo.suffix}"
        path.write_bytes(photo.read_bytes())
        out.tally.images += 1
        out.tally.files += 1
        out.tally.faults[PHOTOGRAPH] += 1
        cells = {"path": f"{directory}/{path.name}", "profile": directory, "name": "normal"}
        out.truth.add(cells | {"mask": "none", "faults": PHOTOGRAPH})
