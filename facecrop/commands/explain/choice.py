"""Which records of a dataset are looked at: those named, the most wrong, some drawn by chance."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.errors import ConfigError, TableError
from facecrop.index import INDEX_FILE, LABELS_FILE, read_table
from facecrop.training.runs import FOLDER, Run

if TYPE_CHECKING:
    from facecrop.training.trained import Trained

_SEED = 0


def own_dataset(run: Run) -> Path:
    """Return the dataset that a run was trained on.

    Raises:
        ConfigError: It is not there any more.
    """
    for above in run.folder.resolve().parents:
        if above.name == FOLDER and (above.parent / INDEX_FILE).exists():
            return above.parent
    raise ConfigError(f"the dataset of {run.folder} is not here any more: give one of its recipe")


def with_crops(dataset: Path) -> pa.Table:
    """Return the rows of a dataset's index that have a crop."""
    from facecrop.training.predict import usable  # noqa: PLC0415 - torch

    index = read_table(dataset / INDEX_FILE).combine_chunks()
    return index.filter(pa.array(usable(index))).combine_chunks()


def losses_of(
    trained: "Trained", dataset: Path, index: pa.Table, *, own: bool
) -> NDArray[np.float64]:
    """Return (N,) how surprised the network is by each record's labels, nan for those not asked of.

    Of the run's own dataset these are its validation records, as it judged them; of another all
    that have a label.
    """
    if not own:
        return _losses_now(trained, dataset, index)
    table = read_table(trained.run.predictions_file, ["path", "part", "loss"])
    table = table.filter(pc.equal(table["part"], "val"))
    found = pc.index_in(index["path"], value_set=table["path"].combine_chunks())
    place = pc.fill_null(found, 0).to_numpy()
    losses = table["loss"].cast(pa.float64()).to_numpy()[place]
    return np.where(pc.is_valid(found).to_numpy(), losses, np.nan)


def _losses_now(trained: "Trained", dataset: Path, index: pa.Table) -> NDArray[np.float64]:
    from facecrop.training.answer import record_loss  # noqa: PLC0415 - likewise
    from facecrop.training.predict import say  # noqa: PLC0415 - torch

    labels = read_table(dataset / LABELS_FILE)
    rows = pc.index_in(index["path"], value_set=labels["path"].combine_chunks())
    truth = trained.task.truth(labels.take(rows))
    loss = record_loss(say(trained, dataset, index).answer, truth)
    return np.asarray(loss.numpy(), np.float64)


def named(records: Sequence[str], index: pa.Table, dataset: Path) -> list[int]:
    """Return the rows of records that were named by their paths, once each.

    Raises:
        TableError: One is not there.
    """
    places = {path: row for row, path in enumerate(index["path"].to_pylist())}
    for path in records:
        if path not in places:
            raise TableError(f"{dataset} has no record {path!r} with a crop")
    return [places[path] for path in dict.fromkeys(records)]


def most_wrong(losses: NDArray[np.float64], count: int) -> list[int]:
    """Return the rows with the largest losses, largest first; nan is none."""
    order = np.argsort(-np.nan_to_num(losses, nan=-1.0), kind="stable")
    return [int(row) for row in order[:count] if not np.isnan(losses[row])]


def drawn_by_chance(losses: NDArray[np.float64], count: int) -> list[int]:
    """Return some of the rows that have a loss, in order; the same ones each time."""
    known = np.flatnonzero(~np.isnan(losses))
    order = np.random.default_rng(_SEED).permutation(len(known))
    return [int(row) for row in np.sort(known[order[:count]])]
