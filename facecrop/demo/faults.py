"""What is wrong on purpose: which profiles get which label errors and which oddities."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from facecrop.demo.people import AGES, COUNTS, Person, age_group
from facecrop.errors import ConfigError
from facecrop.index import GENDERS

WRONG_GENDER, WRONG_AGE, SWAPPED = "wrong-gender", "wrong-age", "swapped"
PHOTOGRAPH = "photograph"

PICTURE_QUIRKS: dict[str, str] = {
    "exif-rotation": "mask1",
    "png-16-bit": "mask2",
    "cmyk": "mask3",
    "truncated": "mask4",
    "zeroed-block": "mask5",
    "exact-duplicate": "mask3",
    "near-duplicate": "mask4",
    "no-face": "mask5",
    "two-people": "normal",
}
"""Oddities of one picture, each with the file stem that it strikes."""

FOLDER_QUIRKS = ("mixed-extensions", "apple-double", "checkpoints", "same-id", "suffix-id")
"""Oddities of a whole profile: names, extensions, foreign files."""

QUIRKS = (*FOLDER_QUIRKS, *PICTURE_QUIRKS)
"""Every oddity that `quirks` plants, each in a profile of its own."""

_EACH = 50  # one more of every oddity for so many profiles
_FAR_YEARS = 10  # a wrong age lies at least so far from the true one: no dispute about a border


@dataclass(slots=True)
class Plan:
    """What is planted in one profile.

    Args:
        person: Who is drawn.
        gender: As the folder name says.
        age: Likewise.
        id: Likewise.
        faults: Slugs of label errors and folder oddities.
        picture: Oddity of one picture, or None.
        other: The second person in a picture, or the owner of a copied one.
    """

    person: Person
    gender: str
    age: int
    id: str
    faults: list[str] = field(default_factory=list)
    picture: str | None = None
    other: Person | None = None

    @property
    def directory(self) -> str:
        """Name of the profile's folder."""
        return f"{self.id}_{self.gender}_Asian_{self.age}"


def plan(
    people: Sequence[Person],
    seed: int,
    *,
    wrong_gender: float,
    wrong_age: float,
    swapped: float,
    quirks: bool,
) -> list[Plan]:
    """Choose what is planted where.

    Each label error strikes exactly the asked fraction of profiles, rounded, and no profile has
    two of them. Those struck are the ones with the smallest of numbers drawn for each profile.

    Args:
        people: Who is drawn.
        seed: The same seed plants the same.
        wrong_gender: Fraction of profiles whose folder names the other gender.
        wrong_age: Fraction whose folder names an age of another official group, at least ten
            years off.
        swapped: Fraction whose `incorrect_mask` and `normal` files are exchanged.
        quirks: Whether to plant every oddity as well, in profiles without label errors first.

    Raises:
        ConfigError: A fraction is not in [0, 1], they add to more than 1, or there are too few
            profiles for the oddities.
    """
    plans = [Plan(person, person.gender, person.age, person.id) for person in people]
    _plant_labels(plans, seed, {WRONG_GENDER: wrong_gender, WRONG_AGE: wrong_age, SWAPPED: swapped})
    if quirks:
        _plant_quirks(plans, seed)
    return plans


def _plant_labels(plans: list[Plan], seed: int, shares: dict[str, float]) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise ConfigError(f"{name} must be a fraction in [0, 1], got {share}")
    counts = {name: round(share * len(plans)) for name, share in shares.items()}
    if sum(counts.values()) > len(plans):
        raise ConfigError(
            f"{' + '.join(shares)} must not add to more than 1, got {sum(shares.values()):g}"
        )
    free = _shuffled(plans, seed, 10)
    for name, count in counts.items():
        for one in free[:count]:
            _plant_label(one, name, seed)
        free = free[count:]


def _plant_label(one: Plan, name: str, seed: int) -> None:
    one.faults.append(name)
    if name == WRONG_GENDER:
        one.gender = GENDERS[1 - GENDERS.index(one.gender)]
    elif name == WRONG_AGE:
        rng = np.random.default_rng([seed, one.person.number, 11])
        one.age = wrong_age_for(one.age, rng)


def wrong_age_for(age: int, rng: np.random.Generator) -> int:
    """Return an age of another official group, at least ten years off, as common as in life."""
    weights = COUNTS.sum(axis=0).astype(float)
    weights[
        [abs(int(a) - age) < _FAR_YEARS or age_group(int(a)) == age_group(age) for a in AGES]
    ] = 0
    return int(rng.choice(AGES, p=weights / weights.sum()))


def _plant_quirks(plans: list[Plan], seed: int) -> None:
    need = len(QUIRKS) + 2  # and two ordinary profiles to copy from
    if len(plans) < need:
        raise ConfigError(f"quirks need at least {need} profiles, got {len(plans)}")
    order = sorted(_shuffled(plans, seed, 12), key=lambda one: bool(one.faults))
    n_struck = max(1, len(plans) // _EACH) * len(QUIRKS)
    struck, donors = order[:n_struck], order[n_struck:]
    for k, one in enumerate(struck):
        quirk, donor = QUIRKS[k % len(QUIRKS)], donors[k % len(donors)]
        if quirk in PICTURE_QUIRKS:
            one.picture, one.other = quirk, donor.person
            continue
        one.faults.append(quirk)
        if quirk == "suffix-id":
            one.id = f"{donor.id}-1"
        elif quirk == "same-id":
            # Folders of one id must still differ, so the namesake has another gender or age.
            one.id = next(
                d.id for d in [donor, *donors] if (d.gender, d.age) != (one.gender, one.age)
            )


def _shuffled(plans: Sequence[Plan], seed: int, stream: int) -> list[Plan]:
    """Return the plans by a number drawn for each person, so that more people change little."""
    lots = {
        d.person.number: np.random.default_rng([seed, d.person.number, stream]).random()
        for d in plans
    }
    return sorted(plans, key=lambda one: lots[one.person.number])
