"""The history of a dataset's labels: what was changed, by whom, when and why, and what still holds.

Rows are only ever added. An application is everything that one command changed; `undo` adds a row
that takes the newest application which still holds back out, so that nothing is forgotten.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.errors import ConfigError
from facecrop.index import HISTORY_FILE, read_table
from facecrop.labels.ages import AgePolicy

_S = pa.string()

HISTORY_SCHEMA = pa.schema(
    [
        ("application", pa.int32()), ("action", _S), ("undoes", pa.int32()),
        ("when", pa.timestamp("us", tz="UTC")), ("who", _S),
        ("manifest", _S), ("manifest_digest", pa.binary(32)), ("line", pa.int32()),
        ("scope", _S), ("path", _S), ("profile", _S), ("name", _S), ("digest", pa.binary(32)),
        ("field", _S), ("was", _S), ("now", _S),
        ("reason", _S), ("source", _S), ("confidence", _S),
    ]
)  # fmt: skip
"""Columns of `labels.history.parquet`: one row for each record that a correction changed.

`action` is `correct`, `policy` (one row, policies as JSON in `was` and `now`), `undo` or `reset`
(one row for each application that they take back, in `undoes`). `scope` is `profile` if the
correction was made for a whole person, else `image`. `digest` is that of the record's bytes.
"""

CORRECT, POLICY, UNDO, RESET = "correct", "policy", "undo", "reset"

STAMP = ("application", "action", "undoes", "when", "who")
"""Columns that the application as a whole gives, not the single change."""

CHANGES_SCHEMA = pa.schema([column for column in HISTORY_SCHEMA if column.name not in STAMP])
"""Columns of a change that no application holds yet."""

PERSON_FIELDS = ("gender", "age", "age_group")
RECORD_FIELDS = ("mask", "keep")
FIELDS = (*PERSON_FIELDS, *RECORD_FIELDS)
"""What a correction can change. `keep` can be said of a whole person, too."""


def read_history(out: Path) -> pa.Table:
    """Return the history of a dataset, without rows if nothing was ever changed.

    Raises:
        TableError: It is there and cannot be read.
    """
    path = out / HISTORY_FILE
    return read_table(path) if path.exists() else HISTORY_SCHEMA.empty_table()


def standing(history: pa.Table) -> list[int]:
    """Return the numbers of the applications that still hold, oldest first."""
    stack: list[int] = []
    steps = zip(history["application"].to_pylist(), history["undoes"].to_pylist(), strict=True)
    for application, undoes in steps:
        if undoes is not None:
            stack.remove(undoes)
        elif not stack or stack[-1] != application:
            stack.append(application)
    return stack


@dataclass(frozen=True, slots=True)
class Application:
    """What one command did to the labels.

    Args:
        number: Counts from 1.
        action: `correct`, `policy`, `correct + policy`, `undo` or `reset`.
        when: Moment, UTC.
        who: User.
        manifests: File names of the manifests, comma separated.
        images: Records that corrections changed.
        changes: Single changes of records.
        policy: Name of the age policy that was set, None if none was.
        undoes: Numbers of the applications that it took back.
        holds: Whether it was not taken back since.
    """

    number: int
    action: str
    when: datetime
    who: str
    manifests: str
    images: int
    changes: int
    policy: str | None
    undoes: tuple[int, ...]
    holds: bool


def applications(history: pa.Table) -> list[Application]:
    """Return what was ever done, oldest first."""
    holds = set(standing(history))
    result = []
    for number in pc.unique(history["application"]).to_pylist():
        rows = history.filter(pc.equal(history["application"], number))
        first = rows.slice(0, 1).to_pylist()[0]
        actions = pc.unique(rows["action"]).to_pylist()
        policies = rows.filter(pc.equal(rows["action"], POLICY))["now"].to_pylist()
        undoes = tuple(rows["undoes"].drop_null().to_pylist())
        result.append(
            Application(
                number=number,
                action=" + ".join(actions),
                when=first["when"],
                who=first["who"],
                manifests=", ".join(pc.unique(rows["manifest"].drop_null()).to_pylist()),
                images=len(pc.unique(rows["path"].drop_null())),
                changes=len(rows["path"].drop_null()),
                policy=AgePolicy.model_validate_json(policies[-1]).name if policies else None,
                undoes=undoes,
                holds=bool(undoes) or number in holds,
            )
        )
    return result


def added(
    history: pa.Table, changes: pa.Table, policy: tuple[AgePolicy, AgePolicy] | None, who: str
) -> pa.Table:
    """Return the history with one more application.

    Args:
        history: With `HISTORY_SCHEMA`.
        changes: With `CHANGES_SCHEMA`.
        policy: The age policy before and after, None if it stays.
        who: Whom to name.
    """
    tables = [history, _stamped(history, CORRECT, changes, [None] * changes.num_rows, who)]
    if policy is not None:
        was, now = (one.model_dump_json() for one in policy)
        row = pa.Table.from_pylist([{"was": was, "now": now}], schema=CHANGES_SCHEMA)
        tables.append(_stamped(history, POLICY, row, [None], who))
    return pa.concat_tables(tables)


def taken_back(
    history: pa.Table, steps: int | None, who: str
) -> tuple[pa.Table, tuple[int, ...], AgePolicy | None]:
    """Return the history with the newest applications taken back.

    Args:
        history: With `HISTORY_SCHEMA`.
        steps: How many applications; None for all that hold.
        who: Whom to name.

    Returns:
        The history, the numbers of what was taken back, newest first, and the age policy that
        is active again, None if it stays.

    Raises:
        ConfigError: Fewer applications hold.
    """
    holds = standing(history)
    wanted = len(holds) if steps is None else steps
    if not 0 <= wanted <= len(holds) or steps == 0:
        count = "nothing holds that could be undone"
        if holds:
            count = f"{len(holds)} applications hold" if len(holds) > 1 else "1 application holds"
        raise ConfigError(f"cannot undo {wanted}: {count}")
    undone = tuple(holds[len(holds) - wanted :][::-1])
    hit = pc.is_in(history["application"], value_set=pa.array(undone, pa.int32()))
    before = history.filter(pc.and_(hit, pc.equal(history["action"], POLICY)))["was"].to_pylist()
    empty = pa.Table.from_pylist([{}] * len(undone), schema=CHANGES_SCHEMA)
    action = RESET if steps is None else UNDO
    rows = _stamped(history, action, empty, list(undone), who)
    policy = AgePolicy.model_validate_json(before[0]) if before else None
    return pa.concat_tables([history, rows]), undone, policy


def _stamped(
    history: pa.Table, action: str, rows: pa.Table, undoes: Sequence[int | None], who: str
) -> pa.Table:
    number = (pc.max(history["application"]).as_py() or 0) + 1
    size = rows.num_rows
    stamp = {
        "application": [number] * size, "action": [action] * size, "undoes": undoes,
        "when": [datetime.now(UTC)] * size, "who": [who] * size,
    }  # fmt: skip
    columns = [
        pa.array(stamp[column.name], column.type) if column.name in stamp else rows[column.name]
        for column in HISTORY_SCHEMA
    ]
    return pa.Table.from_arrays(columns, schema=HISTORY_SCHEMA)
