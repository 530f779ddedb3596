"""YOLOv8's network on OpenVINO, converted from the loaded .pt file."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from facecrop.errors import ConfigError
from facecrop.images.backends.openvino_model import OpenvinoModel  # first: it imports silently

# isort: split
from openvino.frontend import FrontEndManager, OpConversionFailure
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

_EXAMPLE = (64, 96)
"""Height and width of the picture that is followed through the network; any other fits after it."""


class OpenvinoYolo:
    """The network of a YOLOv8 detector, for pictures of any size that it takes.

    Converted in memory each time it is loaded (about a second): no file is written beside the
    weights, and none can be out of date.

    Args:
        network: ultralytics' `DetectionModel`, on the CPU; it is of no other use afterwards.
        path: Its file, for messages.

    Raises:
        ConfigError: OpenVINO does not know what the network does.
    """

    def __init__(self, network: Any, path: Path) -> None:
        try:
            self._model = OpenvinoModel(_converted(network), "NCHW", scale=255)
        except (RuntimeError, OpConversionFailure) as error:
            why = (str(error).strip() or "no reason given").splitlines()[-1]
            raise ConfigError(
                f"{path.name} cannot run on OpenVINO ({why}); set look.persons.runtime = 'torch'"
            ) from None

    def __call__(self, batch: NDArray[np.uint8]) -> torch.Tensor:
        """Return what the network says of pictures (N, h, w, 3) RGB: (N, 4 + classes, K)."""
        # Copies, so the next picture may be written over this one's.
        return torch.cat([torch.from_numpy(self._model(picture)[0]) for picture in batch])


def _converted(network: Any) -> Any:
    head = network.model[-1]
    head.export = head.dynamic = True  # boxes and scores alone, anchors by the size of the picture
    example = torch.zeros(1, 3, *_EXAMPLE)
    with torch.no_grad(), warnings.catch_warnings():
        # torch would rather see torch.export, and a trace warns of each size it looks at.
        warnings.simplefilter("ignore")
        trace: Any = torch.jit.trace
        traced = trace(network, example, check_trace=False, strict=False)
        # Its own memory, so that torch's copy of the weights can go. (`openvino.convert_model`
        # does the same, and tells a host of it.)
        followed = TorchScriptPythonDecoder(traced, example_input=example, shared_memory=False)
        frontend = FrontEndManager().load_by_framework("pytorch")
        return frontend.convert(frontend.load(followed))
