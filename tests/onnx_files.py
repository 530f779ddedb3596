"""A small network of the kinds of operations that the files of U²-Net are made of, as ONNX."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Drawing:
    """A graph in the making; every method returns the name of what it adds."""

    def __init__(self, seed: int = 0) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._rng = np.random.default_rng(seed)

    def add(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def known(self, values: Any, kind: Any = np.int64) -> str:
        name = f"known_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def conv(self, given: str, sizes: tuple[int, int], side: int = 3, **attributes: Any) -> str:
        weight = self._rng.normal(0, 0.4, (sizes[1], sizes[0], side, side))
        bias = self._rng.normal(0, 0.2, sizes[1])
        inputs = [given, self.known(weight, np.float32), self.known(bias, np.float32)]
        reach = attributes.get("dilations", [1])[0] * (side // 2)
        return self.add("Conv", inputs, kernel_shape=[side] * 2, pads=[reach] * 4, **attributes)

    def resize(self, given: str, like: str, size: tuple[int, int], how: str) -> str:
        """Enlarge to the size of another value, told in one of the ways of exporters."""
        none = self.known([], np.float32)
        options = {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"}
        if how == "sizes":  # with the batch and the channels in it
            return self.add("Resize", [given, none, none, self.known([1, 4, *size])], **options)
        if how == "scales":
            return self.add(
                "Resize", [given, none, self.known([1, 1, 2, 2], np.float32)], **options
            )
        shape = self.add("Shape", [like])
        sides = [
            self.add("Unsqueeze", [self.add("Gather", [shape, self.known(axis)])], axes=[0])
            for axis in (2, 3)
        ]
        floats = self.add("Cast", [self.add("Concat", sides, axis=0)], to=TensorProto.FLOAT)
        whole = self.add("Cast", [self.add("Floor", [floats])], to=TensorProto.INT64)
        bounds = [self.known([0]), self.known([2]), self.known([0])]
        first = self.add("Slice", [self.add("Shape", [given]), *bounds])
        sizes = self.add("Concat", [first, whole], axis=0)
        return self.add("Resize", [given, none, none, sizes], **options)


def write_unet(path: Path, how: str = "sizes", batch: int | str = 1, extra: str = "") -> Path:
    """Write a network for pictures of 320 pixels, with the last output made of two sides.

    Args:
        path: Where.
        how: Sizes are told: `sizes`, `scales`, or computed from `shapes` as older exporters do.
        batch: What the file says of it.
        extra: A further operation on the picture, before the last.
    """
    net = Drawing()
    first = net.add("Relu", [net.conv("input.1", (3, 4), strides=[16, 16])])  # 20 pixels
    pooled = net.add("MaxPool", [first], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)  # 10
    inner = net.add("Relu", [net.conv(pooled, (4, 4), dilations=[2, 2])])
    lowest = net.add("MaxPool", [inner], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)  # 5
    up = net.resize(net.conv(lowest, (4, 4)), inner, (10, 10), how)
    joined = net.add("Relu", [net.conv(net.add("Concat", [up, inner], axis=1), (8, 4))])
    summed = net.add("Add", [net.resize(joined, first, (20, 20), how), first])
    sides = [net.conv(summed, (4, 1)), net.conv(net.resize(joined, first, (20, 20), how), (4, 1))]
    last = net.conv(net.add("Concat", sides, axis=1), (2, 1), side=1)
    last = net.add(extra, [last]) if extra else last
    outputs = [net.add("Sigmoid", [one]) for one in (last, sides[0])]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        net.nodes,
        "small",
        [info("input.1", TensorProto.FLOAT, [batch, 3, 320, 320])],
        [info(name, TensorProto.FLOAT, None) for name in outputs],
        net.weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 7  # older than onnx writes by default, so that any onnxruntime reads it
    onnx.save(model, str(path))
    return path
