"""Settings of the network: backbone, heads, and how age is modelled."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from facecrop.config import Settings

Heads = Literal["one-way", "three-way", "separate"]
AgeAs = Literal["classes", "regression", "coral", "distribution"]

Width = Annotated[int, Field(ge=1)]


class ModelSettings(Settings):
    """The network: a trunk that turns a picture into features, and heads that read them."""

    backbone: str = "small"
    """`small` or `plain-cnn` (ours), or any model of timm, such as `efficientnet_b4`."""
    pretrained: bool = True
    """Start from timm's weights where the backbone has any; they must be in timm's cache, or
    `weights` names a file."""
    weights: str | None = None
    """A file with the trunk's weights (safetensors or torch), in place of timm's."""
    warm_start: str | None = None
    """Name of a run of the same dataset whose trunk this one starts from."""
    heads: Heads = "one-way"
    """`one-way`: one layer for all combinations of labels; `three-way`: a branch for each label;
    `separate`: a whole network for each label."""
    neck: tuple[Width, ...] = ()
    """Widths of layers that all branches share."""
    hidden: tuple[Width, ...] = ()
    """Widths of each branch's hidden layers: one is shallow, more are deep."""
    norm: bool = True
    """Batch norm after each hidden layer."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Before the last layer of each head, and after each hidden one."""
    drop_path: float = Field(default=0.0, ge=0, lt=1)
    """Stochastic depth of the trunk, where it has any."""
    freeze: bool = False
    """Train the heads alone."""
    freeze_epochs: int = Field(default=0, ge=0)
    """Train the heads alone for so many epochs, then everything."""
    age: AgeAs = "classes"
    """`classes`: the age groups; `regression`: one number, in years; `coral`: is the person older
    than y, for each year y; `distribution`: a probability for each year."""
    age_range: tuple[Annotated[int, Field(ge=0)], Annotated[int, Field(le=150)]] = (0, 100)
    """First and last year that `coral` and `distribution` know."""
    age_sigma: float = Field(default=2.0, gt=0)
    """Years: width of the target around the age of `distribution`, and of the error that
    `regression` is taken to have."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.heads == "one-way" and self.age != "classes":
            raise ValueError(
                f"age = {self.age!r} needs a head of its own: set heads to three-way or separate"
            )
        if self.age_range[0] >= self.age_range[1]:
            raise ValueError(f"age_range must increase, got {list(self.age_range)}")
        if self.freeze and self.freeze_epochs:
            raise ValueError("freeze keeps the trunk frozen to the end: leave out freeze_epochs")
        if self.weights and self.warm_start:
            raise ValueError("weights and warm_start both name the trunk's start: leave one out")
        return self
