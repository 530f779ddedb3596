"""Correct labels, change the age policy, look at the history, take changes back."""

import getpass
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.errors import ConfigError
from facecrop.index import (
    AGE_GROUPS,
    HISTORY_FILE,
    INDEX_FILE,
    METADATA_FILE,
    read_table,
    write_atomic,
    write_table,
)
from facecrop.labels.ages import (
    OFFICIAL,
    AgePolicy,
    active_policy,
    load_policy,
    set_active_policy,
    shipped_policies,
)
from facecrop.labels.apply import Plan, plan_corrections
from facecrop.labels.current import index_batches, labels_of, write_label_batches
from facecrop.labels.export import corrections_that_hold
from facecrop.labels.history import (
    CHANGES_SCHEMA,
    HISTORY_SCHEMA,
    Application,
    added,
    applications,
    read_history,
    taken_back,
)
from facecrop.labels.manifests import (
    find_corrections,
    read_manifest,
    shipped_manifests,
    write_manifest,
)
from facecrop.labels.overrides import Overrides, resolve
from facecrop.labels.suggest import Border, borders, draw, find_run, read_ages
from facecrop.store import Store


@dataclass(frozen=True)
class RelabelResult:
    """What a call of `relabel` changed, or would change.

    Args:
        rows: Rows of manifests that changed at least one record.
        images: Records that corrections changed.
        already: Rows whose wish was fulfilled before.
        skipped: Rows passed over because the dataset has no such profile or image.
        changes: Each change of a record: manifest, line, path, field, was, now, reason ...
        policy_was: The age policy before.
        policy: The age policy now.
        undone: Numbers of the applications that were taken back.
        orphans: Rows of the history whose record or person is not in the dataset any more.
        regrouped: Of a dry run that sets another policy: kept images by age group (`left out`,
            `unknown`) before and after, with the corrections of the same command; else empty.
        dry_run: Whether nothing was written.
    """

    policy_was: AgePolicy
    policy: AgePolicy
    rows: int = 0
    images: int = 0
    already: int = 0
    skipped: int = 0
    changes: pa.Table = field(default_factory=CHANGES_SCHEMA.empty_table)
    undone: tuple[int, ...] = ()
    orphans: pa.Table = field(default_factory=HISTORY_SCHEMA.empty_table)
    regrouped: tuple[dict[str, int], ...] = ()
    dry_run: bool = False


@dataclass(frozen=True)
class ShippedManifest:
    """A manifest that comes with facecrop: its name, its file, how many rows it has."""

    name: str
    file: Path
    rows: int


def relabel(
    out: Path,
    *,
    manifests: Sequence[str | Path] = (),
    set_policy: str | Path | None = None,
    skip_missing: bool = False,
    dry_run: bool = False,
    undo: int | None = None,
    reset: bool = False,
    who: str | None = None,
) -> RelabelResult:
    """Correct the labels of a dataset, all or nothing; every change can be undone.

    Args:
        out: The dataset.
        manifests: Names of shipped manifests, or files.
        set_policy: Name of a shipped age policy, or a TOML file.
        skip_missing: Pass over rows whose profile or image the dataset does not have.
        dry_run: Find out what would change, and write nothing.
        undo: Take back so many applications, the newest first.
        reset: Take back all of them.
        who: Whom the history names; the user of this process if not given.

    Raises:
        ManifestError: Rows are wrong; the message lists all of them, and nothing was changed.
        ConfigError: There is no such manifest or policy, or nothing to undo.
        TableError: The dataset has no index, or a table is damaged.
        StoreError: Somebody else is writing the dataset.
    """
    if (undo is not None or reset) and (manifests or set_policy or (undo is not None and reset)):
        raise ConfigError("undo, reset and applying something are three commands: give one of them")
    files = [find_corrections(name) for name in manifests]
    policy = None if set_policy is None else load_policy(str(set_policy))
    next(index_batches(out))  # a folder that is no dataset is refused before anything is locked
    with nullcontext() if dry_run else Store(out / ".store").locked():
        history, policy_was = read_history(out), active_policy(out)
        undone: tuple[int, ...] = ()
        plan = Plan()
        if undo is not None or reset:
            after, undone, policy = taken_back(history, undo, who or _user())
        else:
            before = resolve(history, index_batches(out))
            plan = plan_corrections(
                files, lambda: index_batches(out), before, skip_missing=skip_missing
            )
            plan.raise_faults()
            new_policy = policy is not None and policy != policy_was
            steps = (policy_was, policy) if policy is not None and new_policy else None
            after = added(history, plan.changes, steps, who or _user())
        overrides = resolve(after, index_batches(out))
        regrouped: tuple[dict[str, int], ...] = ()
        if dry_run and policy not in (None, policy_was):
            before = resolve(history, index_batches(out))
            regrouped = _groups(out, before, policy_was), _groups(out, overrides, policy)
        if not dry_run:
            _write(out, after, overrides, policy or policy_was)
    return RelabelResult(
        policy_was=policy_was,
        policy=policy or policy_was,
        rows=plan.rows,
        images=plan.images,
        already=plan.already,
        skipped=plan.skipped,
        changes=plan.changes,
        undone=undone,
        orphans=overrides.orphans,
        regrouped=regrouped,
        dry_run=dry_run,
    )


def _groups(out: Path, overrides: Overrides, policy: AgePolicy) -> dict[str, int]:
    """Return the images of each age group, and those that are left out or of unknown age."""
    counts = Counter[str]()
    for labels in labels_of(index_batches(out), overrides, policy):
        named = pc.coalesce(labels["age_group"], pa.scalar("unknown"))
        groups = pc.if_else(labels["kept"], named, pa.scalar("left out"))
        for row in pc.value_counts(groups).to_pylist():
            counts[row["values"]] += row["counts"]
    return {group: counts[group] for group in (*AGE_GROUPS, "unknown", "left out") if counts[group]}


def _write(out: Path, history: pa.Table, overrides: Overrides, policy: AgePolicy) -> None:
    """Write all that changed; the history first, for the rest can be worked out from it."""
    if history.num_rows:
        write_table(history, out / HISTORY_FILE)
    if policy != active_policy(out):
        set_active_policy(out, policy)
    write_label_batches(out, labels_of(index_batches(out), overrides, policy))
    if (out / METADATA_FILE).exists():
        from facecrop.commands.card import write_metadata  # noqa: PLC0415 - knows recipes and models

        write_metadata(out)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return "unknown"


def relabel_log(out: Path) -> list[Application]:
    """Return what was ever done to the labels of a dataset, oldest first.

    Raises:
        TableError: There is no dataset, or its history cannot be read.
    """
    read_table(out / INDEX_FILE, ["path"])
    return applications(read_history(out))


def relabel_list() -> tuple[list[ShippedManifest], list[AgePolicy]]:
    """Return the manifests and the age policies that come with facecrop."""
    manifests = [
        ShippedManifest(name, file, sum(1 for _ in read_manifest(file)))
        for name, file in shipped_manifests().items()
    ]
    return manifests, list(shipped_policies().values())


@dataclass(frozen=True)
class PolicySuggestion:
    """Where a run sees the borders between age groups, and the policy that follows from it.

    Args:
        run: Name of the run.
        records: Records that were predicted out of fold.
        borders: One for each official border that the data have, the older last.
        policy: The official bins with the oldest border moved to where the run sees it; the
            shipped policy with these cuts if there is one.
        shipped: Whether the policy is one of those that come with facecrop.
        picture: An SVG that shows the oldest border.
    """

    run: str
    records: int
    borders: list[Border]
    policy: AgePolicy
    shipped: bool
    picture: Path


def suggest_policy(out: Path, *, run: str | None = None) -> PolicySuggestion:
    """Find out where a model sees sixty (and thirty), from its out-of-fold predictions of age.

    Nothing is changed but the picture `age-border.svg` in the folder of the run.

    Args:
        out: The dataset.
        run: Name of the run; may be left out if only one has predictions.

    Raises:
        ConfigError: There is no such run, or it predicts no age.
        TableError: Its predictions cannot be read.
    """
    folder = find_run(out, run)
    found = borders(*read_ages(folder))
    oldest = found[-1]
    cuts = list(OFFICIAL.cuts)
    cuts[cuts.index(oldest.true_age)] = round(oldest.seen_age)
    if not cuts[0] < cuts[1]:
        raise ConfigError(f"{folder.name} sees {oldest.true_age} at {oldest.seen_age:.1f} years")
    policy = AgePolicy(name=f"seen-by-{folder.name}", cuts=(cuts[0], cuts[1]))
    same = [
        known
        for known in shipped_policies().values()
        if known.cuts == policy.cuts and not known.drop
    ]
    picture = folder / "age-border.svg"
    drawing = draw(oldest, f"Where {folder.name} sees {oldest.true_age}")
    write_atomic(picture, lambda temporary: temporary.write_text(drawing, encoding="utf-8"))
    return PolicySuggestion(
        folder.name, len(oldest.ages), found, (same or [policy])[0], bool(same), picture
    )


def relabel_export(out: Path, file: Path) -> int:
    """Write the corrections that hold as one CSV manifest; return how many rows it has.

    Applied to the raw labels of the same pictures it gives the labels of today. Cells that a
    spreadsheet would take for a formula are escaped.

    Raises:
        TableError: The dataset has no index, or a table is damaged.
    """
    rows = corrections_that_hold(read_history(out), lambda: index_batches(out))
    return write_manifest(file, rows)
