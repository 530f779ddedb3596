"""Predict mask, gender and age group of new pictures with trained models."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.commands.predict.crops import Report, competition_folder, crops, shared_card
from facecrop.commands.train.command import check_installed
from facecrop.engines.cores import usable_cores
from facecrop.errors import ConfigError
from facecrop.index import INDEX_FILE, Status, read_table
from facecrop.labels.certificate import refuse_pending
from facecrop.registry import no_such
from facecrop.storage import is_remote, local
from facecrop.training.prediction_files import table_kind, write_predictions
from facecrop.training.predictions import Predictions
from facecrop.training.runs import Run
from facecrop.training.submission import Submission, find_info, read_info, write_submission

__all__ = ["PredictResult", "Report", "predict"]

BINS = ("policy", "official")
_COLUMNS = ["path", "profile", "status", "reason", "image", "image_sha256"]


@dataclass(frozen=True, slots=True)
class PredictResult:
    """What was predicted.

    Args:
        said: Of every raw image; without one that can be seen, the prior answer.
        models: How many decided together.
        statuses: Images by status.
        rejects: Images that cannot be seen, by reason: they got the prior answer.
        prior: That answer, its words by label.
        files: What was written.
        submission: What was handed in, or None.
        warnings: What a user should know.
    """

    said: Predictions
    models: int
    statuses: Mapping[str, int]
    rejects: Mapping[str, int]
    prior: Mapping[str, str]
    files: tuple[Path, ...]
    submission: Submission | None
    warnings: tuple[str, ...]


def predict(
    runs: Sequence[Path | str],
    data: Path | str,
    *,
    out: Path | None = None,
    submission: Path | None = None,
    info: Path | None = None,
    tta: Sequence[str] | None = None,
    by_person: bool = False,
    bins: str = "policy",
    work: Path | None = None,
    layout: str = "auto",
    device: str = "auto",
    batch_size: int = 64,
    workers: int | None = None,
    engine: str = "local",
    weights: Mapping[str, Path] | None = None,
    offline: bool = False,
    report: Report | None = None,
) -> PredictResult:
    """Predict mask, gender and age group of new pictures with trained models.

    Raw pictures are preprocessed by the recipe that the run remembers of its own dataset. Every raw
    image gets a row; one that cannot be seen gets the class most common in training.

    Args:
        runs: `OUT/runs/<name>`, one or several, which then vote softly; a run of several folds or
            repeats counts as all of them.
        data: A folder (or table) of raw pictures, or a dataset made by the same recipe.
        out: Predictions with probabilities are written here, `.csv` or `.parquet`.
        submission: `ImageID,ans` is written here.
        info: The ImageIDs asked for; None: the `info.csv` in the raw folder or beside it, and
            without one every picture.
        tta: Views beside the pictures as they are, `flip`, `shake`; their mean answers. None: those
            of each run's own predictions (`select.tta`).
        by_person: Let the pictures of a profile agree about gender and age.
        bins: Age groups of the answer: `policy`, those that were learnt, or `official`.
        work: Where crops of raw pictures are kept; None: in the store of the run's dataset, so that
            a second call finds them, or where that is gone, nowhere.
        layout: Of the raw pictures, as for `preprocess`.
        device: `auto`, `cpu` or `cuda`.
        batch_size: Pictures at a time.
        workers: Processes that preprocess and threads that decode; None: one for each core.
        engine: What runs preprocessing, as for `preprocess`.
        weights: Model files of one's own for the recipe, by model name.
        offline: Fetch nothing.
        report: Called as it goes on.

    Raises:
        FacecropError: Something the user can mend; no file is written.
    """
    data, folders = local(data), [local(run) for run in runs]
    check_installed()
    from facecrop.training.hardware import resolve_device  # noqa: PLC0415 - torch
    from facecrop.training.views import TTA  # noqa: PLC0415 - likewise

    _check_files(out, submission)
    if unknown := [name for name in tta or () if name not in TTA]:
        raise no_such("test-time augmentation", unknown[0], [*TTA, "none (alone)"])
    if bins not in BINS:
        raise no_such("kind of bins", bins, list(BINS))
    data, layout = competition_folder(data, layout)
    ids = _asked(data, info) if submission is not None else None
    members = [member for run in folders for member in Run(run).members()]
    if not members:
        raise ConfigError("predict needs at least one run")
    card = shared_card(members)
    cores = workers or len(usable_cores())
    place = resolve_device(device)
    with crops(
        data,
        card,
        members,
        work=work,
        layout=layout,
        device=place,
        workers=cores,
        engine=engine,
        weights=weights,
        offline=offline,
        report=report,
    ) as (dataset, warnings):
        index = read_table(dataset / INDEX_FILE, _COLUMNS).combine_chunks()
        refuse_pending(index, dataset)
        asked = _Question(
            members,
            None if tta is None else tuple(tta),
            by_person,
            official=bins == "official",
            device=place,
            batch_size=batch_size,
            workers=cores,
            report=report,
        )
        said, prior, ages = asked.answer(dataset, index)
    if out is not None:
        extra = {name: index[name].combine_chunks() for name in ("profile", "status", "reason")}
        if ages is not None:
            extra["age"] = pa.array(ages, pa.float64(), mask=np.isnan(ages))
        write_predictions(said, out, extra)
    handed = None
    if submission is not None:
        handed = write_submission(said, submission, ids, int(prior.classes[0]))
    rejects = index.filter(pc.equal(index["status"], Status.REJECT))
    return PredictResult(
        said=said,
        models=len(members),
        statuses=Counter(index["status"].to_pylist()),
        rejects=Counter(rejects["reason"].to_pylist()),
        prior=prior.space.decode(int(prior.classes[0])),
        files=tuple(file for file in (out, submission) if file is not None),
        submission=handed,
        warnings=(*warnings, *_differences(members), *_alone(index, by_person=by_person)),
    )


@dataclass(frozen=True)
class _Question:
    """What is asked, of whom, and how."""

    members: Sequence[Run]
    tta: tuple[str, ...] | None
    by_person: bool
    official: bool
    device: str
    batch_size: int
    workers: int
    report: Report | None

    def answer(
        self, dataset: Path, index: pa.Table
    ) -> tuple[Predictions, Predictions, NDArray[np.float64] | None]:
        """Return answers about all records, the prior answer, and (N,) ages in years or None."""
        from facecrop.training import predict as predicting  # noqa: PLC0415 - torch
        from facecrop.training.trained import load_run  # noqa: PLC0415 - likewise

        keys = tuple(index["path"].to_pylist())
        rows = np.flatnonzero(predicting.usable(index))
        seen = index.take(pa.array(rows))
        said = [
            predicting.say(
                load_run(member.folder, self.device),
                dataset,
                seen,
                tta=self.tta,
                by_person=self.by_person,
                official=self.official,
                batch_size=self.batch_size,
                workers=self.workers,
                report=self._titled(number),
            )
            for number, member in enumerate(self.members, 1)
        ]
        prior = predicting.prior_of(said)
        answered = predicting.together(said, tuple(keys[row] for row in rows))
        persons = index["profile"].to_pylist() if self.by_person else None
        years = predicting.ages(said)
        if years is not None:
            known = np.full(len(keys), np.nan)
            known[rows] = years
            years = known
        return predicting.everybody(answered, rows, keys, prior, persons), prior, years

    def _titled(self, number: int) -> Callable[[int, int], None] | None:
        report, count = self.report, len(self.members)
        if report is None:
            return None
        title = f"predict {number}/{count}" if count > 1 else "predict"
        return lambda done, total: report(title, done, total)


def _check_files(out: Path | None, submission: Path | None) -> None:
    files = [file for file in (out, submission) if file is not None]
    if not files:
        raise ConfigError("nothing to write: give --out FILE, --submission FILE, or both")
    for file in files:
        table_kind(file)
        if not is_remote(file) and not file.parent.is_dir():
            raise ConfigError(f"{file}: there is no folder {str(file.parent)!r}")


def _asked(data: Path, info: Path | None) -> tuple[str, ...] | None:
    file = info or find_info(data)
    return None if file is None else read_info(file)


def _differences(members: Sequence[Run]) -> list[str]:
    """Say where models that answer together were taught different things."""
    policies = {member.facts()["policy"]["name"]: member.name for member in members}
    if len(policies) < 2:  # noqa: PLR2004 - one policy
        return []
    names = ", ".join(f"{policy} ({name})" for policy, name in policies.items())
    return [f"the runs were taught different age groups: {names}"]


def _alone(index: pa.Table, *, by_person: bool) -> list[str]:
    """Say where asking by person changes nothing."""
    people = pc.count_distinct(index["profile"]).as_py()
    if by_person and people == index.num_rows:
        return ["every picture is a person of its own here: --by-person changes nothing"]
    return []
