"""ONNX files of the U²-Net kind as torch networks, so that one runtime serves all models on a GPU.

The file's own graph is followed, operation by operation. What a file computes about shapes (most
exporters leave such arithmetic in) is worked out once, for one picture; sizes are then those of the
spatial axes alone, so that a batch may hold any number of pictures, whatever number the file names.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx.reference import ReferenceEvaluator
from torch import Tensor, nn

from facecrop.errors import ConfigError, WeightsError
from facecrop.images.backends.onnx_centre import for_halves, read_onnx
from facecrop.images.backends.onnx_layers import LAYERS, Node, Resize, Unknown, layer_of


@dataclass(frozen=True, slots=True)
class Step:
    """One layer's place: what it takes, what it gives, and what nobody needs after it."""

    inputs: tuple[str, ...]
    output: str
    done_with: tuple[str, ...]


class Network(nn.Module):
    """A converted file: (N, C, S, S) float in, its first output (N, 1, S, S) out, for any N.

    Args:
        entry: Name of what goes in.
        channels: Planes of a picture: 3, or `PARTS`.
        steps: What is done.
        layers: What does it.
    """

    def __init__(
        self, entry: str, channels: int, steps: Sequence[Step], layers: Sequence[nn.Module]
    ) -> None:
        super().__init__()
        self.channels = channels
        self._entry = entry
        self._steps = tuple(steps)
        self.layers = nn.ModuleList(layers)

    def forward(self, planes: Tensor) -> Tensor:
        """Return what the file's first output is for these planes."""
        values = {self._entry: planes}
        for step, layer in zip(self._steps, self.layers, strict=True):
            values[step.output] = layer(*[values[name] for name in step.inputs])
            for name in step.done_with:
                del values[name]
        return values[self._steps[-1].output]


def convert(path: Path, side: int, *, halved: bool = False) -> Network:
    """Read a file and build its network, in float32 on the CPU.

    Args:
        path: The ONNX file.
        side: Of the square picture, pixels; used where the file leaves it open.
        halved: Whether it shall compute in half precision: then see `for_halves`.

    Raises:
        WeightsError: The file is no ONNX model.
        ConfigError: It has operations that are not known here; the message names them.
    """
    file = for_halves(read_onnx(path)) if halved else read_onnx(path)
    graph, opset = file.graph, next(one for one in file.opset_import if not one.domain)
    constants = {one.name: onnx.numpy_helper.to_array(one) for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in constants]
    nodes = _needed([_node(one) for one in graph.node], graph.output[0].name)
    if len(inputs) != 1:
        raise WeightsError(f"{path}: takes {len(inputs)} inputs, not one picture")
    entry = inputs[0].name
    if missing := _missing(nodes, entry):
        told = ", ".join(f"{kind} ({count})" for kind, count in sorted(missing.items()))
        raise _cannot(path, told)
    shapes = {entry: _shape(inputs[0], side)}
    kept: list[Node] = []
    layers: list[nn.Module] = []
    for node in nodes:
        if _fold(node, opset, constants, shapes):
            continue
        try:
            layer = layer_of(node, constants, shapes)
        except Unknown as what:
            raise _cannot(path, str(what)) from None
        shapes[node.output] = _size_after(layer, [shapes[name] for name in _data(node, shapes)])
        kept.append(node)
        layers.append(layer)
    if not kept or kept[-1].output != graph.output[0].name:
        raise WeightsError(f"{path}: its first output does not depend on the picture")
    return _assembled(entry, kept, layers, shapes)


def _cannot(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{path.name} cannot run on torch, which has no counterpart here for its {what}; "
        "set matte.runtime=onnxruntime"
    )


def _node(proto: Any) -> Node:
    attributes = {one.name: onnx.helper.get_attribute_value(one) for one in proto.attribute}
    attributes = {
        name: value.decode() if isinstance(value, bytes) else value
        for name, value in attributes.items()
    }
    return Node(proto.op_type, tuple(proto.input), tuple(proto.output), attributes)


def _shape(entry: Any, side: int) -> tuple[int, ...]:
    """Return the shape of one picture, with what the file leaves open filled in."""
    named = [one.dim_value for one in entry.type.tensor_type.shape.dim]
    usual = (1, 3, side, side)
    return (1, *(known or guess for known, guess in zip(named[1:], usual[1:], strict=False)))


def _needed(nodes: Sequence[Node], output: str) -> list[Node]:
    """Return the nodes that an output depends on, in their order."""
    wanted, kept = {output}, []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _missing(nodes: Sequence[Node], entry: str) -> Counter[str]:
    """Count the operations on pictures, not on their shapes, that have no layer."""
    pictures = {entry}
    missing: Counter[str] = Counter()
    for node in nodes:
        if node.kind != "Shape" and pictures.intersection(node.inputs):
            pictures.update(node.outputs)
            missing.update([node.kind] if node.kind not in LAYERS else [])
    return missing


def _data(node: Node, shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, ...]:
    """Return the inputs of a node that depend on the picture."""
    return tuple(name for name in node.inputs if name in shapes)


def _fold(
    node: Node,
    opset: Any,
    constants: dict[str, NDArray[Any]],
    shapes: Mapping[str, tuple[int, ...]],
) -> bool:
    """Work out a node that needs no picture; tell whether it is one."""
    if node.kind == "Shape" and node.inputs[0] in shapes and not node.attributes:
        constants[node.output] = np.array(shapes[node.inputs[0]], np.int64)
        return True
    given = {name: constants[name] for name in node.inputs if name in constants}
    if len(given) < len({name for name in node.inputs if name}):
        return False
    proto = onnx.helper.make_node(node.kind, node.inputs, node.outputs, **dict(node.attributes))
    alone = onnx.helper.make_function("", "known", list(given), node.outputs, [proto], [opset])
    results = ReferenceEvaluator(alone).run(None, given, attributes={})
    constants.update(zip(node.outputs, map(np.asarray, results), strict=False))
    return True


def _size_after(layer: nn.Module, sizes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape that a layer gives, without computing anything."""
    if isinstance(layer, Resize):
        return (*sizes[0][:2], *layer.size)
    if isinstance(layer, nn.ReLU | nn.Sigmoid):
        return sizes[0]
    ghosts = {name: one.to("meta") for name, one in layer.named_parameters()}
    pictures = tuple(torch.empty(size, device="meta") for size in sizes)
    return tuple(torch.func.functional_call(layer, ghosts, pictures).shape)


def _assembled(
    entry: str,
    nodes: Sequence[Node],
    layers: Sequence[nn.Module],
    shapes: Mapping[str, tuple[int, ...]],
) -> Network:
    uses = Counter(name for node in nodes for name in _data(node, shapes))
    makers = {node.output: node.kind for node in nodes}
    last = {name: number for number, node in enumerate(nodes) for name in _data(node, shapes)}
    steps = []
    for number, (node, layer) in enumerate(zip(nodes, layers, strict=True)):
        taken = _data(node, shapes)
        if isinstance(layer, nn.ReLU):
            # Nobody else looks at what a convolution gave, so it may be overwritten.
            layer.inplace = uses[taken[0]] == 1 and makers.get(taken[0]) == "Conv"
        done = tuple(name for name in dict.fromkeys(taken) if last[name] == number)
        steps.append(Step(taken, node.output, done))
    return Network(entry, shapes[entry][1], steps, layers)
