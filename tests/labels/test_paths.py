import doctest
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.labels import paths
from facecrop.labels.paths import crop_names, escape, same_name, unescape

LIMIT = 255 - len(".webp")

stems = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=6
).filter(lambda text: text not in (".", ".."))
suffixes = st.sampled_from([".jpg", ".JPG", ".png", ".jpg.jpg"])
files = st.builds(
    "{}/{}{}".format, st.sampled_from(["a", "A", "Å", "A\u030a", "b"]), stems, suffixes
)


def names_of(raw: list[str]) -> list[str]:
    """Return where the crops of these files belong, as the command asks for it."""
    profiles = [path.partition("/")[0] for path in raw]
    stems = [path.rpartition("/")[2].rpartition(".")[0] for path in raw]
    return crop_names(profiles, stems, raw)


def test_the_examples_in_the_docs_are_true() -> None:
    assert doctest.testmod(paths).failed == 0


@given(st.binary().filter(lambda data: b"\0" not in data))
def test_a_path_of_any_bytes_becomes_text_and_comes_back(data: bytes) -> None:
    path = os.fsdecode(data)
    text = escape(path)
    assert os.fsencode(unescape(text)) == data
    assert text.encode().decode() == text  # valid Unicode, unlike the path itself


@given(st.binary(), st.binary())
def test_different_paths_have_different_texts(one: bytes, other: bytes) -> None:
    assert (escape(os.fsdecode(one)) == escape(os.fsdecode(other))) == (one == other)


def test_only_what_must_be_is_escaped() -> None:
    assert escape("José/漢字 #1.jpg") == "José/漢字 #1.jpg"
    assert escape("100%.jpg") == "100%25.jpg"
    assert escape(os.fsdecode(b"caf\xe9.jpg")) == "caf%E9.jpg"


def test_names_are_the_same_without_regard_to_case_and_composition() -> None:
    assert same_name("A\u030a.JPG") == same_name("å.jpg")
    assert same_name("Straße") == same_name("STRASSE")
    assert same_name("a") != same_name("b")


@given(st.lists(files, unique=True, max_size=8))
def test_no_two_crops_share_a_name_on_any_file_system(raw: list[str]) -> None:
    crops = names_of(raw)
    assert len({same_name(crop) for crop in crops}) == len(raw)


@given(st.lists(stems.map(lambda stem: stem * 60), min_size=1, max_size=4, unique=True))
def test_no_crop_name_is_too_long_for_a_file_system(long: list[str]) -> None:
    raw = [f"{stem}/{stem}.png" for stem in long]
    crops = names_of(raw)
    assert all(len(part.encode()) <= LIMIT for crop in crops for part in crop.split("/"))
    assert len({same_name(crop) for crop in crops}) == len(raw)


@pytest.mark.parametrize("stem", ["a" * 251, "漢" * 83 + "ab", "🙂" * 62, "%FF" * 250])
def test_a_name_as_long_as_names_get_is_shortened_to_fit(stem: str) -> None:
    (crop,) = names_of([f"p/{stem}.png"])
    assert len(crop.removeprefix("p/").encode()) <= LIMIT
    assert crop.encode().decode() == crop


def test_a_crop_is_usually_called_what_the_picture_is_called() -> None:
    assert names_of(["a/mask1.jpg", "b/mask1.jpg", "a/normal.png"]) == [
        "a/mask1",
        "b/mask1",
        "a/normal",
    ]


def test_pictures_that_share_a_stem_keep_their_extension() -> None:
    assert names_of(["a/normal.jpg", "a/Normal.PNG", "a/other.png"]) == [
        "a/normal.jpg",
        "a/Normal.png",
        "a/other",
    ]


def test_an_extension_that_would_clash_again_is_told_apart_by_the_path() -> None:
    crops = names_of(["a/x.jpg", "a/x.png", "a/x.png.jpg"])
    assert len(set(map(same_name, crops))) == 3
    assert crops[0] == "a/x.jpg"


def test_the_names_of_a_profile_do_not_depend_on_the_order_of_its_files() -> None:
    raw = ["a/x.jpg", "a/X.jpg", "a/x.png", "a/y.png"]
    forwards = dict(zip(raw, names_of(raw), strict=True))
    backwards = dict(zip(raw[::-1], names_of(raw[::-1]), strict=True))
    assert forwards == backwards
