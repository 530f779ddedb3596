from pathlib import Path
from typing import ClassVar

import pytest
from fakes import FakeDetector, FakeMatte

from facecrop.errors import ConfigError, DeviceError, MissingExtraError
from facecrop.images.backends import devices, runtimes
from facecrop.images.backends.devices import resolve_devices, settle_runtimes, uses_gpu
from facecrop.images.backends.rembg import Rembg
from facecrop.images.backends.yolo import Yolo
from facecrop.images.backends.yunet import YuNet
from facecrop.images.choose.geometry import Crop
from facecrop.images.look.cascade import CloserLooks, Faces
from facecrop.images.recipe import Look, Recipe


class FakeRembg(FakeMatte):
    """A finder that goes by the name of one that can use a GPU."""

    name: str = "rembg"  # type: ignore[assignment]  # the name is what counts
    gpu_runtimes: ClassVar[tuple[str, ...]] = ("torch", "onnxruntime")


class FakeYolo(FakeDetector):
    """Likewise."""

    name: str = "yolov8"  # type: ignore[assignment]  # the name is what counts
    gpu_runtimes: ClassVar[tuple[str, ...]] = Yolo().gpu_runtimes


CPU_ONLY, REMBG, YOLO = [FakeDetector()], [FakeDetector(), FakeRembg()], [FakeYolo()]
U2NET, NO_CROP = Rembg(), Crop(around="none")


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


@pytest.fixture
def everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every runtime be installed."""
    monkeypatch.setattr(runtimes, "is_installed", lambda _: True)


@pytest.mark.usefixtures("driver", "installed")
def test_the_cpu_is_always_there() -> None:
    for finders in (CPU_ONLY, REMBG, YOLO, []):
        assert resolve_devices("cpu", finders) == ("cpu",)
        assert resolve_devices("auto", finders) == ("cpu",)


def test_auto_takes_a_gpu_where_one_can_be_used(driver: Path, installed: set[str]) -> None:
    driver.mkdir()
    assert resolve_devices("auto", CPU_ONLY) == ("cpu",)
    assert resolve_devices("auto", YOLO) == ("cpu",)
    installed.add("torch")
    assert resolve_devices("auto", YOLO) == ("cuda:0",)
    assert resolve_devices("auto", REMBG) == ("cpu",)
    installed.add("onnxruntime-gpu")
    assert resolve_devices("auto", REMBG) == ("cuda:0",)
    installed.clear()
    installed.add("torch")
    assert resolve_devices("auto", REMBG) == ("cpu",)
    installed.add("onnx")
    assert resolve_devices("auto", REMBG) == ("cuda:0",)


def test_one_or_several_gpus_are_asked_for_by_number(driver: Path, installed: set[str]) -> None:
    driver.mkdir()
    installed.add("torch")
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
def test_a_gpu_without_its_runtime_is_answered_with_what_to_install(driver: Path) -> None:
    driver.mkdir()
    for finders, extra in ((YOLO, "yolo"), (REMBG, "rembg-torch"), ([U2NET], "rembg-torch")):
        with pytest.raises(
            DeviceError, match=rf'needs torch there: pip install "facecrop\[{extra}'
        ):
            resolve_devices("cuda", finders)
    for matte in (Rembg(runtime="onnxruntime"), Rembg(model="birefnet-portrait")):
        with pytest.raises(DeviceError, match=r'&& pip install "facecrop\[rembg-gpu\]"'):
            resolve_devices("cuda", [matte])


def test_what_runs_a_model_decides_whether_it_can_use_a_gpu(
    driver: Path, installed: set[str]
) -> None:
    driver.mkdir()
    installed.update({"torch", "onnx"})
    assert resolve_devices("cuda", [U2NET]) == ("cuda:0",)
    assert resolve_devices("cuda", [Rembg(model="isnet-anime", runtime="torch")]) == ("cuda:0",)
    assert resolve_devices("auto", [Rembg(runtime="onnxruntime")]) == ("cpu",)
    assert resolve_devices("auto", [Rembg(runtime="openvino")]) == ("cpu",)
    with pytest.raises(DeviceError, match=r"none of the recipe's models \(rembg-u2net\) can use"):
        resolve_devices("cuda", [Rembg(runtime="openvino")])


def test_a_build_for_cpus_alone_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class Built:
        version = "2.15.0+cpu"

    monkeypatch.setattr(devices, "distribution", lambda _: Built)
    assert not devices._installed("torch")  # noqa: SLF001 - what the tests above put aside


def test_only_finders_whose_runtime_has_gpus_use_them() -> None:
    assert [uses_gpu(finder) for finder in (FakeDetector(), FakeRembg(), FakeYolo())] == [
        False,
        True,
        True,
    ]


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    ("matte", "device", "before", "runtime"),
    [
        (Rembg(), "cpu", None, "onnxruntime"),
        (Rembg(), "cpu", "torch 2.15.0 fp32 cpu", "torch"),
        (Rembg(), "cpu", "torch 2.15.0 fp32 cuda", "onnxruntime"),  # all is made again anyway
        (Rembg(), "cuda:1", None, "torch"),
        (Rembg(), "cuda:1", "onnxruntime 1.31.1 fp32 cuda", "onnxruntime"),
        (Rembg(model="isnet-anime"), "cuda:0", None, "onnxruntime"),
        (Rembg(runtime="openvino"), "cpu", "torch 2.15.0 fp32 cpu", "openvino"),
        (Rembg(precision="fp16"), "cpu", "onnxruntime 1.31.1 fp32 cpu", "torch"),
    ],
)
def test_auto_keeps_what_the_dataset_was_made_with(
    matte: Rembg, device: str, before: str | None, runtime: str
) -> None:
    recipe = Recipe(look=Look(matte=matte), crop=NO_CROP)
    settled = settle_runtimes(recipe, device, {matte.label: before} if before else {})
    assert settled.look.matte == matte.model_copy(update={"runtime": runtime})
    assert settle_runtimes(settled, "cpu", {}) == settled


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    ("asked", "device", "before", "runtime"),
    [
        ("auto", "cpu", "openvino 2026.4.1 fp32 cpu", "openvino"),
        ("auto", "cuda:0", "openvino 2026.4.1 fp32 cpu", "openvino"),  # faces stay on the CPU
        ("auto", "cpu", "opencv 5.0.0 fp32 cpu", "auto"),  # the usual one needs no word
        ("auto", "cpu", None, "auto"),
        ("opencv", "cpu", "openvino 2026.4.1 fp32 cpu", "opencv"),
        ("openvino", "cpu", "opencv 5.0.0 fp32 cpu", "openvino"),
    ],
)
def test_auto_keeps_what_faces_were_found_with_in_closer_looks_too(
    asked: str, device: str, before: str | None, runtime: str
) -> None:
    yunet = YuNet(runtime=asked)  # type: ignore[arg-type]  # one of them
    faces = Faces(detectors=(FakeDetector(), yunet), closer=CloserLooks(detectors=(yunet,)))
    recipe = Recipe(look=Look(faces=faces), crop=NO_CROP)
    settled = settle_runtimes(recipe, device, {yunet.label: before} if before else {}).look.faces
    expected = yunet.model_copy(update={"runtime": runtime})
    assert settled is not None
    assert settled.closer is not None
    assert settled.detectors == (FakeDetector(), expected)
    assert settled.closer.detectors == (expected,)


@pytest.mark.usefixtures("everything")
@pytest.mark.parametrize(
    ("device", "before", "runtime"),
    [
        ("cpu", "ultralytics 8.4.190 openvino 2026.4.1 fp32 cpu", "openvino"),
        ("cpu", "ultralytics 8.4.190 torch 2.15.0 fp32 cpu", "auto"),
        ("cuda:0", "ultralytics 8.4.190 openvino 2026.4.1 fp32 cpu", "auto"),  # made again anyway
    ],
)
def test_auto_keeps_what_persons_were_found_with(device: str, before: str, runtime: str) -> None:
    recipe = Recipe(look=Look(persons=Yolo()), crop=NO_CROP)
    settled = settle_runtimes(recipe, device, {"yolov8n-640": before})
    assert settled.look.persons == Yolo(runtime=runtime)  # type: ignore[arg-type]  # likewise


def test_faces_found_with_what_is_missing_now_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "is_installed", lambda _: False)
    recipe = Recipe(look=Look(faces=Faces(detectors=(YuNet(),))), crop=NO_CROP)
    with pytest.raises(
        MissingExtraError, match=r"findings of yunet-640 .* made with openvino.*"
    ) as caught:
        settle_runtimes(recipe, "cpu", {"yunet-640": "openvino 2026.4.1 fp32 cpu"})
    assert 'pip install "facecrop[openvino]"' in str(caught.value)


def test_recipes_without_a_choice_stay_what_they_are() -> None:
    for recipe in (Recipe(crop=NO_CROP), Recipe(look=Look(matte=FakeMatte()), crop=NO_CROP)):
        assert settle_runtimes(recipe, "cpu", {}) is recipe


def test_a_dataset_made_with_what_is_missing_now_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "is_installed", lambda runtime: runtime == "torch")
    recipe = Recipe(look=Look(matte=Rembg()), crop=NO_CROP)
    with pytest.raises(MissingExtraError) as caught:
        settle_runtimes(recipe, "cpu", {"rembg-u2net": "openvino 2026.4 fp32 cpu"})
    assert str(caught.value) == (
        "the mattes of this dataset were made with openvino, which is not installed: "
        'pip install "facecrop[openvino]"; or make all of them again with another, '
        "--set matte.runtime=NAME (installed: torch)"
    )
