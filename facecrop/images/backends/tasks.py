"""mediapipe's tasks, one of each kind and file, kept until the process ends.

A task closes itself when it is deleted, by way of a thread pool. If the garbage collector deletes
one while another task is being called, both wait for each other for ever (mediapipe 1.2.2). So no
task is ever let go.

As it closes, a task also tells a host of its makers what was done with it, how often and how fast,
if it can trust that host by its certificate. Ours know of none.
"""

import atexit
import os
from functools import cache
from pathlib import Path
from typing import Any

from facecrop.errors import WeightsError
from facecrop.images.models import cure_for


@cache
def segmenter(path: Path) -> Any:
    """Return the segmenter of a model file, giving confidence masks.

    Raises:
        WeightsError: The file is no such model.
    """
    from mediapipe.tasks.python.vision import (  # noqa: PLC0415 - heavy
        ImageSegmenter,
        ImageSegmenterOptions,
    )

    options = ImageSegmenterOptions(base_options=base_options(path), output_confidence_masks=True)
    return _kept(ImageSegmenter, options, path, "a segmenter")


@cache
def face_detector(path: Path, floor: float, same: float) -> Any:
    """Return the face detector of a model file.

    Args:
        path: The model.
        floor: Score from which it tells of a face.
        same: Intersection over union from which two faces are one.

    Raises:
        WeightsError: The file is no such model.
    """
    from mediapipe.tasks.python.vision import (  # noqa: PLC0415 - heavy
        FaceDetector,
        FaceDetectorOptions,
    )

    options = FaceDetectorOptions(
        base_options=base_options(path),
        min_detection_confidence=floor,
        min_suppression_threshold=same,
    )
    return _kept(FaceDetector, options, path, "a face detector")


def base_options(path: Path) -> Any:
    """Return what a task is made from: a model file, and no certificates to trust a host by."""
    from mediapipe.tasks.python import BaseOptions  # noqa: PLC0415 - heavy

    class Silent(BaseOptions):  # type: ignore[misc]  # mediapipe's types are not followed
        def to_ctypes(self) -> Any:
            options = super().to_ctypes()
            options.ca_bundle_path = os.devnull.encode()
            return options

    return Silent(model_asset_path=str(path))


def _kept(kind: Any, options: Any, path: Path, what: str) -> Any:
    try:
        task = kind.create_from_options(options)
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{path}: mediapipe cannot load it as {what} "
            f"({str(error).splitlines()[0]}); {cure_for(path)}"
        ) from None
    atexit.register(_close, task)
    return task


def _close(task: Any) -> None:
    """Close a task at the interpreter's end."""
    try:
        task.close()
    except RuntimeError:
        # The task's own threads have gone before it: it cannot close any more, and would complain
        # loudly when it is deleted.
        task._handle = None  # noqa: SLF001 - the task has no other way to be let go
