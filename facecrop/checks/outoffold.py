"""What models say of records that they had not seen, as arrays beside the present labels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.checks.material import Material
from facecrop.index import MASKS
from facecrop.labels.current import AGE_POLICY

LEAST = 1e-4
"""Probabilities count as at least this: networks are surer of their errors than they should be."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Said:
    """What is said about N records, each once however many models spoke of it.

    Args:
        rows: (N,) places in the index, rising; records that are set aside are left out.
        log_p: (N, C) mean over the models of the logarithm of each class's probability, less its
            mean over the classes.
        votes: (N, C) how many models thought each class the most probable one.
    """

    rows: Ints
    log_p: Floats
    votes: Ints

    def where(self, chosen: NDArray[np.bool_]) -> "Said":
        """Return what is said about some of the records, chosen by (N,) bool."""
        return Said(self.rows[chosen], self.log_p[chosen], self.votes[chosen])


@dataclass(frozen=True, slots=True)
class People:
    """Whose pictures N rows of the index are.

    Args:
        names: Of P people, their profiles.
        person: (N,) which of them.
        first: (P,) place of each one's first picture among the N.
        kind: (N,) in [0, G): pictures with the same mask label are of one kind.
    """

    names: list[str]
    person: Ints
    first: Ints
    kind: Ints

    def pictures(self, number: int) -> Ints:
        """Return the places of a person's pictures among the N."""
        return np.flatnonzero(self.person == number)


def read_said(material: Material, axis: str, words: Sequence[str]) -> Said | None:
    """Read the probabilities of a label; None without a run, or if it does not learn the label."""
    table = material.predictions
    columns = [f"p_{axis}_{word}" for word in words]
    if table is None or not set(columns) <= set(table.column_names):
        return None
    places, values = _known(material, table, columns)
    log_p = np.log(np.maximum(values, LEAST))
    log_p -= log_p.mean(axis=1, keepdims=True)
    rows, means = _means(places, log_p)
    votes = np.zeros(means.shape, np.int64)
    np.add.at(votes, (np.searchsorted(rows, places), values.argmax(axis=1)), 1)
    return Said(rows, means, votes)


def read_years(material: Material) -> tuple[Ints, Floats] | None:
    """Read predicted ages: (N,) rows of the index, rising, and (N,) years, the mean over models.

    None without a run, or if it does not know years.
    """
    table = material.predictions
    if table is None or "pred_age" not in table.column_names:
        return None
    rows, ages = _means(*_known(material, table, ["pred_age"]))
    return rows, ages[:, 0]


def codes(column: pa.ChunkedArray, words: Sequence[str], rows: Ints) -> Ints:
    """Return the number of each row's word, (N,), -1 where it is none of the words."""
    found = pc.index_in(column.take(pa.array(rows)), value_set=pa.array(words, pa.string()))
    return np.asarray(pc.fill_null(found, -1).to_numpy(), np.int64)


def people_of(material: Material, rows: Ints) -> People:
    """Tell whose pictures some rows of the index are, people in the order of their first row."""
    profiles = material.index["profile"].combine_chunks().take(pa.array(rows))
    named = profiles.dictionary_encode()
    person = np.asarray(named.indices.to_numpy(), np.int64)
    _, first = np.unique(person, return_index=True)
    kind = codes(material.labels["mask"], MASKS, rows)
    _, kind = np.unique(kind, return_inverse=True)
    return People(named.dictionary.to_pylist(), person, first, kind)


def identities(material: Material, rows: Ints) -> list[str]:
    """Return what tells pictures from others and stays when files are renamed, sorted."""
    table = material.index.select(["digest", "path"]).take(pa.array(rows))
    return sorted(
        row["digest"].hex() if row["digest"] else row["path"] for row in table.to_pylist()
    )


def paths_of(material: Material, rows: Ints) -> tuple[str, ...]:
    """Return the paths of rows of the index, in the order of the rows."""
    return tuple(material.index["path"].take(pa.array(rows)).to_pylist())


def _known(material: Material, table: pa.Table, columns: list[str]) -> tuple[Ints, Floats]:
    """Return (M,) rows of the index and (M, K) values of what is said of records in use."""
    found = pc.index_in(table["path"], value_set=material.index["path"].combine_chunks())
    places = np.asarray(pc.fill_null(found, -1).to_numpy(), np.int64)
    values = np.stack(
        [np.asarray(table[name].to_numpy(zero_copy_only=False), np.float64) for name in columns],
        axis=1,
    )
    labels = material.labels
    dropped = pc.equal(labels["kept_reason"], AGE_POLICY)
    used = pc.or_(labels["kept"], pc.fill_null(dropped, False)).to_numpy()
    used = np.append(used, False)  # the last: of place -1
    good = np.isfinite(values).all(axis=1) & used[places]
    return places[good], values[good]


def _means(places: Ints, values: Floats) -> tuple[Ints, Floats]:
    """Return the places that occur, rising, and the mean of the values of each."""
    rows, here, sizes = np.unique(places, return_inverse=True, return_counts=True)
    sums = [np.bincount(here, column, len(rows)) for column in values.T]
    return rows, np.stack(sums, axis=1) / sizes[:, None]
