"""rembg's models on onnxruntime, which rembg itself runs them on."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecrop.engines.surroundings import variables
from facecrop.errors import DeviceError, WeightsError
from facecrop.images.backends.rembg_shapes import Numbers, Shape
from facecrop.images.models import cure_for

_GPU_BATCH = 8
"""Pictures in one call on a GPU, where the file leaves their number open."""


class OnnxRunner:
    """A model file on onnxruntime.

    Args:
        path: The file.
        shape: Of the model.
        device: `cpu` or `cuda:N`.

    Raises:
        WeightsError: The file is no such model.
        DeviceError: The GPU that was asked for cannot be used.
    """

    def __init__(self, path: Path, shape: Shape, device: str) -> None:
        self._numbers = Numbers(shape)
        self._session = _session(path, device)
        self._input = self._session.get_inputs()[0]
        if len(self._input.shape) != 4:  # noqa: PLR2004 - batch, channels, height, width
            raise WeightsError(
                f"{path}: takes {self._input.shape}, not (1, 3, {shape.side}, {shape.side})"
            )
        count = self._input.shape[0]
        open_ended = _GPU_BATCH if device.startswith("cuda") else 1
        self.batch_size: int = count if isinstance(count, int) else open_ended

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the mattes; the batch is filled up with copies, as the file has one size."""
        number = len(pictures)
        if number < self.batch_size:
            pictures = np.concatenate(
                [pictures, np.repeat(pictures[-1:], self.batch_size - number, axis=0)]
            )
        output = self._session.run(
            [self._session.get_outputs()[0].name],
            {self._input.name: self._numbers.planes(pictures)},
        )
        return self._numbers.mattes(output[0][:number, 0])


def silent_onnxruntime() -> Any:
    """Return onnxruntime, imported without its habit of telling a host of itself and of models.

    From 1.29 on it does so on Linux too, unless this variable is set when it is imported.
    """
    with variables({"ORT_DISABLE_TELEMETRY": "1"}):
        import onnxruntime  # noqa: PLC0415 - heavy
    onnxruntime.disable_telemetry_events()  # where somebody else had imported it before
    return onnxruntime


def _session(path: Path, device: str) -> Any:
    onnxruntime = silent_onnxruntime()
    from onnxruntime.capi.onnxruntime_pybind11_state import (  # noqa: PLC0415 - heavy
        Fail,
        InvalidGraph,
        InvalidProtobuf,
        NoSuchFile,
    )

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # one worker process for each core
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    providers: list[Any] = ["CPUExecutionProvider"]
    if device.startswith("cuda"):
        providers.insert(0, _cuda_provider(onnxruntime, device))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except (Fail, InvalidGraph, InvalidProtobuf, NoSuchFile) as error:
        raise WeightsError(
            f"{path}: onnxruntime cannot load it ({str(error).splitlines()[0]}); {cure_for(path)}"
        ) from None
    if device.startswith("cuda") and session.get_providers()[0] != "CUDAExecutionProvider":
        raise DeviceError(
            f"onnxruntime {onnxruntime.__version__} did not start on {device}: the driver, CUDA or "
            "cuDNN is missing or of another version. See nvidia-smi; "
            'pip install "onnxruntime-gpu[cuda,cudnn]"; or use --device cpu'
        )
    return session


def _cuda_provider(onnxruntime: Any, device: str) -> tuple[str, dict[str, str]]:
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"rembg's models cannot run on {device}: this onnxruntime has no CUDA in it. "
            'pip uninstall onnxruntime; pip install "facecrop[rembg-gpu]"; or use --device cpu'
        )
    onnxruntime.preload_dlls()  # CUDA and cuDNN from their wheels, where these are installed
    # TensorFloat-32 would move mattes away from those of a CPU.
    return "CUDAExecutionProvider", {
        "device_id": device.partition(":")[2] or "0",
        "use_tf32": "0",
    }
