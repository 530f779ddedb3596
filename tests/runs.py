"""Running preprocess in tests: a recipe of fakes, and what a dataset looks like afterwards."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from fakes import FakeDetector, FakeMatte

from facecrop.commands.preprocess.command import PreprocessResult, preprocess
from facecrop.images.choose.geometry import Crop
from facecrop.images.look.cascade import Faces
from facecrop.images.recipe import Look, Recipe
from facecrop.images.render import Background, Render, Resize


def recipe(
    detector: Any = None, *, margin: float = 0.25, background: bool = True, **changes: Any
) -> Recipe:
    """Return a recipe of fakes that cuts out the bright square."""
    return Recipe(
        look=Look(
            matte=FakeMatte(),
            faces=Faces(detectors=(detector or FakeDetector(),)),
        ),
        crop=Crop(margin=margin),
        render=Render(
            background=Background() if background else None, resize=Resize(size=(32, 32))
        ),
        **changes,
    )


def run(raw: Path, out: Path, **options: Any) -> PreprocessResult:
    """Run preprocess quickly: fakes, no contact sheet, here unless workers are asked for."""
    engine = "local" if "workers" in options else "serial"
    defaults: dict[str, Any] = {"recipe": recipe(), "engine": engine, "contact": False}
    return preprocess(raw, out, **(defaults | options))


def rows(out: Path) -> list[dict[str, Any]]:
    """Return the index as dictionaries."""
    found: list[dict[str, Any]] = index(out).to_pylist()
    return found


def index(out: Path) -> pa.Table:
    """Return the index."""
    return pq.read_table(out / "index.parquet")


def content(out: Path) -> dict[str, str]:
    """Return the digest of every file of a dataset, without its store and contact sheet."""
    return {
        path.relative_to(out).as_posix(): sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.relative_to(out).parts[0] not in (".store", "contact")
    }


def trust(out: Path) -> None:
    """Let the last scan be long after the files were written, so that their times are trusted."""
    path = out / ".store" / "run.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps(known | {"scanned_ns": known["scanned_ns"] + 10_000_000_000}))
