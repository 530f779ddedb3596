"""One preprocess run: scan, compare, work, write."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facecrop.commands.card import write_card, write_metadata, write_scan
from facecrop.commands.contact import write_contact
from facecrop.commands.ledger import Ledger
from facecrop.commands.memory import Memory
from facecrop.commands.outcome import Estimate, PreprocessResult, Progress
from facecrop.commands.plan_run import RunPlan, plan_run
from facecrop.engines.local import LocalEngine
from facecrop.engines.serial import SerialEngine
from facecrop.engines.work import Task
from facecrop.images.backends.devices import resolve_devices
from facecrop.images.backends.server import serve
from facecrop.images.job import Job, Weight, all_keys
from facecrop.images.models import ModelStore
from facecrop.images.output import KEEP, extra_file
from facecrop.images.pipeline import Pipeline, Result
from facecrop.images.recipe import Recipe
from facecrop.labels.current import write_labels
from facecrop.labels.layouts import scan
from facecrop.labels.raw import RAW_COLUMNS
from facecrop.store import Lookup, Store

ENGINES = ("local", "serial")
"""`local` spawns worker processes; `serial` works in this one."""
_TRIED_PROFILES = 4


class Run:
    """One run, from scan to card.

    Args:
        raw: Folder of raw profiles, or a table that names them.
        out: The dataset.
        name: Of the recipe, as asked for.
        recipe: What to do.
        layout: Of RAW, or `auto`.
        keep: What to write beside the crops.
    """

    def __init__(
        self,
        raw: Path,
        out: Path,
        *,
        name: str,
        recipe: Recipe,
        layout: str,
        keep: frozenset[str],
    ) -> None:
        self.raw, self.out, self.name, self.recipe, self.keep = raw, out, name, recipe, keep
        self.scanned_ns = time.time_ns()
        self.scan = scan(raw, layout, skip=out.resolve())
        self.records = self.scan.table()
        self.memory = Memory(out)
        self.ledger = Ledger(out)
        self.weights: dict[str, Weight] = {}
        self.engine = ENGINES[0]
        self.devices: tuple[str, ...] = ("cpu",)
        self.device = "cpu"
        self.keys: list[str] = []

    def resolve(self, device: str, own: dict[str, Path], *, offline: bool) -> None:
        """Find out which files and which device the models will use."""
        finders = self.recipe.look.finders
        self.devices = resolve_devices(device, finders)
        self.device = self.devices[0]
        models = ModelStore(own=own, offline=offline)
        names = sorted({name for finder in finders for name in finder.models})
        self.weights = {name: Weight(models.path(name), models.digest(name)) for name in names}
        self.keys = all_keys(self.recipe, self.weights, self.device)

    @property
    def fingerprint(self) -> bytes:
        """What identifies the outcome: the recipe with all that it resolved to (32 bytes)."""
        return self.recipe.fingerprint(self.keys)

    def plan(self, previous: pa.Table, *, verify: bool) -> RunPlan:
        """Return what is settled and what has to be worked on."""
        return plan_run(
            self.out,
            self.scan,
            self.records,
            previous,
            self.fingerprint,
            scanned_ns=self.memory.scanned_ns,
            extension=self.recipe.render.encode.format,
            keep=self.keep,
            kept_before=self.memory.keep,
            verify=verify,
        )

    def look_ahead(self, workers: int, *, verify: bool, started: float) -> PreprocessResult:
        """Say what `do` would do and take, and write nothing below OUT."""
        plan = self.plan(self.ledger.previous(), verify=verify)
        progress = Progress(total=plan.images)
        estimate = self._try_some(plan, workers)
        return self._result(plan.settled, plan, progress, started, estimate=estimate)

    def _try_some(self, plan: RunPlan, workers: int) -> Estimate:
        """Work through a few profiles, spread over the whole, into a folder that is thrown away."""
        if not plan.images:
            return Estimate(0, 0.0, 0)
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder)
            store = Store(out / ".store")
            store.folder.mkdir()
            job = self._job(out, store.write_lookup(()))
            tried = Progress()
            start = time.perf_counter()
            for result in self._results(job, [plan.sample(_TRIED_PROFILES)], 1):
                tried.add(result)
            took = time.perf_counter() - start
            size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        work = sum(tried.seconds.values()) - tried.seconds["load models"]
        share = plan.images / max(tried.done, 1)
        seconds = max(took - work, 0) + share * work / workers
        return Estimate(tried.done, seconds, int(size * share))

    def _job(self, out: Path, lookup: Lookup) -> Job:
        return Job(
            self.raw_root,
            out,
            self.recipe,
            self.weights,
            self.fingerprint,
            self.device,
            lookup,
            self.keep,
        )

    def do(
        self,
        workers: int,
        *,
        verify: bool,
        contact: bool,
        report: Callable[[Progress], None] | None,
        started: float,
    ) -> PreprocessResult:
        """Bring the dataset up to date; whoever calls holds the lock of its store."""
        previous = self.ledger.previous()
        plan = self.plan(previous, verify=verify)
        progress = Progress(total=plan.images)
        rows = plan.settled
        told = previous.select(RAW_COLUMNS)
        changed = plan.images > 0 or not told.equals(rows.select(RAW_COLUMNS))
        images = previous["image"]
        del previous, told  # by now a second copy of what is settled
        pa.default_memory_pool().release_unused()
        if changed:
            rows = self._work(plan, workers, progress, report)
            self._remove_obsolete(images, rows["image"])
        orphans = self._finish(rows) if changed or not self.memory.complete else 0
        self.memory.write(self.scanned_ns, self.keep)
        page = write_contact(self.out, self.raw_root, self.recipe) if contact else None
        return self._result(rows, plan, progress, started, contact=page, orphans=orphans)

    def _work(
        self,
        plan: RunPlan,
        workers: int,
        progress: Progress,
        report: Callable[[Progress], None] | None,
    ) -> pa.Table:
        store = Store(self.out / ".store")
        self.memory.forget()
        self.ledger.start(self.records, plan.settled)
        lookup = store.write_lookup(self.keys)
        try:
            for result in self._results(self._job(self.out, lookup), plan.tasks(workers), workers):
                progress.add(result)
                self.ledger.add(result.rows)
                if report is not None:
                    report(progress)
        finally:
            Path(lookup.path).unlink(missing_ok=True)
            self.ledger.flush()
        rows = self.ledger.finish()
        store.compact()
        return rows

    def _results(self, job: Job, tasks: Iterable[Task], workers: int) -> Iterator[Result]:
        """Yield what becomes of each profile; GPUs, if any, get a process of their own."""
        log = job.out / ".store" / "workers.log"
        log.unlink(missing_ok=True)
        engine = LocalEngine(workers, log=log) if self.engine == "local" else SerialEngine()
        if self.device == "cpu":
            yield from engine.map(partial(Pipeline, job), tasks)
            return
        files = {name: weight.path for name, weight in self.weights.items()}
        with serve(self.devices, files) as servers:
            yield from engine.map(partial(Pipeline, replace(job, servers=servers)), tasks)

    def _finish(self, rows: pa.Table) -> int:
        """Write what goes with the index; return how many label corrections lost their record."""
        orphans = write_labels(self.out, rows)
        write_scan(self.out, self.scan)
        write_card(
            self.out,
            raw=self.raw,
            layout=self.scan.layout,
            recipe_name=self.name,
            recipe=self.recipe,
            fingerprint=self.fingerprint,
            weights=self.weights,
            device=self.device,
        )
        write_metadata(self.out)
        return int(orphans.num_rows)

    def _remove_obsolete(self, before: pa.ChunkedArray, now: pa.ChunkedArray) -> None:
        """Remove crops that belong to no record any more, and what was kept beside them."""
        gone = before.filter(pc.invert(pc.is_in(before, now.combine_chunks()))).drop_null()
        if not len(gone):
            return
        stays = set(now.to_pylist()) - {None}
        in_use = {_target(name) for name in stays}
        for name in gone.to_pylist():
            target = _target(name)
            # After a change of format, what lies beside the new crop bears the same name.
            beside = [] if target in in_use else [extra_file(kind, target) for kind in KEEP]
            for path in (self.out / file for file in (name, *beside)):
                path.unlink(missing_ok=True)
                _remove_empty(path.parent)

    @property
    def raw_root(self) -> Path:
        """The folder that record paths are relative to."""
        return self.raw if self.raw.is_dir() else self.raw.parent

    def _result(
        self,
        rows: pa.Table,
        plan: RunPlan,
        progress: Progress,
        started: float,
        *,
        contact: Path | None = None,
        estimate: Estimate | None = None,
        orphans: int = 0,
    ) -> PreprocessResult:
        outcomes = rows.select(["status", "reason"]).group_by(["status", "reason"])
        reasons = outcomes.aggregate([([], "count_all")]).to_pylist()
        return PreprocessResult(
            out=self.out,
            scan=self.scan,
            recipe=self.name,
            images=len(self.scan.files),
            statuses=_counts(rows["status"]),
            reasons={
                (row["status"], row["reason"]): row["count_all"] for row in reasons if row["reason"]
            },
            sources=_counts(rows["face_source"]),
            unread=plan.unread,
            progress=progress,
            seconds=time.perf_counter() - started,
            estimate=estimate,
            contact=contact,
            orphans=orphans,
        )


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each value occurs, nulls left out."""
    counts = pc.value_counts(column.drop_null())
    return dict(
        zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True)
    )


def _target(image: str) -> str:
    """Return a crop's place without its folder and extension: `0001/mask1`."""
    return image.removeprefix("images/").rpartition(".")[0]


def _remove_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return  # still in use
