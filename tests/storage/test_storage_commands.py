"""What the other commands make of a dataset in object storage: the same, or one line."""

import sys
from pathlib import Path

import numpy as np
import pytest
from fakes import write_profiles
from object_server import Server
from program import facecrop, typed
from runs import run

from facecrop.commands.audit.command import audit
from facecrop.commands.cache import cache_prune, cache_size
from facecrop.commands.contact.command import write_contact
from facecrop.commands.exports.command import export
from facecrop.commands.relabel.command import relabel
from facecrop.commands.split import split
from facecrop.commands.stats.command import stats
from facecrop.images.codec import Limits
from facecrop.labels.space import MASK_TASK
from facecrop.labels.splits import SplitSettings
from facecrop.storage import place
from facecrop.training.prediction_files import write_predictions
from facecrop.training.predictions import Predictions


def test_commands_make_the_same_of_a_dataset_in_object_storage(
    bucket: Path, server: Server, tmp_path: Path
) -> None:
    folder = write_profiles(tmp_path / "raw", 6)
    found = [(file, file.relative_to(folder).as_posix()) for file in folder.rglob("*.*")]
    raw = server.fill(bucket / "raw", ((name, file.read_bytes()) for file, name in found))
    manifest = tmp_path / "fixes.csv"
    manifest.write_text("profile,field,was,now\n000001_male_Asian_20,gender,male,female\n")
    made = []
    for start, out in ((folder, tmp_path / "out"), (raw, bucket / "out")):
        run(start, out)
        relabel(out, manifests=[str(manifest)], set_policy="threshold-58", who="nobody")
        split(out, settings=SplitSettings(radius=0, agreement=1.0))  # drawn people look alike
        audit(out)
        write_contact(out, start, Limits())
        size = {(row.kind, row.label, row.entries) for row in cache_size(out)}
        cache_prune(out)
        export(out, tmp_path / f"coco{len(made)}", to="coco")
        facts = repr(stats(out)).replace(str(out), "OUT")
        names = ("labels.parquet", "splits/default.parquet", "splits/default.certificate.json",
                 "audit/issues.parquet", "contact/contact.png")  # fmt: skip
        made.append((size, facts, {name: (out / name).read_bytes() for name in names}))
    assert made[0] == made[1]
    exported = [
        {file.name: file.read_bytes() for file in (tmp_path / name).rglob("*.jpg")}
        for name in ("coco0", "coco1")
    ]
    assert exported[0] == exported[1]
    assert len(exported[0]) > 0
    assert relabel(bucket / "out", undo=1).undone == (1,)


@pytest.mark.parametrize(
    "command",
    [
        ("train", "s3://bucket/out"),
        ("tune", "s3://bucket/out"),
        ("runs", "s3://bucket/out"),
        ("predict", "s3://bucket/out/runs/a", "raw", "--out", "a.csv"),
        ("vote", "s3://bucket/a.csv", "--out", "b.csv"),
        ("explain", "s3://bucket/out/runs/a"),
        ("explain", "out/runs/a", "s3://bucket/out"),
        ("audit", "s3://bucket/out", "--train"),
        ("relabel", "out", "--manifest", "s3://bucket/fixes.csv"),
        ("export", "out", "s3://bucket/coco", "--to", "coco"),
    ],
    ids=lambda command: command[0],
)
def test_what_needs_a_disk_says_so_in_one_line(command: tuple[str, ...], server: Server) -> None:
    server.asked.clear()
    ended = typed(*command)
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("error: s3://bucket/")
    assert "in object storage" in ended.stderr
    assert server.asked == []


_SAY_IT = """
import sys
from facecrop.cli import main
for line in (
    "train s3://bucket/out",
    "tune s3://bucket/out",
    "predict s3://bucket/out/runs/a raw --out a.csv",
    "explain s3://bucket/out/runs/a",
    "audit s3://bucket/out --train",
):
    sys.argv = ["facecrop", *line.split()]
    try:
        main()
    except SystemExit:
        print(line.split()[0], "torch" in sys.modules)
"""


def test_what_needs_a_disk_says_so_before_torch_is_imported() -> None:
    ended = facecrop("-c", _SAY_IT, program=[sys.executable])
    said = [f"{command} False" for command in ("train", "tune", "predict", "explain", "audit")]
    assert ended.stdout.splitlines() == said
    assert ended.stderr.count("in object storage") == len(said)


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_predictions_are_written_to_object_storage(name: str, bucket: Path, tmp_path: Path) -> None:
    said = Predictions("a", ("p/a",), MASK_TASK, np.array([3]))
    for out in (tmp_path, bucket / "new" / "folder"):
        write_predictions(said, out / name)
    assert (bucket / "new" / "folder" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_memory_ends_with_the_command_and_is_refused(tmp_path: Path) -> None:
    for command in (
        ("preprocess", tmp_path, "memory://out", "--engine", "serial"),
        ("preprocess", "memory://raw", tmp_path / "out"),
        ("cache", "size", "memory://out"),
        ("predict", "memory://a", "raw", "--out", "a.csv"),
    ):
        ended = typed(*command)
        assert ended.returncode == 1
        assert ended.stderr.startswith("error: memory://")
        assert "would be gone when this command ends" in ended.stderr
        assert ended.stderr.count("\n") == 1


def test_a_file_and_a_folder_are_copied_by_their_own_commands() -> None:
    for url, said in (
        ("s3://bucket/out", "run: aws s3 sync s3://bucket/out FOLDER"),
        ("s3://bucket/a.csv", "run: aws s3 cp s3://bucket/a.csv FOLDER"),
        ("gs://bucket/out", "run: gcloud storage rsync -r gs://bucket/out FOLDER"),
    ):
        ended = typed("train", place(url).as_posix())
        assert ended.stderr.strip().endswith(said)
