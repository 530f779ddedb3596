"""What is installed: every package, the manifests and the templates, and that it runs anywhere."""

import configparser
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
from fakes import write_profiles
from program import CHECKOUT, facecrop

from facecrop.config import manifests_dir

SOURCES = ("facecrop", "manifests")
SINGLE = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the unpacked wheel, built from a copy of the sources without a network."""
    if find_spec("setuptools") is None:
        pytest.skip("building a wheel without a network needs setuptools here")
    folder = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        copytree(CHECKOUT / name, folder / "source" / name, ignore=ignore_patterns("__pycache__"))
    for name in SINGLE:
        (folder / "source" / name).write_bytes((CHECKOUT / name).read_bytes())
    built = subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps",
            "--no-build-isolation", "--disable-pip-version-check",
            "--wheel-dir", str(folder), str(folder / "source"),
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def files(folder: Path) -> dict[str, bytes]:
    """Return the files below a folder that belong to a release."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_list_of_packages_is_that_of_the_tree() -> None:
    settings = configparser.ConfigParser()
    settings.read(CHECKOUT / "setup.cfg", encoding="utf-8")
    listed = settings["options"]["packages"].split()
    tree = {
        ".".join(path.parent.relative_to(CHECKOUT).parts)
        for path in (CHECKOUT / "facecrop").rglob("__init__.py")
    }
    assert listed == sorted({*tree, "facecrop.manifests"})
    folders = {path.parent for path in (CHECKOUT / "facecrop").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").exists()] == []


def test_a_checkout_finds_its_manifests() -> None:
    assert (manifests_dir() / "recipes" / "embedded.toml").is_file()


def test_the_wheel_holds_everything_and_nothing_else(installed: Path) -> None:
    held = files(installed / "facecrop")
    manifests = {
        name.removeprefix("manifests/"): held.pop(name)
        for name in list(held)
        if name.startswith("manifests/")
    }
    assert manifests == files(CHECKOUT / "manifests")
    assert held == files(CHECKOUT / "facecrop")
    others = [path.name for path in installed.iterdir() if not path.name.endswith(".dist-info")]
    assert others == ["facecrop"]


def test_the_wheel_runs_from_anywhere_with_its_own_manifests(
    installed: Path, tmp_path: Path
) -> None:
    env = {"PYTHONPATH": str(installed), "PATH": "", "HOME": str(tmp_path), "COLUMNS": "100"}
    code = "import facecrop.config as c; print(c.__file__); print(c.manifests_dir())"
    where = facecrop("-c", code, program=(sys.executable,), env=env, cwd=tmp_path)
    file, manifests = where.stdout.splitlines()
    assert Path(file).is_relative_to(installed), "another facecrop was imported"
    assert Path(manifests) == installed / "facecrop" / "manifests"
    listed = facecrop("recipes", env=env, cwd=tmp_path)
    assert "center-crop" in listed.stdout, listed.stderr
    raw = write_profiles(tmp_path / "raw", profiles=1)
    made = facecrop(
        "preprocess", raw, "out", "--recipe", "center-crop", "--engine", "serial",
        env=env, cwd=tmp_path,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert "3 images: 3 ok" in made.stdout
    assert (tmp_path / "out" / "contact" / "index.html").is_file()
