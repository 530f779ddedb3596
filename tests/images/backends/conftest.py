"""Weights and photographs that lie outside the repository; tests that need them skip without."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from facecrop.images.frames import Image
from facecrop.images.models import default_folder, read_catalogue


@pytest.fixture(scope="session")
def weights() -> Callable[[str], Path]:
    """Return the file of a model that is on this machine already; nothing is fetched."""
    evaluation = os.environ.get("FACECROP_EVAL")
    folders = [default_folder(), *([Path(evaluation, "models")] if evaluation else [])]
    catalogue = read_catalogue()

    def find(name: str) -> Path:
        file = catalogue.model(name).file
        for folder in folders:
            for path in (folder / file, folder / name / file):
                if path.is_file():
                    return path
        pytest.skip(f"the model {name} is not here: facecrop models pull {name}")

    return find


@pytest.fixture(scope="session")
def photographs() -> list[Image]:
    """Return some photographs of people below FACECROP_EVAL, RGB."""
    evaluation = os.environ.get("FACECROP_EVAL")
    if not evaluation:
        pytest.skip("FACECROP_EVAL does not name a folder of photographs")
    files = sorted(Path(evaluation, "eval", "faces").glob("*.jp*g"))[:40]
    assert files, f"{evaluation}/eval/faces has no photographs"
    return [np.asarray(cv2.imread(str(file), cv2.IMREAD_COLOR_RGB), np.uint8) for file in files]
