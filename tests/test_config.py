import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator

from facecrop.config import (
    Settings,
    find_manifest,
    fingerprint,
    override,
    plain,
    read_toml,
    validate,
)
from facecrop.errors import ConfigError
from facecrop.images.look.settings import FINDERS
from facecrop.images.recipe import Recipe, load_recipe, shipped_recipes


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(Settings):
    size: int = 4
    name: Literal["inner"] = "inner"


class Other(Settings):
    weight: float = 1.0
    name: Literal["other"] = "other"


class Example(Settings):
    flag: bool = False
    count: int = 0
    share: float = 30
    text: str = ""
    colour: Colour = Colour.RED
    maybe: float | None = None
    inner: Inner = Inner()
    several: tuple[float, ...] = ()
    either: Annotated[Inner | Other, Field(discriminator="name")] = Inner()
    later: int = Field(default=7, json_schema_extra={"neutral": 7})
    choosing: float = Field(default=0.5, json_schema_extra={"part": "choose"})


class Ordered(Settings):
    low: int = 1
    high: int = 2

    @model_validator(mode="after")
    def _ordered(self) -> "Ordered":
        if self.low > self.high:
            raise ValueError(f"low must not be above high, got {self.low} and {self.high}")
        return self


finite = st.floats(allow_nan=False, allow_infinity=False)
inners = st.builds(Inner, size=st.integers())
examples = st.builds(
    Example,
    flag=st.booleans(),
    count=st.integers(),
    share=finite,
    text=st.text(),
    colour=st.sampled_from(Colour),
    maybe=st.none() | finite,
    inner=inners,
    several=st.lists(finite, max_size=3).map(tuple),
    either=inners | st.builds(Other, weight=finite),
    later=st.sampled_from([6, 7, 8]),
    choosing=finite,
)


def key(settings: Settings, without: tuple[str, ...] = ()) -> str:
    return fingerprint("example", 1, settings, without=without)


@given(examples, examples)
def test_settings_have_equal_fingerprints_if_and_only_if_they_are_equal(
    one: Example, other: Example
) -> None:
    assert (key(one) == key(other)) == (one == other)
    assert key(one) == key(Example.model_validate(one.model_dump()))


@given(examples, st.sampled_from(sorted(Example.model_fields)), examples)
def test_one_changed_field_changes_the_fingerprint(
    settings: Example, field: str, other: Example
) -> None:
    changed = settings.model_copy(update={field: getattr(other, field)})
    assert (key(settings) == key(changed)) == (settings == changed)


def test_a_default_written_out_is_the_same_setting() -> None:
    assert key(Example()) == key(Example(share=30)) == key(Example(share=30.0))
    assert key(Example(share=-0.0)) == key(Example(share=0.0))


def test_values_that_look_alike_but_are_of_another_type_differ() -> None:
    class Loose(Settings):
        value: bool | int | float | str | None = None

    values = [None, True, 1, 1.0, "1", "true", "", 0, False, 0.0]
    assert len({key(Loose(value=value)) for value in values}) == len(values)


def test_name_version_and_what_was_resolved_count() -> None:
    keys = {
        fingerprint("a", 1, Example()),
        fingerprint("b", 1, Example()),
        fingerprint("a", 2, Example()),
        fingerprint("a", 1, Example(), {"weights": "x"}),
        fingerprint("a", 1, Example(), {"weights": "y"}),
    }
    assert len(keys) == 5
    assert fingerprint("a", 1, Example(), {"x": "1", "y": "2"}) == fingerprint(
        "a", 1, Example(), {"y": "2", "x": "1"}
    )
    assert all(len(bytes.fromhex(one)) == 32 for one in keys)


def test_a_field_added_later_is_left_out_while_it_is_neutral() -> None:
    assert "later" not in dict(plain(Example()))  # type: ignore[call-overload]  # a table
    assert key(Example(later=8)) != key(Example())


def test_a_field_of_another_part_is_left_out_where_it_changes_nothing() -> None:
    one, other = Example(choosing=0.1), Example(choosing=0.9)
    assert key(one, without=("choose",)) == key(other, without=("choose",))
    assert key(one) != key(other)


@pytest.mark.parametrize("value", [{1, 2}, [1], {"a": 1}, b"x", 1j])
def test_what_has_no_unique_json_is_no_setting(value: object) -> None:
    class Odd(Settings):
        value: object = None

    with pytest.raises(TypeError, match="JSON would not be unique"):
        plain(Odd(value=value))


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_settings_are_finite(value: float) -> None:
    with pytest.raises(ConfigError, match=r"share: .*finite"):
        validate(Example, {"share": value}, "a.toml")


@pytest.mark.parametrize("name", list(FINDERS))
def test_settings_of_every_finder_survive_toml_and_have_a_fingerprint(name: str) -> None:
    settings = FINDERS.load(name)()
    assert isinstance(settings, Settings)
    again = type(settings).model_validate(plain(settings))
    assert again == settings
    assert key(again) == key(settings)


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_a_shipped_recipe_is_the_same_after_it_was_written_out(name: str) -> None:
    recipe = load_recipe(name)
    again = Recipe.model_validate(plain(recipe))
    assert again == recipe
    assert again.fingerprint([]) == recipe.fingerprint([])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"cuont": 1}, "a.toml: no setting 'cuont'. Did you mean 'count'?"),
        ({"inner": {"sise": 1}}, "a.toml: no setting 'inner.sise'. Did you mean 'inner.size'?"),
        ({"inner": {"zzz": 1}}, "a.toml: no setting 'inner.zzz'. Known here: name, size"),
        (
            {"either": {"name": "other", "wieght": 1}},
            "no setting 'either.wieght'. Did you mean 'either.weight'?",
        ),
        ({"count": "many"}, "a.toml: count: input should be a valid integer"),
        ({"count": "many"}, "got 'many'"),
        ({"colour": "green"}, "colour: input should be 'red' or 'blue', got 'green'"),
        ({"count": "x", "share": "y"}, "; share: "),
        ({"either": {"name": "third"}}, "either.name: there is no 'third'. Did you mean 'other'?"),
    ],
)
def test_a_fault_is_named_with_place_key_value_and_the_nearest(
    data: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Example, data, "a.toml")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_rule_between_settings_speaks_in_its_own_words() -> None:
    with pytest.raises(ConfigError) as caught:
        validate(Ordered, {"low": 3}, "a.toml")
    assert str(caught.value) == "a.toml: low must not be above high, got 3 and 2"


def test_a_missing_setting_is_named() -> None:
    class Needs(Settings):
        must: int

    with pytest.raises(ConfigError, match=r"^a\.toml: must must be given$"):
        validate(Needs, {}, "a.toml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.3", 0.3),
        ("3", 3),
        ("true", True),
        ("[1, 2]", [1, 2]),
        ('"3"', "3"),
        ("blur", "blur"),
        ("#fff", "#fff"),
        ("a=b", "a=b"),
        ("", ""),
        ("1\nx = 2", "1\nx = 2"),
        (" 5 ", 5),
        ('{mode = "blur"}', {"mode": "blur"}),
    ],
)
def test_an_assignment_is_toml_or_else_text(text: str, value: object) -> None:
    result = override({"a": {"b": 0, "c": 1}}, [f"a.b={text}"])
    assert result == {"a": {"b": value, "c": 1}}


def test_assignments_make_tables_and_the_last_one_counts() -> None:
    assert override({}, ["a.b.c=1", "a.b.c=2"]) == {"a": {"b": {"c": 2}}}


def test_assignments_leave_the_data_they_are_given_alone() -> None:
    data = {"a": {"b": [1]}}
    override(data, ["a.b=2"])
    assert data == {"a": {"b": [1]}}


def test_assignments_can_follow_dates_in_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("when = 2026-11-20\n")
    assert override(read_toml(file), ["count=1"])["count"] == 1


@pytest.mark.parametrize("assignment", ["count", "=3", " = 3"])
def test_an_assignment_needs_key_and_value(assignment: str) -> None:
    with pytest.raises(ConfigError, match="--set needs KEY=VALUE, got"):
        override({}, [assignment])


def test_an_assignment_through_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--set a.b.c: 'b' is a value, not a table"):
        override({"a": {"b": 1}}, ["a.b.c=1"])


def test_a_recipe_override_reaches_through_nested_settings() -> None:
    recipe = load_recipe("center-crop", ["crop.margin=0.375", "choose.subject=largest"])
    assert (recipe.crop.margin, recipe.choose.subject) == (0.375, "largest")


def test_a_recipe_with_a_misspelt_setting_names_the_recipe_and_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe("center-crop", ["crop.margn=0.4"])
    assert str(caught.value).startswith("recipe center-crop with --set: no setting 'crop.margn'.")
    assert "Did you mean 'crop.margin'?" in str(caught.value)


def test_toml_faults_have_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "a.toml"
    file.write_text("a = 1\nb = [\n")
    with pytest.raises(ConfigError, match=r"a\.toml: .*(line|end of document)"):
        read_toml(file)
    file.write_text("a = 1\nb = x\n")
    with pytest.raises(ConfigError, match=r"a\.toml: .*line 2"):
        read_toml(file)
    file.write_bytes(b"a = '\xff'")
    with pytest.raises(ConfigError, match=r"a\.toml: "):
        read_toml(file)
    with pytest.raises(ConfigError, match=r"b\.toml cannot be read: No such file"):
        read_toml(tmp_path / "b.toml")


def test_a_manifest_is_found_by_name_or_by_path(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("")
    assert find_manifest("recipe", str(own), "recipes") == own
    assert find_manifest("recipe", "embedded", "recipes").name == "embedded.toml"


def test_an_unknown_manifest_is_answered_with_the_nearest_and_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_manifest("recipe", "embeded", "recipes")
    assert "no recipe named 'embeded'. Did you mean 'embedded'?" in str(caught.value)
    assert str(caught.value).endswith("or give the path of a .toml file")
    with pytest.raises(ConfigError, match=r"recipe file .* does not exist"):
        find_manifest("recipe", str(tmp_path / "none.toml"), "recipes")
