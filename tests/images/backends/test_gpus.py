"""A whole run whose models are run by the processes of several devices."""

from pathlib import Path
from typing import Literal

import pytest
from fakes import FakeMatte, write_profiles
from runs import content

from facecrop.commands.preprocess import run as preprocess_run
from facecrop.commands.preprocess import work as preprocess_work
from facecrop.commands.preprocess.command import preprocess
from facecrop.images.choose.geometry import Crop
from facecrop.images.recipe import Look, Recipe


class GpuMatte(FakeMatte):
    """A matte that goes by the name of one that can use a GPU."""

    name: Literal["rembg"] = "rembg"  # type: ignore[assignment]  # the name is what counts

    def runs_on(self, device: str) -> str:  # noqa: ARG002 - so that both datasets have equal keys
        return "numpy"


def test_several_devices_make_the_dataset_that_one_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = write_profiles(tmp_path / "raw", profiles=4)
    recipe = Recipe(look=Look(matte=GpuMatte()), crop=Crop(around="none"))
    one_by_one = {"device": "cpu", "engine": "serial"}
    preprocess(raw, tmp_path / "one", recipe=recipe, contact=False, **one_by_one)
    devices = ("cuda:0", "cuda:1")
    monkeypatch.setattr(preprocess_run, "resolve_devices", lambda *_: devices)
    served: list[tuple[str, ...]] = []
    serve = preprocess_work.serve

    def watched(asked: tuple[str, ...], files: dict[str, Path]) -> object:
        served.append(asked)
        return serve(asked, files)

    monkeypatch.setattr(preprocess_work, "serve", watched)
    result = preprocess(raw, tmp_path / "two", recipe=recipe, workers=2, contact=False)
    assert served == [devices]
    assert result.progress.calls["rembg"] == 12
    one, two = content(tmp_path / "one"), content(tmp_path / "two")
    assert {path: data for path, data in one.items() if path.startswith("images")} == {
        path: data for path, data in two.items() if path.startswith("images")
    }
