import os
import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow
from pydantic import BaseModel

from facecrop.errors import ConfigError, DeviceError, WeightsError
from facecrop.images.backends.rembg import SHAPES, Rembg, RembgFinder
from facecrop.images.findings import Alpha
from facecrop.images.frames import Box, Image
from facecrop.images.look.alpha import alpha_in

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")


def write_model(path: Path, side: int, *, batch: int | str = 1, flat: bool = False) -> Path:
    """Write a model of a U²-Net's input and outputs: blurred, weighed channels; a second output."""
    rng = np.random.default_rng(3)
    kernel = rng.normal(0, 0 if flat else 0.1, (1, 3, 5, 5)).astype(np.float32)
    shape = [batch, 3, side, side]
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Conv", ["input.1", "kernel"], ["d1"], pads=[2, 2, 2, 2]),
            onnx.helper.make_node("Sigmoid", ["d1"], ["d0"]),
        ],
        "tiny",
        [info("input.1", onnx.TensorProto.FLOAT, shape)],
        [info(name, onnx.TensorProto.FLOAT, [batch, 1, side, side]) for name in ("d0", "d1")],
        [onnx.numpy_helper.from_array(kernel, "kernel")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 9  # older than onnx writes by default, so that any onnxruntime reads it
    onnx.save(model, str(path))
    return path


def drawn(height: int, width: int, seed: int = 0) -> Image:
    picture = np.random.default_rng(seed).integers(0, 200, (height, width, 3), np.uint8)
    picture = cv2.GaussianBlur(picture, (0, 0), 5)
    cv2.ellipse(
        picture,
        (width // 2, height // 2),
        (width // 4, height // 3),
        0,
        0,
        360,
        (240, 190, 160),
        -1,
    )
    return np.asarray(picture, np.uint8)


def load(path: Path, **settings: str) -> RembgFinder:
    return Rembg.model_validate({"model": "u2netp"} | settings).load(lambda _: path, "cpu")


def look(finder: RembgFinder, image: Image) -> Alpha:
    raw = finder.infer(np.stack([finder.prepare(image)] * finder.batch_size))[0]
    return finder.interpret(raw, image.shape[0], image.shape[1])


def matte(alpha: Alpha, image: Image) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    return alpha_in(alpha, Box(0, 0, width, height), height, width)


def rembg_session(path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return rembg's own session for a U²-Net-shaped file; it reads them from its home only."""
    if find_spec("rembg") is None:
        pytest.skip("rembg is not installed")
    monkeypatch.setenv("U2NET_HOME", str(home))
    from rembg import new_session  # noqa: PLC0415 - takes half a minute the first time

    (home / "custom.onnx").symlink_to(path)
    return new_session("u2net_custom", model_path=str(home / "custom.onnx"))


def assert_agrees(path: Path, session: Any, images: list[Image]) -> None:
    from rembg import remove  # noqa: PLC0415 - heavy

    finder = load(path)
    for image in images:
        own = np.asarray(remove(Pillow.fromarray(image), session=session, only_mask=True))
        alpha = look(finder, image)
        assert np.abs(matte(alpha, image).astype(int) - own).mean() <= 1
        # With rembg's own way of enlarging, single pixels differ by rounding only.
        size = Pillow.fromarray(image).size
        enlarged = Pillow.fromarray(alpha.values).resize(size, Pillow.Resampling.LANCZOS)
        assert np.abs(np.asarray(enlarged).astype(int) - own).max() <= 3


def test_mattes_agree_with_rembgs_own_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "tiny.onnx", 320)
    home = tmp_path / "home"
    home.mkdir()
    session = rembg_session(path, home, monkeypatch)
    images = [drawn(512, 384), drawn(333, 200, 1), drawn(320, 320, 2), drawn(100, 640, 3)]
    assert_agrees(path, session, images)


def test_mattes_agree_with_rembgs_own_call_on_photographs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photographs: list[Image]
) -> None:
    path = Path(os.environ["FACECROP_EVAL"], "models", "u2netp_rebuilt_fp16w.onnx")
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    assert_agrees(path, rembg_session(path, tmp_path, monkeypatch), photographs[:6])


def test_a_picture_of_one_colour_has_an_empty_matte_and_no_missing_numbers(tmp_path: Path) -> None:
    finder = load(write_model(tmp_path / "tiny.onnx", 320, flat=True))
    for level in (0, 128, 255):
        alpha = look(finder, np.full((40, 30, 3), level, np.uint8))
        assert not alpha.values.any()
        assert alpha.region == Box(0, 0, 30, 40)


def test_a_matte_spans_the_full_range(tmp_path: Path) -> None:
    values = look(load(write_model(tmp_path / "tiny.onnx", 320)), drawn(200, 300)).values
    assert values.shape == (320, 320)
    assert (values.min(), values.max()) == (0, 255)


def test_the_neighbours_in_a_batch_change_nothing(tmp_path: Path) -> None:
    finder = load(write_model(tmp_path / "tiny.onnx", 320, batch=4))
    assert finder.batch_size == 4
    inputs = [finder.prepare(drawn(200, 300, seed)) for seed in range(4)]
    dark = np.zeros_like(inputs[0])
    together = finder.infer(np.stack(inputs))
    among_dark = finder.infer(np.stack([dark, inputs[1], dark, dark]))
    assert np.array_equal(together[1], among_dark[1])


def test_on_a_cpu_pictures_go_one_by_one_where_the_file_leaves_it_open(tmp_path: Path) -> None:
    assert load(write_model(tmp_path / "tiny.onnx", 320, batch="n")).batch_size == 1


def test_a_file_of_ones_own_says_whose_shape_it_has(tmp_path: Path) -> None:
    finder = load(write_model(tmp_path / "mine.onnx", 1024), model="mine", like="isnet-general-use")
    assert finder.prepare(drawn(60, 50)).shape == (1024, 1024, 3)
    assert Rembg(model="mine", like="u2net").models == ("mine",)


@pytest.mark.parametrize("name", ["withoutbg", "atlascloud"])
def test_models_that_send_pictures_away_are_refused(name: str) -> None:
    with pytest.raises(WeightsError, match="remote service"):
        Rembg(model=name)


def test_an_unknown_model_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'u2net_human_seg'"):
        Rembg(model="u2net_human")
    with pytest.raises(ConfigError, match="u2net_cloth_seg"):
        Rembg(model="u2net_cloth_seg")


def test_every_known_model_is_used_as_rembgs_session_uses_it() -> None:
    if find_spec("rembg") is None:
        pytest.skip("rembg is not installed")
    import rembg.sessions as own  # noqa: PLC0415 - heavy

    local = {name for name, session in own.sessions.items() if session.is_local()}
    left_out = {"u2net_cloth_seg", "sam", "u2net_custom", "dis_custom", "ben_custom"}
    left_out |= {"birefnet-general-fp16"}
    assert local - left_out == set(SHAPES)
    for name, shape in SHAPES.items():
        mean, std, size = own_input(own.sessions[name])
        assert (shape.mean, shape.std, (shape.side, shape.side)) == (mean, std, size)


def own_input(session_class: Any) -> tuple[Any, Any, Any]:
    """Return the mean, std and size that a session of rembg prepares its pictures with."""
    seen = []

    class Stop(BaseException):
        pass

    class Recorder(session_class):  # type: ignore[misc]  # a class found at run time
        def __init__(self) -> None:
            self.inner_session = type("Nothing", (), {"run": None})()

        def normalize(self, img: Any, mean: Any, std: Any, size: Any) -> Any:  # noqa: ARG002 - its own
            seen.append((mean, std, size))
            raise Stop

    with pytest.raises(Stop):
        Recorder().predict(Pillow.new("RGB", (4, 4)))
    return seen[0]


def test_a_gpu_that_cannot_be_used_is_an_error_with_a_cure(tmp_path: Path) -> None:
    import onnxruntime  # noqa: PLC0415 - heavy

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA in it")
    path = write_model(tmp_path / "tiny.onnx", 320)
    with pytest.raises(DeviceError, match=r"cannot run on cuda:0.*facecrop\[rembg-gpu\]"):
        Rembg(model="u2netp", runtime="onnxruntime").load(lambda _: path, "cuda:0")


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    file = tmp_path / "u2netp.onnx"
    file.write_bytes(b"no model at all")
    with pytest.raises(WeightsError, match=r"u2netp\.onnx: onnxruntime cannot load it"):
        load(file)


def test_settings_travel_to_workers_and_name_the_device() -> None:
    settings: BaseModel = Rembg(model="u2net_human_seg")
    assert pickle.loads(pickle.dumps(settings)) == settings  # noqa: S301 - our own
    assert Rembg().runs_on("cpu") != Rembg().runs_on("cuda:0")
    assert Rembg().runs_on("cuda:0") == Rembg().runs_on("cuda:1")
