from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
torch = pytest.importorskip("torch", reason="torch is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx import TensorProto, helper  # noqa: E402 - needs onnx
from onnx_files import Drawing, write_unet  # noqa: E402 - likewise

from facecrop.images.backends.onnx_centre import (  # noqa: E402 - likewise
    centred,
    for_halves,
    parts,
    read_onnx,
)
from facecrop.images.backends.onnx_torch import convert  # noqa: E402 - likewise

SIDE = 24


def write_hovering(path: Path, *, through: str = "") -> Path:
    """Write a network with a channel that hovers about 226, which is taken off again later.

    Args:
        path: Where.
        through: An operation that the channel passes on its way, and that is not followed.
    """
    net = Drawing(seed=4)
    high = net.add("Relu", [_conv(net, "input.1", (3, 4), {0: 226.0, 2: 40.0})])
    other = net.add("Relu", [net.conv("input.1", (3, 4))])
    small = net.add("MaxPool", [high], kernel_shape=[2, 2], strides=[2, 2])
    summed = net.add("Add", [net.resize(small, high, (SIDE, SIDE), "sizes"), high])
    summed = net.add(through, [summed]) if through else summed
    joined = net.add("Concat", [other, summed], axis=1)
    # Twice 226 and twice 40 come in, each through all nine taps of the kernel.
    last = net.add("Relu", [_conv(net, joined, (8, 4), {}, off={4: 452.0, 6: 80.0}, dilation=2)])
    logits = net.conv(last, (4, 1), side=1)
    graph = helper.make_graph(
        net.nodes,
        "hovering",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(logits, TensorProto.FLOAT, None)],
        net.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 7  # older than onnx writes by default, so that any onnxruntime reads it
    onnx.save(model, str(path))
    return path


def _conv(
    net: Drawing,
    given: str,
    sizes: tuple[int, int],
    bias: dict[int, float],
    *,
    off: dict[int, float] | None = None,
    dilation: int = 1,
) -> str:
    weight = np.random.default_rng(sizes[0]).normal(0, 0.3, (sizes[1], sizes[0], 3, 3))
    added = np.zeros(sizes[1])
    for channel, value in bias.items():
        added[channel] = value
    for channel, value in (off or {}).items():
        added -= value * weight[:, channel].sum(axis=(1, 2))
    inputs = [given, net.known(weight, np.float32), net.known(added, np.float32)]
    around = [dilation] * 4
    return net.add("Conv", inputs, pads=around, dilations=around[:2], kernel_shape=[3, 3])


def pictures(count: int = 2, side: int = SIDE) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(size=(count, 3, side, side)).astype(np.float32)


def said(model: Any, planes: NDArray[np.float32]) -> NDArray[np.float32]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    first = session.get_outputs()[0].name
    return np.concatenate([session.run([first], {"input.1": one[None]})[0] for one in planes])


def by_torch(path: Path, *, halved: bool) -> NDArray[np.float32]:
    network = convert(path, SIDE, halved=halved).to(torch.bfloat16)
    planes = parts(pictures()) if halved else pictures()
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(planes).bfloat16()).float().numpy())


@pytest.mark.parametrize("through", ["", "LeakyRelu"])
def test_a_centred_model_says_what_it_said_also_at_the_border(tmp_path: Path, through: str) -> None:
    path = write_hovering(tmp_path / "hovering.onnx", through=through)
    before, after = read_onnx(path), centred(read_onnx(path))
    assert {"Max"} <= {node.op_type for node in after.graph.node}
    expected, found = said(before, pictures()), said(after, pictures())
    assert np.abs(expected[..., 8:-8, 8:-8]).max() < 20 < np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-3)  # of 1361 and the like


def test_no_large_number_is_left_in_a_centred_model(tmp_path: Path) -> None:
    after = centred(read_onnx(write_hovering(tmp_path / "hovering.onnx")))
    used = {name for node in after.graph.node if node.op_type == "Conv" for name in node.input}
    biases = [
        onnx.numpy_helper.to_array(one)
        for one in after.graph.initializer
        if one.name in used and one.name.endswith(".bias")
    ]
    assert len(biases) == 2
    assert max(np.abs(one).max() for one in biases) <= 8


def test_half_precision_gains_much(tmp_path: Path) -> None:
    path = write_hovering(tmp_path / "hovering.onnx")
    inner = np.s_[..., 4:-4, 4:-4]
    expected = said(read_onnx(path), pictures())[inner]
    plain, halved = (
        np.abs(by_torch(path, halved=one)[inner] - expected).mean() for one in (False, True)
    )
    assert halved < plain / 5


def test_a_picture_in_parts_is_the_picture(tmp_path: Path) -> None:
    planes = pictures()
    high, low, again = np.split(parts(planes), 3, axis=1)
    assert np.array_equal(high + low, planes)
    assert np.array_equal(high, again)
    assert np.array_equal(torch.from_numpy(high).bfloat16().float().numpy(), high)
    path = write_hovering(tmp_path / "hovering.onnx")
    found = said(for_halves(read_onnx(path)), parts(planes))
    np.testing.assert_allclose(found, said(read_onnx(path), planes), rtol=1e-5, atol=2e-3)


def test_what_does_not_begin_with_a_convolution_takes_pictures_as_they_are(tmp_path: Path) -> None:
    model = read_onnx(write_unet(tmp_path / "small.onnx"))
    model.graph.node.insert(0, helper.make_node("Relu", ["input.1"], ["bright"]))
    model.graph.node[1].input[0] = "bright"
    assert for_halves(model).graph.input[0].type.tensor_type.shape.dim[1].dim_value == 3


@pytest.mark.parametrize("how", ["sizes", "scales", "shapes"])
def test_a_model_without_such_channels_stays_what_it_is(tmp_path: Path, how: str) -> None:
    model = read_onnx(write_unet(tmp_path / "small.onnx", how))
    before = model.SerializeToString()
    assert centred(model).SerializeToString() == before
