from pathlib import Path

import pytest
from fakes import FakeDetector, FakeMatte

from facecrop.errors import ConfigError, DeviceError
from facecrop.images.backends import devices
from facecrop.images.backends.devices import resolve_devices, uses_gpu


class FakeRembg(FakeMatte):
    """A finder that goes by the name of one that can use a GPU."""

    name: str = "rembg"  # type: ignore[assignment]  # the name is what counts


class FakeYolo(FakeDetector):
    """Likewise."""

    name: str = "yolov8"  # type: ignore[assignment]  # the name is what counts


CPU_ONLY, REMBG, YOLO = [FakeDetector()], [FakeDetector(), FakeRembg()], [FakeYolo()]


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return where the driver shows itself once this is made a folder."""
    monkeypatch.setattr(devices, "_DRIVER", (tmp_path / "nowhere", tmp_path / "nvidia"))
    return tmp_path / "nvidia"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Return the packages that are taken for installed."""
    packages: set[str] = set()
    monkeypatch.setattr(devices, "_installed", packages.__contains__)
    return packages


@pytest.mark.usefixtures("driver", "installed")
def test_the_cpu_is_always_there() -> None:
    for finders in (CPU_ONLY, REMBG, YOLO, []):
        assert resolve_devices("cpu", finders) == ("cpu",)
        assert resolve_devices("auto", finders) == ("cpu",)


def test_auto_takes_a_gpu_where_one_can_be_used(driver: Path, installed: set[str]) -> None:
    driver.mkdir()
    assert resolve_devices("auto", CPU_ONLY) == ("cpu",)
    assert resolve_devices("auto", YOLO) == ("cuda:0",)
    assert resolve_devices("auto", REMBG) == ("cpu",)
    installed.add("onnxruntime-gpu")
    assert resolve_devices("auto", REMBG) == ("cuda:0",)


def test_one_or_several_gpus_are_asked_for_by_number(driver: Path) -> None:
    driver.mkdir()
    assert resolve_devices("cuda", YOLO) == ("cuda:0",)
    assert resolve_devices("cuda:1", YOLO) == ("cuda:1",)
    assert resolve_devices("cuda:0,cuda:12", YOLO) == ("cuda:0", "cuda:12")


@pytest.mark.parametrize(
    "asked", ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0,", "", "CUDA", "mps"]
)
def test_what_is_no_device_is_answered_with_what_is(asked: str) -> None:
    with pytest.raises(ConfigError, match="choose from: auto, cpu, cuda, cuda:N, or several with"):
        resolve_devices(asked, YOLO)


@pytest.mark.parametrize("asked", ["cuda:1,cuda:1", "cuda,cuda:0"])
def test_a_device_cannot_be_named_twice(asked: str) -> None:
    with pytest.raises(ConfigError, match="names a device twice"):
        resolve_devices(asked, YOLO)


def test_a_gpu_that_no_model_can_use_is_refused(driver: Path) -> None:
    driver.mkdir()
    with pytest.raises(DeviceError, match=r"none of the recipe's models \(fake-face\) can use"):
        resolve_devices("cuda", CPU_ONLY)
    with pytest.raises(DeviceError, match=r"none of the recipe's models \(none\) can use a GPU"):
        resolve_devices("cuda", [])


@pytest.mark.usefixtures("driver", "installed")
def test_a_gpu_without_a_driver_is_refused() -> None:
    for finders in (YOLO, REMBG):
        with pytest.raises(DeviceError) as caught:
            resolve_devices("cuda:1", finders)
        assert str(caught.value) == (
            "--device cuda:1: this machine has no NVIDIA driver; install it, or use --device cpu"
        )


@pytest.mark.usefixtures("installed")
def test_a_gpu_without_its_onnxruntime_is_answered_with_what_to_install(driver: Path) -> None:
    driver.mkdir()
    assert resolve_devices("cuda", YOLO) == ("cuda:0",)
    with pytest.raises(DeviceError, match=r'&& pip install "facecrop\[rembg-gpu\]"'):
        resolve_devices("cuda", REMBG)


def test_only_finders_whose_runtime_has_gpus_use_them() -> None:
    assert [uses_gpu(finder) for finder in (FakeDetector(), FakeRembg(), FakeYolo())] == [
        False,
        True,
        True,
    ]
