"""Files of predictions: CSV or Parquet, one row for each picture.

A file has a key (`path` or `ImageID`) and answers (`class` or `ans`, 0 to 17; or `pred_<label>`),
probabilities (`p_<label>_<word>`, or `p_class_<k>` of the 18 classes), or both. A run's own
`predictions.parquet` is one too.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from facecrop.errors import ConfigError, StoreError, TableError
from facecrop.index import write_atomic, write_table
from facecrop.labels.space import MASK_TASK, WORDS, LabelSpace
from facecrop.storage import is_remote
from facecrop.training.predictions import (
    Floats,
    Ints,
    Predictions,
    marginals,
    product,
    space_of,
)

KEYS = ("path", "ImageID")
_ANSWERS = ("class", "ans")
_SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may be from 1, as rounded decimals are; it is then divided."""


def read_predictions(file: Path, name: str | None = None) -> Predictions:
    """Read a file of predictions.

    Of a run's own `predictions.parquet` the validation rows are read; what several repeats say
    about a picture is averaged.

    Args:
        file: CSV or Parquet.
        name: Of the one who says it; the file's stem if not given.

    Raises:
        TableError: It cannot be read, has no key or no answers, or says two things of one picture.
    """
    table = _validation_rows(_read(file))
    key, keys = _keys(table, file)
    space, classes, probabilities = _content(table, file)
    if (classes < 0).any():
        row = int(np.flatnonzero(classes < 0)[0])
        raise TableError(f"{file}: {keys[row]!r} has no answer")
    said = Predictions(name or file.stem, keys, space, classes, probabilities, key)
    return _each_once(said, file)


def read_truth(file: Path) -> Predictions:
    """Read what is true about pictures: a dataset, its `labels.parquet`, or a file of answers.

    A column `target_<label>`, as in a run's predictions, or a column called as the label itself
    is taken for it; else `class` or `ans`. Unknown labels make a class of -1.

    Raises:
        TableError: It cannot be read, or tells no label.
    """
    if file.is_dir() and file.suffix != ".parquet":  # else it is a table of many rows
        file /= "labels.parquet"
    table = _validation_rows(_read(file))
    key, keys = _keys(table, file)
    found = {
        axis: column
        for axis in WORDS
        for column in (axis, f"target_{axis}")
        if column in table.column_names
    }
    if found:
        space = space_of(tuple(found))
        named = {axis: _words_of(table[column], axis, file) for axis, column in found.items()}
        classes = _encoded(named, space)
    else:
        space, classes, _ = _content(table, file)
    first = np.unique(np.array(keys, object).astype(str), return_index=True)[1]
    return Predictions("truth", keys, space, classes, None, key).take(np.sort(first))


def write_predictions(
    said: Predictions, file: Path, extra: Mapping[str, pa.Array | Sequence[Any]] | None = None
) -> None:
    """Write predictions as CSV or Parquet, by the file's ending.

    Args:
        said: What to write: the key, `class` where all three labels are answered, the words of
            each label, and all probabilities.
        file: Where.
        extra: More columns, (N,) each, after the key.

    Raises:
        ConfigError: It ends in neither `.csv` nor `.parquet`.
        StoreError: It cannot be written.
    """
    columns: dict[str, Any] = {said.key: pa.array(said.keys, pa.string()), **(extra or {})}
    whole = said.space == MASK_TASK
    if whole:
        columns["class"] = pa.array(said.classes, pa.int64())
    for axis in said.axes:
        words = pa.array(WORDS[axis], pa.string())
        columns[f"pred_{axis}"] = words.take(pa.array(said.of_axis(axis).classes))
    if said.probabilities is not None:
        for axis, shares in marginals(said.probabilities, said.space).items():
            for word, share in zip(WORDS[axis], shares.T, strict=True):
                columns[f"p_{axis}_{word}"] = pa.array(share, pa.float64())
        if whole:
            for number, share in enumerate(said.probabilities.T):
                columns[f"p_class_{number}"] = pa.array(share, pa.float64())
    write_rows(pa.table(columns), file)


def write_rows(table: pa.Table, file: Path) -> None:
    """Write a table as CSV or Parquet, whole or not at all.

    Raises:
        ConfigError: The file ends in neither `.csv` nor `.parquet`.
        StoreError: It cannot be written.
    """
    kind = table_kind(file)
    if not is_remote(file) and not file.parent.is_dir():
        raise StoreError(f"{file} cannot be written: there is no folder {str(file.parent)!r}")
    if kind == "parquet":
        write_table(table, file)
        return
    write_atomic(file, lambda path: _write_csv(table, path))


def _write_csv(table: pa.Table, path: Path) -> None:
    """Write a table with quotes only where they are needed; pyarrow would quote every text."""
    columns = [table[name].to_pylist() for name in table.column_names]
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table.column_names)
        writer.writerows(zip(*columns, strict=True))


def table_kind(file: Path) -> Literal["csv", "parquet"]:
    """Return what a table's ending says that it is.

    Raises:
        ConfigError: Neither `.csv` nor `.parquet`.
    """
    ending = file.suffix.lower()
    if ending == ".csv":
        return "csv"
    if ending == ".parquet":
        return "parquet"
    raise ConfigError(f"{str(file)!r} must end in .csv or .parquet")


def _read(file: Path) -> pa.Table:
    if not file.exists():
        raise TableError(f"the prediction file {str(file)!r} does not exist")
    try:
        if table_kind(file) == "parquet":
            return pq.read_table(file)
        # A name made of digits alone is still a name.
        text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(KEYS, pa.string()))
        return pyarrow.csv.read_csv(file, convert_options=text)
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{file} cannot be read: {str(error).splitlines()[0]}") from None


def _validation_rows(table: pa.Table) -> pa.Table:
    return table.filter(pc.equal(table["part"], "val")) if "part" in table.column_names else table


def _keys(table: pa.Table, file: Path) -> tuple[str, tuple[str, ...]]:
    known = [name for name in KEYS if name in table.column_names]
    if not known:
        found = ", ".join(table.column_names)
        raise TableError(f"{file} has no column {' or '.join(map(repr, KEYS))}; found: {found}")
    if not table.num_rows:
        raise TableError(f"{file} has no rows")
    if table[known[0]].null_count:
        raise TableError(f"{file}: a row has no {known[0]}")
    return known[0], tuple(map(str, table[known[0]].to_pylist()))


def _content(table: pa.Table, file: Path) -> tuple[LabelSpace, Ints, Floats | None]:
    """Return space, (N,) answers, and (N, K) probabilities or None of a file."""
    names = table.column_names
    joint = _columns(table, [f"p_class_{k}" for k in range(len(MASK_TASK))], file)
    of_axes = {
        axis: _columns(table, [f"p_{axis}_{word}" for word in words], file)
        for axis, words in WORDS.items()
    }
    known = {axis: shares for axis, shares in of_axes.items() if shares is not None}
    words = {axis: f"pred_{axis}" for axis in WORDS if f"pred_{axis}" in names}
    number = next((name for name in _ANSWERS if name in names), None)
    whole = joint is not None or number is not None
    space = MASK_TASK if whole else space_of(tuple(known or words))
    if not space.axes:
        raise TableError(
            f"{file} has neither answers (class, ans, pred_<label>) nor probabilities "
            f"(p_<label>_<word>); found: {', '.join(names)}"
        )
    axes = [axis for axis, _ in space.axes]
    if joint is None and known.keys() >= set(axes):
        joint = product(known, space)
    if number is not None:
        return space, _numbers(table[number], len(space), f"{file}: {number}"), joint
    if words.keys() >= set(axes):
        named = {axis: _words_of(table[words[axis]], axis, file) for axis in axes}
        return space, _encoded(named, space), joint
    if joint is None:
        raise TableError(f"{file} answers only some of {', '.join(axes)}")
    return space, joint.argmax(axis=1).astype(np.int64), joint


def _columns(table: pa.Table, names: Sequence[str], file: Path) -> Floats | None:
    """Return (N, len(names)) probabilities, or None where none of the columns is there."""
    found = [name for name in names if name in table.column_names]
    if not found:
        return None
    if len(found) < len(names):
        missing = next(name for name in names if name not in found)
        raise TableError(f"{file} has {found[0]!r} but no {missing!r}")
    try:
        columns = [pc.cast(table[name], pa.float64()).to_numpy() for name in names]
    except pa.ArrowException:
        raise TableError(f"{file}: a cell of {names[0]} … {names[-1]} is not a number") from None
    shares = np.stack(columns, axis=1)
    sums = shares.sum(axis=1, keepdims=True)
    wrong = ~((np.abs(sums[:, 0] - 1) <= _SUM_TOLERANCE) & (shares >= 0).all(axis=1))
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise TableError(
            f"{file}: row {row + 1}: {names[0]} … {names[-1]} must be probabilities that sum to 1, "
            f"got {shares[row].round(4).tolist()}"
        )
    return np.asarray(shares / sums, np.float64)


def _numbers(column: pa.ChunkedArray, count: int, place: str) -> Ints:
    try:
        numbers = pc.cast(column, pa.int64())
    except pa.ArrowException:
        raise TableError(f"{place} must be whole numbers") from None
    values = pc.fill_null(numbers, -1).to_numpy().astype(np.int64)
    wrong = (values >= count) | (values < -1) | ((values == -1) & pc.is_valid(numbers).to_numpy())
    if wrong.any():
        raise TableError(f"{place} must be in [0, {count}), got {values[wrong][0]}")
    return np.asarray(values)


def _words_of(column: pa.ChunkedArray, axis: str, file: Path) -> Ints:
    """Return (N,) the number of each word of a label, -1 where it is null."""
    words = WORDS[axis]
    if pa.types.is_integer(column.type):
        return _numbers(column, len(words), f"{file}: {axis}")
    text = pc.cast(column, pa.string())
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)  # CSV has no null
    found = pc.index_in(text, value_set=pa.array(words, pa.string()))
    unknown = pc.and_(pc.is_null(found), pc.is_valid(text)).to_numpy()
    if unknown.any():
        value = text[int(np.flatnonzero(unknown)[0])].as_py()
        raise TableError(f"{file}: {axis} must be one of {', '.join(words)}, got {value!r}")
    return np.asarray(pc.fill_null(found, -1).to_numpy(), np.int64)


def _encoded(named: Mapping[str, Ints], space: LabelSpace) -> Ints:
    """Return (N,) class numbers, -1 where any label is unknown."""
    axes = [axis for axis, _ in space.axes]
    lengths = tuple(len(words) for _, words in space.axes)
    parts = np.stack([named[axis] for axis in axes])
    classes = np.ravel_multi_index(tuple(np.maximum(parts, 0)), lengths)
    return np.where((parts < 0).any(axis=0), -1, classes).astype(np.int64)


def _each_once(said: Predictions, file: Path) -> Predictions:
    """Average what several repeats of a training say about one picture."""
    rows: dict[str, int] = {}
    places = np.array([rows.setdefault(key, len(rows)) for key in said.keys], np.int64)
    if len(rows) == len(said.keys):
        return said
    if said.probabilities is None:
        twice = said.keys[int(np.flatnonzero(np.bincount(places)[places] > 1)[0])]
        raise TableError(f"{file} says two things about {twice!r}")
    sums = np.zeros((len(rows), len(said.space)))
    np.add.at(sums, places, said.probabilities)
    mean = sums / np.bincount(places)[:, None]
    classes = mean.argmax(axis=1).astype(np.int64)
    return replace(said, keys=tuple(rows), classes=classes, probabilities=mean)
