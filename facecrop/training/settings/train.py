"""The settings of a whole training, and what cannot go together."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facecrop.config import Settings
from facecrop.labels.sampling import Axis
from facecrop.training.settings.augment import AugmentSettings
from facecrop.training.settings.loss import LossSettings, Term
from facecrop.training.settings.model import ModelSettings
from facecrop.training.settings.optim import OptimSettings

Side = Annotated[int, Field(ge=8)]
Hide = Literal["face", "person"]
Tta = Literal["flip", "shake"]

AXES: tuple[Axis, ...] = ("mask", "gender", "age_group")


class InputSettings(Settings):
    """How a crop becomes the network's input; the same for training, validation and prediction."""

    size: tuple[Side, Side] | None = None
    """Height and width, in pixels; None: the model's own."""
    center_crop: tuple[Side, Side] | None = None
    """Height and width that are cut from the middle of a crop first."""
    normalise: Literal["dataset", "imagenet", "half"] = "dataset"
    """Mean and deviation: of the training pictures (all pixels pooled), of ImageNet, or 0.5."""
    hide: Hide | None = Field(default=None, json_schema_extra={"neutral": None})
    """Paint over the face, or the person, in training and validation alike: such a run tells what
    can be predicted from the rest, and is good for nothing else."""


class SelectSettings(Settings):
    """Which epoch is the best, and how classes are chosen from probabilities."""

    metric: Literal["f1", "accuracy", "loss", "official_f1"] = "f1"
    tie_break: Literal["loss", "accuracy", "earliest"] = "loss"
    last: bool = False
    """Keep the last epoch, whatever validation says: right for averaged weights and few people."""
    prior_correction: float = Field(default=0.0, ge=0, le=2)
    """Probabilities are divided by the training share of their class to this power before the
    largest is chosen: 0 favours accuracy, 1 macro-F1 (Menon 2021, equation 9)."""
    by_person: bool = False
    """Report also what the pictures of a person say together."""
    tta: tuple[Tta, ...] = ()
    """Views that answer beside the pictures as they are (`training/views.py`), for what is said of
    validation people in the end, and by `facecrop predict`; epochs are judged without."""


class Requires(Settings):
    """What a preset belongs to; checked against the dataset."""

    recipe: str | None = None
    age_policy: str | None = None
    split: Literal["stratified", "kfold", "final", "profile", "random"] | None = None
    worn_per_person: Annotated[int, Field(ge=1)] | None = None
    run: str | None = None
    """Preset whose finished run the warm start takes."""


class TrainSettings(Settings):
    """One training, from data to weights. See `docs/training.md`."""

    requires: Requires = Requires()
    axes: Annotated[tuple[Axis, ...], Field(min_length=1)] = AXES
    """Labels to learn; those that no record has are left out."""
    input: InputSettings = InputSettings()
    model: ModelSettings = ModelSettings()
    loss: LossSettings = LossSettings()
    augment: AugmentSettings = AugmentSettings()
    optim: OptimSettings = OptimSettings()
    select: SelectSettings = SelectSettings()
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if len(set(self.axes)) != len(self.axes):
            raise ValueError(f"axes must differ, got {list(self.axes)}")
        if self.model.age != "classes" and "age_group" not in self.axes:
            raise ValueError(f"model.age = {self.model.age!r} needs age_group among the axes")
        if self.model.heads == "one-way" and any(
            getattr(self.loss, axis) is not None for axis in AXES
        ):
            raise ValueError("a one-way head has one loss: set loss.terms, not those of a label")
        stages = [stage.from_epoch for stage in self.loss.then]
        if stages != sorted(set(stages)) or any(s >= self.optim.epochs for s in stages):
            raise ValueError("loss.then must be in order of from_epoch, each below optim.epochs")
        if self.optim.ema is not None and self.optim.swa is not None:
            raise ValueError("ema and swa are two ways to average weights: choose one")
        self._losses_fit()
        return self

    def _losses_fit(self) -> None:
        """Regression takes smooth-l1, ordinal heads ordinal, all others neither."""
        for axis in self.axes:
            own = getattr(self.loss, axis)
            stages = [self.loss.terms if own is None else own]
            stages += [stage.terms for stage in self.loss.then]
            age = self.model.age if axis == "age_group" else "classes"
            wanted = {"regression": "smooth-l1", "coral": "ordinal"}.get(age)
            for term in (term for terms in stages for term in terms):
                _check_term(term, wanted, axis, age)


def _check_term(term: Term, wanted: str | None, axis: str, age: str) -> None:
    if wanted is not None and term.name != wanted:
        raise ValueError(
            f"age = {age!r} is trained with {wanted!r}, not {term.name!r}: set loss.{axis}"
        )
    if wanted is None and term.name in ("smooth-l1", "ordinal"):
        raise ValueError(f"{term.name!r} is for ages in years or thresholds, not for {axis}")
