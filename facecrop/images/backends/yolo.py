"""Persons by YOLOv8, run by ultralytics' own parts, one picture at a time.

The package and its weights are licensed under AGPL-3.0: whoever passes on what is built with them,
or offers it over a network, must publish its source under the same licence, or buy another one.

ultralytics' `predict` pads the pictures of a batch to a common shape, so a neighbour of another
size moves all boxes. Here each picture has a batch of its own and the least padding, as `predict`
gives a single picture: the boxes are its boxes.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from pickle import UnpicklingError
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from facecrop.config import Settings
from facecrop.engines.surroundings import variables
from facecrop.errors import MissingExtraError, WeightsError
from facecrop.images.backends.runtimes import openvino_version
from facecrop.images.findings import Boxes, Candidate
from facecrop.images.frames import Box, Image, fit_longer
from facecrop.images.look.finder import Weights
from facecrop.images.models import cure_for

_UNHURRIED_S = 3600.0
"""ultralytics gives up its suppression after two seconds and then keeps what it has: never here."""


class Yolo(Settings):
    """A YOLOv8 detector; what it calls a person counts.

    Any of ultralytics' YOLOv8 files, or a file of one's own (`--weights NAME=FILE`): one that has a
    class `person`, or only one class. A .pt file of unknown origin can run code when it is loaded.

    Source:
        Jocher, Chaurasia, Qiu 2023, "Ultralytics YOLOv8" (AGPL-3.0).
    """

    name: Literal["yolov8"] = "yolov8"
    model: str = "yolov8n"
    """Name of the weights: yolov8n, s, m, l, x, or the name given to a file of one's own."""
    image_size: int = Field(default=640, ge=32, le=4096, multiple_of=32)
    """Longer side of the picture for the model, in pixels."""
    iou: float = Field(default=0.7, gt=0, le=1)
    """Overlap from which the weaker of two boxes is dropped; 0.7 is `predict`'s own default."""
    max_boxes: int = Field(default=300, ge=1, le=1000)
    """Most boxes of a picture, best first; 300 is `predict`'s own default."""
    floor: float = Field(default=0.1, ge=0.01, le=0.9)
    """Score below which a candidate is not even remembered."""
    min_score: float = Field(default=0.25, ge=0, le=1, json_schema_extra={"part": "choose"})
    """Score from which a candidate counts as a person; 0.25 is `predict`'s own default."""
    runtime: Literal["auto", "torch", "openvino"] = Field(
        default="auto", json_schema_extra={"neutral": "auto", "part": "runtime"}
    )
    """What runs the model. `auto` keeps what the dataset was made with, and takes torch for a new
    one."""

    finds: ClassVar[str] = "persons"
    version: ClassVar[int] = 1

    @property
    def gpu_runtimes(self) -> tuple[str, ...]:
        """What may run it on a GPU, with the settings it has."""
        return () if self.runtime == "openvino" else ("torch",)

    @property
    def label(self) -> str:
        """Short name for tables."""
        return f"{self.model}-{self.image_size}"

    @property
    def models(self) -> tuple[str, ...]:
        """Names of the weights it needs."""
        return (self.model,)

    def runs_on(self, device: str) -> str:
        """Return what runs it: ultralytics on torch or on OpenVINO, in full precision.

        Raises:
            MissingExtraError: ultralytics is not installed, or OpenVINO that was asked for.
        """
        if self.runtime == "openvino":
            return f"ultralytics {_installed()} openvino {openvino_version(self.label)} fp32 cpu"
        return (
            f"ultralytics {_installed()} torch {version('torch')} fp32 {device.partition(':')[0]}"
        )

    def sees(self, height: int, width: int) -> tuple[int, int]:
        """Return the size at which the model sees a picture, without its frame."""
        return fit_longer(height, width, self.image_size)

    def load(self, weights: Weights, device: str) -> "YoloFinder":
        """Load the model. On a CPU this process's torch works with one thread from then on.

        Nothing is sent, fetched or installed, and no settings file of ultralytics stays behind.

        Raises:
            MissingExtraError: ultralytics is not installed, or OpenVINO that was asked for.
            WeightsError: The file is no such model, or knows no persons.
            ConfigError: OpenVINO was asked for, and does not know what the model does.
            DeviceError: The GPU that was asked for cannot be used.
        """
        _installed()
        if self.runtime == "openvino":
            openvino_version(self.label)
        with _silent_ultralytics():
            return YoloFinder(self, weights(self.model), device)


@dataclass(frozen=True, slots=True)
class YoloRaw:
    """What the model says of one prepared picture.

    Args:
        rows: (K, 6) float32: box xyxy in pixels of the prepared picture, score, class.
        size: Height and width of the prepared picture.
    """

    rows: NDArray[np.float32]
    size: tuple[int, int]


class YoloFinder:
    """A YOLOv8 model, ready to look. Prepared pictures differ in shape, so batches have one."""

    batch_size = 1

    def __init__(self, settings: Yolo, path: Path, device: str) -> None:
        from facecrop.images.backends.torch_device import torch_device  # noqa: PLC0415 - heavy

        self._settings = settings
        self._device = torch_device(device, "YOLOv8")
        model = _backend(path, self._device)
        self._person = _person_class(model.names, path)
        self._stride = int(model.stride)
        self._end2end = bool(getattr(model, "end2end", False))
        self._says: Callable[[NDArray[np.uint8]], Any]
        if settings.runtime == "openvino":
            from facecrop.images.backends.yolo_openvino import (  # noqa: PLC0415 - heavy
                OpenvinoYolo,
            )

            self._says = OpenvinoYolo(model.backend.model, path)
        else:
            self._says = partial(_says, model, self._device)

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the picture in a gray frame: (h, w, 3) uint8 RGB, both sides multiples of 32."""
        from ultralytics.data.augment import LetterBox  # noqa: PLC0415 - heavy

        side = self._settings.image_size
        framed = LetterBox((side, side), auto=True, stride=self._stride)(image=image)
        return np.ascontiguousarray(framed)

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[YoloRaw]:
        """Return the boxes that are left after suppression, in pixels of the prepared picture."""
        import torch  # noqa: PLC0415 - heavy
        from ultralytics.utils.nms import non_max_suppression  # noqa: PLC0415 - heavy

        with torch.inference_mode():
            found = non_max_suppression(
                self._says(batch),
                self._settings.floor,
                self._settings.iou,
                classes=[self._person],
                max_det=self._settings.max_boxes,
                end2end=self._end2end,
                max_time_img=_UNHURRIED_S,
            )
        size = int(batch.shape[1]), int(batch.shape[2])
        return [YoloRaw(rows.cpu().numpy().astype(np.float32), size) for rows in found]

    def interpret(self, raw: Any, height: int, width: int) -> Boxes:
        """Return the persons in pixels of the picture that was `height` by `width`."""
        from ultralytics.utils.ops import scale_boxes  # noqa: PLC0415 - heavy

        boxes = scale_boxes(raw.size, raw.rows[:, :4].copy(), (height, width))
        return Boxes(
            tuple(
                Candidate(Box(*map(float, box)).quantised(), round(float(score), 4))
                for box, score in zip(boxes, raw.rows[:, 4], strict=True)
            )
        )


def _installed() -> str:
    try:
        return version("ultralytics")
    except PackageNotFoundError:
        raise MissingExtraError(
            'persons by YOLOv8 need ultralytics (AGPL-3.0): pip install "facecrop[yolo]"'
        ) from None


@contextmanager
def _silent_ultralytics() -> Iterator[None]:
    """Let ultralytics be imported without its habits; it reads these variables only then.

    Left alone it looks up hosts to see whether it is online (and then reports its use), installs
    packages it misses, and writes a settings file into the user's configuration.
    """
    if "ultralytics.utils" in sys.modules:
        yield
        return
    with TemporaryDirectory(prefix="facecrop-") as folder:
        wanted = {
            "YOLO_OFFLINE": "true",
            "YOLO_AUTOINSTALL": "false",
            "YOLO_VERBOSE": "false",
            "YOLO_CONFIG_DIR": folder,
        }
        with variables(wanted):
            import ultralytics  # noqa: F401, PLC0415 - heavy; imported for what it does on import

            yield


def _backend(path: Path, device: Any) -> Any:
    from ultralytics.nn.autobackend import AutoBackend  # noqa: PLC0415 - heavy

    if path.suffix != ".pt":
        raise WeightsError(
            f"{path}: not a .pt file of ultralytics, which is what YOLOv8 is read from"
        )
    try:
        model = AutoBackend(str(path), device=device, fuse=True, verbose=False)
    except (
        AttributeError,
        ImportError,
        KeyError,
        RuntimeError,
        TypeError,
        UnpicklingError,
        EOFError,
    ) as error:
        raise WeightsError(
            f"{path}: ultralytics cannot load it as a detector ({str(error).splitlines()[0]}); "
            f"{cure_for(path)}"
        ) from None
    if model.backend.model.task != "detect":
        raise WeightsError(f"{path}: is a model for {model.backend.model.task!r}, not a detector")
    return model.eval()


def _says(model: Any, device: Any, batch: NDArray[np.uint8]) -> Any:
    """Return what torch says of pictures (N, h, w, 3) RGB: (N, 4 + classes, K), and more."""
    import torch  # noqa: PLC0415 - heavy

    pictures = torch.from_numpy(np.ascontiguousarray(batch)).to(device)
    return model(pictures.permute(0, 3, 1, 2).contiguous().float().div_(255))


def _person_class(names: dict[int, str], path: Path) -> int:
    if len(names) == 1:
        return next(iter(names))
    for number, name in names.items():
        if name == "person":
            return number
    known = ", ".join(list(names.values())[:5])
    raise WeightsError(f"{path}: knows no class 'person' among its {len(names)}: {known} …")
