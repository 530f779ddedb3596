"""Crops to predict from: made by the recipe that a run remembers, and by no other."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from facecrop.commands.preprocess.command import Progress, preprocess
from facecrop.config import plain, read_toml, validate
from facecrop.errors import ConfigError, TableError
from facecrop.images.recipe import Recipe
from facecrop.index import CARD_FILE, INDEX_FILE
from facecrop.labels.raw import raw_of
from facecrop.training.runs import FOLDER, Run, list_runs

Card = Mapping[str, Any]
"""`dataset.toml` of a dataset."""

Report = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""

CACHE = Path(".store") / "predict"
"""Where crops of raw pictures are kept below a dataset."""


def recipe_of(card: Card, place: str) -> Recipe:
    """Return the recipe that a dataset's card holds, proved to be the one that it was made by.

    Args:
        card: The card.
        place: Where it was read, for messages.

    Raises:
        TableError: It is not there, or its fingerprint is another.
    """
    if "recipe" not in card:
        raise TableError(f"{place} does not say by which recipe its crops were made")
    data = dict(card["recipe"])
    # TOML has no word for nothing: what is missing where the default is something was none.
    data["crop"] = {"aspect": "free", **data.get("crop", {})}
    recipe = validate(Recipe, data, f"{place}: recipe")
    keys = [str(finder["key"]) for finder in card.get("finders", {}).values()]
    if recipe.fingerprint(keys).hex() != card.get("recipe_fingerprint"):
        raise TableError(
            f"{place}: the recipe is not the one whose fingerprint it has; it was edited, or made "
            "by another version of facecrop: preprocess again and train anew"
        )
    return recipe


def shared_card(members: Sequence[Run]) -> Card:
    """Return the card of the datasets that several runs were trained on.

    Raises:
        ConfigError: They were made by different recipes.
    """
    cards = [member.facts()["card"] for member in members]
    for member, card in zip(members, cards, strict=True):
        if card.get("recipe") != cards[0].get("recipe"):
            raise ConfigError(
                f"the runs {members[0].name!r} and {member.name!r} were trained on crops of "
                "different recipes: predict with each alone (--out FILE), then facecrop vote FILE…"
            )
    first: Card = cards[0]
    return first


@contextmanager
def crops(
    data: Path,
    card: Card,
    members: Sequence[Run],
    *,
    work: Path | None,
    layout: str,
    device: str,
    workers: int,
    engine: str,
    weights: Mapping[str, Path] | None,
    offline: bool,
    report: Report | None,
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Give a dataset of the pictures, made if need be, and what a user should know of it.

    Args:
        data: Raw pictures, or a dataset.
        card: Of the dataset that the runs were trained on.
        members: The runs.
        work: Where crops of raw pictures are kept; None: in the store of the first run's dataset,
            or where that is gone, in a folder that is thrown away.
        layout: Of raw pictures.
        device: What the recipe's models run on.
        workers: Processes.
        engine: What runs them.
        weights: Model files of one's own, by model name.
        offline: Fetch nothing.
        report: Called as it goes on.

    Raises:
        ConfigError: The dataset was made by another recipe.
        FacecropError: Whatever `preprocess` says.
    """
    place = str(members[0].facts_file)
    recipe = recipe_of(card, place)
    if (data / INDEX_FILE).exists():
        found = read_toml(data / CARD_FILE)
        if plain(recipe_of(found, str(data / CARD_FILE))) != plain(recipe):
            raise ConfigError(
                f"{data} was made by another recipe ({found.get('recipe_name')}) than what the run "
                f"was trained on ({card.get('recipe_name')}): give the raw folder, and it is "
                "preprocessed as the run needs it"
            )
        yield data, _other_findings(found, card)
        return
    with _workplace(data, recipe, members[0], work) as folder:
        preprocess(
            data,
            folder,
            recipe=recipe,
            layout=layout,
            device=device,
            workers=workers,
            engine=engine,
            weights=weights,
            offline=offline,
            contact=False,
            report=_passed_on(report),
        )
        yield folder, _other_findings(read_toml(folder / CARD_FILE), card)


def competition_folder(data: Path, layout: str) -> tuple[Path, str]:
    """Return the folder of pictures and its layout, of what a competition hands out.

    `eval/` holds `images/` and `info.csv`. Read as it is, `images` would be one single person.
    """
    inner = data / "images"
    if layout == "auto" and inner.is_dir() and (data / "info.csv").is_file():
        return inner, "flat"
    return data, layout


def kept_crops(out: Path) -> list[tuple[Path, Path | None, bool]]:
    """Return what is kept of predictions from raw pictures.

    Args:
        out: The dataset of the runs that predicted.

    Returns:
        For each folder: itself, its raw pictures if it says so, and whether it would be used again:
        they are still there, and a run has their recipe.
    """
    recipes = []
    for run in list_runs(out):
        with suppress(TableError, ConfigError, KeyError):  # of another version: not used again
            recipes.append(recipe_of(run.facts()["card"], str(run.facts_file)))
    found = []
    for folder in sorted(path for path in (out / CACHE).glob("*") if path.is_dir()):
        known = read_toml(folder / CARD_FILE) if (folder / CARD_FILE).exists() else {}
        data = raw_of(folder, known)
        used = data is not None and data.exists()
        names = {_cache_name(data, recipe) for recipe in recipes} if data and used else set()
        found.append((folder, data, folder.name in names))
    return found


def _cache_name(data: Path, recipe: Recipe) -> str:
    what = json.dumps([str(data.resolve()), plain(recipe)], sort_keys=True)
    return sha256(what.encode()).hexdigest()[:16]


@contextmanager
def _workplace(data: Path, recipe: Recipe, member: Run, work: Path | None) -> Iterator[Path]:
    if work is not None:
        yield work
        return
    out = next(
        (above.parent for above in member.folder.resolve().parents if above.name == FOLDER), None
    )
    if out is not None and (out / INDEX_FILE).exists():
        folder = out / CACHE / _cache_name(data, recipe)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as thrown_away:
        yield Path(thrown_away)


def _passed_on(report: Report | None) -> Callable[[Progress], None] | None:
    if report is None:
        return None
    return lambda progress: report("preprocess", progress.done, progress.total)


def _other_findings(found: Card, card: Card) -> tuple[str, ...]:
    """Say which models of the recipe are not quite those that made the training crops."""
    then = {label: finder["key"] for label, finder in card.get("finders", {}).items()}
    now = {label: finder["key"] for label, finder in found.get("finders", {}).items()}
    changed = sorted(label for label, key in now.items() if then.get(label) != key)
    if not changed:
        return ()
    said = (
        f"{', '.join(changed)} ran with other weights, on another device or in another version "
        "than for the training crops: mattes and boxes may differ a little"
    )
    return (said,)
