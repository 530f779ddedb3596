"""What every exporter in the table does, whoever wrote it."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from exported import ASIDE, HOSTILE, SAME, TWINS, dataset
from program import CHECKOUT, typed
from runs import content

import facecrop
from facecrop.commands.exports.command import KINDS
from facecrop.commands.exports.folder import MARKER
from facecrop.commands.exports.table import EXPORTERS
from facecrop.commands.split import split
from facecrop.config import read_toml
from facecrop.errors import ConfigError, TableError
from facecrop.index import CARD_FILE, read_table
from facecrop.labels.paths import unescape

REJECTED = "000003_male_Asian_50/mask2.png"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("exports"))


@pytest.fixture(params=list(EXPORTERS))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def paths_in(folder: Path) -> list[str]:
    """The records that an export names, in its order."""
    found: list[str] = []
    for file in sorted(folder.rglob("*")):
        if file.name == "metadata.parquet":
            found += pq.read_table(file)["path"].to_pylist()
        elif file.suffix == ".json":
            found += named(json.loads(file.read_text(encoding="utf-8")))
    return found


def named(data: object) -> Iterator[str]:
    if isinstance(data, dict):
        if isinstance(data.get("path"), str):
            yield data["path"]
        for value in data.values():
            yield from named(value)
    elif isinstance(data, list):
        for value in data:
            yield from named(value)


def test_every_kept_record_with_a_crop_is_there_once(out: Path, kind: str, tmp_path: Path) -> None:
    index = read_table(out / "index.parquet").to_pylist()
    cropped = {row["path"] for row in index if row["image"] is not None}
    assert REJECTED not in cropped
    result = facecrop.export(out, tmp_path / "new" / "some", to=kind)
    assert sorted(paths_in(result.target)) == sorted(cropped - {ASIDE})
    assert result.records == len(cropped) - 1
    assert result.left_out == {"without a crop": 1, "not kept": 1}
    assert any(HOSTILE in path for path in cropped)
    every = facecrop.export(out, tmp_path / "all", to=kind, everything=True)
    assert sorted(paths_in(every.target)) == sorted(cropped)


@pytest.mark.parametrize("images", ["crops", "source"])
def test_equal_datasets_give_equal_bytes_and_stay_as_they_are(
    out: Path, kind: str, images: str, tmp_path: Path
) -> None:
    before = content(out), content(out.parent / "raw")
    for name in ("one", "two"):
        facecrop.export(out, tmp_path / name, to=kind, images=images)
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert (content(out), content(out.parent / "raw")) == before
    assert {path.name for path in tmp_path.iterdir()} == {"one", "two"}


def test_what_somebody_else_wrote_is_never_replaced(out: Path, kind: str, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    facecrop.export(out, mine, to=kind)  # an empty folder is as good as none
    again = content(mine)
    with pytest.raises(ConfigError, match="holds an export; replace it with --overwrite"):
        facecrop.export(out, mine, to=kind)
    (mine / "notes.txt").write_text("of the last export")
    facecrop.export(out, mine, to=kind, overwrite=True)
    assert content(mine) == again
    (mine / MARKER).unlink()
    with pytest.raises(ConfigError, match="not empty, and no export lies there"):
        facecrop.export(out, mine, to=kind, overwrite=True)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        facecrop.export(out, tmp_path / "file", to=kind, overwrite=True)
    assert (tmp_path / "file").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"mine", "file"}


@pytest.mark.parametrize("place", ["out", "out/images/here", "raw", "raw/here", "out/../out/here"])
def test_no_export_lies_in_the_dataset_or_its_raw_folder(out: Path, kind: str, place: str) -> None:
    with pytest.raises(ConfigError, match="export to a folder outside"):
        facecrop.export(out, out.parent / place, to=kind, overwrite=True)


@pytest.mark.parametrize("inside", ["dataset", "raw"])
def test_an_export_that_holds_the_dataset_or_its_raw_folder_is_not_replaced(
    out: Path, inside: str, tmp_path: Path
) -> None:
    target, raw = tmp_path / "export", out.resolve() / str(read_toml(out / CARD_FILE)["raw"])
    facecrop.export(out, target, to="imagefolder")
    copy = tmp_path / "dataset"
    shutil.copytree(out, copy)
    (target / "inner").mkdir()
    if inside == "dataset":
        shutil.move(copy, target / "inner" / "dataset")
        copy = target / "inner" / "dataset"
    else:
        shutil.copytree(raw, target / "inner" / "raw")
        card = (copy / CARD_FILE).read_text()
        (copy / CARD_FILE).write_text(
            re.sub(r'(?m)^raw = ".*"$', 'raw = "../export/inner/raw"', card)
        )
    before = content(target)
    with pytest.raises(ConfigError, match="export to a folder beside it"):
        facecrop.export(copy, target, to="imagefolder", overwrite=True)
    assert content(target) == before


@pytest.mark.parametrize("kind", [kind for kind in EXPORTERS if kind != "labelstudio"])
def test_an_export_that_fails_leaves_what_was_there(out: Path, kind: str, tmp_path: Path) -> None:
    copy, target = tmp_path / "copy" / "out", tmp_path / "target"
    shutil.copytree(out, copy)
    facecrop.export(copy, target, to=kind)
    before = content(target)
    crop = max((copy / "images").rglob("*.jpg"))
    crop.write_bytes(crop.read_bytes() + b"altered")
    with pytest.raises(TableError, match="not the crop that the index names"):
        facecrop.export(copy, target, to=kind, overwrite=True)
    crop.unlink()
    with pytest.raises(TableError, match="cannot be read"):
        facecrop.export(copy, tmp_path / "other", to=kind)
    assert content(target) == before
    assert {path.name for path in tmp_path.iterdir()} == {"copy", "target"}


@pytest.mark.parametrize("kind", [kind for kind in EXPORTERS if kind != "labelstudio"])
def test_links_lead_to_the_pictures_of_the_dataset(out: Path, kind: str, tmp_path: Path) -> None:
    facecrop.export(out, tmp_path / "copies", to=kind)
    facecrop.export(out, tmp_path / "links", to=kind, link=True)
    links = [path for path in (tmp_path / "links").rglob("*") if path.is_symlink()]
    assert len(links) == len(list((tmp_path / "copies").rglob("*.jpg")))
    assert all(path.resolve().is_relative_to(out / "images") for path in links)
    assert content(tmp_path / "links") == content(tmp_path / "copies")


def test_a_raw_picture_that_changed_is_not_exported(out: Path, tmp_path: Path) -> None:
    shutil.copytree(out.parent, tmp_path / "copy")
    (tmp_path / "copy" / "raw" / "000001_male_Asian_30" / "normal.png").write_bytes(b"other")
    with pytest.raises(TableError, match=r"normal\.png has changed since"):
        facecrop.export(tmp_path / "copy" / "out", tmp_path / "new", to="coco", images="source")
    shutil.rmtree(tmp_path / "copy" / "raw")
    with pytest.raises(ConfigError, match=r"raw pictures of .* are not there any more"):
        facecrop.export(tmp_path / "copy" / "out", tmp_path / "new", to="coco", images="source")


def test_raw_files_are_found_by_their_own_names(out: Path, tmp_path: Path) -> None:
    facecrop.export(out, tmp_path / "new", to="coco", images="source", link=True)
    data = json.loads((tmp_path / "new" / "annotations" / "instances.json").read_text("utf-8"))
    escaped = next(one["file_name"] for one in data["images"] if "caf" in one["file_name"])
    link = tmp_path / "new" / "images" / escaped
    assert link.resolve() == out.parent / "raw" / unescape(escaped)


def test_only_what_is_doubted_needs_an_audit_and_something_doubted(
    out: Path, kind: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="was not audited yet; run: facecrop audit"):
        facecrop.export(out, tmp_path / "new", to=kind, suspects=True)
    shutil.copytree(out, tmp_path / "out")
    found = facecrop.audit(tmp_path / "out", checks=["contradicting-labels"], limits=SAME)
    doubted = sorted(path for issue in found.issues for path in issue.paths)
    assert doubted == [f"{person}/normal.png" for person in TWINS]
    result = facecrop.export(tmp_path / "out", tmp_path / "new", to=kind, suspects=True)
    assert sorted(paths_in(result.target)) == doubted
    facecrop.audit_accept(tmp_path / "out", checks=["all"])
    with pytest.raises(TableError, match=r"nothing of .* is left to export: .*not doubted"):
        facecrop.export(tmp_path / "out", tmp_path / "none", to=kind, suspects=True)


def test_parts_come_from_the_split(out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy" / "out"
    shutil.copytree(out, copy)
    split(copy)
    table = read_table(copy / "splits" / "default.parquet")
    parts = dict(zip(table["path"].to_pylist(), table["part"].to_pylist(), strict=True))
    facecrop.export(copy, tmp_path / "coco", to="coco")
    for part in ("train", "val"):
        data = json.loads((tmp_path / "coco/annotations" / f"instances_{part}.json").read_text())
        assert {parts[one["path"]] for one in data["images"]} == {part}
    facecrop.export(copy, tmp_path / "folder", to="imagefolder")
    for part, name in (("train", "train"), ("val", "validation")):
        rows = pq.read_table(tmp_path / "folder" / name / "metadata.parquet")["path"].to_pylist()
        assert {parts[path] for path in rows} == {part}
    with pytest.raises(TableError, match="there is no split 'other'"):
        facecrop.export(copy, tmp_path / "none", to="coco", split="other")


def test_the_command_says_what_it_did(out: Path, tmp_path: Path) -> None:
    done = typed("export", out, tmp_path / "new", "--to", "coco")
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == "10 images for coco"
    assert second == "left out: 1 not kept, 1 without a crop"
    assert third == f"written: {tmp_path / 'new'}"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "is a dataset: say what for, --to with one of coco,"),
        (["--to", "cocoa"], "no export named 'cocoa'. Did you mean 'coco'?"),
        (["--to", "coco", "--images", "raw"], "images are crops or source, got 'raw'"),
        (["--to", "coco", "--image-root", "x"], "--image-root goes with --to labelstudio"),
        (["--to", "onnx", "--all"], "--to onnx takes a run and a file, and no further options"),
    ],
)
def test_mistakes_are_said_in_one_line(
    options: list[str], words: str, out: Path, tmp_path: Path
) -> None:
    done = typed("export", out, tmp_path / "new", *options)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "new").exists()


def test_help_and_document_name_every_kind() -> None:
    text = (CHECKOUT / "docs" / "export.md").read_text(encoding="utf-8")
    shown = typed("export", "--help").stdout
    for kind in KINDS:
        assert kind in shown
        assert f"`{kind}`" in text
