"""Draw people into a raw folder: something to work on, with the truth beside it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facecrop.errors import ConfigError


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What was drawn.

    Args:
        raw: The raw folder.
        truth: Table of true labels, boxes and planted faults: one row for each file.
        mattes: Folder of the true mattes, or None.
        profiles: Folders written, photographs included.
        images: Image files written.
        files: All files written, hidden ones included.
        faults: How often each fault was planted, by slug: label errors and oddities of folders
            count profiles, those of pictures count files.
        ideal: 18-class macro-F1, on the official bins, that an ideal observer of the cues reaches
            from single pictures, expected over a large population.
        ideal_person: Likewise from all seven pictures of a person together.
        ideal_here: As `ideal`, on the people drawn here; rough when they are few.
        notes: What a user should know, one sentence each.
    """

    raw: Path
    truth: Path
    mattes: Path | None
    profiles: int
    images: int
    files: int
    faults: dict[str, int]
    ideal: float
    ideal_person: float
    ideal_here: float
    notes: tuple[str, ...]


def demo(
    raw: Path,
    *,
    profiles: int = 24,
    seed: int = 0,
    wrong_gender: float = 0.0,
    wrong_age: float = 0.0,
    swapped: float = 0.0,
    quirks: bool = False,
    photos: bool = False,
    mattes: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> DemoResult:
    """Draw people into a raw folder, with the truth about them beside it.

    Args:
        raw: Folder to write; it must be new or empty.
        profiles: How many people; each has seven pictures.
        seed: The same seed draws the same people, byte for byte; profile i is the same however
            many are drawn.
        wrong_gender: Fraction of profiles whose folder names the other gender.
        wrong_age: Fraction of profiles whose folder names an age of another age group, at least
            ten years off.
        swapped: Fraction of profiles with `incorrect_mask` and `normal` exchanged.
        quirks: Plant what real folders hold: mixed extensions, hidden files, broken pictures,
            duplicates and more; needs 16 profiles.
        photos: Lay in the photographs that installed packages carry.
        mattes: Write the true mattes to `RAW.mattes`.
        progress: Called with profiles done and in all.

    Raises:
        ConfigError: The folder is not empty, or a number makes no sense.
    """
    # Drawing needs OpenCV; the command line that reads this signature does not.
    from facecrop.demo.faults import plan  # noqa: PLC0415 - OpenCV
    from facecrop.demo.observer import expected_scores, scores  # noqa: PLC0415 - OpenCV
    from facecrop.demo.people import draw_person  # noqa: PLC0415 - OpenCV
    from facecrop.demo.photos import installed_photos  # noqa: PLC0415 - OpenCV
    from facecrop.demo.write import (  # noqa: PLC0415 - OpenCV
        Outputs,
        TruthFile,
        write_photos,
        write_profiles,
    )

    if profiles < 1:
        raise ConfigError(f"profiles must be at least 1, got {profiles}")
    if seed < 0:
        raise ConfigError(f"seed must not be negative, got {seed}")
    raw = raw.absolute()
    truth_path = raw.with_name(f"{raw.name}.truth.csv")
    matte_path = raw.with_name(f"{raw.name}.mattes") if mattes else None
    people = [draw_person(seed, number) for number in range(profiles)]
    plans = plan(
        people, seed, wrong_gender=wrong_gender, wrong_age=wrong_age, swapped=swapped, quirks=quirks
    )
    for folder in filter(None, (raw, matte_path)):
        _make_empty(folder)
    found = installed_photos() if photos else []
    with truth_path.open("w", encoding="utf-8", newline="") as file:
        out = Outputs(raw, TruthFile(file), matte_path)
        write_profiles(plans, seed, out, progress)
        write_photos(found, out)
    notes: tuple[str, ...] = ()
    if photos and not found:
        cure = 'pip install scikit-image, or pip install "facecrop[yolo]"'
        notes = (f"no photographs found: they come with other packages; {cure}",)
    expected = expected_scores()
    return DemoResult(
        raw=raw,
        truth=truth_path,
        mattes=matte_path,
        profiles=profiles + len(found),
        images=out.tally.images,
        files=out.tally.files,
        faults=dict(sorted(out.tally.faults.items())),
        ideal=expected.picture,
        ideal_person=expected.person,
        ideal_here=scores(people).picture,
        notes=notes,
    )


def _make_empty(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; name a new folder")
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty; name a new folder, or delete this one first")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}") from None
