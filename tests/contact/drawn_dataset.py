"""A small dataset as preprocess leaves it: drawn pictures, hand-made rows, a store with mattes."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.commands.preprocess.ledger import STATE_SCHEMA
from facecrop.images.codec import encode
from facecrop.images.findings import Alpha, Boxes, Candidate, pack
from facecrop.images.frames import Box
from facecrop.index import INDEX_FILE, INDEX_SCHEMA, write_table
from facecrop.labels.paths import unescape
from facecrop.store import Entry, Store

WIDTH, HEIGHT = 96, 128
FACE = (32.0, 28.0, 64.0, 68.0)
CROP = (24, 20, 72, 76)
HOSTILE = "<img src=x onerror=alert(1)>"


def a_portrait(number: int) -> NDArray[np.uint8]:
    """A head on shoulders; the colours depend on the number."""
    rng = np.random.default_rng(number)
    image = np.full((HEIGHT, WIDTH, 3), rng.integers(150, 220, 3), np.uint8)
    cv2.ellipse(image, (48, 128), (40, 48), 0, 0, 360, rng.integers(40, 140, 3).tolist(), -1)
    cv2.ellipse(image, (48, 48), (16, 21), 0, 0, 360, (214, 170, 140), -1)
    for x in (41, 55):
        cv2.circle(image, (x, 45), 2, (40, 30, 30), -1)
    cv2.line(image, (43, 58), (53, 58), (150, 60, 60), 2)
    return image


def a_matte() -> Alpha:
    """The matte of every portrait here, at half the size of the picture."""
    values = np.zeros((HEIGHT // 2, WIDTH // 2), np.uint8)
    cv2.ellipse(values, (24, 64), (20, 24), 0, 0, 360, 255, -1)
    cv2.ellipse(values, (24, 24), (8, 10), 0, 0, 360, 255, -1)
    return Alpha(values, Box(0, 0, WIDTH, HEIGHT))


def a_row(path: str, **given: Any) -> dict[str, Any]:
    """One row of an index: a picture with one face, seen by a detector, unless given otherwise."""
    profile, _, file = path.rpartition("/")
    sides = ("x0", "y0", "x1", "y1")
    return {
        "path": path, "profile": profile, "name": file.rpartition(".")[0],
        "width": WIDTH, "height": HEIGHT, "status": "ok", "reason": None,
        "image": f"images/{path.rpartition('.')[0]}.jpg",
        **{f"face_{side}": value for side, value in zip(sides, FACE, strict=True)},
        "face_score": 0.93, "face_source": "yunet-640", "faces": 1,
        "left_eye_x": 41.0, "left_eye_y": 45.0, "right_eye_x": 55.0, "right_eye_y": 45.0,
        "nose_x": 48.0, "nose_y": 52.0, "mouth_x": 48.0, "mouth_y": 58.0,
        "alpha_coverage": 0.41,
        **{f"crop_{side}": value for side, value in zip(sides, CROP, strict=True)},
        "rotation": 0.0,
    } | given  # fmt: skip


def a_reject(path: str, reason: str, **given: Any) -> dict[str, Any]:
    """A row without face and crop."""
    row = a_row(path, status="reject", reason=reason)
    nothing = {name: None for name in row if name.startswith(("face_", "crop_", "left_", "right_"))}
    nothing |= dict.fromkeys(("nose_x", "nose_y", "mouth_x", "mouth_y", "rotation", "image"))
    return row | nothing | {"faces": 0, "alpha_coverage": None} | given


def a_fallback(path: str, **given: Any) -> dict[str, Any]:
    """A row whose face box no detector saw."""
    known = {"status": "fallback", "reason": "face-by-sibling", "face_source": "sibling"}
    return a_row(path, **known, face_score=0.0) | given


def a_dataset(folder: Path, rows: Iterable[Mapping[str, Any]], *, mattes: bool = True) -> Path:
    """Write `folder/raw` and `folder/out`; return `folder/out`."""
    raw, out = folder / "raw", folder / "out"
    done = []
    for number, row in enumerate(sorted(rows, key=lambda row: str(row["path"]))):
        image = a_portrait(number)
        data = encode(image, "png", 0)
        place = raw / unescape(row["path"])
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
        if row["image"] is not None:
            x0, y0, x1, y1 = CROP
            crop = out / row["image"]
            crop.parent.mkdir(parents=True, exist_ok=True)
            crop.write_bytes(encode(image[y0:y1, x0:x1], "jpg", 90))
        done.append({"digest": sha256(data).digest()} | row)
    out.mkdir(parents=True, exist_ok=True)
    write_index(out, done)
    (out / "dataset.toml").write_text('recipe_name = "embedded"\n')
    if mattes:
        _write_mattes(out, done)
    return out


def write_index(out: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the index of a dataset, null in every column that a row does not have."""
    listed = sorted(rows, key=lambda row: str(row["path"]))
    columns = {name: [row.get(name) for row in listed] for name in INDEX_SCHEMA.names}
    write_table(pa.table(columns, schema=INDEX_SCHEMA), out / INDEX_FILE)


def _write_mattes(out: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    entries, state = [], []
    facts, alpha = pack(a_matte())
    for row in rows:
        key = sha256(b"matte" + row["digest"]).digest()
        entries.append(Entry(row["digest"], key, facts, alpha))
        state.append({"path": row["path"], "alpha_key": key})
    store = Store(out / ".store")
    store.write("selfie", entries)
    faces, _ = pack(Boxes((Candidate(Box(*FACE), 0.93),)))
    store.write("yunet", [Entry(one.digest, one.digest, faces, None) for one in entries])
    write_table(pa.Table.from_pylist(state, schema=STATE_SCHEMA), out / ".store" / "state.parquet")
