import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from facecrop.errors import ConfigError, DeviceError, WeightsError
from facecrop.images.backends.yolo import Yolo, YoloFinder
from facecrop.images.findings import Boxes
from facecrop.images.frames import Box, Image

pytest.importorskip("ultralytics", reason="ultralytics is not installed")

TINY = {
    "nc": 2,
    "depth_multiple": 0.33,
    "width_multiple": 0.25,
    "backbone": [
        [-1, 1, "Conv", [64, 3, 4]],
        [-1, 1, "Conv", [64, 3, 2]],
        [-1, 1, "Conv", [64, 3, 2]],
    ],
    "head": [[-1, 1, "Conv", [64, 3, 1]], [[1, 2, 3], 1, "Detect", ["nc"]]],
}
"""A YOLOv8 of four convolutions and the real head."""


@pytest.fixture(scope="module")
def write_model(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Return what writes a small YOLO with random weights as ultralytics saves its own."""
    import torch  # noqa: PLC0415 - heavy
    from ultralytics.nn.tasks import DetectionModel  # noqa: PLC0415 - heavy

    def write(*names: str) -> Path:
        torch.manual_seed(0)
        model = DetectionModel(TINY | {"nc": len(names)}, ch=3, verbose=False)
        model.names = dict(enumerate(names))
        head = model.model[-1]
        for part in head.cv3:  # without training its scores are next to nothing
            torch.nn.init.normal_(part[-1].weight, 0, 1.5)
            torch.nn.init.constant_(part[-1].bias, -1)
        for part in head.cv2:
            torch.nn.init.normal_(part[-1].weight, 0, 0.5)
        path = tmp_path_factory.mktemp("yolo") / "tiny.pt"
        torch.save({"model": model.eval(), "train_args": {}, "version": "8.4.0"}, path)
        return path

    return write


@pytest.fixture(scope="module")
def tiny(write_model: Callable[..., Path]) -> Path:
    return write_model("dog", "person")


def drawn(height: int, width: int, seed: int = 0) -> Image:
    coarse = np.random.default_rng(seed).integers(
        0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8
    )
    return np.ascontiguousarray(coarse.repeat(8, axis=0).repeat(8, axis=1)[:height, :width])


def look(finder: YoloFinder, image: Image) -> Boxes:
    raw = finder.infer(finder.prepare(image)[None])[0]
    return finder.interpret(raw, image.shape[0], image.shape[1])


def own_call(path: Path, image: Image, settings: Yolo, person: int) -> Any:
    from ultralytics import YOLO  # noqa: PLC0415 - heavy

    bgr = np.ascontiguousarray(image[..., ::-1])
    return (
        YOLO(path)
        .predict(
            bgr,
            conf=settings.floor,
            iou=settings.iou,
            classes=[person],
            imgsz=settings.image_size,
            max_det=settings.max_boxes,
            device="cpu",
            verbose=False,
        )[0]
        .boxes
    )


def assert_agrees(path: Path, images: list[Image], settings: Yolo, person: int) -> int:
    finder = settings.load(lambda _: path, "cpu")
    count = 0
    for image in images:
        seen = look(finder, image).candidates
        own = own_call(path, image, settings, person)
        assert len(seen) == len(own)
        for one, corners, score in zip(seen, own.xyxy.tolist(), own.conf.tolist(), strict=True):
            box = Box(*corners)
            assert np.allclose(one.box.corners, corners, atol=1 / 16)
            # A sixteenth of a pixel is more than a hundredth of a box of a few pixels.
            assert one.box.iou(box) >= 0.99 or min(box.width, box.height) < 32
            assert one.score == pytest.approx(score, abs=1e-3)
        count += len(seen)
    return count


def test_boxes_agree_with_ultralytics_own_predict(tiny: Path) -> None:
    images = [drawn(512, 384), drawn(200, 333, 1), drawn(640, 640, 2), drawn(90, 300, 3)]
    settings = Yolo(image_size=320, max_boxes=50)
    assert assert_agrees(tiny, images, settings, person=1) > 20


def test_boxes_agree_with_ultralytics_own_predict_on_photographs(photographs: list[Image]) -> None:
    path = Path(os.environ["FACECROP_EVAL"], "models", "yolov8n_rebuilt.pt")
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    assert assert_agrees(path, photographs[:10], Yolo(), person=0) > 10


def assert_says_the_same(path: Path, images: list[Image], settings: Yolo) -> int:
    if find_spec("openvino") is None:  # not imported here, as that alone would tell its maker
        pytest.skip("openvino is not installed")
    ways = [
        settings.model_copy(update={"runtime": runtime}).load(lambda _: path, "cpu")
        for runtime in ("torch", "openvino")
    ]
    count = 0
    for image in images:
        own, other = (look(finder, image).candidates for finder in ways)
        assert len(own) == len(other)
        for one, two in zip(own, other, strict=True):
            assert np.allclose(one.box.corners, two.box.corners, atol=1 / 8)
            assert one.score == pytest.approx(two.score, abs=1e-3)
        count += len(own)
    return count


def test_openvino_says_what_torch_says_whatever_the_size(tiny: Path) -> None:
    images = [drawn(300, 220), drawn(200, 333, 1), drawn(320, 320, 2), drawn(300, 220, 3)]
    assert assert_says_the_same(tiny, images, Yolo(image_size=320, max_boxes=20)) > 20


def test_openvino_says_what_torch_says_on_photographs(photographs: list[Image]) -> None:
    path = Path(os.environ["FACECROP_EVAL"], "models", "yolov8n_rebuilt.pt")
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    assert assert_says_the_same(path, photographs[:6], Yolo()) > 10


def test_what_openvino_does_not_know_is_an_error_with_a_cure(tiny: Path) -> None:
    if find_spec("openvino") is None:  # not imported here, as that alone would tell its maker
        pytest.skip("openvino is not installed")
    import torch  # noqa: PLC0415 - heavy

    from facecrop.images.backends.yolo_openvino import OpenvinoYolo  # noqa: PLC0415 - needs it

    class Odd(torch.nn.Module):
        model = (SimpleNamespace(),)

        def forward(self, planes: torch.Tensor) -> torch.Tensor:
            return torch.special.bessel_j0(planes)

    with pytest.raises(ConfigError, match=r"tiny\.pt cannot run on OpenVINO .*runtime = 'torch'"):
        OpenvinoYolo(Odd(), tiny)


def test_boxes_lie_inside_the_picture_best_first(tiny: Path) -> None:
    boxes = look(Yolo(image_size=320).load(lambda _: tiny, "cpu"), drawn(200, 333)).candidates
    assert boxes
    assert all(one.box == one.box.clip(333, 200) for one in boxes)
    scores = [one.score for one in boxes]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) >= 0.1


def test_a_stricter_suppression_leaves_fewer_boxes(tiny: Path) -> None:
    image = drawn(300, 300)
    finders = [Yolo(image_size=320, iou=iou).load(lambda _: tiny, "cpu") for iou in (0.3, 0.7)]
    strict, lenient = (len(look(finder, image).candidates) for finder in finders)
    assert 0 < strict < lenient


def test_a_model_with_one_class_finds_that_one(write_model: Callable[..., Path]) -> None:
    path = write_model("head")
    assert look(Yolo(image_size=320).load(lambda _: path, "cpu"), drawn(300, 300)).candidates


def test_a_model_without_persons_is_refused(write_model: Callable[..., Path]) -> None:
    path = write_model("dog", "cat")
    with pytest.raises(WeightsError, match="knows no class 'person' among its 2: dog, cat"):
        Yolo().load(lambda _: path, "cpu")


def test_a_file_that_is_no_detector_is_named(tmp_path: Path) -> None:
    file = tmp_path / "yolov8n.pt"
    file.write_bytes(b"no model at all")
    with pytest.raises(WeightsError, match=r"yolov8n\.pt: ultralytics cannot load it"):
        Yolo().load(lambda _: file, "cpu")
    with pytest.raises(WeightsError, match=r"yolov8n\.onnx: not a \.pt file"):
        Yolo().load(lambda _: tmp_path / "yolov8n.onnx", "cpu")


def test_a_gpu_that_is_not_there_is_an_error_with_a_cure(tiny: Path) -> None:
    import torch  # noqa: PLC0415 - heavy

    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    with pytest.raises(DeviceError, match=r"YOLOv8 cannot run on cuda:0.*--device cpu"):
        Yolo().load(lambda _: tiny, "cuda:0")


LOADS = """
import os, socket, sys
from pathlib import Path

def refuse(*_args, **_kwargs):
    raise SystemExit("asked the network")

socket.getaddrinfo = socket.create_connection = refuse
before = dict(os.environ)
from facecrop.images.backends.yolo import Yolo
import numpy as np
for runtime in sys.argv[2:]:
    finder = Yolo(image_size=64, runtime=runtime).load(lambda _: Path(sys.argv[1]), "cpu")
    finder.infer(finder.prepare(np.zeros((64, 64, 3), np.uint8))[None])
print([name for name in os.environ if name.startswith("YOLO_") and name not in before])
"""


def test_loading_asks_no_network_and_leaves_no_settings_behind(tiny: Path, tmp_path: Path) -> None:
    every = [one for one in ("torch", "openvino") if find_spec(one) is not None]
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    ran = subprocess.run(
        [sys.executable, "-c", LOADS, str(tiny), *every],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "[]"
    assert not [path for path in tmp_path.rglob("*") if "ltralytics" in path.name]


def test_settings_travel_to_workers_and_the_score_belongs_to_choose() -> None:
    assert pickle.loads(pickle.dumps(Yolo(iou=0.5))) == Yolo(iou=0.5)  # noqa: S301 - our own
    assert Yolo.model_fields["min_score"].json_schema_extra == {"part": "choose"}
    assert Yolo().label == "yolov8n-640"
    assert Yolo().runs_on("cuda:0") == Yolo().runs_on("cuda:1")
