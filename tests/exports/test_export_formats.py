"""What each format promises to its readers, and that boxes lie where they belong."""

import json
import re
from hashlib import sha256
from pathlib import Path
from shutil import copytree
from typing import Any
from urllib.parse import unquote_to_bytes
from xml.etree import ElementTree as ET

import cv2
import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from exported import HOSTILE, TURNED, brightest, dataset
from hypothesis import given
from hypothesis import strategies as st
from made_datasets import record, write_dataset

import facecrop
from facecrop.commands.exports.coco import pixels
from facecrop.commands.exports.labelstudio import NO_DOUBT, WORDS
from facecrop.commands.exports.pictures import Placed
from facecrop.images.choose import Plan
from facecrop.images.codec import decode_crop, encode
from facecrop.images.frames import Box, Image
from facecrop.images.render import Render, Resize, render
from facecrop.labels.ages import OFFICIAL

PERSON = "000001_male_Asian_30"
KINDS = {"Classification", "Classifications", "Detection", "Detections", "ImageMetadata"}
"""Classes of FiftyOne that are written."""
RESERVED = {"mask", "mask_path", "id", "index", "instance"}
"""Fields of a FiftyOne detection that hold something else; an attribute of their name ends the
import of COCO, too."""


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("formats"))


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def a_picture(file: Path) -> Image:
    image = decode_crop(file.read_bytes()).image
    assert image is not None
    return image


def coco(out: Path, target: Path, **options: Any) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Export as COCO; return the images by path, and the boxes of each by category."""
    facecrop.export(out, target, to="coco", **options)
    data = read(target / "annotations" / "instances.json")
    names = {one["id"]: one["name"] for one in data["categories"]}
    images = {one["id"]: one for one in data["images"]}
    boxes: dict[str, list[Any]] = {one["path"]: [] for one in data["images"]}
    for one in data["annotations"]:
        boxes[images[one["image_id"]]["path"]].append((names[one["category_id"]], one))
    assert len({one["id"] for one in data["annotations"]}) == len(data["annotations"])
    return {one["path"]: one for one in data["images"]}, boxes


@pytest.mark.parametrize("images", ["crops", "source"])
def test_coco_boxes_lie_on_the_drawn_faces(out: Path, images: str, tmp_path: Path) -> None:
    pictures, boxes = coco(out, tmp_path / "new", images=images)
    assert len(pictures) == 10
    for path, image in pictures.items():
        shown = a_picture(tmp_path / "new" / "images" / image["file_name"])
        assert shown.shape[:2] == (image["height"], image["width"])
        ((category, face),) = boxes[path]
        x, y, width, height = face["bbox"]
        edges = brightest(shown)
        assert category == "face"
        assert [x, y, x + width, y + height] == pytest.approx(edges, abs=2.5)
        assert face["area"] == pytest.approx(width * height, abs=0.02)
        assert face["attributes"]["gender"] in ("male", "female")
        assert not RESERVED & set(face["attributes"])


def test_a_raw_picture_that_lies_on_its_side_is_written_upright(out: Path, tmp_path: Path) -> None:
    pictures, _ = coco(out, tmp_path / "new", images="source", link=True)
    assert (pictures[TURNED]["width"], pictures[TURNED]["height"]) == (64, 96)
    upright = tmp_path / "new" / "images" / f"{TURNED}.png"
    assert pictures[TURNED]["file_name"] == f"{TURNED}.png"
    assert not upright.is_symlink()
    # As a reader that does not look for EXIF sees it.
    assert cv2.imread(str(upright), cv2.IMREAD_IGNORE_ORIENTATION).shape[:2] == (96, 64)


def turned(folder: Path, rotation: float, resize: Resize) -> tuple[Path, np.ndarray]:
    """Write a dataset of one picture that was turned before it was cut; return its crop, too."""
    source = np.full((100, 200, 3), 30, np.uint8)
    source[10:30, 90:110] = 255
    crop = Box(50, 0, 150, 100)
    plan = Plan("ok", crop=crop, rotation=rotation)
    made = render(source, plan, None, Render(resize=resize))
    facts = {"width": 200, "height": 100, "rotation": rotation, "face_score": 0.9}
    sides = ("x0", "y0", "x1", "y1")
    for name, box in (("face", Box(90, 10, 110, 30)), ("crop", crop), ("person", Box(0, 0, 9, 9))):
        facts |= {f"{name}_{side}": one for side, one in zip(sides, box.corners, strict=True)}
    digest = sha256(encode(made, "png", 95)).digest()
    row = record(PERSON, "normal", image_sha256=digest, **facts)
    out = write_dataset(folder / "out", [row], {str(row["path"]): made})
    card = f'[recipe.render.resize]\nsize = {list(resize.size)}\nmode = "{resize.mode}"\n'
    (out / "dataset.toml").write_text(card)
    return out, made


def test_a_box_follows_the_picture_when_it_is_turned(tmp_path: Path) -> None:
    # Turned by a quarter, counter-clockwise as seen, what was 30 above the middle is 30 left of it.
    out, _ = turned(tmp_path, 90, Resize(size=(100, 100)))
    _, boxes = coco(out, tmp_path / "new")
    ((category, face),) = boxes[f"{PERSON}/normal.jpg"]  # the person is outside the crop
    assert category == "face"
    assert face["bbox"] == pytest.approx([10, 40, 20, 20], abs=0.01)
    assert face["score"] == 0.9
    assert face["attributes"] == {
        "mask_state": "none", "gender": "male", "age": 30, "age_group": "middle", "status": "ok"
    }  # fmt: skip


@pytest.mark.parametrize("mode", ["stretch", "fit-pad"])
@pytest.mark.parametrize("rotation", [-33.0, 0.0, 12.5, 170.0])
def test_the_middle_of_a_box_is_the_middle_of_the_drawn_face(
    rotation: float, mode: Any, tmp_path: Path
) -> None:
    out, made = turned(tmp_path, rotation, Resize(size=(80, 120), mode=mode))
    _, boxes = coco(out, tmp_path / "new")
    ((_, face),) = boxes[f"{PERSON}/normal.jpg"]
    x, y, width, height = face["bbox"]
    x0, y0, x1, y1 = brightest(made)
    middle = [x + width / 2, y + height / 2]
    assert middle == pytest.approx([(x0 + x1) / 2, (y0 + y1) / 2], abs=1.5)


fractions = st.floats(0, 1)


@given(
    st.tuples(fractions, fractions, fractions, fractions), st.tuples(*[st.integers(1, 5000)] * 2)
)
def test_a_box_inside_its_picture_stays_inside(
    corners: tuple[float, float, float, float], size: tuple[int, int]
) -> None:
    (x0, x1), (y0, y1) = sorted(corners[::2]), sorted(corners[1::2])
    x, y, width, height = pixels((x0, y0, x1, y1), Placed("a.jpg", *size))
    assert min(x, y, width, height) >= 0
    assert x + width <= size[0] + 0.011  # rounded to hundredths, twice
    assert y + height <= size[1] + 0.011


def test_an_imagefolder_is_what_the_datasets_library_reads(out: Path, tmp_path: Path) -> None:
    facecrop.export(out, tmp_path / "new", to="imagefolder")
    card = (tmp_path / "new" / "README.md").read_text()
    assert re.findall(r"split: (\w+)\n    path: (\S+)", card) == [("train", "train/**")]
    part = tmp_path / "new" / "train"
    table = pq.read_table(part / "metadata.parquet")
    assert table.schema.field("file_name").type == pa.string()
    assert not any(pa.types.is_fixed_size_binary(one) for one in table.schema.types)
    named = set(table["file_name"].to_pylist())
    files = {path.relative_to(part).as_posix() for path in part.rglob("*.jpg")}
    assert named == files
    assert {"mask", "gender", "age_group", "face_x0", "profile"} <= set(table.column_names)
    loaded = datasets.load_dataset(
        str(tmp_path / "new"), split="train", cache_dir=str(tmp_path / "cache")
    )
    read_back = {row["path"]: row for row in loaded}
    assert {path: row["mask"] for path, row in read_back.items()} == dict(
        zip(table["path"].to_pylist(), table["mask"].to_pylist(), strict=True)
    )
    for row in read_back.values():
        shown = a_picture(part / row["profile"] / Path(row["path"]).with_suffix(".jpg").name)
        assert np.array_equal(np.asarray(row["image"]), shown)
    whole = pq.read_table(out / "images" / "metadata.parquet").drop_columns("kept_reason")
    rows = {row["path"]: row for row in whole.to_pylist()}
    assert all(rows[row["path"]] == row for row in table.drop_columns("kept_reason").to_pylist())


def test_fiftyone_reads_plain_samples_because_there_is_no_version(
    out: Path, tmp_path: Path
) -> None:
    facecrop.export(out, tmp_path / "new", to="fiftyone")
    metadata = read(tmp_path / "new" / "metadata.json")
    assert "version" not in metadata
    assert metadata["media_type"] == "image"
    samples = read(tmp_path / "new" / "samples.json")["samples"]
    assert len(samples) == 10
    for sample in samples:
        assert (tmp_path / "new" / sample["filepath"]).is_file()
        assert None not in sample.values()
        for document in documents(sample):
            assert document["_cls"] in KINDS
            if document["_cls"] == "Detection":
                assert not RESERVED & document.keys()
                assert min(document["bounding_box"]) >= 0
                assert max(document["bounding_box"]) <= 1
    labels = [sample["gender"]["label"] for sample in samples]
    assert set(labels) == {"male", "female"}


def documents(data: object) -> list[dict[str, Any]]:
    """Return everything below a sample that names its class."""
    if isinstance(data, list):
        return [one for value in data for one in documents(value)]
    if not isinstance(data, dict):
        return []
    inner = [one for value in data.values() for one in documents(value)]
    return [data, *inner] if "_cls" in data else inner


def test_label_studio_tasks_fit_their_configuration(out: Path, tmp_path: Path) -> None:
    facecrop.export(out, tmp_path / "new", to="labelstudio", image_root="http://here/x?d=")
    config = ET.parse(tmp_path / "new" / "config.xml").getroot()  # noqa: S314 - our own
    text = (tmp_path / "new" / "config.xml").read_text()
    choices = {
        tag.get("name"): tuple(one.get("value") for one in tag) for tag in config.iter("Choices")
    }
    assert choices == WORDS
    controls = {tag.get("name") for tag in config.iter() if tag.get("toName") == "image"}
    tasks = read(tmp_path / "new" / "tasks.json")
    assert len(tasks) == 10
    for task in tasks:
        data = task["data"]
        assert set(re.findall(r'"\$(\w+)"', text)) <= data.keys()
        assert data["finding"] == NO_DOUBT
        assert not controls & data.keys()  # JSON-MIN writes answers beside the data
        address = data["image"].removeprefix("http://here/x?d=")
        assert not set(address) & set("<>\"' &#?")
        assert (out / unquote_to_bytes(address).decode()).is_file()
        (given,) = task["predictions"]
        for result in given["result"]:
            assert result["from_name"] in controls
            if result["type"] == "choices":
                assert set(result["value"]["choices"]) <= set(choices[result["from_name"]])
    assert any(HOSTILE in task["data"]["path"] for task in tasks)
    facecrop.export(out, tmp_path / "raw", to="labelstudio", images="source")
    root = "/data/local-files/?d="
    for task in read(tmp_path / "raw" / "tasks.json"):
        name = unquote_to_bytes(task["data"]["image"].removeprefix(root))
        assert (out.parent / "raw" / name.decode(errors="surrogateescape")).is_file()


def test_label_studio_is_given_official_age_groups_whatever_policy_is_active(
    out: Path, tmp_path: Path
) -> None:
    out, policy = Path(copytree(out, tmp_path / "copy")), tmp_path / "late.toml"
    facecrop.export(out, tmp_path / "before", to="labelstudio")
    policy.write_text("cuts = [90, 95]\n")
    facecrop.relabel(out, set_policy=str(policy))
    facecrop.export(out, tmp_path / "after", to="labelstudio")
    active = set(pq.read_table(out / "labels.parquet")["age_group"].to_pylist())
    given = [
        {task["data"]["path"]: task["data"]["given_age_group"] for task in read(folder)}
        for folder in (tmp_path / "before/tasks.json", tmp_path / "after/tasks.json")
    ]
    assert given[0] == given[1]
    assert active != set(given[1].values())
    young, old = OFFICIAL.cuts
    text = (tmp_path / "after/config.xml").read_text()
    assert f"(official bins: young below {young}, old from {old})" in text
