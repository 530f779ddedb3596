"""From cues to shapes and colours: how strongly each trait is drawn, and what varies freely."""

# ruff: noqa: PLR2004 - proportions and chances of a drawing stand where they are used

from dataclasses import dataclass
from math import exp, log1p, tanh

import numpy as np

from facecrop.demo.people import AGES, CUES, Person
from facecrop.demo.strokes import Colour, mix

_KNEE = 14.0  # how sharply an age trait fades in; above it grows without a ceiling

_SKIN = ((236, 198, 172), (224, 180, 150), (208, 160, 128), (188, 136, 104), (158, 110, 82))
_HAIR = ((26, 22, 22), (38, 28, 25), (58, 40, 31), (84, 58, 42), (112, 76, 50))
_GREY: Colour = (204, 203, 202)
_IRIS = ((58, 38, 28), (74, 48, 32), (92, 62, 40), (70, 72, 62))


@dataclass(frozen=True, slots=True)
class Looks:
    """How one person is drawn. Fields of the first block follow from cues, the others are free.

    Age traits are 0 about the mean of 18 years and 1 at that of 60; gender traits are -1 at the
    women's mean and 1 at the men's. The amounts rise strictly with their cue (hair length, lashes
    and lips fall), but the drawing caps some of them near the end of their range, clothes and hair
    cover others now and then, and pixels add noise: the ideal observer of the cues is a ceiling.
    """

    hair_length: float
    brow: float
    lashes: float
    neck: float
    jaw: float
    lips: float
    stubble: float
    grey: float
    hairline: float
    forehead: float
    crowfeet: float
    eyebags: float
    lids: float
    spots: float
    folds: float
    jowls: float

    skin: Colour
    hair: Colour
    iris: Colour
    length: float
    width: float
    eye_gap: float
    eye_size: float
    eye_tilt: float
    nose_width: float
    nose_length: float
    mouth_width: float
    smile: float
    part: float
    volume: float
    wave: float
    ears: float
    glasses: bool


def looks_of(person: Person, rng: np.random.Generator) -> Looks:
    """Return how a person is drawn."""
    traits = {cue.name: person.cue(cue.name) for cue in CUES}
    amounts = {cue.name: _amount(traits[cue.name], cue.gender, cue.age) for cue in CUES}
    tone = float(rng.beta(1.6, 2.4)) * (len(_SKIN) - 1)
    dark = float(rng.beta(1.0, 3.2)) * (len(_HAIR) - 1)
    return Looks(
        **amounts,
        skin=_along(_SKIN, tone),
        hair=_along(_HAIR, dark),
        iris=_along(_IRIS, float(rng.beta(1, 2)) * (len(_IRIS) - 1)),
        length=float(rng.normal(1.0, 0.035)),
        width=float(rng.normal(1.0, 0.03)),
        eye_gap=float(rng.normal(0.43, 0.014)),
        eye_size=float(rng.normal(1.08, 0.06)),
        eye_tilt=float(rng.normal(0.02, 0.02)),
        nose_width=float(rng.normal(0.25, 0.02)),
        nose_length=float(rng.normal(0.66, 0.025)),
        mouth_width=float(rng.normal(0.37, 0.025)),
        smile=float(rng.normal(0.55, 0.30)),
        part=float(rng.choice([-0.5, -0.34, 0.0, 0.3, 0.45])),
        volume=float(rng.uniform(0.0, 0.12)),
        wave=float(rng.beta(1, 2.5)),
        ears=float(rng.normal(1.0, 0.08)),
        glasses=bool(rng.random() < 0.14),
    )


def grey_mix(looks: Looks) -> Colour:
    """Return the mean colour of the hair with its grey."""
    return mix(looks.hair, _GREY, min(0.85 * looks.grey, 0.95))


def _amount(value: float, gender: float, age: float) -> float:
    if age > 0:
        # The hairline also tells gender; its age scale is what counts for drawing.
        young, old = (age * (end - 39.0) / 10 for end in (AGES[0], AGES[-1]))
        share = (value - young) / (old - young)
        return log1p(exp(_KNEE * share)) / _KNEE
    toward = 2 * value / gender  # men at 1, women at -1, whatever the sign of the cue
    return 1.6 * tanh(toward / 1.6)


def _along(colours: tuple[Colour, ...], place: float) -> Colour:
    low = min(int(place), len(colours) - 2)
    return mix(colours[low], colours[low + 1], place - low)
