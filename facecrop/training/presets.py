"""Presets: whole trainings with a name, and what each asks of the dataset it is used on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from facecrop.config import find_manifest, override, read_toml, validate
from facecrop.errors import ConfigError
from facecrop.training.settings import TrainSettings
from facecrop.training.settings.train import Requires

FOLDER = "training"
"""Where the shipped presets lie below `manifests/`."""

_REPORTED = "Reported: "


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset as `--presets` lists it.

    Args:
        name: What it is called.
        about: The first line of its comment.
        score: What its comment says was reported: the sentence after `Reported:`.
        settings: What it sets, with the defaults of the rest.
    """

    name: str
    about: str
    score: str
    settings: TrainSettings

    @property
    def loss(self) -> str:
        """Its losses in a few words."""
        return loss_words(self.settings)


def loss_words(settings: TrainSettings) -> str:
    """Return the losses of a training in a few words: `focal + soft-f1, then ldam`."""
    loss = settings.loss
    own = [
        f"{axis}: {_terms(terms)}"
        for axis in settings.axes
        if (terms := getattr(loss, axis)) is not None
    ]
    # Where each label has terms of its own, the general ones are not used.
    general = [] if len(own) == len(settings.axes) else [_terms(loss.terms)]
    return ", then ".join([", ".join(general + own), *(_terms(stage.terms) for stage in loss.then)])


def _terms(terms: Sequence[Any]) -> str:
    return " + ".join(term.name for term in terms)


def load_preset(name_or_file: str, assignments: Sequence[str] = ()) -> TrainSettings:
    """Read a shipped preset or a file, with single settings changed.

    Args:
        name_or_file: `small`, or the path of a TOML file.
        assignments: `optim.lr=3e-4`.

    Raises:
        ConfigError: There is no such preset, or it does not make sense.
    """
    path = find_manifest("preset", name_or_file, FOLDER)
    place = f"preset {name_or_file}" + (" with --set" if assignments else "")
    return validate(TrainSettings, override(read_toml(path), assignments), place)


def shipped_presets() -> list[Preset]:
    """Return the presets that come with facecrop, by name."""
    folder = find_manifest("preset", "small", FOLDER).parent
    return [_read(path) for path in sorted(folder.glob("*.toml"))]


def _read(path: Path) -> Preset:
    lines = path.read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0].startswith("# "):
        raise ConfigError(f"{path} does not begin with a comment that says what it is for")
    comment = " ".join(line[1:].strip() for line in takewhile(_is_comment, lines))
    _, _, reported = comment.partition(_REPORTED)
    score = reported.split(". ")[0].removesuffix(".")
    return Preset(path.stem, lines[0][2:], score, load_preset(str(path)))


def _is_comment(line: str) -> bool:
    return line.startswith("#")


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a dataset is, as far as presets ask.

    Args:
        recipe: Name of the recipe it was made by.
        age_policy: Name of the active one.
        split: Strategy of the split that is trained on.
        worn_per_person: As its sampling says.
        runs: Names of its finished runs.
    """

    recipe: str
    age_policy: str
    split: str
    worn_per_person: int | None
    runs: frozenset[str]


def missing(requires: Requires, has: Dataset, out: Path, split: str) -> list[str]:
    """Return what a preset asks of a dataset and does not find, each with the command that helps.

    Args:
        requires: What it asks.
        has: What is there.
        out: The dataset, for the commands.
        split: Name of the split, likewise.
    """
    # A split of its own: nobody's `default` shall turn into one that leaks because of a preset.
    name = requires.split or split
    make = f"facecrop split {out} --name {name}"
    make += f" --strategy {requires.split}" if requires.split else ""
    make += f" --worn-per-person {requires.worn_per_person}" if requires.worn_per_person else ""
    make += f", then train with --split {name}" if name != split else ""
    cures: dict[str, Callable[[object], str]] = {
        "recipe": lambda name: f"facecrop preprocess RAW {out} --recipe {name}",
        "age_policy": lambda name: f"facecrop relabel {out} --set-policy {name}",
        "split": lambda _: make,
        "worn_per_person": lambda _: make,
        "run": lambda name: f"facecrop train {out} --preset {name}",
    }
    faults = []
    for what, cure in cures.items():
        wanted = getattr(requires, what)
        found = None if what == "run" else getattr(has, what)
        if wanted is None or wanted == found or (what == "run" and wanted in has.runs):
            continue
        if what == "run":
            faults.append(f"the finished run {wanted!r}; run: {cure(wanted)}")
        else:
            words = what.replace("_", " ")
            faults.append(f"{words} {wanted!r}, not {found!r}; run: {cure(wanted)}")
    return faults


def check_requires(requires: Requires, has: Dataset, out: Path, split: str) -> None:
    """Refuse a dataset that a preset does not belong to.

    Raises:
        ConfigError: Something that it asks for is missing; all of it, with commands.
    """
    if faults := missing(requires, has, out, split):
        raise ConfigError(
            f"this preset needs {'. It needs '.join(faults)} (or train with --ignore-requires)"
        )
