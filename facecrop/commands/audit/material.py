"""What an audit works on, and what has to be done before a check can run."""

from collections.abc import Callable
from pathlib import Path

import pyarrow.compute as pc

from facecrop.checks.check import Need
from facecrop.checks.faces import PATTERN, find_recogniser
from facecrop.checks.material import Material
from facecrop.checks.shortcut import hidden_in
from facecrop.errors import ConfigError
from facecrop.images.models import ModelStore
from facecrop.index import read_table
from facecrop.training.runs import list_runs, open_run


def gather(out: Path, run: str | None, faces: Path | None) -> Material:
    """Return a dataset as checks see it.

    Args:
        out: The dataset.
        run: Name of a run; None: the finished one that judges most records it was not trained on.
        faces: A face recognition model; None: the one in the models folder, if there is one.

    Raises:
        ConfigError: There is no such run or file.
    """
    return Material(
        out,
        run=_run_folder(out, run),
        hidden=_hidden_runs(out),
        splits=tuple(sorted(file.stem for file in (out / "splits").glob("*.parquet"))),
        recogniser=_recogniser(faces),
    )


def _run_folder(out: Path, name: str | None) -> Path | None:
    """Return the folder of the run that is asked for, or of the one that tells of most records."""
    if name is not None:
        run = open_run(out, name)
        if not run.predictions_file.exists():
            known = [one.name for one in list_runs(out) if one.predictions_file.exists()]
            raise ConfigError(
                f"there is no run {name!r} with predictions in {out}; there are: "
                f"{', '.join(known) or 'none'}"
            )
        if (hidden := hidden_in(run.folder)) is not None:
            raise ConfigError(
                f"the run {name!r} saw pictures without the {hidden}: it cannot judge labels; its "
                "own check, shortcut, uses it without being told"
            )
        return run.folder
    counted = [
        (_judged(one.predictions_file), one.folder)
        for one in list_runs(out)
        if one.finished and one.predictions_file.exists() and hidden_in(one.folder) is None
    ]
    best = max(counted, default=((0, 0), None))
    return best[1] if best[0][0] else None


def _hidden_runs(out: Path) -> dict[str, Path]:
    """Return for each part of pictures that may be hidden a run that did not see it.

    Of several it is the one with the longest name, then the last by letters: `b-10` after `b-9`
    after `b`. Times of files would differ between copies of a dataset.
    """
    found: dict[str, Path] = {}
    for run in sorted(list_runs(out), key=lambda run: (len(run.name), run.name)):
        hidden = hidden_in(run.folder)
        if hidden is not None and run.finished and run.predictions_file.exists():
            found[hidden] = run.folder
    return dict(sorted(found.items()))


def _judged(file: Path) -> tuple[int, int]:
    """Return how many records a run judges that it was not trained on, and how often in all."""
    table = read_table(file, ["path", "part"])
    rows = table.filter(pc.equal(table["part"], "val"))
    return pc.count_distinct(rows["path"]).as_py(), rows.num_rows


def _recogniser(faces: Path | None) -> Path | None:
    if faces is None:
        return find_recogniser(ModelStore(offline=True).folder)
    if not faces.is_file():
        raise ConfigError(f"the face recognition model {str(faces)!r} does not exist")
    return faces


def missing_for(material: Material, need: Need) -> str | None:
    """Return what has to be done before a check with this need can run, None if nothing."""
    there, cure = _NEEDS[need]
    return None if there(material) else cure.format(out=material.out)


def _has_mattes(material: Material) -> bool:
    render = material.card.get("recipe", {}).get("render", {})
    painted = render.get("background", {}).get("mode") == "color"
    return painted or (material.out / "alpha").is_dir()


_NEEDS: dict[Need, tuple[Callable[[Material], bool], str]] = {
    "crops": (
        lambda material: bool(pc.any(pc.is_valid(material.index["image"])).as_py()),
        "no crops: facecrop preprocess RAW {out}",
    ),
    "raw": (
        lambda material: material.raw is not None,
        "the raw folder is not where the dataset was made from",
    ),
    "predictions": (
        lambda material: material.run is not None,
        "no model has judged the labels: facecrop audit {out} --train",
    ),
    "hidden": (
        lambda material: bool(material.hidden),
        "no model was trained without faces: facecrop audit {out} --shortcuts face",
    ),
    "split": (lambda material: bool(material.splits), "no split: facecrop split {out}"),
    "matte": (
        _has_mattes,
        "no mattes: a recipe that paints the background, or preprocess --keep alpha",
    ),
    "embeddings": (
        lambda material: material.recogniser is not None,
        f"not claimed: no face recognition model; give one, --faces FILE ({PATTERN})",
    ),
}
"""Whether what a check needs is there, and what to do if not."""
