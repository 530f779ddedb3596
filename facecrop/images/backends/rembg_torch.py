"""rembg's models on torch, from the files that rembg uses; on a GPU in true batches."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from facecrop.images.backends.cuda_graphs import Graphs
from facecrop.images.backends.onnx_centre import PARTS
from facecrop.images.backends.onnx_torch import convert
from facecrop.images.backends.rembg_shapes import LEAST_PEAK, U2NET, Shape
from facecrop.images.backends.torch_device import torch_device

_GPU_BATCH = 32
"""Pictures of U²-Net's size in one call on a GPU; of larger ones, as many as have these pixels."""

_TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


class TorchRunner:
    """A model file as a network of torch, channels last.

    Pictures go to the device as they are, three bytes a pixel; all arithmetic before and after the
    network is done there in float32, whatever the network computes in.

    Args:
        path: The file.
        shape: Of the model.
        device: `cpu` or `cuda:N`.
        precision: `fp32`, `fp16` or `bf16`.
        graphs: Whether a GPU starts a batch from a recording (`cuda_graphs.py`).

    Raises:
        WeightsError: The file is no such model.
        ConfigError: It has operations that are not known on torch.
        DeviceError: The GPU that was asked for cannot be used.
    """

    def __init__(
        self, path: Path, shape: Shape, device: str, precision: str, *, graphs: bool = False
    ) -> None:
        self._device = torch_device(device, path.name)
        self._sigmoid = shape.sigmoid
        self._type = _TYPES[precision]
        network = convert(path, shape.side, halved=precision != "fp32").eval()
        network = network.to(self._device, self._type)
        self._network = network.to(memory_format=torch.channels_last)
        self._gain = self._channels([1 / one for one in shape.std])
        self._shift = self._channels(
            [mean / std for mean, std in zip(shape.mean, shape.std, strict=True)]
        )
        # On a CPU one by one: a matte must not depend on how many there are.
        on_gpu = max(_GPU_BATCH * U2NET.side**2 // shape.side**2, 1)
        self.batch_size = on_gpu if self._device.type == "cuda" else 1
        self._graphs: Graphs | None = None
        if graphs and self._device.type == "cuda":
            self._graphs = Graphs(self._mattes, self.batch_size, self._device)

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the mattes (N, S, S) of pictures (N, S, S, 3), for any N."""
        with torch.inference_mode():
            given = torch.from_numpy(np.require(pictures, requirements=("C", "W")))
            if self._graphs is not None:
                mattes = self._graphs(given)
            else:
                # From pinned memory the copy runs beside the device's work.
                mattes = self._mattes(given.to(self._device, non_blocking=True))
            return np.asarray(mattes.cpu().numpy(), np.uint8)

    def _mattes(self, given: torch.Tensor) -> torch.Tensor:
        """Return the mattes (N, S, S) of pictures (N, S, S, 3), both uint8 on the device."""
        given = given.permute(0, 3, 1, 2)
        peaks = given.amax((1, 2, 3), keepdim=True).float().clamp_min(LEAST_PEAK)
        planes = given.float() * (self._gain / peaks) - self._shift
        if self._network.channels == PARTS:
            high = planes.bfloat16().float()
            planes = torch.cat([high, planes - high, high], 1)
        planes = planes.to(self._type).contiguous(memory_format=torch.channels_last)
        said = self._network(planes)[:, 0].float()
        return stretched(said.sigmoid() if self._sigmoid else said)

    def _channels(self, values: list[float]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self._device)[:, None, None]


def stretched(prediction: torch.Tensor) -> torch.Tensor:
    """Stretch each of (N, S, S) to the full range and cut it to 8 bits, as rembg does it.

    Where the model says the same everywhere, or a number is missing, nobody was found.
    """
    low, high = prediction.amin((1, 2), keepdim=True), prediction.amax((1, 2), keepdim=True)
    return torch.where(high > low, (prediction - low) / (high - low) * 255, 0).to(torch.uint8)
