"""Averages of the weights on the way: exponential (EMA), or of the ends of epochs (SWA)."""

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from facecrop.training.models.network import Model
from facecrop.training.settings.optim import Swa as SwaSettings

# Of the rise below: the average of the first steps must not be all about the first weights.
_RISE = 10


class Ema:
    """The exponential moving average of a model's weights.

        average = d * average + (1 - d) * weights,  d = min(decay, (1 + t) / (10 + t))

    t counts the updates before; so the average follows quickly at first, and a short training
    does not end with the weights it began with. With decay 0 the average is the model. Running
    statistics of batch norm are copied, not averaged: they are moving averages already.

    Args:
        model: Not wrapped, not compiled; it is copied, and left alone.
        decay: d, per step, in [0, 1).

    Source:
        The rise of d is that of TensorFlow's ExponentialMovingAverage with `num_updates`.
    """

    def __init__(self, model: Model, decay: float) -> None:
        self.model = _copied(model)
        self.decay = decay
        self.updates = 0

    def update(self, model: Model) -> None:
        """Take in the weights after a step of the optimiser."""
        decay = min(self.decay, (1 + self.updates) / (_RISE + self.updates))
        _move(self.model, model, 1 - decay)
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self.model.load_state_dict(state["model"])
        self.updates = state["updates"]


class Swa:
    """The mean of the weights that a model had at several times.

    Before it is evaluated, `refresh_norms` must have seen the training pictures: the running
    statistics of batch norm belong to no mean of weights.

    Args:
        model: Not wrapped, not compiled; it is copied, and left alone.

    Source:
        Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization",
        algorithm 1, arXiv:1803.05407.
    """

    def __init__(self, model: Model) -> None:
        self.model = _copied(model)
        self.updates = 0

    def update(self, model: Model) -> None:
        """Take in the weights of now; the first ones replace what was copied."""
        _move(self.model, model, 1 / (self.updates + 1))
        self.updates += 1

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a saved state."""
        self.model.load_state_dict(state["model"])
        self.updates = state["updates"]


def due(settings: SwaSettings, epoch: int) -> bool:
    """Tell whether the weights at the end of an epoch, counted from 0, belong to the mean."""
    return epoch >= settings.start and (epoch - settings.start) % settings.every == 0


@torch.no_grad()
def refresh_norms(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Estimate the running statistics of batch norms anew: the mean over batches.

    Norms that stay in evaluation mode, as those of a frozen trunk do, keep theirs. The model is
    left in the mode it had.

    Args:
        model: What is to be evaluated next.
        batches: Normalised training pictures (N, 3, H, W), as in training; on the model's device.

    Source:
        torch.optim.swa_utils.update_bn, which also forgets the statistics of frozen norms, and
        never learns them again.
    """
    was_training = model.training
    model.train()
    norms = [norm for norm in model.modules() if isinstance(norm, _BatchNorm) and norm.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # torch's way to say: the mean of all batches
    if norms:
        for images in batches:
            model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(was_training)


def _copied(model: Model) -> Model:
    return deepcopy(model).requires_grad_(requires_grad=False).eval()


@torch.no_grad()
def _move(average: nn.Module, model: nn.Module, share: float) -> None:
    """Move an average towards a model by a share of the way; 1 arrives exactly."""
    ours: list[Tensor] = list(average.parameters())
    theirs: list[Tensor] = list(model.parameters())
    if share >= 1:
        torch._foreach_copy_(ours, theirs)
    else:
        torch._foreach_lerp_(ours, theirs, share)
    for old, new in zip(average.buffers(), model.buffers(), strict=True):
        old.copy_(new)
