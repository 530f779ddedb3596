"""How a training begins: its preset, what that asks of the dataset, the split, and the folder."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facecrop.commands.split import split as make_split
from facecrop.config import override, plain, validate
from facecrop.errors import ConfigError
from facecrop.images.recipe import Recipe, load_recipe, shipped_recipes
from facecrop.labels.certificate import split_files
from facecrop.labels.sampling import Sampling
from facecrop.labels.splits import SplitSettings
from facecrop.training.facts import base_facts, card_of
from facecrop.training.members import fold_numbers, members_of
from facecrop.training.presets import Dataset, check_requires, load_preset, shipped_presets
from facecrop.training.records import Records, read_records
from facecrop.training.runs import free_name, list_runs, open_run
from facecrop.training.settings import TrainSettings
from facecrop.training.settings.train import Requires

_CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a user wants to train.

    Args:
        preset: Its name, or that of its file; `custom` for settings.
        settings: Resolved.
    """

    preset: str
    settings: TrainSettings

    def with_precision(self, precision: str) -> "Chosen":
        """Return the same with a precision of the forward pass."""
        optim = self.settings.optim.model_copy(update={"precision": precision})
        return Chosen(self.preset, self.settings.model_copy(update={"optim": optim}))


def read_preset(
    preset: str | TrainSettings | None, assignments: Sequence[str], *, gpu: bool
) -> Chosen:
    """Return what a user means by a preset.

    Args:
        preset: A shipped name, a file, settings, or None for the default of the device.
        assignments: `optim.lr=3e-4`.
        gpu: Whether there is one.

    Raises:
        ConfigError: There is no such preset, or it does not make sense.
    """
    if isinstance(preset, TrainSettings):
        data = plain(preset)
        assert isinstance(data, dict)  # noqa: S101 - settings are a table
        changed = validate(TrainSettings, override(data, assignments), "settings with --set")
        return Chosen(_CUSTOM, changed)
    if preset is None:
        strong = gpu and "strong" in {one.name for one in shipped_presets()}
        preset = "strong" if strong else "small"
    return Chosen(Path(preset).stem, load_preset(preset, assignments))


def default_split(out: Path, name: str, requires: Requires, *, kfold: bool) -> None:
    """Make the split `default` where there is none, as the preset asks for it.

    Args:
        out: The dataset.
        name: Of the split that is wanted; another than `default` is left to the user to make.
        requires: What the preset asks for.
        kfold: Whether every fold is to be validation in turn.
    """
    if name != "default" or split_files(out, name)[0].exists():
        return
    strategy = requires.split or ("kfold" if kfold else "stratified")
    sampling = Sampling(worn_per_person=requires.worn_per_person)
    make_split(out, name, SplitSettings(strategy=strategy, sampling=sampling))


def begin(
    out: Path,
    chosen: Chosen,
    *,
    name: str | None,
    split: str,
    folds: str,
    repeats: int,
    ignore_requires: bool,
) -> str:
    """Make the folder of a run, with all that is decided before the first step.

    Args:
        out: The dataset.
        chosen: What is trained.
        name: Of the run, or None for one that is free.
        split: Its name.
        folds: A number, or `all`.
        repeats: How often.
        ignore_requires: Whether the preset may be used on any dataset.

    Returns:
        The name of the run.

    Raises:
        ConfigError: The name is taken, or the dataset is not what the preset asks for.
        TableError: The split does not hold any more, or a table is damaged.
    """
    if repeats < 1:
        raise ConfigError(f"--repeats must be at least 1, got {repeats}")
    if name is not None and open_run(out, name).folder.exists():
        raise ConfigError(
            f"there is a run {name!r} already; go on with it: facecrop train {out} --resume {name}"
            ", or choose another --name"
        )
    records = read_records(out, split)
    if not ignore_requires:
        check_requires(chosen.settings.requires, _dataset(out, records), out, split)
    made = records.split_settings
    members = members_of(fold_numbers(folds, made.strategy, made.folds), repeats)
    run = open_run(out, free_name(out, chosen.preset) if name is None else name)
    facts: dict[str, Any] = {
        **base_facts(out, records, chosen.preset),
        "trainings": [member.as_dict() for member in members],
        "members": [member.name for member in members if member.name],
    }
    run.write_settings(chosen.settings)
    run.write_facts(facts)
    return run.name


def _dataset(out: Path, records: Records) -> Dataset:
    sampling = records.split_settings.sampling
    runs = [run for run in list_runs(out) if run.finished]
    return Dataset(
        recipe=_recipe_name(card_of(out)),
        age_policy=records.policy.name,
        split=records.split_settings.strategy,
        worn_per_person=sampling.worn_per_person,
        runs=frozenset(run.facts()["preset"] for run in runs),
    )


def _recipe_name(card: dict[str, Any]) -> str:
    """Return the recipe that a dataset was made by; one with changed settings is not that one."""
    name = str(card.get("recipe_name", "unknown"))
    if name in shipped_recipes() and "recipe" in card:
        made = validate(Recipe, card["recipe"], "dataset.toml: recipe")
        return name if made == load_recipe(name) else f"{name} with changed settings"
    return name
