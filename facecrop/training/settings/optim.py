"""Settings of optimisation: what moves the weights, how fast, and which weights are kept."""

from typing import Annotated, Literal

from pydantic import Field

from facecrop.config import Settings

Fraction = Annotated[float, Field(ge=0, le=1)]
Epochs = Annotated[float, Field(ge=0)]


class Constant(Settings):
    """The same learning rate to the end."""

    name: Literal["constant"] = "constant"
    warmup: Epochs = 0.0
    """Epochs of linear rise from zero, before the schedule begins."""


class Step(Settings):
    """Multiplied every few epochs."""

    name: Literal["step"] = "step"
    warmup: Epochs = 0.0
    every: int = Field(default=10, ge=1)
    factor: float = Field(default=0.1, gt=0, lt=1)


class Plateau(Settings):
    """Multiplied when validation has not improved for a while."""

    name: Literal["plateau"] = "plateau"
    warmup: Epochs = 0.0
    patience: int = Field(default=10, ge=0)
    factor: float = Field(default=0.1, gt=0, lt=1)


class Cosine(Settings):
    """Half a cosine from the learning rate down."""

    name: Literal["cosine"] = "cosine"
    warmup: Epochs = 0.0
    final: Fraction = 0.0
    """What is left at the end, as a share."""


class Cyclic(Settings):
    """Up and down between two rates, in a triangle."""

    name: Literal["cyclic"] = "cyclic"
    warmup: Epochs = 0.0
    low: Fraction = 0.1
    """The lower rate, as a share of the learning rate."""
    half: float = Field(default=2.0, gt=0)
    """Epochs from the lower rate to the upper one."""


class OneCycle(Settings):
    """Up, then down to almost nothing, once (Smith 2018)."""

    name: Literal["one-cycle"] = "one-cycle"
    warmup: Literal[0] = 0
    rise: float = Field(default=0.3, gt=0, lt=1)
    """Share of the steps that go up."""
    start: float = Field(default=0.04, gt=0, le=1)
    """First rate, as a share of the learning rate."""
    final: float = Field(default=4e-6, ge=0, le=1)
    """Last rate, as a share of the learning rate."""


Schedule = Annotated[
    Constant | Step | Plateau | Cosine | Cyclic | OneCycle, Field(discriminator="name")
]


class Swa(Settings):
    """Stochastic weight averaging (Izmailov 2018): the mean of weights on the way."""

    start: int = Field(default=3, ge=0)
    """First epoch, counted from 0, after which weights are averaged."""
    every: int = Field(default=1, ge=1)
    """Epochs from one to the next."""
    lr: Annotated[float, Field(gt=0)] | None = None
    """Learning rate from then on; None: the schedule's."""


class OptimSettings(Settings):
    """How the weights move."""

    name: str = "adamw"
    """Any optimiser of timm: adamw, adam, sgd, adamp, lamb …"""
    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    decay_norms: bool = False
    """Whether biases and norms decay too."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Of sgd and its kin."""
    trunk_lr: float = Field(default=1.0, gt=0)
    """Of the trunk, as a share of the learning rate."""
    schedule: Schedule = Cosine()
    epochs: int = Field(default=30, ge=1)
    batch_size: int = Field(default=32, ge=1)
    accumulate: int = Field(default=1, ge=1)
    """Batches whose gradients are added up before a step."""
    clip: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the gradient."""
    precision: Literal["auto", "float32", "bf16", "fp16"] = "float32"
    """Of the forward pass; fp16 scales the loss. `auto`: bf16 where the device computes it at full
    speed, else float32; the run's settings then say which it was."""
    channels_last: bool = True
    compile: bool = False
    """Compile the network first: pays after minutes of training."""
    ema: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Decay, per step, of the moving average of weights that is evaluated and kept."""
    swa: Swa | None = None
    stop_after: Annotated[int, Field(ge=1)] | None = None
    """Epochs without improvement after which training ends."""
