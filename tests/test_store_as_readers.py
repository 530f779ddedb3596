"""Whoever reads crops reads them from tars as from files: our own readers, and other libraries."""

import json
import re
import tarfile
import urllib.request
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import datasets
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import webdataset
from fakes import draw, usual_face, write_png
from PIL import Image
from runs import content, rows, run
from small_run import LOSSLESS, small_dataset

from facecrop.checks.missing_crops import CHECK as MISSING
from facecrop.commands.audit.command import audit
from facecrop.commands.audit.serve import serve_audit
from facecrop.commands.contact.command import write_contact
from facecrop.commands.exports.command import export
from facecrop.commands.preprocess.command import preprocess
from facecrop.commands.relabel.command import relabel
from facecrop.commands.stats.command import stats
from facecrop.crops import SHARDS_FILE
from facecrop.crops.shards import header, key_of
from facecrop.errors import ConfigError, TableError
from facecrop.images.codec import Limits
from facecrop.index import LABELS_FILE, read_table
from facecrop.storage import place
from facecrop.training.crops import read_crop
from facecrop.training.pixels import open_pixels

ODD = (
    "000001_female_Asian_45/mask1.jpg",
    "0002.b.c_male_Asian_20/normal.tar.png",
    "0003_female_Asian_30/마스크 1.png",
    "__0004__/normal.png",
    "00%5_male_Asian_33/a.. normal.png",
    f"0006_female_Asian_60/{'n' * 150}.png",
    f"{'é' * 100}/normal.png",
)
"""Names that tars, or those who read them, have their own ideas about."""


@pytest.fixture(scope="module")
def raw_and_out(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """RAW, and a dataset whose crops are files."""
    return small_dataset(tmp_path_factory.mktemp("files"), profiles=6)


@pytest.fixture(scope="module")
def files(raw_and_out: tuple[Path, Path]) -> Path:
    return raw_and_out[1]


@pytest.fixture(scope="module")
def packed(raw_and_out: tuple[Path, Path]) -> Path:
    """The same dataset in tars."""
    raw, files = raw_and_out
    return pack(raw, files.parent / "packed")


def pack(raw: Path, out: Path) -> Path:
    options: dict[str, Any] = {"engine": "serial", "store_as": "shards", "shard_size": 4}
    preprocess(raw, out, recipe="raw", settings=[LOSSLESS], contact=False, **options)
    return out


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of pictures with odd names, in tars."""
    folder = tmp_path_factory.mktemp("odd")
    for shade, name in enumerate(ODD):
        write_png(folder / "raw" / name, draw(face=usual_face(), shade=shade))
    run(folder / "raw", folder / "out", store_as="shards", shard_size=3)
    return folder / "out"


def tars(out: Path) -> list[str]:
    return sorted(map(str, (out / "images").glob("*.tar")))


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_an_audit_names_tars_that_are_gone(
    kind: str, raw_and_out: tuple[Path, Path], files: Path, tmp_path: Path
) -> None:
    raw, _ = raw_and_out
    out = pack(raw, tmp_path / "out" if kind == "folder" else place(f"memory://{uuid4().hex}"))
    check = MISSING.name
    assert audit(out, checks=[check]).issues == audit(files, checks=[check]).issues == ()
    tar = min((out / "images").glob("*.tar"))
    crops = pc.sum(pc.equal(read_table(out / SHARDS_FILE)["shard"], tar.name)).as_py()
    tar.unlink()
    (issue,) = audit(out, checks=[check]).issues
    assert issue.reason == f"images/{tar.name} is gone, and with it {crops} crops"
    assert issue.severity == "error"
    pack(raw, out)
    assert audit(out, checks=[check]).issues == ()


def by_webdataset(out: Path) -> dict[str, tuple[dict[str, str], bytes]]:
    samples = webdataset.WebDataset(tars(out), shardshuffle=False)
    return {one["__key__"]: (json.loads(one["json"]), one["jpg"]) for one in samples}


def by_datasets(out: Path) -> dict[str, tuple[dict[str, str], bytes]]:
    cache = out.parent / "cache"
    loaded = datasets.load_dataset(
        "webdataset", data_files={"train": tars(out)}, split="train", cache_dir=str(cache)
    ).cast_column("jpg", datasets.Image(decode=False))
    return {one["__key__"]: (one["json"], one["jpg"]["bytes"]) for one in loaded}


@pytest.mark.parametrize("read", [by_webdataset, by_datasets])
def test_other_libraries_read_every_crop_whatever_its_name(
    odd: Path, read: Callable[[Path], dict[str, tuple[dict[str, str], bytes]]]
) -> None:
    found = read(odd)
    said = {one["key"]: one for one in read_table(odd / SHARDS_FILE).to_pylist()}
    assert found.keys() == said.keys()
    assert len(found) == len(ODD)
    for key, (facts, data) in found.items():
        assert facts["path"] == said[key]["path"]
        assert facts["image"] == said[key]["image"]
        assert bytes.fromhex(facts["sha256"]) == sha256(data).digest() == said[key]["sha256"]
        assert Image.open(BytesIO(data)).size == (32, 32)


def test_labels_join_by_the_key_and_are_those_of_today(
    raw_and_out: tuple[Path, Path], tmp_path: Path
) -> None:
    out = pack(raw_and_out[0], tmp_path / "out")
    before = {path: Path(path).read_bytes() for path in tars(out)}
    manifest = tmp_path / "m.csv"
    manifest.write_text("profile,name,field,was,now\n000001_male_Asian_20,,age,20,44\n")
    relabel(out, manifests=[manifest])
    assert {path: Path(path).read_bytes() for path in tars(out)} == before
    places = pq.read_table(out / SHARDS_FILE, columns=["path", "key"])
    labels = places.join(pq.read_table(out / LABELS_FILE), "path").to_pandas().set_index("key")
    ages = {
        one["json"]["path"].partition("/")[0]: labels.loc[one["__key__"]].age
        for one in webdataset.WebDataset(tars(out), shardshuffle=False).decode()
    }
    assert ages["000001_male_Asian_20"] == 44
    assert ages["000002_female_Asian_40"] == 40


def test_keys_are_one_for_each_name_and_plain() -> None:
    images = [f"images/{name.rpartition('.')[0]}.jpg" for name in ODD]
    images += ["images/a.b/c.jpg", "images/a%2Eb/c.jpg", "images/a/b/c.jpg", "images/A/b/c.jpg"]
    images += [f"images/{'/'.join(['x' * 70] * 4)}/{number}.jpg" for number in range(2)]
    keys = [key_of(image) for image in images]
    assert len(set(keys)) == len(images)
    assert all(re.fullmatch(r"[A-Za-z0-9_/%~-]+", key) for key in keys)
    assert not any(key.startswith("__") for key in keys)


@pytest.mark.parametrize("length", [1, 99, 100, 101, 170])
@pytest.mark.parametrize("size", [0, 1, 511, 15_000, 8**11 - 1])
def test_headers_are_those_of_tarfile(length: int, size: int) -> None:
    name = (
        f"{'folder' * 20}"[: max(length - 6, 0)] + ("/" if length > 6 else "") + "n.jpg"[-length:]
    )
    info = tarfile.TarInfo(name)
    info.size = size
    assert header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)


def test_training_gets_the_same_input(files: Path, packed: Path) -> None:
    built = []
    for out in (files, packed):
        named = [row for row in rows(out) if row["image"]]
        columns = ([row[name] for row in named] for name in ("image", "image_sha256"))
        pixels = open_pixels(out, *columns, (24, 24), workers=2)
        built.append((np.array(pixels.array), pixels.facts, pixels.file.name))
    assert built[0][2] == built[1][2]
    assert (built[0][0] == built[1][0]).all()
    assert (built[0][1] == built[1][1]).all()


def test_a_crop_that_is_another_one_is_not_trained_on(
    raw_and_out: tuple[Path, Path], tmp_path: Path
) -> None:
    out = pack(raw_and_out[0], tmp_path / "out")
    row = next(row for row in rows(out) if row["image"])
    with pytest.raises(TableError, match="is not the crop that the index names"):
        read_crop(out, row["image"], bytes(32))
    for path in tars(out):
        Path(path).unlink()
    with pytest.raises(TableError, match=r"cannot be read .*run facecrop preprocess again"):
        read_crop(out, row["image"], row["image_sha256"])


def test_audits_find_the_same(files: Path, packed: Path) -> None:
    for out in (files, packed):
        audit(out)
    one, other = (content(out) for out in (files, packed))
    assert one["audit/issues.parquet"] == other["audit/issues.parquet"]


def test_measured_pixels_are_the_same(files: Path, packed: Path) -> None:
    one, other = (stats(out).datasets[0].pixels for out in (files, packed))
    assert one == other
    assert one["all"]


def test_the_contact_sheet_shows_the_same_pictures(
    raw_and_out: tuple[Path, Path], packed: Path
) -> None:
    raw, files = raw_and_out
    pages = [write_contact(out, raw, Limits()) for out in (files, packed)]
    sheets = [(page.parent / "contact.png").read_bytes() for page in pages]
    assert sheets[0] == sheets[1]
    links = ['"files": true' in page.read_text() for page in pages]
    assert links == [True, False]


def test_exports_hold_the_same_and_refuse_what_needs_files(
    files: Path, packed: Path, tmp_path: Path
) -> None:
    for out in (files, packed):
        export(out, tmp_path / out.name, to="imagefolder")
    one, other = (content(tmp_path / out.name) for out in (files, packed))
    assert {k: v for k, v in one.items() if k != "export.toml"} == {
        k: v for k, v in other.items() if k != "export.toml"
    }
    with pytest.raises(ConfigError, match=r"--link needs crops that are files.*--images source"):
        export(packed, tmp_path / "linked", to="imagefolder", link=True)
    with pytest.raises(ConfigError, match="address of a crop needs crops that are files"):
        export(packed, tmp_path / "tasks", to="labelstudio")


def test_the_review_page_gets_crops_in_full_size(packed: Path) -> None:
    audit(packed)
    row = next(row for row in rows(packed) if row["image"])
    with serve_audit(packed) as url:
        address = url.replace("audit/index.html", row["image"])
        with urllib.request.urlopen(address) as answer:  # noqa: S310 - our own server
            assert sha256(answer.read()).digest() == row["image_sha256"]
