"""Half precision without its worst rounding: channels that hover about a large number are centred.

Where training left a channel nearly constant (226, give or take 2, in a decoder of u2netp), the
next convolution multiplies it by large weights and takes the product off again by a bias of 1361.
bfloat16 has eight binary digits: 226 may be wrong by a half, and the difference by a dozen. Most
of what u2netp's mattes lose in bfloat16 they lose there (`docs/runtimes.md` has the table).

So the constant is taken off where such a channel is made, and what following convolutions make of
it is computed here, in float64. The model says what it said before, but for rounding.

The other loss is the picture's own: it has eight bits, and bfloat16 has as many for its brightest
pixels. So the picture comes in as two numbers whose sum it is.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from facecrop.errors import WeightsError
from facecrop.images.models import cure_for

_LARGE = 8.0
"""Bias from which a channel is centred: from there on bfloat16 steps by 1/16 and more."""

PARTS = 9
"""Planes of a picture in parts."""

_COLOURS = 3

Offset = NDArray[np.float64]
"""What was taken off each channel of a value, (C,)."""


def read_onnx(path: Path) -> Any:
    """Read a file.

    Raises:
        WeightsError: It is no ONNX model.
    """
    try:
        file = onnx.load(str(path))
    except (DecodeError, OSError, ValueError) as error:
        raise WeightsError(
            f"{path}: onnx cannot read it ({str(error).splitlines()[0]}); {cure_for(path)}"
        ) from None
    if not file.graph.output or not any(not one.domain for one in file.opset_import):
        raise WeightsError(f"{path}: is no ONNX model; {cure_for(path)}")
    return file


def for_halves(model: Any) -> Any:
    """Return an equal model that loses little in half precision: `centred`, taking `parts`.

    Args:
        model: An ONNX model of one picture; it is changed.
    """
    model = centred(model)
    graph = model.graph
    weights = {one.name: one for one in graph.initializer}
    entry = next(one for one in graph.input if one.name not in weights)
    first = [node for node in graph.node if entry.name in node.input]
    known = [weights.get(node.input[1]) for node in first if node.op_type == "Conv"]
    if len(known) < len(first) or any(one is None or one.dims[1] != _COLOURS for one in known):
        return model  # it takes the picture as it is
    for node in first:
        weight = np.asarray(numpy_helper.to_array(weights[node.input[1]]), np.float32)
        high = _short(weight.astype(np.float64)).astype(np.float32)
        name = f"{node.output[0]}.parts"
        split = np.concatenate([high, high, weight - high], axis=1)
        graph.initializer.append(numpy_helper.from_array(split, name))
        node.input[1] = name
    entry.type.tensor_type.shape.dim[1].dim_value = PARTS
    return model


def parts(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return planes (N, 3, H, W) as the numbers of bfloat16 that sum up to them, (N, 9, H, W).

    They are the large part, the small one, and the large one once more, for the small part of the
    weights.
    """
    high = _short(planes.astype(np.float64)).astype(np.float32)
    return np.concatenate([high, planes - high, high], axis=1)


def centred(model: Any) -> Any:
    """Return an equal model of one picture, in which channels made with a large bias are centred.

    Args:
        model: An ONNX model; it is changed.
    """
    work = _Centring(onnx.shape_inference.infer_shapes(model, data_prop=True).graph)
    for node in list(model.graph.node):
        work.follow(node)
    del model.graph.node[:]
    model.graph.node.extend(work.nodes)
    model.graph.initializer.extend(work.constants)
    return model


class _Centring:
    """Goes through a graph and writes it anew: old value = new value + its offset."""

    def __init__(self, graph: Any) -> None:
        self.offsets: dict[str, Offset] = {}
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._weights = {one.name: one for one in graph.initializer}
        self._outputs = {one.name for one in graph.output}
        values = (*graph.input, *graph.value_info, *graph.output)
        self._shapes = {
            one.name: [side.dim_value for side in one.type.tensor_type.shape.dim] for one in values
        }
        self._users: dict[str, list[str]] = {}
        for node in graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node.op_type)

    def follow(self, node: Any) -> None:
        """Write a node so that it does with centred values what it did."""
        ways: dict[str, Callable[[Any], None]] = {
            "Add": self._sum,
            "Concat": self._concat,
            "Conv": self._conv,
            "MaxPool": self._same,
            "Relu": self._relu,
            "Resize": self._same,
            "Shape": self.nodes.append,
        }
        known = ways.get(node.op_type)
        told = node.op_type != "Conv" and self._outputs.intersection(node.output)
        if known is None or told or (node.op_type == "Resize" and _mode(node) != "linear"):
            self._as_it_was(node)
        else:
            known(node)

    def _same(self, node: Any) -> None:
        """Of constants, the largest and the mean are the constant."""
        if node.input[0] in self.offsets:
            self.offsets[node.output[0]] = self.offsets[node.input[0]]
        self.nodes.append(node)

    def _sum(self, node: Any) -> None:
        if any(name in self._weights for name in node.input):
            self._as_it_was(node)
            return
        offsets = [self.offsets[name] for name in node.input if name in self.offsets]
        if offsets:
            self.offsets[node.output[0]] = np.sum(offsets, axis=0)
        self.nodes.append(node)

    def _concat(self, node: Any) -> None:
        counts = [(self._shapes.get(name) or [0, 0])[1:2] for name in node.input]
        if any(name in self.offsets for name in node.input):
            self.offsets[node.output[0]] = np.concatenate(
                [
                    self.offsets.get(name, np.zeros(sum(count)))
                    for name, count in zip(node.input, counts, strict=True)
                ]
            )
        self.nodes.append(node)

    def _relu(self, node: Any) -> None:
        offset = self.offsets.get(node.input[0])
        if offset is None:
            self.nodes.append(node)
            return
        self.offsets[node.output[0]] = offset
        floor = self._constant(f"{node.output[0]}.floor", -offset[None, :, None, None])
        self.nodes.append(helper.make_node("Max", [node.input[0], floor], node.output))

    def _conv(self, node: Any) -> None:
        weight, bias = (self._read(name) for name in (*node.input, "")[1:3])
        shape = self._shapes.get(node.output[0], [])
        taken = self.offsets.get(node.input[0])
        if weight is None or bias is None or (taken is not None and not _plain(node, shape)):
            self._as_it_was(node)
            return
        border = None
        if taken is not None:
            made = _made_of(taken, weight, node, shape)
            inner = made[:, shape[2] // 2, shape[3] // 2]
            bias, border = bias + inner, made - inner[:, None, None]
        offset = np.where(bias > _LARGE, _short(bias), 0)
        name = node.output[0]
        if offset.any() and self._users.get(name) == ["Relu"] and name not in self._outputs:
            self.offsets[name] = offset
        else:
            offset = np.zeros_like(bias)
        if taken is None and not offset.any():
            self.nodes.append(node)
            return
        made_by = helper.make_node("Conv", [node.input[0], node.input[1], ""], [name])
        made_by.attribute.extend(node.attribute)
        made_by.input[2] = self._constant(f"{name}.bias", bias - offset)
        if border is not None and border.any():
            made_by.output[0] = f"{name}.inner"
            added = [made_by.output[0], self._constant(f"{name}.border", border[None])]
            self.nodes += [made_by, helper.make_node("Add", added, [name])]
        else:
            self.nodes.append(made_by)

    def _as_it_was(self, node: Any) -> None:
        """Give a node its old values back."""
        for place, name in enumerate(node.input):
            if name in self.offsets:
                old = f"{name}.old.{node.output[0]}"
                offset = self._constant(f"{old}.offset", self.offsets[name][None, :, None, None])
                self.nodes.append(helper.make_node("Add", [name, offset], [old]))
                node.input[place] = old
        self.nodes.append(node)

    def _read(self, name: str) -> NDArray[np.float64] | None:
        one = self._weights.get(name)
        return None if one is None else np.asarray(numpy_helper.to_array(one), np.float64)

    def _constant(self, name: str, values: NDArray[np.float64]) -> str:
        self.constants.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name


def _mode(node: Any) -> str:
    modes = [one.s.decode() for one in node.attribute if one.name == "mode"]
    return modes[0] if modes else "nearest"


def _plain(node: Any, shape: list[int]) -> bool:
    """Tell whether a convolution keeps the picture's size, known beforehand, and its channels."""
    given = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    keeps = set(given.get("strides", [1])) == {1} and given.get("group", 1) == 1
    pads = given.get("pads", [0, 0, 0, 0])
    reach = [
        dilation * (side - 1) // 2
        for dilation, side in zip(
            given.get("dilations", [1, 1]), given["kernel_shape"], strict=True
        )
    ]
    return keeps and len(shape) == 4 and all(shape) and list(pads) == reach * 2  # noqa: PLR2004 - N, C, H, W


def _made_of(
    offset: Offset, weight: NDArray[np.float64], node: Any, shape: list[int]
) -> NDArray[np.float64]:
    """Return what a convolution makes of constant channels with nothing around: (C, H, W)."""
    dilations = [tuple(one.ints) for one in node.attribute if one.name == "dilations"]
    taps = np.einsum("oikl,i->okl", weight, offset)
    inside = [
        np.stack([_inside(side, count, tap, step) for tap in range(count)])
        for side, count, step in zip(
            shape[2:], weight.shape[2:], (dilations or [(1, 1)])[0], strict=True
        )
    ]
    return np.asarray(np.einsum("okl,kh,lw->ohw", taps, *inside, optimize=True), np.float64)


def _inside(side: int, count: int, tap: int, step: int) -> NDArray[np.float64]:
    """Return 1 for each place along a side where a tap of the kernel lies inside the picture."""
    places = np.arange(side) + (tap - count // 2) * step
    return ((places >= 0) & (places < side)).astype(np.float64)


def _short(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the nearest numbers of eight binary digits: those that bfloat16 has."""
    fraction, exponent = np.frexp(values)
    rounded: NDArray[np.float64] = np.ldexp(np.round(fraction * 256) / 256, exponent)
    return rounded
