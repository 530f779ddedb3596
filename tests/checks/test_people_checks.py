"""Faces are compared by a real ONNX file that OpenCV runs: it tells people by their colours."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from checked import found
from fakes import write_png
from made_datasets import names, seven_of, write_dataset
from onnx import TensorProto, helper, numpy_helper

from facecrop.checks.faces import SIDE, align, find_recogniser
from facecrop.checks.material import Material
from facecrop.engines.each import Calls, InWorkers
from facecrop.engines.local import LocalEngine
from facecrop.errors import WeightsError
from facecrop.images.frames import Image

EYES = {"left_eye": (20, 30), "right_eye": (44, 30), "nose": (32, 44), "mouth": (32, 56)}


@pytest.fixture(scope="module")
def recogniser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose vector is the mean of each channel, less that of a gray face."""
    mean = numpy_helper.from_array(np.full((1, 3, 1, 1), 128, np.float32), "gray")
    nodes = [
        helper.make_node("GlobalAveragePool", ["data"], ["pooled"]),
        helper.make_node("Sub", ["pooled", "gray"], ["vector"]),
    ]
    taken = helper.make_tensor_value_info("data", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    given = helper.make_tensor_value_info("vector", TensorProto.FLOAT, [1, 3, 1, 1])
    graph = helper.make_graph(nodes, "colours", [taken], [given], [mean])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    file = tmp_path_factory.mktemp("models") / "face_recognition_sface_colours.onnx"
    onnx.save(model, file)
    return file


def colour(number: int) -> Image:
    """Return a picture of a person: a colour of their own, with some noise."""
    angle = number * 2.4
    tint = 128 + 90 * np.array([np.cos(angle), np.sin(angle), np.cos(2 * angle + 1)])
    noise = np.random.default_rng(number).normal(0, 9, (72, 64, 3))
    return (tint + noise).clip(0, 255).astype(np.uint8)


def photographed(out: Path, people: list[str], shows: dict[str, int]) -> Path:
    """Write a dataset of people, each in a colour of their own, but for pictures that differ."""
    rows = seven_of(*people)
    for row in rows:
        path = f"{row['profile']}/{row['name']}.png"
        row["path"] = path
        for point, (x, y) in EYES.items():
            row[f"{point}_x"], row[f"{point}_y"] = float(x), float(y)
        person = shows.get(path, shows.get(str(row["profile"]), people.index(str(row["profile"]))))
        write_png(out.parent / "raw" / path, colour(person))
    write_dataset(out, rows)
    (out / "dataset.toml").write_text('raw = "../raw"\n')
    return out


def test_a_stranger_in_a_profile_is_found_and_nobody_else(tmp_path: Path, recogniser: Path) -> None:
    people = names(5)
    stranger = f"{people[2]}/mask3.png"
    out = photographed(tmp_path / "out", people, {stranger: 3})
    (issue,) = found(out, "wrong-person", recogniser=recogniser)
    assert issue.paths == (stranger,)
    assert "they by 1.00 among themselves" in issue.reason
    assert issue.score > 0.5


def test_a_profile_without_agreement_has_no_stranger(tmp_path: Path, recogniser: Path) -> None:
    people = names(2)
    shows = {f"{people[0]}/mask{number}.png": 10 + number for number in range(1, 6)}
    out = photographed(tmp_path / "out", people, shows)
    told = {issue.profile for issue in found(out, "wrong-person", recogniser=recogniser)}
    assert people[1] not in told


def test_one_person_in_two_profiles_is_found(tmp_path: Path, recogniser: Path) -> None:
    people = names(5)
    out = photographed(tmp_path / "out", people, {people[4]: 1})
    (issue,) = found(out, "one-person-twice", recogniser=recogniser)
    assert {path.partition("/")[0] for path in issue.paths} == {people[1], people[4]}
    assert issue.facts is not None
    assert issue.facts["likeness"] == pytest.approx(1, abs=0.02)


def test_faces_without_landmarks_or_files_are_left_out(tmp_path: Path, recogniser: Path) -> None:
    people = names(3)
    out = photographed(tmp_path / "out", people, {f"{people[0]}/mask1.png": 2})
    (tmp_path / "raw" / people[0] / "mask1.png").unlink()
    assert found(out, "wrong-person", recogniser=recogniser) == []
    assert np.isnan(Material(out, recogniser=recogniser).faces[:, 0]).sum() == 1
    without = write_dataset(tmp_path / "without", seven_of(*people))
    (without / "dataset.toml").write_text('raw = "../raw"\n')
    assert found(without, "wrong-person", recogniser=recogniser) == []
    assert found(without, "one-person-twice", recogniser=recogniser) == []


def test_other_processes_see_the_same_faces(tmp_path: Path, recogniser: Path) -> None:
    people = names(2)
    out = photographed(tmp_path / "out", people, {})

    here = Material(out, recogniser=recogniser).faces
    with InWorkers(lambda: LocalEngine(workers=1).crew(Calls)) as each:
        afar = Material(out, recogniser=recogniser, each=each).faces
    assert np.isfinite(here).all()
    assert here.tobytes() == afar.tobytes()


def test_a_file_that_is_no_such_model_is_said_in_one_line(tmp_path: Path) -> None:
    out = photographed(tmp_path / "out", names(3), {})
    wrong = tmp_path / "wrong.onnx"
    wrong.write_bytes(b"no model")
    with pytest.raises(WeightsError, match=r"wrong\.onnx: OpenCV cannot use it as a face recog"):
        found(out, "wrong-person", recogniser=wrong)


def test_the_models_folder_is_looked_into(tmp_path: Path, recogniser: Path) -> None:
    assert find_recogniser(tmp_path / "nowhere") is None
    assert find_recogniser(recogniser.parent) == recogniser


@pytest.mark.parametrize(("angle", "scale"), [(0.0, 1.0), (0.4, 1.7), (-1.2, 0.6)])
def test_faces_are_laid_upright_onto_their_landmarks(angle: float, scale: float) -> None:
    places = np.array([[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [56.1, 92.3]])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = places @ turn.T + (150, 130)
    image = np.zeros((400, 400, 3), np.uint8)
    for x, y in points.round().astype(int):
        image[y - 2 : y + 3, x - 2 : x + 3] = 255
    face = align(image, points)
    for x, y in places.round().astype(int):
        assert face[y, x].min() > 128
