"""Labels that can be told without looking at the face: by backgrounds, clothes or hair."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.checks.check import Check, Issue, issue_key
from facecrop.config import read_toml
from facecrop.index import AGE_GROUPS, GENDERS, MASKS, read_table

if TYPE_CHECKING:
    from facecrop.checks.material import Material

_AXES = {"mask": MASKS, "gender": GENDERS, "age_group": AGE_GROUPS}
_SHOWN = {"face": "everything but the face", "person": "the background alone"}
"""What a run sees whose `input.hide` is this."""
_CURE = {
    "face": "hair and clothes are seen too: --shortcuts person hides them",
    "person": "look at the backgrounds of each class; a recipe can take them out",
}
_RESAMPLES, _AT_ONCE = 1000, 16
_LEVEL = 0.95

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well people are judged that a model has not seen.

    Args:
        balanced: Mean over the classes of the share of its records that is recognised.
        low: Lower end of its 95 % interval over people.
        high: Upper end.
        f1: Macro-F1.
        records: That were judged.
        people: Whose they are.
    """

    balanced: float
    low: float
    high: float
    f1: float
    records: int
    people: int


@dataclass(frozen=True, slots=True)
class Shortcut:
    """What a model can say about a label of people it never saw, without seeing their faces.

    Args:
        run: Its name.
        hidden: `face` or `person`: what was painted over.
        visible: Share of the pictures' area that was left; NaN if the run does not say.
        axis: The label.
        without: How well it does.
        chance: Balanced accuracy of whoever does not look at all: one by the number of classes.
        chance_f1: Macro-F1 of the same answers given to pictures by lot.
        whole: How well the audit's run does that sees whole pictures; None without one.
    """

    run: str
    hidden: str
    visible: float
    axis: str
    without: Accuracy
    chance: float
    chance_f1: float
    whole: Accuracy | None

    @property
    def words(self) -> str:
        """What the model sees, in words."""
        share = f" ({self.visible:.0%} of each picture)" if np.isfinite(self.visible) else ""
        return _SHOWN[self.hidden] + share

    def as_json(self) -> dict[str, Any]:
        """Return plain data for JSON."""
        found: dict[str, Any] = {
            "run": self.run,
            "hidden": self.hidden,
            "visible": round(self.visible, 4) if np.isfinite(self.visible) else None,
            "axis": self.axis,
            "chance": round(self.chance, 4),
            "chance_f1": round(self.chance_f1, 4),
        }
        for name, one in (("without", self.without), ("whole", self.whole)):
            found[name] = one and {
                "balanced_accuracy": round(one.balanced, 4),
                "interval": [round(one.low, 4), round(one.high, 4)],
                "f1": round(one.f1, 4),
                "records": one.records,
                "people": one.people,
            }
        return found


def hidden_in(run: Path) -> str | None:
    """Return what a run did not see of its pictures: `face`, `person`, or None for a usual one."""
    file = run / "settings.toml"
    hidden = read_toml(file).get("input", {}).get("hide") if file.exists() else None
    return hidden if hidden in _SHOWN else None


def measure_shortcuts(material: "Material") -> tuple[Shortcut, ...]:
    """Judge the runs that did not see faces, by label; nothing without such a run.

    By the labels of today, and records in use: what was corrected since counts as corrected.

    Args:
        material: The dataset.
    """
    whole = {} if material.predictions is None else _judged(material, material.predictions)
    found = []
    for hidden, run in material.hidden.items():
        table = read_table(run / "predictions.parquet")
        judged = _judged(material, table.filter(pc.equal(table["part"], "val")))
        visible = _visible(run)
        for axis, tables in judged.items():
            total = tables.sum(axis=0)
            lot = np.outer(total.sum(axis=1), total.sum(axis=0)) / total.sum()
            found.append(
                Shortcut(
                    run.name,
                    hidden,
                    visible,
                    axis,
                    _accuracy(tables),
                    float(1 / (total.sum(axis=1) > 0).sum()),
                    float(_f1(lot)),
                    _accuracy(whole[axis]) if axis in whole else None,
                )
            )
    return tuple(found)


def _judged(material: "Material", table: pa.Table) -> Mapping[str, Ints]:
    """Return by axis (P, C, C): of each person's records, given class by the class answered.

    Axes whose records have one class only are left out: there is nothing to tell apart.
    """
    index, labels = material.index, material.labels
    found = pc.index_in(table["path"], value_set=index["path"].combine_chunks())
    places = np.asarray(pc.fill_null(found, -1).to_numpy(), np.int64)
    used = np.append(np.asarray(labels["kept"].to_numpy(), bool), False)[places]
    person = index["profile"].combine_chunks().dictionary_encode().indices.to_numpy()
    result = {}
    for axis, words in _AXES.items():
        if f"pred_{axis}" not in table.column_names:
            continue
        value_set = pa.array(words, pa.string())
        given, answered = (
            np.asarray(pc.fill_null(pc.index_in(one, value_set=value_set), -1).to_numpy(), np.int64)
            for one in (labels[axis], table[f"pred_{axis}"])
        )
        rows = np.flatnonzero(used & (given[places] >= 0) & (answered >= 0))
        if len(np.unique(given[places[rows]])) < 2:  # noqa: PLR2004 - two classes to tell apart
            continue
        _, who = np.unique(person[places[rows]], return_inverse=True)
        tables = np.zeros((int(who.max()) + 1, len(words), len(words)), np.int64)
        np.add.at(tables, (who, given[places[rows]], answered[rows]), 1)
        result[axis] = tables
    return result


def _accuracy(tables: Ints) -> Accuracy:
    """Judge (P, C, C) tables of people; the interval is a percentile bootstrap over them."""
    people, classes = len(tables), tables.shape[-1]
    flat, chance = tables.reshape(people, -1), np.random.default_rng(0)
    drawn = []
    for start in range(0, _RESAMPLES, _AT_ONCE):
        count = min(_AT_ONCE, _RESAMPLES - start)
        often = chance.multinomial(people, np.full(people, 1 / people), size=count)
        drawn.append(_balanced((often @ flat).reshape(count, classes, classes)))
    low, high = np.nanquantile(np.concatenate(drawn), [(1 - _LEVEL) / 2, (1 + _LEVEL) / 2])
    total = tables.sum(axis=0)
    return Accuracy(
        float(_balanced(total)),
        float(low),
        float(high),
        float(_f1(total)),
        int(total.sum()),
        people,
    )


def _balanced(tables: NDArray[np.number]) -> Floats:
    """Return the mean recall of (..., C, C) tables over the classes that are there."""
    sizes = tables.sum(axis=-1)
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    recalls = np.divide(hits, sizes, out=np.zeros(sizes.shape), where=sizes > 0)
    return np.asarray(recalls.sum(axis=-1) / (sizes > 0).sum(axis=-1))


def _f1(tables: NDArray[np.number]) -> Floats:
    """Return the macro-F1 of (..., C, C) tables over the classes that are given or answered."""
    hits = np.diagonal(tables, axis1=-2, axis2=-1)
    both = tables.sum(axis=-1) + tables.sum(axis=-2)
    scores = np.divide(2 * hits, both, out=np.zeros(both.shape), where=both > 0)
    return np.asarray(scores.sum(axis=-1) / (both > 0).sum(axis=-1))


def _visible(run: Path) -> float:
    """Return the share of the pictures that the trainings of a run have seen, by their facts."""
    shares = [
        share
        for file in sorted({*run.glob("run.json"), *run.glob("*/run.json")})
        if isinstance(share := json.loads(file.read_text(encoding="utf-8")).get("visible"), float)
    ]
    return float(np.mean(shares)) if shares else float("nan")


def _find(material: "Material") -> Iterator[Issue]:
    margin = material.limits.shortcut
    for one in material.shortcuts:
        mine = one.without
        if mine.low <= one.chance + margin:
            continue
        label = one.axis.replace("_", " ")
        whole = f"; {one.whole.balanced:.2f} from whole pictures" if one.whole else ""
        yield Issue(
            CHECK.name,
            CHECK.severity,
            "",
            (),
            f"{label} can be told from {one.words}: a balanced accuracy of {mine.balanced:.2f} on "
            f"unseen people ({mine.low:.2f} to {mine.high:.2f}; chance {one.chance:.2f}{whole}); "
            f"{_CURE[one.hidden]}",
            round(float(np.clip((mine.balanced - one.chance) / (1 - one.chance), 0, 1)), 4),
            issue_key(CHECK.name, one.hidden, one.axis),
            (),
            {
                "balanced accuracy": round(mine.balanced, 4),
                "lower end": round(mine.low, 4),
                "upper end": round(mine.high, 4),
                "chance": round(one.chance, 4),
                "macro-F1": round(mine.f1, 4),
                "macro-F1 by lot": round(one.chance_f1, 4),
                **({"of whole pictures": round(one.whole.balanced, 4)} if one.whole else {}),
            },
        )


CHECK = Check(
    name="shortcut",
    title="labels that a model can tell without seeing the face",
    severity="warning",
    cure="let no class be photographed before another wall than the rest; take backgrounds out",
    needs=("hidden",),
    find=_find,
)
