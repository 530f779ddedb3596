"""Gender and age group of real faces, learnt from scratch, over folds that share no picture.

    python benchmarks/utkface.py FOLDER                # pictures in UTKFace's layout
    FACECROP_EVAL=FOLDER python benchmarks/utkface.py  # those in FOLDER/eval/utkface

Trains the preset `small` on five folds, each in turn validation, and scores what each picture is
taken for by the model that has not seen it. The split keeps identical pictures and copies of one
photograph together; that it did is proved from the bytes of the files before anything is scored.
Intervals are of 1,000 resamples of such groups. A run that was interrupted goes on; a finished one
is used again, here and by `benchmarks/suspects.py --utkface`.
"""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from reuse import trained_run
from torch import Tensor

from facecrop.commands.preprocess.command import preprocess
from facecrop.index import AGE_GROUPS, GENDERS, INDEX_FILE, read_table
from facecrop.labels.certificate import read_split
from facecrop.training.intervals import interval
from facecrop.training.metrics import accuracy, macro_f1
from facecrop.training.runs import Run, open_run

WORK = Path("benchmarks/work/utkface")
PRESET, RUN, SPLIT = "small", "folds", "default"
SETTINGS = ("optim.epochs=30",)
"""Chosen for the time that it takes, before any of these pictures was predicted."""

AXES = {"gender": GENDERS, "age_group": AGE_GROUPS}


def main() -> None:
    """Train if that is to be done, and print the scores."""
    asked = _arguments()
    run = folds_run(asked.folder, asked.work, asked.repeats, asked.set)
    out = asked.work / "dataset"
    index = read_table(out / INDEX_FILE, ["path", "digest"])
    split = read_split(out, SPLIT).table
    print(proof(asked.folder, index, split))
    said = read_table(run.predictions_file)
    said = said.filter(pc.equal(said["part"], "val"))
    refuse_other_folds(said, split)
    print(described(run))
    print(f"{'':10}  {'score':29}  {'largest class':>13}  records")
    for axis, words in AXES.items():
        for line in scored(said, split, axis, words):
            print(line)
    if "pred_age" in said.column_names:
        away = pc.abs(pc.subtract(said["pred_age"], pc.cast(said["target_age"], pa.float64())))
        print(f"years off, mean {pc.mean(away).as_py():.1f}, median {np.nanmedian(away):.1f}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    there = os.environ.get("FACECROP_EVAL")
    parser.add_argument(
        "folder", type=Path, nargs="?", default=there and Path(there, "eval", "utkface")
    )
    parser.add_argument("--work", type=Path, default=WORK, help="where dataset and run are")
    parser.add_argument("--repeats", type=int, help="trainings of each fold (1)")
    parser.add_argument("--set", action="append", default=[], help="of the training; repeatable")
    asked = parser.parse_args()
    if asked.folder is None:
        parser.error("name a FOLDER, or set FACECROP_EVAL")
    return asked


def folds_run(folder: Path, work: Path, repeats: int | None, settings: Sequence[str]) -> Run:
    """Return the run of all folds of a folder of faces: trained, gone on with, or as it is.

    Args:
        folder: Pictures in UTKFace's layout.
        work: Where the dataset, `dataset`, and in it the run `folds` are kept.
        repeats: Trainings of each fold; None: as many as a run has that is there, else one.
        settings: Of the training, on top of `SETTINGS`.
    """
    out = work / "dataset"
    if not open_run(out, RUN).begun:
        work.mkdir(parents=True, exist_ok=True)
        preprocess(folder, out, recipe="raw", layout="utkface", contact=False)
    return trained_run(
        out,
        RUN,
        preset=PRESET,
        settings=[*SETTINGS, *settings],
        split=SPLIT,
        folds="all",
        repeats=repeats,
    )


def described(run: Run) -> str:
    """Say in a line how a run was trained."""
    settings, facts = run.settings(), run.facts()
    repeats = len({one["repeat"] for one in facts["trainings"]})
    folds = len({one["fold"] for one in facts["trainings"]})
    height, width = facts["size"] if "size" in facts else run.members()[0].facts()["size"]
    return (
        f"preset {facts['preset']}, {folds} folds, {repeats} trainings of each, "
        f"{settings.optim.epochs} epochs, {height}x{width} px, from scratch"
    )


def proof(folder: Path, index: pa.Table, split: pa.Table) -> str:
    """Hash every file anew and say that no two folds share one; end if they do.

    Args:
        folder: The pictures.
        index: Rows with `path` and `digest`.
        split: Rows with `path`, `group` and `fold`.
    """
    folds: dict[bytes, set[int]] = {}
    copies: Counter[bytes] = Counter()
    known = dict(zip(index["path"].to_pylist(), index["digest"].to_pylist(), strict=True))
    for path, fold in zip(split["path"].to_pylist(), split["fold"].to_pylist(), strict=True):
        digest = sha256((folder / path).read_bytes()).digest()
        if digest != known[path]:
            raise SystemExit(f"{path} is not the picture any more that the dataset was made of")
        folds.setdefault(digest, set()).add(fold)
        copies[digest] += 1
    shared = sum(len(one) > 1 for one in folds.values())
    groups = split.group_by("group").aggregate([("fold", "count_distinct")])
    parted = pc.sum(pc.greater(groups["fold_count_distinct"], 1)).as_py()
    if shared or parted:
        raise SystemExit(f"{shared} pictures and {parted} groups lie in more than one fold")
    twins = sum(number > 1 for number in copies.values())
    return (
        f"{len(split):,} pictures, {len(folds):,} different ones by sha256, {len(groups):,} groups "
        f"of copies;\n{twins} pictures are there more than once; folds that share a picture: 0, a "
        "group: 0"
    )


def refuse_other_folds(said: pa.Table, split: pa.Table) -> None:
    """End if a picture was predicted in another fold than its own, or not at all."""
    fold = dict(zip(split["path"].to_pylist(), split["fold"].to_pylist(), strict=True))
    paths = said["path"].to_pylist()
    if set(paths) != set(fold) or said["fold"].to_pylist() != [fold[path] for path in paths]:
        raise SystemExit("the predictions are not those of the split's folds")


def scored(said: pa.Table, split: pa.Table, axis: str, words: Sequence[str]) -> list[str]:
    """Return lines with macro-F1 and accuracy of a label, with intervals over groups.

    Args:
        said: Out-of-fold rows; several of a picture if there were several trainings.
        split: Rows with `path` and `group`.
        axis: The label.
        words: Its classes.
    """
    group = dict(zip(split["path"].to_pylist(), split["group"].to_pylist(), strict=True))
    groups = np.array([group[path] for path in said["path"].to_pylist()])
    truth, chosen = (_numbers(said[f"{kind}_{axis}"], words) for kind in ("target", "pred"))
    usual = torch.full_like(truth, int(torch.bincount(truth[truth >= 0]).argmax()))
    lines = []
    for name, metric in (("macro-F1", macro_f1), ("accuracy", accuracy)):
        got = interval(truth, chosen, groups, len(words), metric=metric)
        least = interval(truth, usual, groups, len(words), metric=metric, n=1)
        ends = f"[{got.low:.3f}, {got.high:.3f}]"
        score = f"{name:8} {got.score:.3f} {ends}"
        lines.append(f"{axis:10}  {score:29}  {least.score:13.3f}  {int((truth >= 0).sum()):,}")
    return lines


def _numbers(said: pa.ChunkedArray, words: Sequence[str]) -> Tensor:
    places = pc.fill_null(pc.index_in(said, value_set=pa.array(words, pa.string())), -1)
    return torch.from_numpy(places.to_numpy().astype(np.int64))


if __name__ == "__main__":
    main()
