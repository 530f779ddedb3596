import csv
from collections import Counter
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facecrop.commands.demo import DemoResult, demo
from facecrop.demo.faults import QUIRKS
from facecrop.demo.write import COLUMNS
from facecrop.errors import ConfigError

STEMS = {"mask1", "mask2", "mask3", "mask4", "mask5", "incorrect_mask", "normal"}


def digests(raw: Path) -> dict[str, str]:
    files = (path for path in raw.rglob("*") if path.is_file())
    return {
        path.relative_to(raw).as_posix(): sha256(path.read_bytes()).hexdigest() for path in files
    }


def rows(result: DemoResult) -> list[dict[str, str]]:
    with result.truth.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def quirky(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    raw = tmp_path_factory.mktemp("quirky") / "raw"
    return demo(raw, profiles=16, seed=3, quirks=True, photos=True, mattes=True)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return demo(tmp_path_factory.mktemp("plain") / "raw", profiles=3, seed=3)


def test_the_default_is_seven_clean_files_a_profile(plain: DemoResult) -> None:
    assert plain.images == plain.files == len(digests(plain.raw)) == 21
    assert plain.faults == {}
    for folder in plain.raw.iterdir():
        identity, gender, race, age = folder.name.split("_")
        assert len(identity) == 6
        assert gender in {"male", "female"}
        assert race == "Asian"
        assert 18 <= int(age) <= 60
        assert {path.name for path in folder.iterdir()} == {f"{stem}.jpg" for stem in STEMS}
        for path in folder.iterdir():
            assert read(path).shape == (512, 384, 3)


def test_the_same_seed_gives_the_same_bytes(plain: DemoResult, tmp_path: Path) -> None:
    again = demo(tmp_path / "raw", profiles=3, seed=3)
    assert digests(again.raw) == digests(plain.raw)
    assert again.truth.read_bytes() == plain.truth.read_bytes()


def test_a_profile_does_not_depend_on_how_many_are_drawn(plain: DemoResult, tmp_path: Path) -> None:
    fewer = demo(tmp_path / "raw", profiles=1, seed=3)
    assert digests(fewer.raw).items() <= digests(plain.raw).items()


def test_another_seed_draws_other_people(plain: DemoResult, tmp_path: Path) -> None:
    other = demo(tmp_path / "raw", profiles=1, seed=4)
    assert not set(digests(other.raw).values()) & set(digests(plain.raw).values())


def test_the_truth_agrees_with_clean_names(plain: DemoResult) -> None:
    table = rows(plain)
    assert tuple(table[0]) == COLUMNS
    assert {row["path"] for row in table} == set(digests(plain.raw))
    for row in table:
        _, gender, _, age = row["profile"].split("_")
        assert (row["gender"], row["age"]) == (gender, age)
        states = {"incorrect_mask": "incorrect", "normal": "none"}
        assert row["mask"] == states.get(row["name"], "worn")
        assert float(row["face_x0"]) < float(row["face_x1"])


def test_label_errors_strike_exactly_the_asked_fractions(tmp_path: Path) -> None:
    result = demo(tmp_path / "raw", profiles=8, wrong_gender=0.25, wrong_age=0.25, swapped=0.125)
    assert result.faults == {"swapped": 1, "wrong-age": 2, "wrong-gender": 2}
    struck: Counter[str] = Counter()
    for row in rows(result):
        _, gender, _, age = row["profile"].split("_")
        faults = row["faults"].split()
        assert len(faults) <= 1
        assert ("wrong-gender" in faults) == (gender != row["gender"])
        assert ("wrong-age" in faults) == (age != row["age"])
        if "wrong-age" in faults:
            assert abs(int(age) - int(row["age"])) >= 10
        if "swapped" in faults:
            assert {"incorrect_mask": "none", "normal": "incorrect"}[row["name"]] == row["mask"]
        struck.update(faults)
    assert struck == {"wrong-gender": 14, "wrong-age": 14, "swapped": 2}


def test_a_swap_exchanges_two_files_and_touches_nothing_else(tmp_path: Path) -> None:
    clean = digests(demo(tmp_path / "clean", profiles=1).raw)
    swapped = digests(demo(tmp_path / "swapped", profiles=1, swapped=1.0).raw)
    folder = next(iter(clean)).split("/")[0]
    wrong, bare = f"{folder}/incorrect_mask.jpg", f"{folder}/normal.jpg"
    assert swapped == clean | {wrong: clean[bare], bare: clean[wrong]}


def test_every_quirk_is_planted_and_named(quirky: DemoResult) -> None:
    assert dict.fromkeys(QUIRKS, 1).items() <= quirky.faults.items()
    named = {fault for row in rows(quirky) for fault in row["faults"].split()}
    assert named == set(quirky.faults)


def test_every_file_has_a_row_of_truth(quirky: DemoResult) -> None:
    table = rows(quirky)
    assert sorted(row["path"] for row in table) == sorted(digests(quirky.raw))
    assert len(table) == quirky.files == quirky.images + 2


def read(path: Path) -> NDArray[Any]:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return np.asarray(picture)


def of_fault(result: DemoResult, fault: str) -> list[dict[str, str]]:
    return [row for row in rows(result) if fault in row["faults"].split()]


def test_one_profile_mixes_extensions(quirky: DemoResult) -> None:
    suffixes = {Path(row["path"]).suffix for row in of_fault(quirky, "mixed-extensions")}
    assert suffixes == {".jpg", ".jpeg", ".png"}


def test_hidden_files_are_there(quirky: DemoResult) -> None:
    (double,) = (row for row in of_fault(quirky, "apple-double") if "._" in row["path"])
    assert (quirky.raw / double["path"]).read_bytes()[:4] == bytes.fromhex("00051607")
    assert any(".ipynb_checkpoints/" in row["path"] for row in of_fault(quirky, "checkpoints"))


def test_an_id_is_twice_there_and_once_with_a_suffix(quirky: DemoResult) -> None:
    ids = Counter(folder.name.split("_")[0] for folder in quirky.raw.iterdir())
    assert max(ids.values()) == 2
    (with_suffix,) = (identity for identity in ids if identity.endswith("-1"))
    assert with_suffix.removesuffix("-1") in ids


def test_duplicates_name_what_they_copy(quirky: DemoResult) -> None:
    (exact,) = of_fault(quirky, "exact-duplicate")
    assert exact["of"] != exact["path"]
    copied = {row["path"]: row for row in rows(quirky)}[exact["of"]]
    assert copied["person"] == exact["person"]
    assert (quirky.raw / exact["path"]).read_bytes() == (quirky.raw / exact["of"]).read_bytes()
    (near,) = of_fault(quirky, "near-duplicate")
    one, other = (read(quirky.raw / near[key]) for key in ("path", "of"))
    assert not np.array_equal(one, other)
    small = [cv2.resize(image, (24, 32), interpolation=cv2.INTER_AREA) for image in (one, other)]
    assert cv2.absdiff(*small).mean() < 8


def test_nobody_is_in_the_picture_without_a_face(quirky: DemoResult) -> None:
    (row,) = of_fault(quirky, "no-face")
    assert row["face_x0"] == row["gender"] == row["age"] == row["person"] == ""


def test_mattes_lie_beside_every_drawn_person(quirky: DemoResult) -> None:
    assert quirky.mattes is not None
    with_person = {(row["profile"], row["name"]) for row in rows(quirky) if row["person"]}
    mattes = {(path.parent.name, path.stem) for path in quirky.mattes.rglob("*.png")}
    assert mattes == with_person
    profile, name = min(mattes)
    matte = read(quirky.mattes / profile / f"{name}.png")
    assert matte.shape == (512, 384)


def test_photographs_are_laid_in_or_their_absence_is_said(quirky: DemoResult) -> None:
    count = quirky.faults.get("photograph", 0)
    assert bool(count) != bool(quirky.notes)
    assert quirky.profiles == 16 + count
    for row in of_fault(quirky, "photograph"):
        assert read(quirky.raw / row["path"]).size
        assert row["gender"] == row["age"] == ""


def test_absent_photographs_are_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("facecrop.demo.photos.find_spec", lambda _: None)
    result = demo(tmp_path / "raw", profiles=1, photos=True)
    assert result.images == 7
    assert "pip install" in result.notes[0]


def test_progress_counts_profiles(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    demo(tmp_path / "raw", profiles=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_the_result_has_the_ideal_score(plain: DemoResult) -> None:
    assert 0.75 <= plain.ideal <= 0.92
    assert 0.75 <= plain.ideal_person <= 0.92
    assert 0 < plain.ideal_here <= 1


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "mine.txt").write_text("keep me")
    with pytest.raises(ConfigError, match="not empty; name a new folder"):
        demo(tmp_path / "raw", profiles=1)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("a file")
    with pytest.raises(ConfigError, match="is a file"):
        demo(tmp_path / "raw", profiles=1)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"profiles": 0}, "profiles must be at least 1, got 0"),
        ({"profiles": 1, "seed": -1}, "seed must not be negative, got -1"),
        ({"profiles": 1, "wrong_age": 1.5}, r"wrong-age must be a fraction in \[0, 1\], got 1.5"),
        ({"profiles": 2, "wrong_age": 0.6, "swapped": 0.6, "wrong_gender": 0.5}, "more than 1"),
        ({"profiles": 5, "quirks": True}, "quirks need at least 16 profiles, got 5"),
    ],
)
def test_settings_that_make_no_sense_are_refused_before_anything_is_written(
    settings: dict[str, int], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):
        demo(tmp_path / "raw", **settings)  # type: ignore[arg-type]  # a table of settings
    assert not any(tmp_path.iterdir())
