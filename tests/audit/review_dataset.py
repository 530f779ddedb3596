"""A small dataset with crops, a run's predictions and made-up findings, for the review page."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from made_datasets import SEVEN, record, seven_of, texture, write_dataset

from facecrop.checks.check import Check, Issue, Proposal, issue_key
from facecrop.checks.material import Material
from facecrop.commands.audit.page import write_audit_page
from facecrop.images.frames import Image
from facecrop.index import AGE_GROUPS, GENDERS, LABELS_FILE, MASKS, read_table, write_table

HOSTILE = "<img src=x onerror=alert(1)>"
WORDS = {"gender": GENDERS, "age_group": AGE_GROUPS, "mask": MASKS}


def a_check(name: str, severity: str = "warning") -> Check:
    title, cure = f"what {name} looks for", f"look at it: {HOSTILE}"
    return Check(name, title, severity, cure, (), lambda _: iter(()))  # type: ignore[arg-type]  # one of two words


CHECKS = (
    a_check("gender-suspect"), a_check("age-suspect"), a_check("swapped-masks"),
    a_check("mask-suspect"), a_check("dark"), a_check("duplicates", "error"), a_check("leak"),
)  # fmt: skip


def gender_suspect(profile: str, score: float = 0.93) -> Issue:
    was = profile.split("_")[1]
    now = "female" if was == "male" else "male"
    return Issue(
        "gender-suspect",
        "warning",
        profile,
        tuple(f"{profile}/{stem}.jpg" for stem in SEVEN),
        f"labelled {was}, taken for {now} in 3 of 3 repeats",
        score,
        issue_key("gender-suspect", profile),
        (Proposal("gender", was, now),),
        {"p_given": round(1 - score, 3), "repeats": 3.0, "seen as": now},
    )


def age_suspect(profile: str, was: str, now: str, score: float = 0.8) -> Issue:
    reason = f"labelled {was}, taken for {now}"
    key = issue_key("age-suspect", profile)
    proposals = (Proposal("age_group", was, now),)
    return Issue("age-suspect", "warning", profile, (), reason, score, key, proposals)


def swapped(profile: str, score: float = 0.97) -> Issue:
    return Issue(
        "swapped-masks",
        "warning",
        profile,
        (f"{profile}/incorrect_mask.jpg", f"{profile}/normal.jpg"),
        "the two look exchanged",
        score,
        issue_key("swapped-masks", profile),
        (Proposal("mask", "incorrect", "swap", "incorrect_mask", "normal"),),
    )


def dark(profile: str, stem: str = "mask1", score: float = 0.5) -> Issue:
    key = issue_key("dark", profile, stem)
    path = f"{profile}/{stem}.jpg"
    return Issue("dark", "warning", profile, (path,), "mean brightness 0.08", score, key)


def shared_picture(one: str, other: str) -> Issue:
    return Issue(
        "duplicates",
        "error",
        one,
        (f"{one}/normal.jpg", f"{other}/normal.jpg"),
        f"the same picture is in {other!r}, labelled otherwise",
        1.0,
        issue_key("duplicates", one, other),
    )


def leak() -> Issue:
    reason = "a person is in train and val"
    return Issue("leak", "error", "", (), reason, 1.0, issue_key("leak"))


def people(count: int) -> list[str]:
    """Names of people of all kinds."""
    ages = (22, 45, 60)
    return [
        f"{1000 + number:06d}_{GENDERS[number % 2]}_Asian_{ages[number % 3]}"
        for number in range(count)
    ]


def a_dataset(
    out: Path,
    profiles: Sequence[str],
    *,
    crop: Callable[[str, str], Image] | None = None,
    extra: Iterable[dict[str, object]] = (),
) -> Path:
    """Write a dataset whose people have seven crops each."""
    rows = [*seven_of(*profiles), *extra]
    draw = crop or (lambda profile, stem: texture(hash_of(profile + stem), 64, 48))
    crops = {str(row["path"]): draw(str(row["profile"]), str(row["name"])) for row in rows}
    return write_dataset(out, rows, crops)


def hash_of(text: str) -> int:
    return int.from_bytes(text.encode()[-8:], "big") % (1 << 32)


def a_run(out: Path, wrong: dict[str, dict[str, str]] | None = None) -> Path:
    """Write a run whose models believe the labels, but for what they take somebody for.

    Args:
        out: The dataset.
        wrong: Profile or path -> axis -> what the models say instead.
    """
    labels = read_table(out / LABELS_FILE).to_pylist()
    rng = np.random.default_rng(0)
    rows = []
    for repeat in range(2):
        for row in labels:
            profile = row["path"].rpartition("/")[0]
            said = {axis: row[axis] for axis in WORDS}
            said |= (wrong or {}).get(profile, {}) | (wrong or {}).get(row["path"], {})
            values: dict[str, object] = {"path": row["path"], "profile": profile, "repeat": repeat}
            values |= {"fold": 0, "part": "val"}
            for axis, words in WORDS.items():
                sure = rng.uniform(0.75, 0.98)
                for word in words:
                    share = sure if word == said[axis] else (1 - sure) / (len(words) - 1)
                    values[f"p_{axis}_{word}"] = share
            rows.append(values)
    # What a model says of people it was trained on must not count.
    trained = [row | {"part": "train", "p_gender_male": 99.0} for row in rows[:3]]
    run = out / "runs" / "base"
    run.mkdir(parents=True, exist_ok=True)
    write_table(pa.Table.from_pylist(rows + trained), run / "predictions.parquet")
    return run


def hostile_records() -> list[dict[str, object]]:
    """A person and a file whose names are markup."""
    profile = f"000001_male_{HOSTILE}_30"
    return [record(profile, stem) for stem in (HOSTILE, *list(SEVEN)[:2])]


def a_page(
    out: Path,
    issues: Sequence[Issue],
    known: frozenset[str] = frozenset(),
    run: Path | None = None,
    **options: int,
) -> Path:
    return write_audit_page(out, issues, Material(out, run=run), CHECKS, known, **options)
