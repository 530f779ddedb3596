"""Faces as vectors: those of one person lie close together. Needs a model that the user has."""

from collections.abc import Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from threading import local
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.checks.headers import unchanged
from facecrop.checks.measured import Measured
from facecrop.errors import WeightsError
from facecrop.images.codec import decode
from facecrop.images.findings import LANDMARKS
from facecrop.images.frames import Image
from facecrop.labels.paths import unescape

if TYPE_CHECKING:
    from facecrop.checks.material import Material

Vectors = NDArray[np.float32]

PATTERN = "face_recognition_sface*.onnx"
"""Files of the models folder that are taken, the last by name."""

SIDE = 112
_PLACES = np.array([[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [56.1396, 92.2848]])
"""Where `LANDMARKS` lie in the model's input, x and y: the usual ones of ArcFace and SFace, with
the middle of both corners of the mouth."""
_OWN = local()
"""The recogniser of each thread: a network serves one caller at a time."""


def find_recogniser(folder: Path) -> Path | None:
    """Return the face recognition model that lies in the models folder, None if there is none."""
    return max(folder.glob(PATTERN), default=None, key=lambda file: file.name)


def face_vectors(material: "Material") -> Vectors:
    """Return a vector of length 1 for each record's face, (N, D); NaN where there is none.

    Faces are cut out of the raw pictures and laid onto their landmarks.

    Args:
        material: With a recogniser and its raw folder.

    Raises:
        WeightsError: The model cannot be loaded, or takes another input.
    """
    if material.recogniser is None or material.raw is None:
        raise ValueError("face_vectors needs a recogniser and the raw folder")
    _Recogniser(material.recogniser)  # what cannot be loaded is said before any picture is read
    index, report = material.index, material.report
    points = np.stack(
        [
            index[f"{point}_{axis}"].to_numpy(zero_copy_only=False)
            for point in LANDMARKS
            for axis in "xy"
        ],
        axis=1,
    ).reshape(-1, len(LANDMARKS), 2)
    known = np.flatnonzero(np.isfinite(points).all(axis=(1, 2))).tolist()
    rows = index.select(["path", "digest", "size", "mtime_ns"]).take(pa.array(known, pa.int64()))
    rows = rows.to_pylist()
    files = [material.raw / unescape(row["path"]) for row in rows]
    places = [points[number] for number in known]
    kept = Measured(material.out, "faces")
    recogniser = material.recogniser.resolve()
    model = sha256(recogniser.read_bytes()).digest()
    keys = [
        kept.key(row["digest"], model, place.tolist()) if unchanged(file, row) else None
        for file, row, place in zip(files, rows, places, strict=True)
    ]

    def missing(numbers: Sequence[int]) -> Iterator[tuple[int, str | None]]:
        faces = [(files[number], places[number]) for number in numbers]
        for place, text in material.each.map(partial(_vector, recogniser), faces):
            yield numbers[place], text

    def told(done: int, total: int) -> None:
        if report is not None:
            report("comparing faces", done, total)

    told(0, len(known))
    found: Vectors | None = None
    values = kept.of(keys, [row["digest"] for row in rows], missing, told)
    for number, text in zip(known, values, strict=True):
        if text is not None:
            vector = np.frombuffer(bytes.fromhex(text), np.float32)
            if found is None:
                found = np.full((len(index), len(vector)), np.nan, np.float32)
            found[number] = vector
    return np.full((len(index), 1), np.nan, np.float32) if found is None else found


def align(image: Image, points: NDArray[np.floating]) -> Image:
    """Return a face as the model takes it, (112, 112, 3): turned, scaled and moved, not bent.

    Args:
        image: (H, W, 3) uint8.
        points: (4, 2) where `LANDMARKS` are, x and y.

    Source:
        Umeyama 1991, "Least-squares estimation of transformation parameters between two point
        patterns", without mirroring; in the plane it is one complex division.
    """
    here, there = (one[:, 0] + 1j * one[:, 1] for one in (points, _PLACES))
    centre, goal = here.mean(), there.mean()
    moved = here - centre
    turn = np.vdot(moved, there - goal) / max(float(np.vdot(moved, moved).real), 1e-9)
    shift = goal - turn * centre
    matrix = np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])
    return np.asarray(cv2.warpAffine(image, matrix, (SIDE, SIDE)), np.uint8)


def _vector(recogniser: Path, face: tuple[Path, NDArray[np.floating]]) -> str | None:
    """Return the vector of a face as hex digits, None if its picture cannot be read.

    Args:
        recogniser: The model.
        face: Its raw file, and (4, 2) where `LANDMARKS` are.
    """
    file, points = face
    try:
        image = decode(file.read_bytes()).image
    except OSError:
        return None
    if image is None:
        return None
    if getattr(_OWN, "file", None) != recogniser:
        _OWN.net, _OWN.file = _Recogniser(recogniser), recogniser
    vector: Vectors = _OWN.net(align(image, points))
    return vector.tobytes().hex()


class _Recogniser:
    """Turns an aligned face into a vector of length 1.

    Args:
        file: The model: takes (1, 3, 112, 112) float32 RGB from 0 to 255.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._net: Any = cv2.dnn.readNetFromONNX(str(file))
        except cv2.error as error:
            raise self._fault(error) from None
        finally:
            cv2.utils.logging.setLogLevel(level)

    def __call__(self, face: Image) -> Vectors:
        blob = cv2.dnn.blobFromImage(face, 1.0, (SIDE, SIDE))
        try:
            self._net.setInput(blob)
            vector = np.asarray(self._net.forward(), np.float32).ravel()
        except cv2.error as error:
            raise self._fault(error) from None
        return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-9), np.float32)

    def _fault(self, error: cv2.error) -> WeightsError:
        return WeightsError(
            f"{self._file}: OpenCV cannot use it as a face recognition model "
            f"({str(error).splitlines()[0]}); take face_recognition_sface_2021dec.onnx of OpenCV's "
            "model zoo"
        )
