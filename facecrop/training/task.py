"""What a network learns of the labels, and how its outputs are read."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from facecrop.errors import ConfigError
from facecrop.labels.ages import OFFICIAL, AgePolicy
from facecrop.labels.space import WORDS, LabelSpace
from facecrop.training.answer import Answer
from facecrop.training.settings.train import AXES, TrainSettings
from facecrop.training.years import years_of

JOINT, AGE = "joint", "age"
"""Outputs: one for all combinations of labels; age in years, in place of the age group."""

OFFICIAL_JOINT = "official"
"""Key of the counts of joint classes whose age groups are the official ones."""


class Task:
    """What is learnt: the outputs of the network, their targets, and how outputs are read.

    Args:
        settings: Heads, age model, and the power of the prior correction.
        policy: The age policy whose groups are learnt.
        axes: Labels that the settings ask for and the dataset has, in any order.

    Raises:
        ConfigError: No axis is left, or there is none of that name.
    """

    def __init__(self, settings: TrainSettings, policy: AgePolicy, axes: Sequence[str]) -> None:
        if not axes or not set(axes) <= set(AXES):
            raise ConfigError(f"axes must be some of {', '.join(AXES)}, got {list(axes)}")
        self.policy = policy
        self.tau = settings.select.prior_correction
        # The order of the task's 18 classes, whatever the order in the settings.
        self.axes: tuple[str, ...] = tuple(axis for axis in AXES if axis in axes)
        self.space = LabelSpace(tuple((axis, WORDS[axis]) for axis in self.axes))
        self.years = years_of(settings.model) if "age_group" in axes else None
        self.output_of: dict[str, str] = {
            axis: AGE if axis == "age_group" and self.years is not None else axis
            for axis in self.axes
        }
        """The output that answers an axis; with a one-way head, `joint` for all."""
        if settings.model.heads == "one-way":
            self.output_of = dict.fromkeys(self.axes, JOINT)
        self.outputs: dict[str, int] = {
            output: self._width(axis) for axis, output in self.output_of.items()
        }
        """Width of each output of the network, by name, in the order of the axes."""

    def _width(self, axis: str) -> int:
        if self.output_of[axis] == JOINT:
            return len(self.space)
        if self.output_of[axis] == AGE and self.years is not None:
            return self.years.width
        return len(WORDS[axis])

    def truth(self, labels: pa.Table, *, official: bool = False) -> dict[str, Tensor]:
        """Return the true class of each axis, and of all together as `joint`.

        Args:
            labels: (N,) rows with a string column for each axis.
            official: Age groups are those of the column `official_group`.

        Returns:
            By axis and `joint`, (N,) int64; -1 where unknown, or left out by the policy.
        """
        if official and "age_group" in self.axes:
            column = labels.schema.get_field_index("age_group")
            labels = labels.set_column(column, "age_group", labels["official_group"])
        spaces = {axis: LabelSpace(((axis, WORDS[axis]),)) for axis in self.axes}
        return {
            name: torch.from_numpy(space.encode_table(labels).astype(np.int64))
            for name, space in {**spaces, JOINT: self.space}.items()
        }

    def targets(self, labels: pa.Table) -> dict[str, Tensor]:
        """Return what each output is taught.

        Args:
            labels: (N,) rows with a string column for each axis and `age`, int32, null: unknown.

        Returns:
            By output, (N, width) float32. Rows of probabilities sum to 1, or are all zero where
            the label is unknown; thresholds and the regression's years are NaN where unknown. One
            unknown label makes the joint row unknown. Where years are learnt and only the group is
            known, the target is the mean of those of the group.

        Raises:
            ConfigError: Age is modelled in years, and only groups of age are known.
        """
        truth = self.truth(labels)
        return {
            output: self._age_targets(labels)
            if output == AGE
            else one_hot(truth[output], self.outputs[output])
            for output in self.outputs
        }

    def _age_targets(self, labels: pa.Table) -> Tensor:
        assert self.years is not None  # noqa: S101 - the output exists only then
        if labels["age"].null_count == len(labels) > labels["age_group"].null_count:
            raise ConfigError(
                "the records have age groups but no age in years: set model.age to 'classes'"
            )
        ages = ages_of(labels)
        targets, group = self.years.targets(ages), self.truth(labels)["age_group"]
        for number in range(len(WORDS["age_group"])):
            # Whose group alone is known, as one that was set by hand, is any age of that group.
            ours = group == number
            unsaid, said = ours & ages.isnan(), ours & ~ages.isnan()
            if unsaid.any() and said.any():
                targets[unsaid] = targets[said].mean(dim=0)
        return targets

    def counts(self, labels: pa.Table, weight: Tensor | None = None) -> dict[str, Tensor]:
        """Count the classes of training records, for losses and for the prior correction.

        Args:
            labels: (N,) rows of the training records, as for `targets`.
            weight: (N,) float, how often each is drawn, 1 on average; None: once.

        Returns:
            By output whose target is a row of probabilities, (C,) float32; also `joint` and, with
            the official age groups, `official`, whatever the heads: what `answer` calls priors.
        """
        weight = torch.ones(len(labels)) if weight is None else weight
        truth = self.truth(labels)
        counts = {
            output: _count(truth[output], width, weight)
            for output, width in self.outputs.items()
            if output != AGE
        }
        if self.years is not None and self.years.is_distribution:
            nearest = self.years.targets(ages_of(labels))
            year = torch.where(nearest.sum(dim=1) > 0, nearest.argmax(dim=1), -1)
            counts[AGE] = _count(year, self.outputs[AGE], weight)
        counts[JOINT] = _count(truth[JOINT], len(self.space), weight)
        if "official_group" in labels.column_names:
            official = self.truth(labels, official=True)[JOINT]
            counts[OFFICIAL_JOINT] = _count(official, len(self.space), weight)
        return counts

    def answer(
        self,
        logits: Mapping[str, Tensor],
        priors: Mapping[str, Tensor] | None = None,
        cuts: tuple[int, int] | None = None,
    ) -> Answer:
        """Read the outputs of the network.

        Args:
            logits: By output, (N, width) float.
            priors: `counts` of the training records; None: no prior correction.
            cuts: Age cuts other than the policy's. They matter where age is modelled in years;
                classes are those that were learnt. The correction then is that of the official
                groups for the official cuts, and none for all others.
        """
        cuts = cuts or self.policy.cuts
        if JOINT in self.outputs:
            log_joint = logits[JOINT].float().log_softmax(dim=1)
        else:
            log_joint = torch.zeros(1, 1)
            for axis in self.axes:
                row = self._log_probabilities(logits[self.output_of[axis]].float(), axis, cuts)
                log_joint = (log_joint.to(row).unsqueeze(2) + row.unsqueeze(1)).flatten(1)
        age = None if self.years is None else self.years.mean(logits[AGE].float())
        return Answer(self.space, log_joint, self._correction(priors, cuts), age)

    def _log_probabilities(self, logits: Tensor, axis: str, cuts: tuple[int, int]) -> Tensor:
        if self.output_of[axis] == AGE and self.years is not None:
            return self.years.groups(logits, cuts)
        return logits.log_softmax(dim=1)

    def _correction(
        self, priors: Mapping[str, Tensor] | None, cuts: tuple[int, int]
    ) -> Tensor | None:
        """Return tau * log prior of each joint class.

        Source:
            Menon et al. 2021, "Long-Tail Learning via Logit Adjustment", eq. 9, arXiv:2007.07314.
            A class without training records counts as if it had one: theirs would win always.
        """
        if priors is None or self.tau == 0:
            return None
        if self.years is None or cuts == self.policy.cuts:
            counts = priors[JOINT]
        elif cuts == OFFICIAL.cuts:
            counts = priors[OFFICIAL_JOINT]
        else:
            return None
        shares = counts.clamp_min(1) / counts.sum().clamp_min(1)
        return self.tau * shares.log()


def one_hot(classes: Tensor, width: int) -> Tensor:
    """Return (N, width) float32 rows of (N,) classes; all zero where a class is -1."""
    return (classes.unsqueeze(1) == torch.arange(width)).float()


def ages_of(labels: pa.Table) -> Tensor:
    """Return (N,) float32 of the column `age`, years; NaN where unknown."""
    ages = labels["age"].combine_chunks().cast(pa.float32())
    return torch.from_numpy(ages.to_numpy(zero_copy_only=False).astype(np.float32))


def _count(classes: Tensor, width: int, weight: Tensor) -> Tensor:
    known = classes >= 0
    counts = torch.zeros(width)
    return counts.index_add(0, classes[known], weight[known].float())
