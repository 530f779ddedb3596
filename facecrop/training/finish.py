"""What is left to do when a training has ended: its predictions, scores and confusion matrix."""

from typing import Any

import pyarrow as pa
from accelerate import Accelerator

from facecrop.index import read_table, write_table
from facecrop.training.answer_tables import prediction_table
from facecrop.training.curves import draw_confusion, draw_curves
from facecrop.training.evaluate import Judge
from facecrop.training.hardware import Ranks, repeatable
from facecrop.training.job import Job
from facecrop.training.models.build import build_model
from facecrop.training.progress import Progress, Report
from facecrop.training.results import confusion_of, table_scores
from facecrop.training.runs import Run
from facecrop.training.state import Checkpoints, Place, read_checkpoint
from facecrop.training.views import mean, views


def finish(
    job: Job, accelerator: Accelerator, place: Place, report: Report | None = None
) -> dict[str, Any]:
    """Let the best weights answer for every record, and write and judge what they say.

    Of validation people the mean over the views of `select.tta` is written; of those that it learnt
    from, what it says of the pictures as they are.

    Args:
        job: What was learnt.
        accelerator: Where.
        place: Where the training ended.
        report: Called as it goes on.

    Returns:
        What `result.json` holds, the same in every process.
    """
    best = read_checkpoint(Checkpoints(job.run.checkpoints).best)
    epoch = int(best["epoch"])
    with repeatable(accelerator.device.type):
        model = build_model(job.settings.model, job.task.outputs, job.size, start=False)
        model.load_state_dict(best["weights"])
        model.to(accelerator.device)
        judge = Judge(job, Ranks(accelerator), accelerator.device)

        def tell(done: int, total: int) -> None:
            if report is not None:
                epochs = len(place.history)
                report(Progress(job.outer, job.name, "predict", done, total, epoch, epochs))

        parts = (
            ("val", judge.rows, views(job.settings.select.tta)),
            ("train", job.fold.train, views(())),
        )
        tables = [
            prediction_table(
                job.records,
                judge.said(
                    rows, mean([judge.logits(model, rows, tell, look) for look in ways]), part
                ),
                repeat=job.repeat,
                fold=job.fold.number,
                epoch=epoch,
            )
            for part, rows, ways in parts
        ]
    table = pa.concat_tables(tables)
    result = {
        "epoch": epoch,
        "epochs": len(place.history),
        **table_scores(table),
        "best": place.history[epoch],
    }
    if accelerator.is_main_process:
        job.run.write_metrics(place.history)
        draw_curves(place.history, place.best_epoch, job.run.curves_file)
        write_outcome(job.run, table, result)
    return result


def write_outcome(run: Run, table: pa.Table, result: dict[str, Any]) -> None:
    """Write predictions, confusion matrix and, last of all, the result: the run is finished."""
    write_table(table, run.predictions_file)
    draw_confusion(*confusion_of(table), run.confusion_file)
    run.write_result(result)


def pool(run: Run, members: list[Run]) -> dict[str, Any]:
    """Put the predictions of several trainings together.

    Args:
        run: The outer one.
        members: Finished ones inside; each answers for the people that it did not learn from.

    Returns:
        What `result.json` of the outer run holds: scores over all rows together, and `members`,
        the scores of each.
    """
    table = pa.concat_tables([read_table(member.predictions_file) for member in members])
    results = {member.folder.name: member.result() for member in members}
    result = {
        **table_scores(table),
        "members": {
            name: {"epoch": one["epoch"], "epochs": one["epochs"], "scores": one["scores"]}
            for name, one in results.items()
        },
    }
    write_outcome(run, table, result)
    return result
