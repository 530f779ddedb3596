from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from facecrop.errors import ConfigError, WeightsError

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx_files import Drawing, write_unet  # noqa: E402 - needs onnx

from facecrop.images.backends.onnx_torch import convert  # noqa: E402 - needs torch

WAYS = ("sizes", "scales", "shapes")


def pictures(count: int, side: int = 320) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(count, 3, side, side)).astype(np.float32)


def by_torch(path: Path, planes: NDArray[np.float32]) -> NDArray[np.float32]:
    with torch.inference_mode():
        return np.asarray(convert(path, planes.shape[-1])(torch.from_numpy(planes)).numpy())


def by_onnxruntime(path: Path, planes: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    first = session.get_outputs()[0].name
    return np.concatenate([session.run([first], {"input.1": one[None]})[0] for one in planes])


@pytest.mark.parametrize("how", WAYS)
def test_a_network_says_what_onnxruntime_says_however_sizes_are_told(
    tmp_path: Path, how: str
) -> None:
    path = write_unet(tmp_path / "small.onnx", how)
    planes = pictures(3)
    expected = by_onnxruntime(path, planes)
    assert expected.std() > 0.05  # else anything would agree
    np.testing.assert_allclose(by_torch(path, planes), expected, atol=1e-5)


@pytest.mark.parametrize("how", WAYS)
def test_a_batch_may_have_any_size_whatever_the_file_says(tmp_path: Path, how: str) -> None:
    path = write_unet(tmp_path / "small.onnx", how)
    planes = pictures(7)
    together = by_torch(path, planes)
    assert together.shape == (7, 1, 20, 20)
    alone = np.concatenate([by_torch(path, one[None]) for one in planes])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_file_that_leaves_its_batch_open_is_read_too(tmp_path: Path) -> None:
    open_ended = by_torch(write_unet(tmp_path / "open.onnx", "shapes", batch="n"), pictures(2))
    fixed = by_torch(write_unet(tmp_path / "fixed.onnx", "shapes"), pictures(2))
    assert np.array_equal(open_ended, fixed)


def test_only_what_the_first_output_needs_is_kept(tmp_path: Path) -> None:
    network = convert(write_unet(tmp_path / "small.onnx"), 320)
    assert sum(isinstance(layer, torch.nn.Sigmoid) for layer in network.layers) == 1


def test_operations_without_a_counterpart_are_named_and_what_to_do(tmp_path: Path) -> None:
    path = write_unet(tmp_path / "isnet.onnx", "shapes", extra="Softplus")
    with pytest.raises(ConfigError) as caught:
        convert(path, 320)
    assert str(caught.value) == (
        "isnet.onnx cannot run on torch, which has no counterpart here for its Softplus (1); "
        "set matte.runtime=onnxruntime"
    )


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("Conv", {"pads": [1, 1, 0, 0], "kernel_shape": [1, 1]}, "more border on one side"),
        ("Conv", {"auto_pad": "SAME_UPPER", "kernel_shape": [1, 1]}, "more border on one side"),
        ("Resize", {"mode": "cubic"}, "Resize cubic, half_pixel"),
        ("Concat", {"axis": 2}, "Concat of other things than channels"),
        ("Add", {}, "Add with a constant"),
    ],
)
def test_a_way_of_working_without_a_counterpart_is_named(
    tmp_path: Path, kind: str, options: dict[str, object], told: str
) -> None:
    net = Drawing()
    weight = net.known(np.ones((3, 3, 1, 1)), np.float32)
    sizes = net.known([1, 3, 40, 40])
    more = {"Conv": [weight], "Resize": ["", "", sizes], "Concat": ["input.1"], "Add": [weight]}
    last = net.add(kind, ["input.1", *more[kind]], **options)
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        net.nodes,
        "odd",
        [info("input.1", onnx.TensorProto.FLOAT, [1, 3, 320, 320])],
        [info(last, onnx.TensorProto.FLOAT, None)],
        net.weights,
    )
    path = tmp_path / "odd.onnx"
    opset = onnx.helper.make_opsetid("", 11)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset]), str(path))
    with pytest.raises(ConfigError, match=rf"odd\.onnx cannot run on torch.*{told}"):
        convert(path, 320)


@pytest.mark.parametrize("content", [b"", b"no model at all", b"\x00\xff" * 50])
def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"broken\.onnx"):
        convert(path, 320)
