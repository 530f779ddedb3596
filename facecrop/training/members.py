"""Several trainings that belong together: folds that take turns, seeds that are repeated."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facecrop.errors import ConfigError
from facecrop.training.records import Fold, Records, folds
from facecrop.training.runs import Run, open_run
from facecrop.training.settings import TrainSettings

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Member:
    """One training of a run.

    Args:
        name: Of its folder inside the run, empty where the run is this one training.
        fold: The one that is validation.
        repeat: From 0; its seed is the settings' seed plus this.
    """

    name: str
    fold: int
    repeat: int

    def as_dict(self) -> dict[str, str | int]:
        """Return the same as plain data."""
        return asdict(self)

    def settings(self, settings: TrainSettings) -> TrainSettings:
        """Return the settings of the run with this one's own seed."""
        return settings.model_copy(update={"seed": settings.seed + self.repeat})

    def run(self, run: Run) -> Run:
        """Return where it is written."""
        return Run(run.folder / self.name) if self.name else run


def members_of(numbers: list[int], repeats: int) -> list[Member]:
    """Return the trainings of a run: `fold2`, `repeat1`, `repeat1-fold2`, or one without a name.

    Args:
        numbers: Folds that are validation in turn.
        repeats: How often each is trained.
    """
    members = []
    for repeat in range(repeats):
        for fold in numbers:
            names = [f"repeat{repeat}"] if repeats > 1 else []
            names += [f"fold{fold}"] if len(numbers) > 1 else []
            members.append(Member("-".join(names), fold, repeat))
    return members


def fold_numbers(wanted: str, strategy: str, count: int) -> list[int]:
    """Return the folds that are validation in turn.

    Args:
        wanted: A number, or `all`.
        strategy: Of the split.
        count: Of its folds.

    Raises:
        ConfigError: The split has no such fold, or only one that can be validation.
    """
    can = list(range(count)) if strategy == "kfold" else [0]
    if wanted == "all":
        if len(can) == 1:
            raise ConfigError(
                f"--folds all needs a kfold split, not a {strategy} one; make one: "
                "facecrop split OUT --name kfold --strategy kfold, then --split kfold"
            )
        return can
    if not wanted.isdecimal() or int(wanted) not in can:
        known = "0" if len(can) == 1 else f"0 to {can[-1]}, or all"
        raise ConfigError(f"--folds must be {known} with this split, got {wanted!r}")
    return [int(wanted)]


def fold_of(records: Records, number: int) -> Fold:
    """Return a fold by its number."""
    return folds(records)[number]


def warm_weights(
    out: Path, settings: TrainSettings, records: Records, member: Member
) -> "Mapping[str, Tensor] | None":
    """Read the weights that a training starts from, if it starts from another run's.

    Raises:
        ConfigError: There is no such run, it is not finished, or it has learnt from people that
            this training is judged by.
    """
    name = settings.model.warm_start
    if name is None:
        return None
    from facecrop.training.state import Checkpoints, read_checkpoint  # noqa: PLC0415 - torch

    run = open_run(out, name)
    if not run.begun:
        raise ConfigError(
            f"model.warm_start: there is no run {name!r} in {out}; "
            f"run: facecrop train {out} --preset PRESET --name {name}"
        )
    own = [one for one in run.members() if _same_fold(one, records, member)]
    if not own:
        raise ConfigError(
            f"model.warm_start: run {name!r} was trained on another split or fold than this one, "
            "and has learnt from people that this one is judged by"
        )
    repeats = {one.facts()["repeat"]: one for one in own}
    chosen = repeats.get(member.repeat, own[0])
    if not chosen.finished:
        raise ConfigError(
            f"model.warm_start: run {chosen.name!r} is not finished; "
            f"run: facecrop train {out} --resume {name}"
        )
    weights: Mapping[str, Tensor] = read_checkpoint(Checkpoints(chosen.checkpoints).best)["weights"]
    return weights


def _same_fold(run: Run, records: Records, member: Member) -> bool:
    if not run.begun:
        return False
    facts = run.facts()
    return bool(facts["digests"]["split"] == records.split_sha256 and facts["fold"] == member.fold)
