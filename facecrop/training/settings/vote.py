"""Settings of a vote: who is asked, whose vote counts, and how much."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facecrop.config import Settings

Weight = Annotated[float, Field(ge=0)]
Score = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]

_CLASSES = 18


class VoteMember(Settings):
    """One of those who are asked."""

    name: str
    """Of the training preset or run whose predictions they are."""
    weight: Weight = 1.0
    score: Score | None = None
    """What it scored, where that is known: macro-F1."""


class VoteSettings(Settings):
    """How predictions become one."""

    members: tuple[VoteMember, ...] = ()
    """None named: whoever is given."""
    how: Literal["hard", "soft"] = "hard"
    """Count answers, or average probabilities."""
    by_label: bool = False
    """Vote on each label alone, in place of their combinations."""
    weigh_by_score: bool = False
    """A vote counts as much as its member scored, times its weight."""
    top: Count | None = None
    """Only the members with the best scores vote, so many."""
    closest: Count | None = None
    """Only the members vote, so many, whose answers are distributed most like `known`."""
    known: tuple[Weight, ...] = ()
    """How often each of the 18 classes is expected, as counts or shares."""

    prior_correction: float = Field(default=0.0, ge=0, le=2)
    """Averaged probabilities are divided by the share of their class in `known` to this power
    before the largest is chosen, as trainings do (`select.prior_correction`); soft voting alone."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.top is not None and self.closest is not None:
            raise ValueError("top and closest are two ways to choose members: leave one out")
        if self.known and (len(self.known) != _CLASSES or not sum(self.known) > 0):
            raise ValueError(f"known must have {_CLASSES} counts or shares, not all zero")
        if self.prior_correction and (self.how == "hard" or self.by_label):
            raise ValueError("prior_correction is for soft voting on combinations of labels")
        names = [member.name for member in self.members]
        if len(set(names)) < len(names):
            raise ValueError("two members have the same name")
        return self
