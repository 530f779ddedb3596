"""What a dataset says of itself: its card, what was ignored, and the table beside the crops."""

import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facecrop.commands.streams import WINDOW, Along
from facecrop.config import plain, read_toml, toml_text
from facecrop.images.job import Weight, finder_key, runs_on, source_key
from facecrop.images.models import ModelStore
from facecrop.images.recipe import Recipe
from facecrop.index import (
    CARD_FILE,
    INDEX_FILE,
    INDEX_SCHEMA,
    LABELS_FILE,
    LABELS_SCHEMA,
    METADATA_FILE,
    read_batches,
    read_columns,
    write_atomic,
    write_batches,
)
from facecrop.labels.ages import active_policy, policy_line
from facecrop.labels.current import write_labels
from facecrop.labels.layouts import Scan
from facecrop.storage import way

_LEFT_OUT = ("image", "mtime_ns", "ctime_ns", "inode")
_PACKAGES = ("facecrop", "numpy", "opencv-contrib-python", "pillow", "simplejpeg")


def card_text(
    out: Path,
    *,
    raw: Path,
    layout: str,
    recipe_name: str,
    recipe: Recipe,
    fingerprint: bytes,
    weights: Mapping[str, Weight],
    device: str,
    home: Mapping[str, Any],
) -> str:
    """Return what a dataset was made from, as TOML: what was chosen, and nothing that goes stale.

    Equal choices on machines with equal packages give equal texts.
    """
    models = ModelStore(offline=True)
    card: dict[str, Any] = {
        "raw": way(raw, out),
        "layout": layout,
        **home,
        "recipe_name": recipe_name,
        "recipe_fingerprint": fingerprint.hex(),
        "device": device.split(":", maxsplit=1)[0],
        "versions": package_versions(),
        "finders": {
            "source": {"key": source_key(recipe)},
            **{
                finder.label: {
                    "key": finder_key(finder, weights, device),
                    "runtime": runs_on(finder, device),
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
    return toml_text(card)


def package_versions() -> dict[str, str]:
    """Return the versions of the packages that decide what pixels come out."""
    return {package: version(package) for package in _PACKAGES}


def write_card(out: Path, text: str) -> None:
    """Write `dataset.toml`: what was chosen (`card_text`), and the age policy that is active."""
    head = "# What this dataset was made from. Written by facecrop; read it, do not edit it.\n"
    _write_text(out / CARD_FILE, head + policy_line(active_policy(out)) + text)


def known_cards(out: Path, parts: Iterable[str | None]) -> list[dict[str, Any]]:
    """Return the cards of a dataset's shards, and its own, last, if it has one.

    Args:
        out: The dataset.
        parts: What its shards say of themselves, where no merge has taken them in.
    """
    cards = [tomllib.loads(text) for text in parts if text]
    return [*cards, *([read_toml(out / CARD_FILE)] if (out / CARD_FILE).exists() else [])]


def made_with(out: Path, parts: Iterable[str | None]) -> dict[str, str]:
    """Return by finder what the findings of a dataset were made with; nothing of a new one.

    Args:
        out: The dataset.
        parts: What its shards say of themselves, where no merge has taken them in.
    """
    return {
        label: str(finder["runtime"])
        for card in known_cards(out, parts)
        for label, finder in card.get("finders", {}).items()
        if "runtime" in finder
    }


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


def write_beside_index(out: Path, scan: Scan, card: str | None, *, tars: bool) -> int:
    """Write what goes with the index: labels, what was ignored, the card, the table of the crops.

    Args:
        out: The dataset.
        scan: What lies in RAW.
        card: What it was made from (`card_text`); None leaves the one there is.
        tars: Whether crops lie in tars: then nothing lies beside a table.

    Returns:
        How many label corrections have lost their record.
    """
    orphans = write_labels(out)
    write_scan(out, scan)
    if card is not None:
        write_card(out, card)
    if not tars:
        write_metadata(out)
    return int(orphans.num_rows)


def write_metadata(out: Path) -> None:
    """Write `images/metadata.parquet`: both tables joined for each crop, for Hugging Face."""
    schema, batches = joined_tables(out)
    (out / "images").mkdir(exist_ok=True)
    write_batches(batches, schema, out / METADATA_FILE)


def joined_tables(out: Path) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Return both tables joined for each crop, in parts, with a first column `file_name`.

    That is the crop below `images/`. The types are those that the `datasets` library can read:
    digests are binary of any length (it did not read Arrow's binary of fixed length until the
    middle of 2026), a hash is 16 hexadecimal digits (it takes no number beyond 63 bits). Left out
    are `image`, under which the library gives the picture itself, and what tells of this disk
    alone, times and the file's number.
    """
    own = LABELS_SCHEMA.names[1:]
    facts = [field for field in INDEX_SCHEMA if field.name not in _LEFT_OUT]
    name = pa.field("file_name", pa.string())
    fields = [pa.field(one.name, _plain(one.type)) for one in facts]
    schema = pa.schema([name, *fields, *(LABELS_SCHEMA.field(label) for label in own)])

    def joined() -> Iterator[pa.Table]:
        labels = Along(read_columns(out / LABELS_FILE, own, WINDOW))
        for rows in read_batches(out / INDEX_FILE):
            of_rows = labels.take(len(rows))
            names = pc.replace_substring_regex(rows["image"], "^images/", "")
            said = [
                _digits(rows[one.name]) if pa.types.is_uint64(one.type) else rows[one.name]
                for one in facts
            ]
            columns = [names, *said, *(of_rows[label] for label in own)]
            table = pa.table(columns, names=schema.names).cast(schema)
            yield table.filter(pc.is_valid(rows["image"]))

    return schema, joined()


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type that stands for a column's type in what others read."""
    if pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    return pa.string() if pa.types.is_uint64(kind) else kind


def _digits(numbers: pa.ChunkedArray) -> pa.Array:
    """Return (N,) numbers of 64 bits as 16 hexadecimal digits each, null where they are null."""
    values = pc.fill_null(numbers, 0).to_numpy().astype(">u8")
    words = np.frombuffer(values.tobytes().hex().encode(), "S16")
    known = pc.is_valid(numbers).combine_chunks()
    return pc.if_else(known, pa.array(words).cast(pa.string()), pa.scalar(None, pa.string()))


def _write_text(path: Path, text: str) -> None:
    if not (path.exists() and path.read_text(encoding="utf-8") == text):
        write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
