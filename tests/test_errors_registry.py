import pickle

import pytest

from facecrop import errors
from facecrop.errors import ConfigError, FacecropError, LimitError
from facecrop.images.look.settings import FINDERS
from facecrop.registry import Registry, no_such

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, FacecropError)
]
FRUIT: Registry[type] = Registry("fruit", {"apple": "decimal:Decimal", "pear": "nowhere:Pear"})


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_way_to_another_process(kind: type[FacecropError]) -> None:
    error = pickle.loads(pickle.dumps(kind("it is so")))  # noqa: S301 - made here
    assert type(error) is kind
    assert str(error) == "it is so"


def test_only_a_passed_limit_ends_with_another_code_than_1() -> None:
    assert {kind.exit_code for kind in KINDS if kind is not LimitError} == {1}
    assert LimitError.exit_code == 3


def test_a_registry_imports_an_entry_when_it_is_asked_for_and_no_other() -> None:
    assert list(FRUIT) == ["apple", "pear"]
    assert FRUIT.load("apple").__name__ == "Decimal"


def test_an_unknown_name_is_answered_with_the_nearest_and_all() -> None:
    with pytest.raises(ConfigError) as caught:
        FRUIT.load("appel")
    assert str(caught.value) == (
        "no fruit named 'appel'. Did you mean 'apple'? Choose from: apple, pear"
    )


def test_a_name_that_is_near_to_none_gets_no_proposal() -> None:
    assert str(no_such("fruit", "xyz", ["apple"])) == "no fruit named 'xyz'. Choose from: apple"


@pytest.mark.parametrize("name", list(FINDERS))
def test_every_finder_of_the_table_is_there_and_bears_its_name(name: str) -> None:
    settings = FINDERS.load(name)
    assert settings().name == name
    assert settings.finds in ("faces", "persons", "alpha")
