"""The matte of rembg's local models, by onnxruntime itself: rembg's numbers without its imports.

Importing rembg costs half a minute the first time and seconds later (numba, pymatting), and it
computes its input in float64. So a session's few lines are done here, and a test holds both against
each other with the same weights. What rembg can do besides (alpha matting, ViTMatte) is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from pydantic import model_validator

from facecrop.config import Settings
from facecrop.errors import DeviceError, MissingExtraError, WeightsError
from facecrop.images.findings import Alpha
from facecrop.images.frames import Box, Image
from facecrop.images.look.finder import Weights
from facecrop.images.models.registry import read_catalogue
from facecrop.registry import no_such

_GPU_BATCH = 8
"""Pictures in one call on a GPU, where the file leaves their number open."""

_LEAST_PEAK = 1e-6
"""rembg's guard against dividing by the peak of a black picture."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How one family of models wants its pictures, and what it answers.

    Args:
        side: Of the square picture, pixels.
        mean: Taken from each channel after its peak was brought to 1.
        std: Then divides it.
        sigmoid: Whether the output is logits.
    """

    side: int
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)  # ImageNet's
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    sigmoid: bool = False


_U2NET = Shape(320)
_ISNET = Shape(1024, mean=(0.5, 0.5, 0.5), std=(1, 1, 1))
_BIREFNET = Shape(1024, sigmoid=True)

SHAPES = {
    "u2net": _U2NET,
    "u2netp": _U2NET,
    "u2net_human_seg": _U2NET,
    "silueta": _U2NET,
    "isnet-general-use": _ISNET,
    "isnet-anime": Shape(1024, std=(1, 1, 1)),
    "birefnet-general": _BIREFNET,
    "birefnet-general-lite": _BIREFNET,
    "birefnet-portrait": _BIREFNET,
    "birefnet-dis": _BIREFNET,
    "birefnet-hrsod": _BIREFNET,
    "birefnet-cod": _BIREFNET,
    "birefnet-massive": _BIREFNET,
    "bria-rmbg": Shape(1024),
}
"""The local models of rembg 2.0.86 that find what stands out, as its sessions use them."""


class Rembg(Settings):
    """A local model of rembg, by its name.

    Source:
        rembg (MIT), https://github.com/danielgatis/rembg; the models have licences of their own
        (`facecrop models licences`). Qin et al. 2020, "U^2-Net", arXiv:2005.09007, and others.
    """

    name: Literal["rembg"] = "rembg"
    model: str = "u2net"
    """Name of the model as rembg has it, or the name given to a file of one's own."""
    like: str | None = None
    """For a file of one's own: the model whose input and output it shares, `u2net` say."""

    finds: ClassVar[str] = "alpha"
    version: ClassVar[int] = 1

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.model in read_catalogue().refused:
            read_catalogue().model(self.model)
        shape = self.like or self.model
        if shape not in SHAPES:
            kind = "rembg model that mattes persons" if self.like is None else "rembg model (like)"
            raise no_such(kind, shape, list(SHAPES))
        return self

    @property
    def label(self) -> str:
        """Short name for tables."""
        return f"rembg-{self.model}"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the weights it needs."""
        return (self.model,)

    @property
    def shape(self) -> Shape:
        """How the model wants its pictures."""
        return SHAPES[self.like or self.model]

    def runtime(self, device: str) -> str:
        """Return what runs it: onnxruntime in full precision.

        Raises:
            MissingExtraError: onnxruntime is not installed.
        """
        return f"onnxruntime {_installed(device)} fp32 {device.partition(':')[0]}"

    def load(self, weights: Weights, device: str) -> "RembgFinder":
        """Load the model.

        Raises:
            MissingExtraError: onnxruntime is not installed.
            WeightsError: The file is no such model.
            DeviceError: The GPU that was asked for cannot be used.
        """
        _installed(device)
        return RembgFinder(self.shape, weights(self.model), device)


class RembgFinder:
    """A model of rembg, ready to look."""

    def __init__(self, shape: Shape, path: Path, device: str) -> None:
        self._shape = shape
        self._session = _session(path, device)
        self._input = self._session.get_inputs()[0]
        if len(self._input.shape) != 4:  # noqa: PLR2004 - batch, channels, height, width
            raise WeightsError(
                f"{path}: takes {self._input.shape}, not (1, 3, {shape.side}, {shape.side})"
            )
        count = self._input.shape[0]
        open_ended = _GPU_BATCH if device.startswith("cuda") else 1
        self.batch_size: int = count if isinstance(count, int) else open_ended
        # x / peak, minus mean, over std: one product and one difference for each channel.
        self._gain = (1 / np.array(shape.std)).astype(np.float32)[:, None, None]
        self._shift = (np.array(shape.mean) / np.array(shape.std)).astype(np.float32)[:, None, None]

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the picture at the model's size, (S, S, 3) uint8 RGB: Pillow's, as in rembg."""
        side = self._shape.side
        # The border-free Lanczos of Pillow; that of OpenCV skips pixels and gives other mattes.
        resized = Pillow.fromarray(image).resize((side, side), Pillow.Resampling.LANCZOS)
        return np.asarray(resized)

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[NDArray[np.float32]]:
        """Return what the model says, (S, S) float32, for each picture."""
        peaks = batch.reshape(len(batch), -1).max(axis=1).clip(_LEAST_PEAK)
        gain = self._gain / peaks[:, None, None, None].astype(np.float32)
        planes = np.ascontiguousarray(batch.transpose(0, 3, 1, 2)) * gain
        planes -= self._shift
        output = self._session.run(
            [self._session.get_outputs()[0].name], {self._input.name: planes}
        )
        return list(output[0][:, 0])

    def interpret(self, raw: Any, height: int, width: int) -> Alpha:
        """Return the matte over the whole picture that was `height` by `width`.

        The values are stretched to the full range and cut to 8 bits as rembg does it. Where the
        model says the same everywhere (rembg divides by zero there) nobody was found.
        """
        prediction = 1 / (1 + np.exp(-raw)) if self._shape.sigmoid else raw
        low, high = prediction.min(), prediction.max()
        if not high > low:  # also where a number is missing
            values = np.zeros(prediction.shape, np.uint8)
        else:
            values = ((prediction - low) / (high - low) * 255).astype(np.uint8)
        return Alpha(values, Box(0, 0, width, height))


def _installed(device: str) -> str:
    """Return the version of onnxruntime, whichever of its wheels brought it."""
    for wheel in ("onnxruntime-gpu", "onnxruntime"):
        try:
            return version(wheel)
        except PackageNotFoundError:
            continue
    if find_spec("onnxruntime") is not None:
        return "unknown"
    extra = "rembg-gpu" if device.startswith("cuda") else "rembg"
    raise MissingExtraError(f'rembg\'s models need onnxruntime: pip install "facecrop[{extra}]"')


def _session(path: Path, device: str) -> Any:
    import onnxruntime  # noqa: PLC0415 - heavy
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
            f"{path}: onnxruntime cannot load it ({str(error).splitlines()[0]}); "
            "delete the file so that it is fetched again"
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
