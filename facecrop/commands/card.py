"""What a dataset says of itself: its card, what was ignored, and the table beside the crops."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from os.path import relpath
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.config import plain
from facecrop.images.job import Weight, finder_key, source_key
from facecrop.images.models import ModelStore
from facecrop.images.recipe import Recipe
from facecrop.index import CARD_FILE, INDEX_FILE, LABELS_FILE, read_table, write_atomic, write_table
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
    text += policy_line(active_policy(out)) + _toml(card)
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
    index, labels = read_table(out / INDEX_FILE), read_table(out / LABELS_FILE)
    joined = index
    for name in labels.column_names[1:]:
        joined = joined.append_column(labels.schema.field(name), labels[name])
    joined = joined.filter(pc.is_valid(joined["image"]))
    names = pc.replace_substring_regex(joined["image"], "^images/", "")
    (out / "images").mkdir(exist_ok=True)
    write_table(
        joined.add_column(0, pa.field("file_name", pa.string()), names),
        out / "images" / "metadata.parquet",
    )


def _write_text(path: Path, text: str) -> None:
    if not (path.exists() and path.read_text(encoding="utf-8") == text):
        write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def _toml(values: Mapping[str, Any], table: str = "") -> str:
    """Return a mapping as TOML; None is left out, as TOML has no word for it."""
    plain_values = {
        key: one for key, one in values.items() if not isinstance(one, Mapping) and one is not None
    }
    lines = [f"{_key(key)} = {_value(one)}" for key, one in plain_values.items()]
    if lines and table:
        lines = ["", f"[{table}]", *lines]
    for key, value in values.items():
        if isinstance(value, Mapping):
            inner = _toml(value, f"{table}.{_key(key)}" if table else _key(key))
            lines += [inner.rstrip()] if inner.strip() else []
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return (
        key
        if key.replace("-", "").replace("_", "").isalnum() and key.isascii()
        else json.dumps(key)
    )


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        inner = ", ".join(
            f"{_key(key)} = {_value(one)}" for key, one in value.items() if one is not None
        )
        return f"{{ {inner} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value, ensure_ascii=False)
