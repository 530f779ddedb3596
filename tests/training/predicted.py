"""A dataset with runs that were trained on it, for the tests of predictions."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from small_run import small_dataset, small_run


class Place:
    """A dataset, the raw pictures it is of, and runs trained on it."""

    def __init__(self, folder: Path) -> None:
        self.raw, self.out = small_dataset(folder)
        self.run = small_run(self.out, "tiny")
        self.years = small_run(
            self.out,
            "years",
            "model.heads=three-way",
            "model.age=distribution",
            "select.prior_correction=1.0",
            repeats=2,
        )


def table(file: Path) -> pa.Table:
    return pq.read_table(file)
