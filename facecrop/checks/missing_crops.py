"""Tars of crops that are gone; whether all others are what was written is seen by preprocess."""

from collections.abc import Iterator

import pyarrow.compute as pc

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.checks.material import Material
from facecrop.crops import FOLDER, SHARDS_FILE, in_tars
from facecrop.index import read_table
from facecrop.storage import on_disk


def _find(material: Material) -> Iterator[Issue]:
    out = material.out
    if not in_tars(out):
        return
    places = read_table(out / SHARDS_FILE, ["shard"])["shard"]
    shards = pc.value_counts(places).to_pylist()
    files = [f"{FOLDER}/{one['values']}" for one in shards]
    for one, file, (size, _) in zip(shards, files, on_disk(out, files), strict=True):
        if size < 0:
            text = f"{file} is gone, and with it {one['counts']:,} crops"
            key = issue_key(CHECK.name, one["values"])
            yield Issue(CHECK.name, CHECK.severity, "", (), text, 1.0, key)


CHECK = Check(
    name="missing-crops",
    title="tars of crops that are gone",
    severity="error",
    cure="run preprocess again: it makes from the raw pictures what is missing",
    needs=("crops",),
    find=_find,
)
