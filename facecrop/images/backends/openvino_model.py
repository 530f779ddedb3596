"""Models on OpenVINO that take a picture as it is, (1, H, W, 3) uint8, on one thread of a CPU."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facecrop.errors import WeightsError
from facecrop.images.models import cure_for

_TELEMETRY = "openvino_telemetry"


def _silent_openvino() -> Any:
    """Return OpenVINO, imported without its habit of telling a host of each import.

    Where that package cannot be imported OpenVINO does without; afterwards all is as it was.
    """
    if "openvino" in sys.modules or _TELEMETRY in sys.modules:
        return import_module("openvino")
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # Python's way to forbid an import
    try:
        return import_module("openvino")
    finally:
        del sys.modules[_TELEMETRY]


openvino = _silent_openvino()


def options(precision: str = "fp32") -> dict[str, Any]:
    """Return how a model is compiled: one thread, in a precision that is named."""
    return {
        # Where a CPU has bfloat16 it would be used unasked, and findings would differ.
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": 1,  # one worker process for each core
        "NUM_STREAMS": 1,
    }


def read(path: Path) -> Any:
    """Return the model of an ONNX or TFLite file.

    Raises:
        WeightsError: The file is no such model.
    """
    try:
        return openvino.Core().read_model(str(path))
    except RuntimeError as error:
        raise unreadable(path, str(error)) from None


def unreadable(path: Path, why: str) -> WeightsError:
    """Return the error for a file that OpenVINO cannot load.

    Args:
        path: The file.
        why: What OpenVINO says, of many lines; the last one tells.
    """
    last = (why.strip() or "no reason given").splitlines()[-1]
    return WeightsError(f"{path}: OpenVINO cannot load it ({last}); {cure_for(path)}")


class OpenvinoModel:
    """A model of one picture at a time, its first steps part of what is compiled.

    Pictures may differ in size where the model's own input does: kernels are then made for each
    size when it is first seen (some hundredths of a second), and say what a model of that one size
    says.

    Args:
        model: As `read` or a conversion made it; it is changed. Its one input is float, either
            (1, 3, H, W) or (1, H, W, 3).
        layout: Which of the two: `NCHW` or `NHWC`.
        mean: Taken from each value of the picture.
        scale: Then divides it.
    """

    def __init__(self, model: Any, layout: str, *, mean: float = 0, scale: float = 1) -> None:
        first = openvino.preprocess.PrePostProcessor(model)
        picture = first.input()
        picture.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
        picture.model().set_layout(openvino.Layout(layout))
        steps = picture.preprocess().convert_element_type(openvino.Type.f32)
        if mean:
            steps = steps.mean(mean)
        if scale != 1:
            steps.scale(scale)
        compiled = openvino.Core().compile_model(first.build(), "CPU", options())
        self._request = compiled.create_infer_request()

    def __call__(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        """Return the outputs for one picture (H, W, 3), in the model's order.

        The next call writes over them.
        """
        return list(self._request.infer([picture[None]], share_outputs=True).values())
