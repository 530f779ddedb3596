"""Layers of torch that do what single operations of ONNX files do."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

Constants = Mapping[str, NDArray[Any]]
"""What is known before any picture is seen: weights, and numbers computed from shapes."""


class Unknown(Exception):  # noqa: N818 - caught here, and told as a ConfigError
    """A node that has no counterpart here; the text says what of it."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of a file, its attributes as plain values."""

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def output(self) -> str:
        """Its first output."""
        return self.outputs[0]


class Resize(nn.Module):
    """Interpolation to a height and width."""

    def __init__(self, size: tuple[int, int], mode: str, *, corners: bool | None) -> None:
        super().__init__()
        self.size, self.mode, self.corners = size, mode, corners

    def forward(self, planes: Tensor) -> Tensor:
        """Return the planes at that size."""
        return nn.functional.interpolate(
            planes, self.size, mode=self.mode, align_corners=self.corners
        )


class Concat(nn.Module):
    """Channels of several tensors, one after the other."""

    def forward(self, *planes: Tensor) -> Tensor:
        """Return them as one."""
        return torch.cat(planes, 1)


class Offset(nn.Module):
    """A sum with what is known beforehand; in float32, as it may be large where the sum is not."""

    def __init__(self, known: Tensor) -> None:
        super().__init__()
        self.known = nn.Parameter(known, requires_grad=False)

    def forward(self, planes: Tensor) -> Tensor:
        """Return it."""
        return (planes.float() + self.known.float()).to(planes.dtype)


class Floor(nn.Module):
    """No less than what is known beforehand for each channel."""

    def __init__(self, known: Tensor) -> None:
        super().__init__()
        self.known = nn.Parameter(known, requires_grad=False)

    def forward(self, planes: Tensor) -> Tensor:
        """Return the larger one."""
        return torch.maximum(planes, self.known)


class Add(nn.Module):
    """A sum."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Return it."""
        return one + other


def layer_of(node: Node, constants: Constants, shapes: Mapping[str, tuple[int, ...]]) -> nn.Module:
    """Return the layer that does what a node says.

    Args:
        node: Of a kind that is in `LAYERS`.
        constants: What is known before any picture is seen.
        shapes: Of what depends on the picture, for a batch of one.

    Raises:
        Unknown: It does something in a way that is not known here.
    """
    return LAYERS[node.kind](node, constants, shapes.get(node.inputs[0], ()))


def _conv(node: Node, constants: Constants, shape: tuple[int, ...]) -> nn.Module:
    del shape
    if any(name and name not in constants for name in node.inputs[1:]):
        raise Unknown("Conv with computed weights")
    weight = constants[node.inputs[1]]
    given = node.attributes
    if weight.ndim != 4:  # noqa: PLR2004 - outputs, inputs, height, width
        raise Unknown(f"Conv in {weight.ndim - 2} dimensions")
    groups = int(given.get("group", 1))
    layer = nn.Conv2d(
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=tuple(given.get("strides", (1, 1))),
        padding=_padding(node),
        dilation=tuple(given.get("dilations", (1, 1))),
        groups=groups,
        bias=len(node.inputs) > 2 and bool(node.inputs[2]),  # noqa: PLR2004 - data, weight, bias
        device="meta",  # not filled with chance numbers first
    )
    layer.weight = _parameter(weight)
    if layer.bias is not None:
        layer.bias = _parameter(constants[node.inputs[2]])
    return layer


def _parameter(values: NDArray[Any]) -> nn.Parameter:
    return nn.Parameter(torch.from_numpy(values.astype(np.float32)), requires_grad=False)


def _padding(node: Node) -> tuple[int, int]:
    top, left, bottom, right = node.attributes.get("pads", (0, 0, 0, 0))
    if (top, left) != (bottom, right) or node.attributes.get("auto_pad", "NOTSET") != "NOTSET":
        raise Unknown(f"{node.kind} with more border on one side")
    return top, left


def _pool(node: Node, constants: Constants, shape: tuple[int, ...]) -> nn.Module:
    del constants, shape
    given = node.attributes
    if len(node.outputs) > 1 or len(given["kernel_shape"]) != 2:  # noqa: PLR2004 - of a picture
        raise Unknown("MaxPool with places, or not of pictures")
    return nn.MaxPool2d(
        tuple(given["kernel_shape"]),
        stride=tuple(given.get("strides", (1, 1))),
        padding=_padding(node),
        dilation=tuple(given.get("dilations", (1, 1))),
        ceil_mode=bool(given.get("ceil_mode", 0)),
    )


def _resize(node: Node, constants: Constants, shape: tuple[int, ...]) -> nn.Module:
    size = _size(node, constants, shape)
    mode = str(node.attributes.get("mode", "nearest"))
    place = str(node.attributes.get("coordinate_transformation_mode", "half_pixel"))
    rounding = str(node.attributes.get("nearest_mode", "round_prefer_floor"))
    if mode == "linear" and place in ("half_pixel", "pytorch_half_pixel") and 1 not in size:
        return Resize(size, "bilinear", corners=False)  # the two differ for a single pixel only
    if mode == "linear" and place == "align_corners":
        return Resize(size, "bilinear", corners=True)
    if (mode, place, rounding) == ("nearest", "asymmetric", "floor"):
        return Resize(size, "nearest", corners=None)
    raise Unknown(f"Resize {mode}, {place}")


def _size(node: Node, constants: Constants, shape: tuple[int, ...]) -> tuple[int, int]:
    """Return height and width after a Resize, which the file gives as such or as factors."""
    scales, sizes = (*node.inputs[2:], "", "")[:2]
    if len(shape) == 4 and constants.get(sizes, np.empty(0)).size == 4:  # noqa: PLR2004 - N, C, H, W
        height, width = (int(one) for one in constants[sizes][2:])
        return height, width
    if len(shape) == 4 and constants.get(scales, np.empty(0)).size == 4:  # noqa: PLR2004 - likewise
        sides = [
            one * float(scale) for one, scale in zip(shape[2:], constants[scales][2:], strict=True)
        ]
        if all(side.is_integer() for side in sides):
            return int(sides[0]), int(sides[1])
    raise Unknown("Resize to a size that is not known beforehand")


def _concat(node: Node, constants: Constants, shape: tuple[int, ...]) -> nn.Module:
    if node.attributes["axis"] % max(len(shape), 1) != 1:
        raise Unknown("Concat of other things than channels")
    _none_known(node, constants)
    return Concat()


def _add(node: Node, constants: Constants, shape: tuple[int, ...]) -> nn.Module:
    known = _known(node, constants)
    if known is None:
        return Add()
    if known.shape != shape:
        raise Unknown("Add with a constant")  # which may make something larger than the picture
    return Offset(torch.from_numpy(known))


def _floor(node: Node, constants: Constants, shape: tuple[int, ...]) -> nn.Module:
    known = _known(node, constants)
    if known is None or known.shape != (1, *shape[1:2], 1, 1):
        raise Unknown("Max")
    return Floor(torch.from_numpy(known))


def _known(node: Node, constants: Constants) -> NDArray[np.float32] | None:
    """Return what the second of two inputs is, if it is known."""
    first, *others = node.inputs
    if first in constants or len(others) != 1:
        raise Unknown(f"{node.kind} with a constant")
    return np.array(constants[others[0]], np.float32) if others[0] in constants else None


def _none_known(node: Node, constants: Constants) -> None:
    if any(name in constants for name in node.inputs):
        raise Unknown(f"{node.kind} with a constant")


LAYERS: dict[str, Callable[[Node, Constants, tuple[int, ...]], nn.Module]] = {
    "Add": _add,
    "Concat": _concat,
    "Conv": _conv,
    "Max": _floor,
    "MaxPool": _pool,
    "Relu": lambda *_: nn.ReLU(),
    "Resize": _resize,
    "Sigmoid": lambda *_: nn.Sigmoid(),
}
"""What the files of U²-Net and IS-Net are made of."""
