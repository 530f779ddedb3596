"""What detectors must do on OpenVINO: say what their own runtime says, and never tell anybody."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import write_profiles
from numpy.typing import NDArray

from facecrop.commands.preprocess.command import preprocess
from facecrop.config import plain
from facecrop.errors import MissingExtraError, WeightsError
from facecrop.images.backends import runtimes
from facecrop.images.backends.blazeface import BlazeFaceFull, BlazeFaceShort
from facecrop.images.backends.yolo import Yolo
from facecrop.images.backends.yunet import YuNet
from facecrop.images.findings import Boxes, Candidate
from facecrop.images.frames import Image
from facecrop.images.job import Weight, finder_key
from facecrop.images.look.finder import Finder, Weights
from facecrop.images.look.settings import FINDERS

if find_spec("openvino") is None:  # not imported here, as that alone would tell its maker
    pytest.skip("openvino is not installed", allow_module_level=True)

from facecrop.images.backends.blazeface_openvino import anchors, blended
from facecrop.images.backends.yunet_openvino import decoded, suppressed

FACES = [BlazeFaceShort(), BlazeFaceFull(), YuNet(scale=160), YuNet(scale=640)]
OWN = {"blazeface-short": "mediapipe", "blazeface-full": "mediapipe", "yunet": "opencv"}
ALL = {**OWN, "yolov8": "torch"}
"""By finder, the runtime that `auto` takes for a new dataset."""

faces = pytest.mark.parametrize("settings", FACES, ids=lambda one: one.label)


def on(settings: Any, runtime: str) -> Any:
    return settings.model_copy(update={"runtime": runtime})


def tolerances(settings: Any) -> tuple[float, float]:
    """Return how far sides of boxes may be apart, as part of a side, and scores.

    mediapipe's task cuts boxes to whole pixels and samples pictures with other rounding.
    """
    return (1e-3, 1e-3) if isinstance(settings, YuNet) else (0.06, 0.02)


def astronaut() -> Image:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    return np.asarray(data.astronaut(), np.uint8)


def look(finder: Finder, image: Image) -> tuple[Candidate, ...]:
    raw = finder.infer(finder.prepare(image)[None])[0]
    found = finder.interpret(raw, image.shape[0], image.shape[1])
    assert isinstance(found, Boxes)
    return found.candidates


def assert_agrees(settings: Any, own: Finder, other: Finder, image: Image) -> int:
    """Compare the faces that count, and all that are surely above the floor."""
    near, apart = tolerances(settings)
    surely = settings.floor + 2 * apart
    seen = [look(own, image), look(other, image)]
    for one, two in (seen, seen[::-1]):
        for face in one:
            if face.score < surely:
                continue
            twin = max(two, key=lambda any_face: any_face.box.iou(face.box))
            side = max(face.box.width, face.box.height)
            allowed = near * side + (1 if near > 0.01 else 1 / 8)
            assert np.allclose(twin.box.corners, face.box.corners, rtol=0, atol=allowed)
            assert np.allclose(twin.landmarks, face.landmarks, rtol=0, atol=allowed)
            assert twin.score == pytest.approx(face.score, abs=apart)
    return sum(face.score >= surely for face in seen[0])


@faces
def test_openvino_says_what_the_own_runtime_says(settings: Any, weights: Weights) -> None:
    own, other = settings.load(weights, "cpu"), on(settings, "openvino").load(weights, "cpu")
    image = astronaut()
    assert assert_agrees(settings, own, other, image) > 0
    assert_agrees(settings, own, other, image[:200, :331])
    assert_agrees(settings, own, other, np.full((90, 160, 3), 127, np.uint8))


@faces
def test_openvino_says_what_the_own_runtime_says_on_photographs(
    settings: Any, weights: Weights, photographs: list[Image]
) -> None:
    own, other = settings.load(weights, "cpu"), on(settings, "openvino").load(weights, "cpu")
    assert sum(assert_agrees(settings, own, other, image) for image in photographs[:12]) > 10


@faces
def test_a_finding_does_not_depend_on_the_sizes_before_it(settings: Any, weights: Weights) -> None:
    image, finder = astronaut(), on(settings, "openvino").load(weights, "cpu")
    alone = look(finder, image)
    look(finder, image[:200, :450])
    assert look(finder, image) == alone


@faces
def test_a_file_that_is_no_such_model_is_an_error_with_a_cure(
    settings: Any, weights: Weights, tmp_path: Path
) -> None:
    broken = tmp_path / "face.onnx"
    broken.write_bytes(b"no model")
    stranger = weights("blazeface-short" if isinstance(settings, YuNet) else "yunet")
    for path in (broken, stranger):
        with pytest.raises(WeightsError, match=rf"{path.name}: OpenVINO cannot load it \("):
            on(settings, "openvino").load(lambda _, path=path: path, "cpu")


@pytest.mark.parametrize("name", list(ALL))
def test_every_choice_has_the_own_runtime_openvino_and_auto(name: str) -> None:
    settings: Any = FINDERS.load(name)
    for runtime in ("auto", ALL[name], "openvino"):
        assert settings(runtime=runtime).runtime == runtime
    assert settings().runtime == "auto"
    assert "runtime" not in dict(plain(settings()))  # type: ignore[call-overload]  # a table


@pytest.mark.parametrize("name", list(ALL))
def test_the_key_of_findings_tells_openvino_apart(name: str) -> None:
    settings: Any = FINDERS.load(name)
    if name == "yolov8" and find_spec("ultralytics") is None:
        pytest.skip("ultralytics is not installed")
    weights = {model: Weight(Path("model"), "0" * 64) for model in settings().models}
    own, other, usual = (
        finder_key(settings(runtime=runtime), weights, "cpu")
        for runtime in (ALL[name], "openvino", "auto")
    )
    assert usual == own != other
    # It stays on the CPU, also where others of the run use a GPU.
    assert finder_key(settings(runtime="openvino"), weights, "cuda:0") == other


@pytest.mark.parametrize("name", list(OWN))
def test_openvino_that_is_missing_is_answered_with_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtimes, "_version", lambda _: None)
    settings: Any = FINDERS.load(name)
    asks: list[Callable[[], object]] = [
        lambda: settings(runtime="openvino").runs_on("cpu"),
        lambda: settings(runtime="openvino").load(lambda _: Path("not read"), "cpu"),
    ]
    for ask in asks:
        with pytest.raises(MissingExtraError, match=rf'{name}.*pip install "facecrop\[openvino\]"'):
            ask()


def test_auto_keeps_openvino_where_a_dataset_was_made_with_it(
    tmp_path: Path, weights: Weights
) -> None:
    raw, out = write_profiles(tmp_path / "raw", profiles=1), tmp_path / "out"

    def run(more: str = "") -> int:
        result = preprocess(
            raw,
            out,
            recipe="center-crop",
            settings=[f'look.faces.detectors=[{{name="yunet",scale=64{more}}}]'],
            weights={"yunet": weights("yunet")},
            device="cpu",
            engine="serial",
            contact=False,
        )
        return result.progress.calls["yunet-64"]

    def card() -> dict[str, Any]:
        return tomllib.loads((out / "dataset.toml").read_text())

    assert run(',runtime="openvino"') == 3
    assert card()["finders"]["yunet-64"]["runtime"].startswith("openvino ")
    assert run() == 0
    assert card()["recipe"]["look"]["faces"]["detectors"][0]["runtime"] == "openvino"
    assert run(',runtime="opencv"') == 3
    assert run() == 0
    assert card()["finders"]["yunet-64"]["runtime"].startswith("opencv ")


TELLS_NOBODY = """
import sys
from pathlib import Path
from facecrop.images.backends.yunet import YuNet
YuNet(scale=64, runtime="openvino").load(lambda _: Path(sys.argv[1]), "cpu")
import facecrop.images.backends.rembg_openvino
print([name for name in sys.modules if "telemetry" in name and not name.startswith("openvino.")])
"""


def test_openvino_is_imported_without_what_tells_its_maker(weights: Weights) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", TELLS_NOBODY, str(weights("yunet"))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "[]"


def test_anchors_lie_in_the_middle_of_their_cells() -> None:
    assert anchors(4, ((2, 2), (4, 1))).tolist() == [
        [1, 1], [1, 1], [3, 1], [3, 1], [1, 3], [1, 3], [3, 3], [3, 3], [2, 2],
    ]  # fmt: skip


def rows(*boxes: tuple[float, ...], width: int) -> NDArray[np.float64]:
    """Return rows of a box and a score at the end, zero between."""
    filled = [[*box[:4], *[0.0] * (width - 5), box[4]] for box in boxes]
    return np.array(filled, np.float64)


def test_what_overlaps_is_blended_by_score_and_keeps_the_best_score() -> None:
    found = rows((0, 0, 10, 10, 0.25), (0, 0, 10, 14, 0.75), (50, 50, 60, 60, 0.5), width=13)
    one, other = blended(found, 0.3)
    assert [*one[:4], one[12]] == [0, 0, 10, 13, 0.75]
    assert [*other[:4], other[12]] == [50, 50, 60, 60, 0.5]
    assert blended(found[:0], 0.3).shape == (0, 13)
    assert len(blended(rows((5, 5, 5, 5, 0.5), (5, 5, 5, 5, 0.4), width=13), 0.3)) == 2


def test_the_weaker_of_two_boxes_of_one_face_is_dropped() -> None:
    found = rows((0, 0, 10, 10, 0.4), (1, 0, 10, 10, 0.8), (50, 50, 9, 9, 0.5), width=15)
    left = suppressed(found.astype(np.float32), 0.2, 0.3)
    assert left[:, 14].tolist() == pytest.approx([0.8, 0.5])
    assert suppressed(found[:0].astype(np.float32), 0.2, 0.3).shape == (0, 15)


def test_a_cell_of_the_grid_becomes_a_box_in_pixels() -> None:
    boxes = np.array([[0.5, 0.5, 0, np.log(2)]], np.float32)
    face = decoded(boxes, np.ones((1, 10), np.float32), np.array([[3, 1]]), 8)
    assert face.tolist() == [pytest.approx([24, 4, 8, 16, *[32, 16] * 5])]


def test_persons_on_openvino_stay_on_the_cpu() -> None:
    assert Yolo().gpu_runtimes == Yolo(runtime="torch").gpu_runtimes == ("torch",)
    assert Yolo(runtime="openvino").gpu_runtimes == ()
