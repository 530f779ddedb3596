"""What a dataset says of itself: its card, what was ignored, and the table beside the crops."""

import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from os.path import relpath
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.config import plain, toml_text
from facecrop.images.job import Weight, finder_key, source_key
from facecrop.images.models import ModelStore
from facecrop.images.recipe import Recipe
from facecrop.index import (
    CARD_FILE,
    INDEX_FILE,
    INDEX_SCHEMA,
    LABELS_FILE,
    read_batches,
    read_table,
    write_atomic,
    write_batches,
)
from facecrop.labels.ages import active_policy, policy_line
from facecrop.labels.layouts import Scan

_PACKAGES = ("facecrop", "numpy", "opencv-contrib-python", "pillow", "simplejpeg")


def write_card(
    out: Path,
    *,
    raw: Path,
    layout: str,
    recipe_name: str,
    recipe: Recipe,
    fingerprint: bytes,
    weights: Mapping[str, Weight],
    device: str,
) -> None:
    """Write `dataset.toml`: what was chosen, and nothing that goes stale."""
    models = ModelStore(offline=True)
    card: dict[str, Any] = {
        "raw": Path(relpath(raw.resolve(), out.resolve())).as_posix(),
        "layout": layout,
        "recipe_name": recipe_name,
        "recipe_fingerprint": fingerprint.hex(),
        "device": device.split(":", maxsplit=1)[0],
        "versions": {package: version(package) for package in _PACKAGES},
        "finders": {
            "source": {"key": source_key(recipe)},
            **{
                finder.label: {
                    "key": finder_key(finder, weights, device),
                    "runtime": finder.runtime(device),
                }
                for finder in recipe.look.finders
            },
        },
        "models": {
            name: {"sha256": weight.digest, "licence": models.entry(name).licence}
            for name, weight in sorted(weights.items())
        },
        "recipe": plain(recipe),
    }
    text = "# What this dataset was made from. Written by facecrop; read it, do not edit it.\n"
    text += policy_line(active_policy(out)) + toml_text(card)
    _write_text(out / CARD_FILE, text)


def write_scan(out: Path, scan: Scan) -> None:
    """Write `scan.json`: what was ignored in RAW and why, empty and unusual profiles."""
    facts = {
        "layout": scan.layout,
        "ignored": dict(sorted(scan.ignored.items())),
        "ignored_paths": sorted([path, reason] for path, reason in scan.ignored_paths),
        "empty_profiles": sorted(scan.empty_profiles),
        "missing": scan.missing,
        "extra": scan.extra,
    }
    _write_text(
        out / "scan.json", json.dumps(facts, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    )


def write_metadata(out: Path) -> None:
    """Write `images/metadata.parquet`: both tables joined for each crop, for Hugging Face."""
    labels = read_table(out / LABELS_FILE)
    own = labels.schema.names[1:]
    name = pa.field("file_name", pa.string())
    schema = pa.schema([name, *INDEX_SCHEMA, *(labels.schema.field(label) for label in own)])

    def joined() -> Iterator[pa.Table]:
        start = 0
        for rows in read_batches(out / INDEX_FILE):
            of_rows = labels.slice(start, len(rows))
            start += len(rows)
            names = pc.replace_substring_regex(rows["image"], "^images/", "")
            columns = [names, *rows.columns, *(of_rows[label] for label in own)]
            yield pa.table(columns, schema=schema).filter(pc.is_valid(rows["image"]))

    (out / "images").mkdir(exist_ok=True)
    write_batches(joined(), schema, out / "images" / "metadata.parquet")


def _write_text(path: Path, text: str) -> None:
    if not (path.exists() and path.read_text(encoding="utf-8") == text):
        write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
