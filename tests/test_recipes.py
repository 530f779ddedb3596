"""The shipped recipes and the finders they name."""

import json
import os
import tomllib
from pathlib import Path
from typing import Any, Literal, get_type_hints

import pytest
from fakes import write_profiles
from pydantic import ValidationError
from runs import content, trust

from facecrop.commands.preprocess.command import preprocess
from facecrop.config import Settings, fingerprint, manifests_dir, plain, validate
from facecrop.errors import ConfigError, MissingExtraError
from facecrop.images.look.finder import Finder
from facecrop.images.look.settings import FINDERS, FinderSettings
from facecrop.images.models import read_catalogue
from facecrop.images.recipe import RECIPE_VERSION, Recipe, load_recipe, shipped_recipes

GOLDEN = Path(__file__).parent / "golden" / "recipes.json"
RECIPES = tuple(shipped_recipes())


def members(protocol: type) -> set[str]:
    """Return the names that a protocol asks for."""
    named = {name for name in vars(protocol) if not name.startswith("_")}
    return named | set(protocol.__annotations__)


def finder(name: str) -> Any:
    """Return a finder's settings as a recipe that names nothing else gets them."""
    settings: Any = FINDERS.load(name)
    return validate(settings, {"name": name}, name)


def test_every_file_in_the_folder_is_a_recipe_and_the_default_is_among_them() -> None:
    files = {path.stem for path in (manifests_dir() / "recipes").iterdir()}
    assert files == set(RECIPES)
    assert "embedded" in RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_begins_with_what_it_is_for(name: str) -> None:
    path = manifests_dir() / "recipes" / f"{name}.toml"
    first, *_ = path.read_text(encoding="utf-8").splitlines()
    assert first == f"# {shipped_recipes()[name]}"
    assert first.endswith(".")


@pytest.mark.parametrize("name", RECIPES)
def test_a_shipped_recipe_loads_and_survives_being_written_out(name: str) -> None:
    recipe = load_recipe(name)
    written = json.loads(json.dumps(plain(recipe)))
    assert validate(Recipe, written, name) == recipe
    assert load_recipe(str(manifests_dir() / "recipes" / f"{name}.toml")) == recipe


@pytest.mark.parametrize("name", RECIPES)
def test_the_models_of_a_shipped_recipe_are_in_the_table_of_models(name: str) -> None:
    known = read_catalogue()
    for one in load_recipe(name).look.finders:
        for model in one.models:
            assert known.model(model).licence


def test_the_default_recipe_needs_no_model_with_a_licence_that_binds() -> None:
    known = read_catalogue()
    names = {model for one in load_recipe("embedded").look.finders for model in one.models}
    assert {known.model(name).licence for name in names} <= {"Apache-2.0", "MIT"}


def test_golden_fingerprints_of_recipes_and_finders_have_not_changed() -> None:
    # Another fingerprint makes everybody's crops and findings again: only on purpose.
    found = {
        "recipes": {
            name: fingerprint("recipe", RECIPE_VERSION, load_recipe(name)) for name in RECIPES
        },
        "finders": {
            name: fingerprint(name, finder(name).version, finder(name)) for name in FINDERS
        },
    }
    if os.environ.get("FACECROP_GOLDEN") == "write":
        GOLDEN.parent.mkdir(exist_ok=True)
        GOLDEN.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert found == json.loads(GOLDEN.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", tuple(FINDERS))
def test_a_finder_has_what_the_protocol_asks_for(name: str) -> None:
    settings = finder(name)
    assert issubclass(type(settings), Settings)
    assert {one for one in members(FinderSettings) if not hasattr(settings, one)} == set()
    assert settings.name == name
    assert settings.finds in {"faces", "persons", "alpha"}
    assert settings.version >= 1
    assert settings.label.startswith(name.partition("-")[0])
    assert type(settings).model_fields["name"].annotation == Literal[settings.name]


@pytest.mark.parametrize("name", tuple(FINDERS))
def test_the_settings_of_a_finder_are_frozen_and_fingerprintable(name: str) -> None:
    settings = finder(name)
    with pytest.raises(ValidationError, match="frozen"):
        settings.name = "other"
    written = json.loads(json.dumps(plain(settings), allow_nan=False))
    assert validate(type(settings), written, name) == settings
    with pytest.raises(ConfigError, match="no setting 'nonsense'"):
        validate(type(settings), {"name": name, "nonsense": 1}, name)


@pytest.mark.parametrize("name", tuple(FINDERS))
def test_a_finder_names_its_models_and_what_runs_them(name: str) -> None:
    settings, known = finder(name), read_catalogue()
    assert all(known.model(model) for model in settings.models)
    try:
        runtime = settings.runs_on("cpu")
    except MissingExtraError as error:
        assert "pip install" in str(error)  # noqa: PT017 - either answer is right
    else:
        assert runtime.split()[0]


@pytest.mark.parametrize("name", tuple(FINDERS))
def test_what_a_finder_loads_promises_the_three_functions(name: str) -> None:
    made = get_type_hints(FINDERS.load(name).load)["return"]
    asked = {one for one in members(Finder) if one != "batch_size"}
    assert {one for one in asked if not callable(getattr(made, one, None))} == set()


def test_a_finder_nobody_knows_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no finder named 'yunett'\. Did you mean 'yunet'"):
        validate(Recipe, {"look": {"persons": {"name": "yunett"}}}, "recipe")


def test_the_recipe_in_a_card_makes_the_same_dataset_again(tmp_path: Path) -> None:
    raw, out = write_profiles(tmp_path / "raw", profiles=1), tmp_path / "out"
    settings = ["crop.size=[40,40]", "encode.quality=77"]
    preprocess(raw, out, recipe="center-crop", settings=settings, engine="serial", contact=False)
    before = content(out)
    card = (out / "dataset.toml").read_text(encoding="utf-8")
    assert tomllib.loads(card)["recipe"]["render"]["encode"]["quality"] == 77
    mine = tmp_path / "mine.toml"
    mine.write_text(
        "\n".join(_recipe_lines(card.splitlines())).replace("[recipe.", "["), encoding="utf-8"
    )
    trust(out)
    again = preprocess(raw, out, recipe=str(mine), engine="serial", contact=False)
    assert (again.progress.total, again.unread) == (0, 3)
    assert content(out) == before


def _recipe_lines(lines: list[str]) -> list[str]:
    """Return the tables of a card that begin with `recipe.`."""
    inside, kept = False, []
    for line in lines:
        if line.startswith("["):
            inside = line.startswith("[recipe.")
        kept += [line] if inside else []
    return kept
