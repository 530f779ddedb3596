"""What moves the weights: parameter groups, timm's optimisers, and learning rates by epoch."""

import math
from collections.abc import Mapping
from difflib import get_close_matches

from timm.optim import create_optimizer_v2, get_optimizer_info, list_optimizers
from torch import nn
from torch.optim import Optimizer

from facecrop.errors import ConfigError
from facecrop.training.models.network import Model
from facecrop.training.settings.optim import (
    Constant,
    Cosine,
    Cyclic,
    OneCycle,
    OptimSettings,
    Plateau,
    Schedule,
    Step,
)

_SHARE = "share"


def build_optimizer(model: Model, settings: OptimSettings) -> Optimizer:
    """Return the optimiser of settings over all parameters, frozen ones included.

    Frozen parameters have no gradient, which every optimiser passes over: they are there so that
    they can learn later on.

    Args:
        model: Not wrapped, not compiled.
        settings: Name, rates, weight decay, momentum.

    Raises:
        ConfigError: timm has no such optimiser, or it cannot be used here.
    """
    _check_name(settings.name)
    try:
        return create_optimizer_v2(
            parameter_groups(model, settings),
            opt=settings.name,
            lr=settings.lr,
            weight_decay=settings.weight_decay,
            momentum=settings.momentum,
        )
    except (ImportError, AssertionError, ValueError, TypeError) as error:
        raise ConfigError(f"optim.name = {settings.name!r} cannot be used here: {error}") from None


def parameter_groups(model: Model, settings: OptimSettings) -> list[dict[str, object]]:
    """Return trunk and heads, with and without weight decay: at most four groups, none empty.

    Biases, norms, and what the trunk's authors name (position embeddings, class tokens) do not
    decay, unless `decay_norms` says so. `share` is what the group's rate is of the learning rate.
    """
    undecayed = model.undecayed()
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        trunk = ".trunk." in name
        decays = settings.decay_norms or (parameter.ndim > 1 and name not in undecayed)
        groups.setdefault((trunk, decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": settings.lr * (settings.trunk_lr if trunk else 1.0),
            _SHARE: settings.trunk_lr if trunk else 1.0,
            "weight_decay": settings.weight_decay if decays else 0.0,
        }
        for (trunk, decays), parameters in groups.items()
    ]


def _check_name(name: str) -> None:
    """Refuse an unknown optimiser, and those that need more than a gradient."""
    bare = name.lower().removeprefix("lookahead_")
    names = [str(known) for known in list_optimizers()]
    if bare not in names:
        near = get_close_matches(bare, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(f"no optimiser named {name!r}.{hint} Choose from: {', '.join(names)}")
    if get_optimizer_info(bare).second_order:
        raise ConfigError(f"optim.name = {name!r} needs second derivatives, which are not computed")


def factor(schedule: Schedule, step: int, steps_per_epoch: int, epochs: int) -> float:
    """Return the share of the learning rate with which a step is made; of plateau, before drops.

    A pure function of its arguments, so that a resumed run needs to remember none of it. With a
    warm-up of w steps, step s < w has (s + 1) / (w + 1), and the schedule begins at step w with
    what is left of the epochs. With e epochs since it began, of E in all:

        step        factor ** floor(e / every)
        cosine      final + (1 - final) * (1 + cos(pi * e / E)) / 2
        cyclic      low + (1 - low) * (1 - |1 - (e / half mod 2)|)
        one-cycle   half a cosine from start to 1 over `rise` of the steps, another to final

    Args:
        schedule: Its settings.
        step: Optimiser steps made so far in the whole training, from 0.
        steps_per_epoch: Optimiser steps in one epoch.
        epochs: Of the whole training.

    Source:
        step, cosine: torch's StepLR and CosineAnnealingLR (Loshchilov and Hutter 2017, equation 5,
        arXiv:1608.03983), by step in place of epoch. cyclic: Smith 2017, section 3.1,
        arXiv:1506.01186. one-cycle: torch's OneCycleLR with two cosines (Smith and Topin 2018,
        arXiv:1708.07120), the momentum left alone.
    """
    warm = round(schedule.warmup * steps_per_epoch)
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / steps_per_epoch
    left = max(epochs - warm / steps_per_epoch, 1 / steps_per_epoch)
    match schedule:
        case Constant() | Plateau():
            return 1.0
        case Step():
            return float(schedule.factor ** math.floor(done / schedule.every))
        case Cosine():
            return _cosine(1.0, schedule.final, min(done / left, 1.0))
        case Cyclic():
            up = 1 - abs(1 - (done / schedule.half) % 2)
            return schedule.low + (1 - schedule.low) * up
        case OneCycle():
            return _one_cycle(schedule, step, steps_per_epoch * epochs)


def _one_cycle(schedule: OneCycle, step: int, steps: int) -> float:
    top, end = schedule.rise * steps - 1, steps - 1
    if step < top:
        return _cosine(schedule.start, 1.0, step / top)
    return _cosine(1.0, schedule.final, min((step - top) / (end - top), 1.0) if end > top else 1.0)


def _cosine(first: float, last: float, share: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


class Rate:
    """Sets the learning rate of each step; remembers what a plateau has dropped.

    Args:
        settings: Learning rate, schedule, epochs, and the rate of weight averaging.
        steps_per_epoch: Optimiser steps in one epoch, at least 1.
    """

    def __init__(self, settings: OptimSettings, steps_per_epoch: int) -> None:
        self.settings = settings
        self.steps_per_epoch = steps_per_epoch
        self.drops = 0
        self.waited = 0

    def at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0 over the whole training."""
        swa = self.settings.swa
        if swa is not None and swa.lr is not None and step >= swa.start * self.steps_per_epoch:
            # From the start of the first epoch whose end is averaged.
            return swa.lr
        schedule = self.settings.schedule
        share = factor(schedule, step, self.steps_per_epoch, self.settings.epochs)
        if isinstance(schedule, Plateau):
            share *= schedule.factor**self.drops
        return self.settings.lr * share

    def set(self, optimizer: Optimizer, step: int) -> float:
        """Give every group its rate for a step, the trunk's its share; return the heads' rate."""
        rate = self.at(step)
        for group in optimizer.param_groups:
            group["lr"] = rate * group[_SHARE]
        return rate

    def epoch_ended(self, *, improved: bool) -> None:
        """Tell whether validation was better than ever; only plateau listens.

        As torch's ReduceLROnPlateau, the rate drops when more than `patience` epochs in a row did
        not improve. What is better is the loop's to say, by the metric of selection.
        """
        schedule = self.settings.schedule
        if not isinstance(schedule, Plateau):
            return
        self.waited = 0 if improved else self.waited + 1
        if self.waited > schedule.patience:
            self.drops, self.waited = self.drops + 1, 0

    def state_dict(self) -> dict[str, int]:
        """Return what a resumed run must know."""
        return {"drops": self.drops, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, int]) -> None:
        """Go on from a saved state."""
        self.drops, self.waited = state["drops"], state["waited"]
