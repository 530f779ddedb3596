"""Settings of losses: terms that are added up, by label where they differ, by stage of training."""

from typing import Annotated, Literal

from pydantic import Field

from facecrop.config import Settings
from facecrop.labels.sampling import Scheme

Weight = Annotated[float, Field(ge=0)]


class CrossEntropy(Settings):
    """Cross-entropy, with smoothed targets and weighted classes where asked for."""

    name: Literal["cross-entropy"] = "cross-entropy"
    weight: Weight = 1.0
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    """Share of each target that is spread over the other classes."""
    classes: Scheme = "none"
    """How much a class counts, by its number of training records."""
    beta: float = Field(default=0.999, ge=0, lt=1)
    """Of `classes = "effective"`."""


class Focal(Settings):
    """Focal loss: what is already right counts less."""

    name: Literal["focal"] = "focal"
    weight: Weight = 1.0
    gamma: float = Field(default=2.0, ge=0)
    smoothing: float = Field(default=0.0, ge=0, lt=1)
    classes: Scheme = "none"
    beta: float = Field(default=0.999, ge=0, lt=1)


class SoftF1(Settings):
    """1 - macro-F1 of the batch, with probabilities for counts."""

    name: Literal["soft-f1"] = "soft-f1"
    weight: Weight = 1.0
    eps: float = Field(default=1e-7, gt=0)


class Ldam(Settings):
    """Margins that are wider for rare classes (LDAM), re-weighted from an epoch on if asked for."""

    name: Literal["ldam"] = "ldam"
    weight: Weight = 1.0
    max_margin: float = Field(default=0.5, ge=0)
    scale: float = Field(default=30.0, gt=0)
    exponent: float = Field(default=0.25, ge=0)
    reweight_from: Annotated[int, Field(ge=0)] | None = None
    """Epoch from which classes are weighted by their effective number (deferred re-weighting)."""
    beta: float = Field(default=0.9999, ge=0, lt=1)


class ClassBalanced(Settings):
    """Cross-entropy (gamma 0) or focal loss weighted by the effective number of each class."""

    name: Literal["class-balanced"] = "class-balanced"
    weight: Weight = 1.0
    beta: float = Field(default=0.999, ge=0, lt=1)
    gamma: float = Field(default=0.0, ge=0)


class SymmetricCE(Settings):
    """Cross-entropy plus reverse cross-entropy, for noisy labels."""

    name: Literal["symmetric-ce"] = "symmetric-ce"
    weight: Weight = 1.0
    alpha: float = Field(default=0.1, ge=0)
    """Of the cross-entropy."""
    beta: float = Field(default=1.0, ge=0)
    """Of the reverse cross-entropy."""
    log_zero: float = Field(default=-4.0, lt=0)
    """What log 0 is taken to be."""


class SmoothL1(Settings):
    """Distance in years, squared near zero; for the head that predicts an age."""

    name: Literal["smooth-l1"] = "smooth-l1"
    weight: Weight = 1.0
    beta: float = Field(default=1.0, gt=0)
    """Years below which the distance is squared."""


class Ordinal(Settings):
    """Binary cross-entropy of each threshold; for the ordinal age head."""

    name: Literal["ordinal"] = "ordinal"
    weight: Weight = 1.0


Term = Annotated[
    CrossEntropy | Focal | SoftF1 | Ldam | ClassBalanced | SymmetricCE | SmoothL1 | Ordinal,
    Field(discriminator="name"),
]
Terms = Annotated[tuple[Term, ...], Field(min_length=1)]


class AxisWeights(Settings):
    """How much each label's loss counts in the sum."""

    mask: Weight = 1.0
    gender: Weight = 1.0
    age_group: Weight = 1.0


class LossStage(Settings):
    """Another loss from some epoch on."""

    from_epoch: int = Field(ge=1)
    """The first epoch, counted from 0, that uses it."""
    terms: Terms
    from_best: bool = True
    """Go on from the best checkpoint so far."""


class LossSettings(Settings):
    """What is minimised: the weighted sum of terms, of each head, of each label."""

    terms: Terms = (CrossEntropy(),)
    """For every head that has no terms of its own."""
    mask: Terms | None = None
    gender: Terms | None = None
    age_group: Terms | None = None
    """For the age head too, however it models age."""
    weights: AxisWeights = AxisWeights()
    """Of the labels; a one-way head has one loss only."""
    then: tuple[LossStage, ...] = ()
    """Later stages, in order."""
