"""Heads: from features to what is said about a label."""

import torch
from torch import Tensor, nn

from facecrop.training.settings.model import ModelSettings

AGE = "age"


def hidden_layers(width: int, widths: tuple[int, ...], settings: ModelSettings) -> nn.Sequential:
    """Return linear layers, each with its norm, ReLU and dropout: (N, width) -> (N, widths[-1])."""
    layers: list[nn.Module] = []
    for size in widths:
        layers.append(nn.Linear(width, size, bias=not settings.norm))
        if settings.norm:
            layers.append(nn.BatchNorm1d(size))
        layers.append(nn.ReLU())
        if settings.dropout:
            layers.append(nn.Dropout(settings.dropout))
        width = size
    return nn.Sequential(*layers)


def branch(output: str, width: int, outputs: int, settings: ModelSettings) -> nn.Sequential:
    """Return the head of one output: (N, width) -> (N, outputs).

    Args:
        output: Its name; `age` is said as the settings' `age` wants it.
        width: Of the features, or of the neck's last layer.
        outputs: Width of what it says.
        settings: Hidden layers, norm, dropout, how age is said.
    """
    layers = hidden_layers(width, settings.hidden, settings)
    if settings.dropout and not settings.hidden and not settings.neck:
        layers.append(nn.Dropout(settings.dropout))
    width = settings.hidden[-1] if settings.hidden else width
    if output == AGE and settings.age == "regression":
        return layers.append(Years(width, settings.age_range))
    if output == AGE and settings.age == "coral":
        return layers.append(Coral(width, outputs))
    return layers.append(nn.Linear(width, outputs))


class Years(nn.Module):
    """One number, in years.

        years = middle + span * (w x + b),  span = a quarter of the range

    A plain linear layer begins at 0 years and needs weights of the size of ages; here w and b stay
    near one, so that the learning rate means what it means for the other heads. The range is no
    limit: any age can be said.

    Args:
        width: D, of the features.
        years: First and last year of the range.
    """

    def __init__(self, width: int, years: tuple[int, int]) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        self.middle = (years[0] + years[1]) / 2
        self.span = (years[1] - years[0]) / 4

    def forward(self, features: Tensor) -> Tensor:
        """Return ages (N, 1), in years, of features (N, D)."""
        years: Tensor = self.middle + self.span * self.linear(features)
        return years


class Coral(nn.Module):
    """For each of K thresholds, is it passed? One direction in feature space, K biases.

        logit[k] = w x + b[k]

    As all thresholds share w, their probabilities are ordered as the biases are, and the biases
    are in order when the loss is at its minimum.

    Args:
        width: D, of the features.
        thresholds: K.

    Source:
        Cao, Mirjalili, Raschka 2020, "Rank consistent ordinal regression for neural networks with
        application to age estimation", section 3.3, arXiv:1901.07884. We begin with the biases of
        ages spread evenly over the range, which are in order; theirs begin at zero.
    """

    def __init__(self, width: int, thresholds: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1, bias=False)
        passed = 1 - torch.arange(1, thresholds + 1) / (thresholds + 1)
        self.bias = nn.Parameter(passed.logit())

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, K) of features (N, D): above 0 where the threshold is passed."""
        logits: Tensor = self.linear(features) + self.bias
        return logits
