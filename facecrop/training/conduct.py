"""Trains all that a run consists of: one training, or folds and repeats one after the other."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from accelerate import Accelerator

from facecrop.errors import StoreError
from facecrop.index import write_atomic
from facecrop.training.augment.preview import preview
from facecrop.training.facts import check_unchanged, digests
from facecrop.training.finish import finish, pool
from facecrop.training.hardware import accelerator, is_first, wait
from facecrop.training.job import Job, make_job
from facecrop.training.loop import train
from facecrop.training.members import Member, fold_of, warm_weights
from facecrop.training.progress import Progress, Report
from facecrop.training.records import Records, read_records
from facecrop.training.runs import Run, locked
from facecrop.training.settings import TrainSettings
from facecrop.training.state import Checkpoints

_BEGINS = ("start",)
"""What is known of a training once it has begun, and not found out again when it goes on."""
_SHOWN = 64
"""Records that a sheet is drawn from; its mixes look for partners among them."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How trainings are carried out: nothing that changes what they learn.

    Args:
        device: `cpu` or `cuda`.
        save_every: Minutes between checkpoints within an epoch.
        wandb: Project of Weights & Biases to report to as well.
        report: Called as they go on.
    """

    device: str
    save_every: float
    wandb: str | None = None
    report: Report | None = None


def conduct(
    out: Path,
    run: Run,
    manner: Manner,
    elsewhere: Callable[[Sequence[Member]], None] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Train what is left of a run that was begun, be it new or resumed.

    Args:
        out: The dataset.
        run: With settings and facts.
        manner: How.
        elsewhere: Trains members on other machines; None: here, one after the other.

    Returns:
        Its result, and what a user should know.
    """
    facts, records = _begun(out, run)
    members = [Member(**one) for one in facts["trainings"]]
    with locked(run) if is_first() else nullcontext():
        left = [member for member in members if not member.run(run).finished]
        if elsewhere is not None:
            elsewhere(left)
            left = []
        for member in left:
            _train_one(out, run, member, manner, facts=facts, records=records)
        if is_first() and facts["members"] and not run.finished:
            pool(run, run.members())
    wait()
    return run.result(), records.warnings


def train_member(out: Path, run: Run, member: Member, manner: Manner) -> None:
    """Train what is left of one training of a run that was begun; whoever calls holds it.

    Args:
        out: The dataset.
        run: That it belongs to, with settings and facts.
        member: It.
        manner: How.
    """
    if not member.run(run).finished:
        facts, records = _begun(out, run)
        _train_one(out, run, member, manner, facts=facts, records=records)


def _begun(out: Path, run: Run) -> tuple[dict[str, Any], Records]:
    """Return the facts of a run and its records, which must be what they were when it began."""
    facts = run.facts()
    records = read_records(out, facts["split"])
    check_unchanged(run, facts, digests(out, records))
    return facts, records


def _train_one(
    out: Path,
    outer: Run,
    member: Member,
    manner: Manner,
    *,
    facts: Mapping[str, Any],
    records: Records,
) -> None:
    run, settings, report = member.run(outer), outer.settings(), manner.report
    thaws = settings.model.freeze_epochs > 0
    place = accelerator(manner.device, settings.optim.precision, thaws=thaws)

    def decoded(done: int, total: int) -> None:
        if report is not None:
            report(Progress(outer.name.split("/")[0], member.name, "crops", done, total))

    job = make_job(
        out,
        run,
        member.settings(settings),
        records,
        fold_of(records, member.fold),
        repeat=member.repeat,
        name=member.name,
        report=decoded,
    )
    begun = Checkpoints(run.checkpoints).last.exists()
    warm = None if begun else warm_weights(out, settings, records, member)
    if is_first():
        run.write_settings(job.settings)
        own = {"trainings": [Member("", member.fold, member.repeat).as_dict()], "members": []}
        begins = {name: run.facts()[name] for name in _BEGINS if begun and name in run.facts()}
        run.write_facts({**facts, **own, **_job_facts(job, place), **begins})
    place.wait_for_everyone()
    end = train(
        job,
        place,
        warm_start=warm,
        save_every=manner.save_every,
        wandb=manner.wandb,
        report=report,
    )
    finish(job, place, end, report)
    place.wait_for_everyone()
    place.free_memory()


def _job_facts(job: Job, place: Accelerator) -> dict[str, Any]:
    """Return what is known of one training once its records are: what `load_run` needs is here."""
    return {
        "fold": job.fold.number,
        "repeat": job.repeat,
        "seed": job.settings.seed,
        "people": {
            part: len(np.unique(job.records.persons[rows]))
            for part, rows in (("train", job.fold.train), ("val", job.fold.val))
        },
        "axes": list(job.task.axes),
        "size": list(job.size),
        "mean": job.mean.tolist(),
        "std": job.std.tolist(),
        "counts": {name: counts.tolist() for name, counts in job.counts.items()},
        **({"visible": cover.visible} if (cover := job.examples.cover) else {}),
        "device": place.device.type,
        "processes": place.num_processes,
    }


def preview_sheet(out: Path, split: str, settings: TrainSettings, file: Path) -> None:
    """Draw what augmentation does to the first training records.

    Args:
        out: The dataset.
        split: Whose fold 0 is left out.
        settings: Their augmentation is shown.
        file: A PNG.

    Raises:
        StoreError: It cannot be written.
    """
    records = read_records(out, split)
    job = make_job(out, Run(out), settings, records, fold_of(records, 0))
    sheet = preview(job.examples.batch(job.fold.train[:_SHOWN]), settings.augment)
    coded, png = cv2.imencode(".png", sheet[..., ::-1])
    if not coded or not file.parent.is_dir():
        raise StoreError(f"{file} cannot be written: there is no such folder")
    write_atomic(file, lambda temporary: temporary.write_bytes(png.tobytes()))
