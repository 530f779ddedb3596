"""People with planted label errors, and what a model might say of them."""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from facecrop.demo.faults import SWAPPED, Plan, plan
from facecrop.demo.observer import age_gender_posterior, posteriors
from facecrop.demo.people import AGES, COUNTS, CUES, FILES, OFFICIAL_CUTS, Person, draw_person
from facecrop.index import (
    AGE_GROUPS,
    GENDERS,
    INDEX_FILE,
    INDEX_SCHEMA,
    LABELS_FILE,
    LABELS_SCHEMA,
    MASKS,
    write_table,
)
from facecrop.labels.ages import OFFICIAL

Floats = NDArray[np.float64]

GROUPS = np.searchsorted(OFFICIAL_CUTS, AGES, side="right")
NAMES = tuple(FILES)
_EXCHANGED = [NAMES.index("incorrect_mask"), NAMES.index("normal")]
_FOLDS = 5


@dataclass(frozen=True)
class Reader:
    """How a made-up model errs.

    Args:
        noise: Deviation with which it reads each cue, beside the 1 with which people vary.
        habit: Deviation of the weight that a training gives to each cue, around the right one: all
            pictures of a person are misread alike.
        doubt: Share of nothing known that is mixed in, as training on wrong labels does.
        repeats: Trainings with other seeds.
        years: Whether it says years, or groups alone.
    """

    noise: float
    habit: float
    doubt: float = 0.05
    repeats: int = 5
    years: bool = True


def draw_plans(
    count: int, seed: int, wrong_gender: float, wrong_age: float, swapped: float
) -> list[Plan]:
    """Draw people and plant errors, as `facecrop demo` does with the same numbers."""
    return plan(
        [draw_person(seed, number) for number in range(count)],
        seed,
        wrong_gender=wrong_gender,
        wrong_age=wrong_age,
        swapped=swapped,
        quirks=False,
    )


def write_simulated(out: Path, plans: list[Plan], reader: Reader, seed: int) -> Path:
    """Write a dataset without pixels, and a run that says what a reader would; return the run."""
    out.mkdir(parents=True)
    rows = [_row(one, name) for one in plans for name in NAMES]
    order = np.argsort([row["path"] for row in rows])
    rows = [rows[place] for place in order]
    columns = {name: [row.get(name) for row in rows] for name in INDEX_SCHEMA.names}
    write_table(pa.table(columns, INDEX_SCHEMA), out / INDEX_FILE)
    labels = {
        "path": columns["path"],
        "mask": columns["mask_raw"],
        "gender": columns["gender_raw"],
        "age": columns["age_raw"],
        "age_group": [OFFICIAL.group(row["age_raw"]) for row in rows],
        "kept": [True] * len(rows),
        "kept_reason": [None] * len(rows),
    }
    write_table(pa.table(labels, LABELS_SCHEMA), out / LABELS_FILE)
    run = out / "runs" / "simulated"
    run.mkdir(parents=True)
    rng = np.random.default_rng([seed, 1])
    said = [_said(plans, reader, repeat, rng) for repeat in range(reader.repeats)]
    tables = [pa.table(one).take(pa.array(order)) for one in said]
    write_table(pa.concat_tables(tables), run / "predictions.parquet")
    return run


def _row(one: Plan, name: str) -> dict[str, object]:
    path = f"{one.directory}/{name}.jpg"
    return {
        "path": path,
        "profile": one.directory,
        "name": name,
        "digest": sha256(path.encode()).digest(),
        "mask_raw": FILES[name],
        "gender_raw": one.gender,
        "age_raw": one.age,
        "status": "ok",
    }


def _said(
    plans: list[Plan], reader: Reader, repeat: int, rng: np.random.Generator
) -> dict[str, object]:
    """Return the columns of one training's out-of-fold predictions."""
    people = [one.person for one in plans]
    fold = rng.integers(0, _FOLDS, len(plans))
    habit = np.maximum(1 + reader.habit * rng.standard_normal((_FOLDS, len(CUES))), 0)
    cues = np.repeat([one.cues for one in people], len(NAMES), axis=0)
    cues = cues + reader.noise * rng.standard_normal(cues.shape)
    seen = [[not one.wears[name].hides(cue) for cue in CUES] for one in people for name in NAMES]
    weight = np.array(seen) * np.repeat(habit[fold], len(NAMES), axis=0)
    both = age_gender_posterior(cues, weight)  # a cue with half its weight is half believed
    year = both.sum(axis=1)
    group = year @ np.eye(len(AGE_GROUPS))[GROUPS]
    shares = {"gender": both.sum(axis=2), "age_group": group, "mask": _masks(people, reader, rng)}
    mixed = {
        axis: _as_named((1 - reader.doubt) * p + reader.doubt / p.shape[1], plans)
        for axis, p in shares.items()
    }
    usual = float(COUNTS.sum(axis=0) @ AGES / COUNTS.sum())
    age = (1 - reader.doubt) * year @ AGES + reader.doubt * usual
    words = {"gender": GENDERS, "age_group": AGE_GROUPS, "mask": MASKS}
    return {
        "path": [f"{one.directory}/{name}.jpg" for one in plans for name in NAMES],
        "profile": [one.directory for one in plans for _ in NAMES],
        "repeat": np.full(len(cues), repeat, np.int32),
        "fold": np.repeat(fold, len(NAMES)).astype(np.int32),
        "part": ["val"] * len(cues),
        **{
            f"p_{axis}_{word}": mixed[axis][:, number].astype(np.float32)
            for axis in words
            for number, word in enumerate(words[axis])
        },
        **({"pred_age": _as_named(age[:, None], plans)[:, 0]} if reader.years else {}),
    }


def _masks(people: list[Person], reader: Reader, rng: np.random.Generator) -> Floats:
    """Return p(mask), (N, 3), from edges that are read with errors."""
    off = 0.1 * reader.noise * rng.standard_normal((len(people), len(NAMES), 2))
    misread = []
    for person, moved in zip(people, off, strict=True):
        wears = {
            name: wear
            if wear.top is None or wear.bottom is None
            else replace(wear, top=wear.top + top, bottom=wear.bottom + bottom)
            for (name, wear), (top, bottom) in zip(person.wears.items(), moved, strict=True)
        }
        misread.append(replace(person, wears=wears))
    joint = posteriors(misread).picture
    return np.asarray(joint.reshape(len(joint), len(MASKS), -1).sum(axis=2), np.float64)


def _as_named(values: Floats, plans: list[Plan]) -> Floats:
    """Return what is said of each file: where two are exchanged, it is said of the other."""
    shaped = values.reshape(len(plans), len(NAMES), -1).copy()
    struck = np.array([SWAPPED in one.faults for one in plans])
    shaped[np.ix_(struck, _EXCHANGED)] = shaped[np.ix_(struck, _EXCHANGED[::-1])]
    return shaped.reshape(values.shape)
