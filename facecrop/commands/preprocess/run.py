"""One preprocess run: scan, compare, work, write."""

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa

from facecrop.commands.card import card_text, made_with, write_beside_index
from facecrop.commands.contact.command import write_contact
from facecrop.commands.preprocess.home import Home
from facecrop.commands.preprocess.ledger import Ledger
from facecrop.commands.preprocess.memory import Memory
from facecrop.commands.preprocess.obsolete import remove_obsolete, replaced
from facecrop.commands.preprocess.outcome import (
    OUTCOME,
    Estimate,
    Outcome,
    PreprocessResult,
    Progress,
    count_outcomes,
)
from facecrop.commands.preprocess.parts import Part, find_parts, remove_parts
from facecrop.commands.preprocess.plan import RunPlan, plan_run
from facecrop.commands.preprocess.work import Means, results
from facecrop.commands.streams import Rows
from facecrop.crops.places import Places
from facecrop.crops.spool import NAME
from facecrop.errors import StoreError
from facecrop.images.backends.devices import resolve_devices, settle_runtimes
from facecrop.images.job import Job, Weight, all_keys
from facecrop.images.models import ModelStore
from facecrop.images.recipe import Recipe
from facecrop.labels.layouts import scan
from facecrop.labels.raw import root_of
from facecrop.labels.shards import Shard
from facecrop.storage import is_remote
from facecrop.store import Lookup, Store

_TRIED_PROFILES = 4
_ROUNDS = 3
"""How often crops that were lost are made again before the run gives up."""


class Run:
    """One run, from scan to card.

    Args:
        raw: Folder of raw profiles, or a table that names them.
        out: The dataset.
        name: Of the recipe, as asked for.
        recipe: What to do.
        layout: Of RAW, or `auto`.
        keep: What to write beside the crops.
        shard: Whose profiles to work on; None for all.
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
        shard: Shard | None = None,
    ) -> None:
        self.raw, self.out, self.name, self.recipe, self.keep = raw, out, name, recipe, keep
        self.scanned_ns = time.time_ns()
        self.scan = scan(raw, layout, skip=out.resolve(), shard=shard)
        self.records = self.scan.table()
        self.ledger = Ledger(out, shard)
        self.part = Part.of(out, shard) if shard else None
        self.others = [
            part for part in find_parts(out) if shard is None or part.shard.count != shard.count
        ]
        """Shards whose rows no merge has taken in, and that may tell of the same records."""
        store = Memory(out / ".store")
        self.memory = self.part.memory if self.part else store
        self.memory.adopt([store, *(part.memory for part in self.others)])
        self.weights: dict[str, Weight] = {}
        cards = [self.part.card if self.part else None, *(part.card for part in self.others)]
        folders = [self.part.folder] if self.part else []
        folders += [out / ".store", *(part.folder for part in self.others)]
        self.spools = [folder / NAME for folder in folders]
        """Where crops may wait for their tars; the first is where those of this run do."""
        self.home_before = Home.known(out, cards)
        self.home = self.home_before
        self.means = Means()
        self.devices: tuple[str, ...] = ("cpu",)
        self.device = "cpu"
        self.keys: list[str] = []

    def resolve(self, device: str, own: dict[str, Path], *, offline: bool) -> None:
        """Find out which files and which device the models will use."""
        finders = self.recipe.look.finders
        self.devices = resolve_devices(self.means.check_device(device), finders)
        self.device = self.devices[0]
        before = made_with(self.out, [part.card for part in find_parts(self.out)])
        self.recipe = settle_runtimes(self.recipe, self.device, before)
        finders = self.recipe.look.finders
        models = ModelStore(own=own, offline=offline)
        names = sorted({name for finder in finders for name in finder.models})
        self.weights = {name: Weight(models.path(name), models.digest(name)) for name in names}
        self.keys = all_keys(self.recipe, self.weights, self.device)

    @property
    def fingerprint(self) -> bytes:
        """What identifies the outcome: the recipe with all that it resolved to (32 bytes)."""
        return self.recipe.fingerprint(self.keys)

    def plan(self, known: Rows, *, verify: bool) -> RunPlan:
        """Return what is settled and what has to be worked on."""
        return plan_run(
            self.out,
            self.records,
            known,
            self.fingerprint,
            scanned_ns=self.memory.scanned_ns,
            extension=self.recipe.render.encode.format,
            keep=self.keep,
            kept_before=self.memory.keep,
            verify=verify,
            places=self.places,
        )

    def look_ahead(self, *, verify: bool, started: float) -> PreprocessResult:
        """Say what `do` would do and take, and write nothing below OUT."""
        self.places = Places(self.out, self.spools, verify=verify)
        plan = self.plan(self.ledger.known(), verify=verify)
        progress = Progress(total=plan.images)
        estimate = self._try_some(plan)
        return self._result(plan.outcomes, plan, progress, started, estimate=estimate)

    def _try_some(self, plan: RunPlan) -> Estimate:
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
            tasks, log = [plan.sample(_TRIED_PROFILES)], store.folder / "workers.log"
            for result in results(self.means.alone(), job, self.devices, tasks, log):
                tried.add(result)
            took = time.perf_counter() - start
            size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
        work = sum(tried.seconds.values()) - tried.seconds["load models"]
        share = plan.images / max(tried.done, 1)
        seconds = max(took - work, 0) + share * work / self.means.here
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
            self.spools[0] if self.home.tars and out == self.out else None,
        )

    def do(
        self,
        *,
        verify: bool,
        contact: bool,
        report: Callable[[Progress], None] | None,
        started: float,
    ) -> PreprocessResult:
        """Bring the dataset, or a shard of it, up to date; whoever calls holds its lock."""
        self.places = Places(self.out, self.spools, verify=verify)
        if self.part is None:
            self.places.remember()
        plan = self.plan(self.ledger.known(), verify=verify)
        progress, outcomes = Progress(total=plan.images), plan.outcomes
        changed = plan.images > 0 or not plan.told
        if self.part is None and not changed:
            changed = bool(self.others) or not self.memory.complete
            changed |= self.home != self.home_before
            changed |= not self.home.has_all(self.out, plan.rows, self.places)
        pa.default_memory_pool().release_unused()
        if changed:
            before = plan.at_stake()
            rows = self._work(plan, progress, report)
            outcomes = count_outcomes(rows(("path", *OUTCOME)))
            remove_obsolete(self.out, replaced(before, rows), rows)
            if self.part is None:
                self.home.tidy(self.out, rows)
        orphans, page = 0, None
        if self.part is not None:
            self.part.write_card(self._card())
        elif changed:
            tars = self.home.tars
            orphans = write_beside_index(self.out, self.scan, self._card(), tars=tars)
        self.memory.write(self.scanned_ns, self.keep)
        if self.part is None:
            remove_parts(self.out, self.others)
            page = write_contact(self.out, self.raw_root, self.recipe.decode) if contact else None
        return self._result(outcomes, plan, progress, started, contact=page, orphans=orphans)

    def _work(
        self,
        plan: RunPlan,
        progress: Progress,
        report: Callable[[Progress], None] | None,
    ) -> Rows:
        self.memory.forget()
        self.ledger.start(self.records, plan.rows)
        self._map(plan, progress, report)
        self._settle(progress, report)
        rows = self.ledger.finish()
        if self.part is None:  # other shards read the fragments that would be put together
            Store(self.out / ".store").compact()
        return rows

    def _settle(self, progress: Progress, report: Callable[[Progress], None] | None) -> None:
        """Bring all crops to where they belong; make again what workers that died have not left.

        The crops of a shard stay where they are until the merge.

        Raises:
            StoreError: Crops are lost again and again.
        """
        for _ in range(_ROUNDS):
            self.places = Places(self.out, self.spools)
            settle = self.home.settle if self.part is None else self.home.missing
            lost = settle(self.ledger, self.places)
            if not lost:
                return
            plan = self.plan(self.ledger.known(), verify=False)
            progress.total += plan.images
            self._map(plan, progress, report)
        raise StoreError(
            f"the crop of {lost[0]!r} and {len(lost) - 1:,} others cannot be read any more; "
            "run the command again with --verify"
        )

    def _map(
        self, plan: RunPlan, progress: Progress, report: Callable[[Progress], None] | None
    ) -> None:
        """Have done what a plan says."""
        lookup, log = Store(self.out / ".store").write_lookup(self.keys), self._log()
        try:
            job, tasks = self._job(self.out, lookup), plan.tasks(self.means.everywhere)
            for result in results(self.means, job, self.devices, tasks, log):
                progress.add(result)
                self.ledger.add(result.rows)
                if report is not None:
                    report(progress)
            if is_remote(self.out):
                log.unlink(missing_ok=True)  # among temporary files it only tells why a run ended
        finally:
            lookup.path.unlink(missing_ok=True)
            self.ledger.flush()

    def _log(self) -> Path:
        """Return the file for what native libraries print: always on this machine."""
        if is_remote(self.out):
            return Path(tempfile.gettempdir(), f"facecrop-workers-{os.getpid()}.log")
        folder = self.part.folder if self.part else self.out / ".store"
        return folder / "workers.log"

    def _card(self) -> str:
        return card_text(
            self.out,
            raw=self.raw,
            layout=self.scan.layout,
            recipe_name=self.name,
            recipe=self.recipe,
            fingerprint=self.fingerprint,
            weights=self.weights,
            device=self.device,
            home=self.home.facts,
        )

    @property
    def raw_root(self) -> Path:
        """The folder that record paths are relative to."""
        return root_of(self.raw)

    def _result(
        self,
        outcomes: Mapping[Outcome, int],
        plan: RunPlan,
        progress: Progress,
        started: float,
        *,
        contact: Path | None = None,
        estimate: Estimate | None = None,
        orphans: int = 0,
    ) -> PreprocessResult:
        return PreprocessResult.of(
            self.out,
            self.scan,
            self.name,
            outcomes,
            progress,
            seconds=time.perf_counter() - started,
            unread=plan.unread,
            estimate=estimate,
            contact=contact,
            orphans=orphans,
        )
