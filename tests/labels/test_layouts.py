import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from facecrop.errors import ConfigError, RawError
from facecrop.labels.layouts import EXTENSIONS, LAYOUTS, STEMS, Scan, detect, scan
from facecrop.labels.paths import unescape

SEVEN = sorted(STEMS)
NOBODY = 65534


def put(raw: Path, *paths: str) -> Path:
    """Make files that have bytes, of whatever kind: a scan reads none of them."""
    for path in paths:
        file = raw / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(path.encode(errors="surrogateescape"))
    return raw


def paths(found: Scan) -> list[str]:
    return [file.path for file in found.files]


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder to work in as somebody whom permissions bind."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for path in folder.rglob("*"):
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(folder)


def test_profiles_say_who_it_is_and_names_say_how_the_mask_is_worn(tmp_path: Path) -> None:
    put(tmp_path, *(f"000007_Female_Asian_41/{stem}.jpg" for stem in SEVEN))
    found = scan(tmp_path)
    assert found.layout == "profiles"
    assert {file.profile for file in found.files} == {"000007_Female_Asian_41"}
    assert {(file.gender, file.age) for file in found.files} == {("female", 41)}
    assert {file.name: file.mask for file in found.files} == STEMS
    assert (found.missing, found.extra, found.ignored) == ({}, {}, {})


def test_a_record_has_what_tells_that_its_file_is_unchanged(tmp_path: Path) -> None:
    put(tmp_path, "p/a.jpg")
    facts = (tmp_path / "p" / "a.jpg").stat()
    (file,) = scan(tmp_path).files
    assert (file.size, file.mtime_ns, file.ctime_ns, file.inode) == (
        facts.st_size,
        facts.st_mtime_ns,
        facts.st_ctime_ns,
        facts.st_ino,
    )


def test_extensions_may_be_mixed_and_of_any_case(tmp_path: Path) -> None:
    names = [f"p/{number}{suffix}" for number, suffix in enumerate(sorted(EXTENSIONS))]
    names += ["p/a.JPG", "p/b.JpEg", "p/c.jpg.png", "p/mask1.Png"]
    found = scan(put(tmp_path, *names))
    assert paths(found) == sorted(names)


def test_every_entry_is_a_record_or_counted(tmp_path: Path) -> None:
    put(
        tmp_path,
        "p/mask1.jpg",
        "p/._mask1.jpg",
        "p/.hidden.png",
        "p/.ipynb_checkpoints/mask1-checkpoint.jpg",
        "p/Thumbs.db",
        "p/notes",
        "p/deeper/mask1.jpg",
        "__MACOSX/p/._mask1.jpg",
        ".git/x.jpg",
        ".DS_Store",
        "readme.txt",
        "stray.jpg",
    )
    found = scan(tmp_path, "profiles")
    assert paths(found) == ["p/mask1.jpg"]
    assert found.ignored == {
        "hidden": 6,
        "foreign": 3,
        "folder-in-a-profile": 1,
        "outside-a-profile": 1,
    }
    assert sorted(found.ignored_paths) == sorted(
        [
            ("p/._mask1.jpg", "hidden"),
            ("p/.hidden.png", "hidden"),
            ("p/.ipynb_checkpoints", "hidden"),
            ("p/Thumbs.db", "foreign"),
            ("p/notes", "foreign"),
            ("p/deeper", "folder-in-a-profile"),
            ("__MACOSX", "hidden"),
            (".git", "hidden"),
            (".DS_Store", "hidden"),
            ("readme.txt", "foreign"),
            ("stray.jpg", "outside-a-profile"),
        ]
    )


def test_of_very_many_ignored_paths_all_are_counted_and_some_named(tmp_path: Path) -> None:
    put(tmp_path, "p/a.jpg", *(f"p/{number}.txt" for number in range(1100)))
    found = scan(tmp_path)
    assert found.ignored["foreign"] == 1100
    assert len(found.ignored_paths) == 1000


def test_an_id_may_come_twice_and_a_suffix_makes_another_person(tmp_path: Path) -> None:
    people = ["000001_male_Asian_20", "000001_female_White_40", "000001-1_male_Asian_21"]
    put(tmp_path, *(f"{person}/normal.jpg" for person in people))
    found = scan(tmp_path)
    assert {(file.profile, file.gender, file.age) for file in found.files} == {
        (people[0], "male", 20),
        (people[1], "female", 40),
        (people[2], "male", 21),
    }


def test_missing_and_extra_pictures_of_the_seven_are_reported(tmp_path: Path) -> None:
    put(tmp_path, *(f"a_male_b_20/{stem}.jpg" for stem in SEVEN[1:]))
    put(tmp_path, *(f"b_male_b_20/{stem}.jpg" for stem in SEVEN))
    put(tmp_path, "b_male_b_20/mask1.png", "b_male_b_20/holiday.jpg")
    found = scan(tmp_path)
    assert found.missing == {"a_male_b_20": ["incorrect_mask"]}
    assert found.extra == {"b_male_b_20": ["holiday", "mask1"]}


def test_where_nothing_is_called_like_the_seven_nothing_is_missed(tmp_path: Path) -> None:
    found = scan(put(tmp_path, "anna/1.jpg", "anna/2.jpg", "ben/1.jpg"))
    assert (found.missing, found.extra) == ({}, {})
    assert {(file.mask, file.gender, file.age) for file in found.files} == {(None, None, None)}


def test_a_profile_without_pictures_is_named(tmp_path: Path) -> None:
    put(tmp_path, "p/a.jpg", "q/notes.txt")
    (tmp_path / "r").mkdir()
    assert scan(tmp_path).empty_profiles == ["q", "r"]


def test_links_are_followed_unless_they_lead_nowhere_or_back(tmp_path: Path) -> None:
    raw, outside = tmp_path / "raw", tmp_path / "outside"
    put(raw, "p_male_x_20/a.jpg")
    put(outside, "b.jpg", "person/c.jpg")
    links = {
        "p_male_x_20/file.jpg": outside / "b.jpg",
        "p_male_x_20/dangling.jpg": tmp_path / "nowhere",
        "p_male_x_20/cycle.jpg": raw / "p_male_x_20" / "cycle.jpg",
        "p_male_x_20/up": raw,
        "r_male_x_20": outside / "person",
        "s_male_x_20": raw / "p_male_x_20",
        "t": raw,
        "self": raw / "self",
    }
    for link, target in links.items():
        (raw / link).symlink_to(target)
    found = scan(raw)
    assert paths(found) == ["p_male_x_20/a.jpg", "p_male_x_20/file.jpg", "r_male_x_20/c.jpg"]
    assert dict(found.ignored_paths) == {
        "p_male_x_20/cycle.jpg": "broken-link",
        "p_male_x_20/dangling.jpg": "broken-link",
        "p_male_x_20/up": "folder-in-a-profile",
        "s_male_x_20": "link-to-folder",
        "t": "link-to-folder",
        "self": "foreign",
    }


@pytest.mark.parametrize("layout", ["profiles", "flat"])
def test_a_pipe_called_like_a_picture_blocks_nobody(tmp_path: Path, layout: str) -> None:
    put(tmp_path, "p/a.jpg")
    os.mkfifo(tmp_path / "p" / "pipe.jpg")
    found = scan(tmp_path, layout)
    assert (paths(found), found.ignored) == (["p/a.jpg"], {"not-a-file": 1})


def test_a_folder_that_cannot_be_listed_is_counted(unprivileged: Path) -> None:
    put(unprivileged, "p/a.jpg", "q/a.jpg")
    (unprivileged / "q").chmod(0)
    found = scan(unprivileged)
    assert (paths(found), found.ignored) == (["p/a.jpg"], {"unreadable-folder": 1})
    (unprivileged / "raw").mkdir(mode=0)
    for layout in ("auto", "flat"):
        with pytest.raises(RawError, match="cannot be listed: Permission denied"):
            scan(unprivileged / "raw", layout)


@pytest.mark.parametrize("layout", ["profiles", "flat", "utkface"])
def test_names_of_any_bytes_are_found_again(tmp_path: Path, layout: str) -> None:
    names = [os.fsdecode(b"p\xff%/caf\xe9 100%.jpg"), "q/NFC é.jpg", "q/NFC e\u0301.jpg"]
    found = scan(put(tmp_path, *names), layout)
    assert {unescape(path) for path in paths(found)} == set(names)
    assert all((tmp_path / unescape(path)).is_file() for path in paths(found))
    assert "p%FF%25/caf%E9 100%25.jpg" in paths(found)


odd = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1)
odd_names = odd.map(lambda text: text[:20]).filter(lambda text: not text.startswith("."))


@given(st.lists(odd_names, min_size=1, max_size=5, unique=True))
def test_odd_names_are_records_in_a_stable_order(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw = put(Path(folder), *(f"p/{name}.jpg" for name in names))
        found = paths(scan(raw))
        assert {unescape(path) for path in found} == {f"p/{name}.jpg" for name in names}
        assert found == sorted(found, key=str.encode)


def test_flat_pictures_are_each_a_person_and_claim_nothing(tmp_path: Path) -> None:
    found = scan(put(tmp_path, "b.png", "a.jpg", "more/c.jpg"))
    assert found.layout == "flat"
    assert [(file.path, file.profile, file.name) for file in found.files] == [
        ("a.jpg", "a", "a"),
        ("b.png", "b", "b"),
        ("more/c.jpg", "more/c", "c"),
    ]
    assert {(file.mask, file.gender, file.age) for file in found.files} == {(None, None, None)}


def test_flat_pictures_of_one_stem_are_still_two_people(tmp_path: Path) -> None:
    found = scan(put(tmp_path, "a.jpg", "a.png", "a.jpg.png", "b.jpg"))
    people = [file.profile for file in found.files]
    assert len(set(people)) == len(people)
    assert "b" in people


def test_flat_goes_into_folders_but_not_through_links(tmp_path: Path) -> None:
    put(tmp_path, "a/b/c/d.jpg", "a/.hidden/e.jpg", "a/notes.txt")
    (tmp_path / "a" / "b" / "up").symlink_to(tmp_path)
    found = scan(tmp_path, "flat")
    assert paths(found) == ["a/b/c/d.jpg"]
    assert found.ignored == {"hidden": 1, "link-to-folder": 1, "foreign": 1}


def test_records_come_in_the_order_of_their_paths_whatever_folders_and_files_are_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("facecrop.labels.raw._PACKED_ROWS", 2)
    names = ["a/x.jpg", "a-b/x.jpg", "a b/y.jpg", "a/x-1.jpg", "a/%.jpg", "a/$.jpg", "é/x.jpg"]
    names += [os.fsdecode(b"a/\xff.jpg"), "b.jpg", "a/x.jpg.png"]
    put(tmp_path, *names)
    for layout in ("profiles", "flat"):
        found = scan(tmp_path, layout)
        assert paths(found) == sorted(paths(found), key=str.encode)
        assert found.count == len(found.files) == len(names) - (layout == "profiles")
        assert found.profiles == (4 if layout == "profiles" else len(names))


def test_utkface_names_are_read_also_where_the_race_is_missing(tmp_path: Path) -> None:
    names = ["25_0_3_20170116174525125.jpg.chip.jpg", "61_1_20170109142408075.jpg", "1_0_0_2.png"]
    found = scan(put(tmp_path, *names))
    assert found.layout == "utkface"
    assert {(file.gender, file.age) for file in found.files} == {
        ("male", 25),
        ("female", 61),
        ("male", 1),
    }
    assert {file.mask for file in found.files} == {None}


def test_a_name_that_is_not_utkface_claims_nothing(tmp_path: Path) -> None:
    put(tmp_path, "25_0_3_2017.jpg", "holiday.jpg", "25_2_3_2017.jpg")
    assert detect(tmp_path) == "flat"
    found = scan(tmp_path, "utkface")
    assert [(file.path, file.age) for file in found.files] == [
        ("25_0_3_2017.jpg", 25),
        ("25_2_3_2017.jpg", None),
        ("holiday.jpg", None),
    ]


def test_a_stray_picture_does_not_turn_profiles_into_strangers(tmp_path: Path) -> None:
    put(tmp_path, "000001_male_Asian_20/normal.jpg", "overview.jpg")
    found = scan(tmp_path)
    assert (found.layout, paths(found)) == ("profiles", ["000001_male_Asian_20/normal.jpg"])
    assert found.ignored == {"outside-a-profile": 1}


def test_hidden_pictures_do_not_decide_about_the_layout(tmp_path: Path) -> None:
    put(tmp_path, "anna/1.jpg", "._anna.jpg")
    assert scan(tmp_path).layout == "profiles"


def test_out_may_lie_in_raw_if_it_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "p/a.jpg", "out/a.jpg")
    for layout in ("profiles", "flat"):
        assert paths(scan(tmp_path, layout, skip=(tmp_path / "out").resolve())) == ["p/a.jpg"]


@pytest.mark.parametrize(
    ("given", "meant"), [("", "train/images"), ("train", "train/images"), ("train/images/p", "")]
)
def test_the_wrong_level_is_answered_with_the_right_one(
    tmp_path: Path, given: str, meant: str
) -> None:
    put(tmp_path, "train/images/p/mask1.jpg", "train/images/.x/mask1.jpg")
    with pytest.raises(RawError, match="no pictures found") as caught:
        scan(tmp_path / given, "profiles")
    assert f"is {str(tmp_path / (meant or 'train/images'))!r} the raw folder?" in str(caught.value)


def test_a_folder_without_pictures_is_answered_with_what_is_a_picture(tmp_path: Path) -> None:
    put(tmp_path, "p/a.txt")
    with pytest.raises(RawError, match=r"left out: 1 foreign; records are files ending in \.avif"):
        scan(tmp_path)


def test_what_is_not_there_or_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(RawError, match="does not exist"):
        scan(tmp_path / "nothing")
    put(tmp_path, "a.jpg", "p/b.jpg")
    with pytest.raises(RawError, match="neither a folder nor a table"):
        scan(tmp_path / "a.jpg")
    with pytest.raises(ConfigError, match=r"no layout named 'profile'. Did you mean 'profiles'"):
        scan(tmp_path, "profile")
    with pytest.raises(ConfigError, match=r"the layout 'table' does not fit .* it is a folder"):
        scan(tmp_path, "table")
    with pytest.raises(ConfigError, match=r"the layout 'flat' does not fit .* it is no folder"):
        scan(tmp_path / "a.jpg", "flat")


def test_every_layout_can_be_asked_for_by_name() -> None:
    assert list(LAYOUTS) == ["profiles", "flat", "table", "utkface"]
