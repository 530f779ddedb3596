"""rembg's models on OpenVINO, for CPUs."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facecrop.images.backends.onnx_centre import PARTS, for_halves, parts, read_onnx
from facecrop.images.backends.openvino_model import openvino, options, unreadable
from facecrop.images.backends.rembg_shapes import Numbers, Shape


class OpenvinoRunner:
    """A model file on OpenVINO, one picture at a time on one thread.

    Args:
        path: The file.
        shape: Of the model.
        precision: `fp32` or `bf16`.

    Raises:
        WeightsError: The file is no such model.
    """

    batch_size = 1

    def __init__(self, path: Path, shape: Shape, precision: str) -> None:
        self._numbers = Numbers(shape)
        core = openvino.Core()
        try:
            if precision == "fp32":
                model = core.read_model(str(path))
            else:
                model = core.read_model(for_halves(read_onnx(path)).SerializeToString())
            self._channels = model.input(0).partial_shape[1].get_length()
            model.reshape([1, self._channels, shape.side, shape.side])
        except RuntimeError as error:
            raise unreadable(path, str(error)) from None
        self._request = core.compile_model(model, "CPU", options(precision)).create_infer_request()

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the mattes."""
        said = [self._run(picture[None]) for picture in pictures]
        return self._numbers.mattes(np.stack(said))

    def _run(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        planes = self._numbers.planes(picture)
        results = self._request.infer([parts(planes) if self._channels == PARTS else planes])
        return np.array(results[0][0, 0], np.float32)  # the next call writes over it
