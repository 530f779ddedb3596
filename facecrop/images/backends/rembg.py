"""The matte of rembg's local models, on a runtime of one's choice: rembg's numbers without rembg.

Importing rembg costs half a minute the first time and seconds later (numba, pymatting), and it
computes its input in float64. So a session's few lines are done here, and a test holds both against
each other with the same weights. What rembg can do besides (alpha matting, ViTMatte) is left out.
"""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from pydantic import Field, model_validator

from facecrop.config import Settings
from facecrop.images.backends import runtimes
from facecrop.images.backends.rembg_shapes import SHAPES, U2NET, Runner, Shape
from facecrop.images.findings import Alpha
from facecrop.images.frames import Box, Image
from facecrop.images.look.finder import ELSEWHERE, Weights
from facecrop.images.models.registry import read_catalogue
from facecrop.registry import no_such


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
    runtime: Literal["auto", "onnxruntime", "torch", "openvino"] = Field(
        default="auto", json_schema_extra={"neutral": "auto", "part": "runtime"}
    )
    """What runs the model. `auto` keeps what the dataset was made with; for a new one it takes
    onnxruntime, and on a GPU torch for models of U²-Net's kind."""
    precision: Literal["fp32", "fp16", "bf16"] = Field(
        default="fp32", json_schema_extra={"neutral": "fp32", "part": "runtime"}
    )
    """What the model computes in; the halves are for torch, bf16 for OpenVINO too."""
    graphs: bool = Field(default=False, json_schema_extra={"neutral": False, "part": "runtime"})
    """On a GPU by torch: start each batch from a recording (CUDA graph) instead of kernel by
    kernel. The mattes are the same; elsewhere it means nothing."""

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
        if self.precision not in runtimes.precisions(self.runtime):
            raise ValueError(
                f"{self.runtime} runs models in {', '.join(runtimes.precisions(self.runtime))}, "
                f"not in {self.precision}; set runtime = 'torch'"
            )
        if self.graphs and self.runtime not in ("auto", "torch"):
            raise ValueError(f"{self.runtime} has no CUDA graphs; set runtime = 'torch'")
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

    @property
    def gpu_runtimes(self) -> tuple[str, ...]:
        """What may run it on a GPU, with the settings it has."""
        return runtimes.on_gpu(self.runtime, self.precision, like_u2net=self.shape is U2NET)

    def settled(self, device: str, before: str | None = None) -> "Rembg":
        """Return the same with `auto` replaced by the runtime that will be used.

        Args:
            device: `cpu` or `cuda:N`.
            before: What the dataset's findings were made with, as `runs_on` tells it; None if it
                is a new one.

        Raises:
            MissingExtraError: They were made with something that is not installed.
        """
        if self.runtime != "auto":
            return self
        choice = runtimes.choose(device, self.precision, like_u2net=self.shape is U2NET)
        kept = runtimes.kept(before, device, self.precision) if before else None
        return self.model_copy(update={"runtime": kept or choice})

    def runs_on(self, device: str) -> str:
        """Return what runs it: runtime, version, precision, class of device.

        Raises:
            MissingExtraError: The runtime is not installed.
        """
        runtime = self.settled(device).runtime
        installed = runtimes.installed(runtime, device)
        return f"{runtime} {installed} {self.precision} {device.partition(':')[0]}"

    def sees(self, height: int, width: int) -> tuple[int, int]:  # noqa: ARG002 - always one size
        """Return the size of the square that the model sees."""
        return self.shape.side, self.shape.side

    def load(self, weights: Weights, device: str) -> "RembgFinder":
        """Load the model.

        Raises:
            MissingExtraError: The runtime is not installed.
            WeightsError: The file is no such model.
            ConfigError: The runtime cannot run this model.
            DeviceError: The GPU that was asked for cannot be used.
        """
        if device == ELSEWHERE:
            return RembgFinder(self.shape, None)
        runtime, path = self.settled(device).runtime, weights(self.model)
        runtimes.installed(runtime, device)
        runner: Runner
        if runtime == "torch":
            from facecrop.images.backends.rembg_torch import TorchRunner  # noqa: PLC0415 - heavy

            runner = TorchRunner(path, self.shape, device, self.precision, graphs=self.graphs)
        elif runtime == "openvino":
            from facecrop.images.backends.rembg_openvino import (  # noqa: PLC0415 - heavy
                OpenvinoRunner,
            )

            runner = OpenvinoRunner(path, self.shape, self.precision)
        else:
            from facecrop.images.backends.rembg_onnxruntime import (  # noqa: PLC0415 - heavy
                OnnxRunner,
            )

            runner = OnnxRunner(path, self.shape, device)
        return RembgFinder(self.shape, runner)


class RembgFinder:
    """A model of rembg, ready to look; without a runner it prepares and interprets only."""

    def __init__(self, shape: Shape, runner: Runner | None) -> None:
        self._side = shape.side
        self._runner = runner
        self.batch_size: int = 1 if runner is None else runner.batch_size

    def prepare(self, image: Image) -> NDArray[np.uint8]:
        """Return the picture at the model's size, (S, S, 3) uint8 RGB: Pillow's, as in rembg."""
        # The border-free Lanczos of Pillow; that of OpenCV skips pixels and gives other mattes.
        size = (self._side, self._side)
        return np.asarray(Pillow.fromarray(image).resize(size, Pillow.Resampling.LANCZOS))

    def infer(self, batch: NDArray[np.uint8]) -> Sequence[NDArray[np.uint8]]:
        """Return the matte of each picture, (S, S) uint8, stretched to the full range."""
        if self._runner is None:
            raise RuntimeError("this model was loaded elsewhere")
        return list(self._runner(batch))

    def interpret(self, raw: Any, height: int, width: int) -> Alpha:
        """Return the matte over the whole picture that was `height` by `width`."""
        return Alpha(np.asarray(raw, np.uint8), Box(0, 0, width, height))
