"""Who is drawn: ages, genders, and the cues through which pixels tell of them."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from facecrop.index import GENDERS

F64 = NDArray[np.float64]

_PUBLISHED = (
    "18:41/151 19:207/200 20:80/187 21:27/14 22:37/21 23:40/32 24:31/31 25:35/47 26:27/17 27:6/9 "
    "28:12/13 29:6/10 30:10/7 31:2/1 32:3/4 33:3/2 34:2/11 35:7/12 36:1/7 37:2/1 38:5/9 39:0/6 "
    "40:5/15 41:7/0 42:2/11 43:8/10 44:1/12 45:7/20 46:5/9 47:1/9 48:11/28 49:6/25 50:20/60 "
    "51:19/44 52:29/49 53:17/47 54:24/58 55:33/67 56:47/76 57:37/69 58:50/109 59:46/39 60:83/109"
)

AGES = np.arange(18, 61)
"""Every age that is drawn, in years."""

COUNTS = np.array(
    [[int(n) for n in cell.split(":")[1].split("/")] for cell in _PUBLISHED.split()]
).T
"""(2, 43) int: people of each gender (male, female) and age in the public mask task: 2,700."""

OFFICIAL_CUTS = (30, 60)
"""Where the official age groups begin: middle at 30, old at 60."""

_MIDDLE_AGE = 39.0
_NAMES = ("mask1", "mask2", "mask3", "mask4", "mask5", "incorrect_mask", "normal")

FILES: dict[str, str] = {
    name: {"incorrect_mask": "incorrect", "normal": "none"}.get(name, "worn") for name in _NAMES
}
"""The seven pictures of a person, each with its mask state."""


@dataclass(frozen=True, slots=True)
class Cue:
    """One visible trait that depends on gender or age and varies between people.

    A person's value is normal with standard deviation 1 around
    `gender / 2` (men) or `-gender / 2` (women), plus `age` (men: `age * men`) for each decade
    above 39. The seven pictures of a person share it.

    Args:
        name: What it is.
        shows: How the drawing shows it.
        gender: Distance of the genders' means, in standard deviations of the noise.
        age: Change in ten years, in standard deviations of the noise.
        men: How much stronger age works on men.
        at: Where on the face it is seen, 0 at the eyes, 1 at the chin: hidden while a mask covers
            this height. None: seen in every picture.
    """

    name: str
    shows: str
    gender: float = 0.0
    age: float = 0.0
    men: float = 1.0
    at: float | None = None


CUES = (
    Cue("hair_length", "how far the hair falls, from above the ears to the chest", gender=-2.6),
    Cue("brow", "thickness of the eyebrows", gender=2.2),
    Cue("lashes", "darkness of lashes and lid line", gender=-1.8),
    Cue("neck", "width of the neck", gender=1.6),
    Cue("jaw", "width of jaw and chin", gender=1.8, at=0.85),
    Cue("lips", "fullness and red of the lips", gender=-1.8, at=0.66),
    Cue("stubble", "shadow of a beard", gender=2.0, at=0.75),
    Cue("grey", "share of grey hair", age=2.4),
    Cue("hairline", "height of the forehead", gender=0.5, age=1.2, men=1.3),
    Cue("forehead", "depth and number of lines on the forehead", age=2.0),
    Cue("crowfeet", "length and depth of lines beside the eyes", age=1.8),
    Cue("eyebags", "fold and shadow below the eyes", age=1.8),
    Cue("lids", "how far the upper lids have sunk", age=1.4),
    Cue("spots", "number of age spots, roughness of the skin", age=1.6),
    Cue("folds", "depth of the folds from nose to mouth", age=2.0, at=0.50),
    Cue("jowls", "sagging beside the chin", age=1.2, at=0.85),
)
"""What tells gender and age. Everything else that is drawn is independent of both."""

CUE_NAMES = tuple(cue.name for cue in CUES)


@lru_cache(maxsize=1)
def cue_means() -> F64:
    """Return the mean of each cue, (2, 43, n_cues), read-only: gender, age, cue."""
    sign = np.array([0.5, -0.5])[:, None, None]
    men = np.array([[cue.men for cue in CUES], [1.0] * len(CUES)])[:, None, :]
    decades = ((AGES - _MIDDLE_AGE) / 10)[None, :, None]
    gender = np.array([cue.gender for cue in CUES])
    age = np.array([cue.age for cue in CUES])
    means: F64 = sign * gender + decades * men * age
    means.flags.writeable = False  # one array serves every caller
    return means


@dataclass(frozen=True, slots=True)
class Wear:
    """How a mask is worn in one picture; heights are 0 at the eyes, 1 at the chin.

    Args:
        mask: True state: worn, incorrect or none.
        top: Height of the mask's upper edge at the middle of the face; None without a mask.
        bottom: Height of its lower edge; None without a mask.
    """

    mask: str
    top: float | None = None
    bottom: float | None = None

    def hides(self, cue: Cue) -> bool:
        """Tell whether the mask covers the place where a cue is seen."""
        if cue.at is None or self.top is None or self.bottom is None:
            return False
        return self.top < cue.at < self.bottom


@dataclass(frozen=True, slots=True)
class Way:
    """One way to wear a mask: normal edges around these heights, with these deviations."""

    mask: str
    share: float
    top: float
    bottom: float
    top_noise: float = 0.075
    bottom_noise: float = 0.05


WAYS = (
    Way("worn", 1.0, 0.24, 1.10),
    Way("incorrect", 0.6, 0.60, 1.12),  # the nose is free
    Way("incorrect", 0.4, 0.90, 1.24),  # pulled down to the chin
    Way("none", 0.06, 1.16, 1.46, 0.05),  # hanging on the neck: not worn
)
"""How masks are worn; `share` is within a state, and the rest of `none` has no mask at all."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody to draw.

    Args:
        number: Which one, from 0: also the key of every random choice made in drawing.
        id: Six digits, as in folder names.
        gender: True gender.
        age: True age in years, 18 to 60.
        cues: (n_cues,) values in the order of `CUES`.
        wears: How the mask is worn in each of the seven pictures, by file stem.
    """

    number: int
    id: str
    gender: str
    age: int
    cues: F64
    wears: dict[str, Wear]

    def cue(self, name: str) -> float:
        """Return the value of a cue by its name."""
        return float(self.cues[CUE_NAMES.index(name)])


def draw_person(seed: int, number: int) -> Person:
    """Draw the traits of one person; the same for however many people are drawn beside them."""
    rng = np.random.default_rng([seed, number, 0])
    cell = int(rng.choice(COUNTS.size, p=COUNTS.ravel() / COUNTS.sum()))
    gender, age = divmod(cell, len(AGES))
    cues = cue_means()[gender, age] + rng.standard_normal(len(CUES))
    wears = {name: draw_wear(rng, mask) for name, mask in FILES.items()}
    # Ids leave gaps, as the real ones do, yet never meet.
    identity = f"{1 + 3 * number + int(rng.integers(3)):06d}"
    return Person(number, identity, GENDERS[gender], int(AGES[age]), cues, wears)


def draw_wear(rng: np.random.Generator, mask: str) -> Wear:
    """Draw how a mask is worn, given its state."""
    chance = rng.random()
    ways = [way for way in WAYS if way.mask == mask]
    noise = rng.standard_normal(2)
    for way in ways:
        if chance < way.share:
            top = way.top + way.top_noise * noise[0]
            return Wear(mask, top, max(way.bottom + way.bottom_noise * noise[1], top + 0.12))
        chance -= way.share
    return Wear(mask)


def age_group(age: int) -> str:
    """Return the official age group.

    >>> age_group(29), age_group(59), age_group(60)
    ('young', 'middle', 'old')
    """
    middle, old = OFFICIAL_CUTS
    return "young" if age < middle else "middle" if age < old else "old"
