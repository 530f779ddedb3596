"""`facecrop merge`: one index of what shards have worked out."""

import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from facecrop.commands.card import write_beside_index
from facecrop.commands.contact.command import write_contact
from facecrop.commands.preprocess.home import Home
from facecrop.commands.preprocess.known import Known
from facecrop.commands.preprocess.ledger import Ledger
from facecrop.commands.preprocess.memory import Memory
from facecrop.commands.preprocess.obsolete import remove_obsolete, replaced
from facecrop.commands.preprocess.outcome import OUTCOME, PreprocessResult, Progress, count_outcomes
from facecrop.commands.preprocess.parts import Part, find_parts, is_whole, remove_parts
from facecrop.commands.preprocess.plan import RunPlan, plan_run
from facecrop.config import read_toml, validate
from facecrop.crops.places import Places
from facecrop.errors import ConfigError, TableError
from facecrop.images.codec import Limits
from facecrop.index import CARD_FILE
from facecrop.labels.layouts import Scan, scan
from facecrop.labels.raw import root_of
from facecrop.labels.shards import Shard
from facecrop.storage import place, whither
from facecrop.store import Store

_NAMED = 8
"""Shards that a message names one by one."""


def merge(
    out: Path | str, *, allow_missing: bool = False, contact: bool = True
) -> PreprocessResult:
    """Make one dataset of what shards have worked out.

    The outcome is that of one run over the whole, byte for byte. RAW is only listed, no picture is
    read and no model needed. Merging what is merged already changes nothing.

    Args:
        out: The dataset that all shards have written.
        allow_missing: Merge although records wait for their shards; their rows are `pending`.
        contact: Draw the contact sheet.

    Raises:
        FacecropError: Shards are missing or not finished, they disagree, or nothing is there.
    """
    started = time.perf_counter()
    out = place(out)
    if not (out / ".store").is_dir():
        raise ConfigError(f"{str(out)!r} is no facecrop dataset: it has no .store")
    with Store(out / ".store").locked(always=False):
        return _Merge(out).do(allow_missing=allow_missing, contact=contact, started=started)


class _Merge:
    """One merge, from the cards of the shards to the contact sheet.

    Args:
        out: The dataset; whoever calls holds the lock of its store.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.parts = find_parts(out)
        self.card_text = _agreed(out, self.parts) if self.parts else None
        self.card = self._card()
        self.keep = _keep(self.parts)
        raw = whither(out, str(self.card["raw"]))
        self.raw_root = root_of(raw)
        self.scan: Scan = scan(raw, str(self.card["layout"]), skip=out.resolve())
        self.records = self.scan.table()
        self.ledger = Ledger(out)
        self.home = Home.of(self.card)
        self.places = Places(out)

    def do(self, *, allow_missing: bool, contact: bool, started: float) -> PreprocessResult:
        """Write everything, or say why not."""
        plan = self._plan()
        if plan.images and not allow_missing:
            raise TableError(self._what_is_missing(plan))
        memory = Memory(self.out / ".store")
        outcomes, orphans = plan.outcomes, 0
        if (
            self.parts
            or plan.images
            or not memory.complete
            or plan.before != int(plan.settled.sum())
            or not self.home.has_all(self.out, plan.rows, self.places)
        ):
            index = replaced(Known(self.out, paths=()), plan.rows)
            before = plan.at_stake()
            # Where every record has been seen by its shard, what was seen before is out of date. A
            # run over the whole that did not come to its end may have left rows of its own.
            alone = is_whole(self.parts) and not plan.images
            alone &= memory.complete or not memory.known
            memory.adopt(part.memory for part in self.parts)
            memory.forget()
            if alone:
                memory.follow(part.memory for part in self.parts)
            self.ledger.take(self.records, plan.rows)
            self._settle()
            rows = self.ledger.finish()
            outcomes = count_outcomes(rows(("path", *OUTCOME)))
            remove_obsolete(self.out, pa.concat_arrays([index, replaced(before, rows)]), rows)
            self.home.tidy(self.out, rows)
            Store(self.out / ".store").compact()
            tars = self.home.tars
            orphans = write_beside_index(self.out, self.scan, self.card_text, tars=tars)
            memory.write(memory.scanned_ns, memory.keep)
            remove_parts(self.out, self.parts)
        page = write_contact(self.out, self.raw_root, self._limits()) if contact else None
        return PreprocessResult.of(
            self.out,
            self.scan,
            str(self.card["recipe_name"]),
            outcomes,
            Progress(total=plan.images),
            seconds=time.perf_counter() - started,
            unread=self.scan.count,
            contact=page,
            orphans=orphans,
        )

    def _settle(self) -> None:
        """Bring all crops to where they belong.

        Raises:
            TableError: Some are nowhere.
        """
        lost = self.home.settle(self.ledger, self.places)
        if lost:
            raise TableError(
                f"the crops of {len(lost):,} images of {self.out} cannot be read any more, first "
                f"that of {lost[0]!r}; run their shards again with --verify"
            )

    def _card(self) -> Mapping[str, Any]:
        """Return what the shards say of themselves; after a merge, what the dataset says."""
        if self.card_text is not None:
            return tomllib.loads(self.card_text)
        if not (self.out / CARD_FILE).exists():
            raise TableError(
                f"{self.out} has no shards to merge; run: "
                f"facecrop preprocess RAW {self.out} --shard 1/N, then the others"
            )
        return read_toml(self.out / CARD_FILE)

    def _plan(self) -> RunPlan:
        """Return what is settled and what waits; the shards have looked at times and digests."""
        return plan_run(
            self.out,
            self.records,
            self.ledger.known(),
            bytes.fromhex(str(self.card["recipe_fingerprint"])),
            scanned_ns=sys.maxsize,
            extension=str(self.card["recipe"]["render"]["encode"]["format"]),
            keep=self.keep,
            kept_before=self.keep,
            verify=False,
            retry=False,
            places=self.places,
        )

    def _limits(self) -> Limits:
        return validate(Limits, self.card["recipe"].get("decode", {}), f"{self.out}: decode")

    def _what_is_missing(self, plan: RunPlan) -> str:
        """Return which shards the records wait for, and what is to be done."""
        profiles = self.records["profile"].take(plan.order)
        counts = sorted({part.shard.count for part in self.parts})
        waits = f"{plan.images:,} of {self.scan.count:,} images of {self.out} are not worked out"
        if not counts:
            return f"{waits}; run: facecrop preprocess RAW {self.out}, or all its shards"
        if len(counts) != 1:
            what = _listed(part.shard for part in self.parts)
            return (
                f"{waits}, and what there is ({what}) does not make a whole; "
                "run all shards of one number"
            )
        waiting = {Shard.of(profile, counts[0]) for profile in profiles.unique().to_pylist()}
        known = {part.shard: part for part in self.parts}
        reasons: dict[str, list[Shard]] = {}
        for shard in sorted(waiting):
            reasons.setdefault(_why(known.get(shard)), []).append(shard)
        said = "; ".join(f"{why}: {_listed(shards)}" for why, shards in reasons.items())
        first = min(waiting)
        return (
            f"{waits}; {said}; run: facecrop preprocess RAW {self.out} --shard {first}, "
            "or merge with --allow-missing"
        )


def _why(part: Part | None) -> str:
    if part is None:
        return "missing"
    if not part.memory.complete:
        return "not finished"
    return "pictures have come, changed or lost their crop since"


def _agreed(out: Path, parts: Sequence[Part]) -> str:
    """Return the card that all shards share; of several sets, that of the only whole one.

    Raises:
        ConfigError: They disagree.
        TableError: None of them came far enough to say anything.
    """
    cards = {part: card for part in parts if (card := part.card) is not None}
    if not cards:
        raise TableError(
            f"no shard of {out} has finished: {_listed(part.shard for part in parts)}; "
            "run them to their end"
        )
    said = {part: (card, part.memory.keep) for part, card in cards.items()}
    if len(set(said.values())) == 1:
        return next(iter(cards.values()))
    sets = {
        count: [part for part in parts if part.shard.count == count]
        for count in {part.shard.count for part in parts}
    }
    whole = [
        cards[some[0]]
        for some in sets.values()
        if is_whole(some) and len({said.get(part) for part in some}) == 1
    ]
    if len(whole) == 1:
        return whole[0]
    raise ConfigError(f"the shards of {out} disagree: {_difference(cards)}; run them again alike")


def _difference(cards: Mapping[Part, str]) -> str:
    """Return the first setting in which shards differ, with who has which value."""
    facts = {
        part: dict(_flat(card))
        | {"--keep": sorted(part.memory.keep), "--store-as": Home.of(card).store_as}
        for part, card in ((part, tomllib.loads(text)) for part, text in cards.items())
    }
    # The name of what differs says more than the fingerprints that differ with it.
    keys = sorted(
        {key for one in facts.values() for key in one},
        key=lambda key: (key == "recipe_fingerprint" or key.endswith(".key"), key),
    )
    for key in keys:
        having: dict[str, list[Shard]] = {}
        for part, one in facts.items():
            having.setdefault(repr(one.get(key)), []).append(part.shard)
        if len(having) > 1:
            values = ", ".join(f"{value} in {_listed(who)}" for value, who in having.items())
            return f"{key} is {values}"
    return "their cards are not the same"


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _keep(parts: Sequence[Part]) -> frozenset[str]:
    kept = [part.memory.keep for part in parts if part.memory.known]
    return frozenset.intersection(*kept) if kept else frozenset()


def _listed(shards: Iterable[Shard]) -> str:
    names = [str(shard) for shard in shards]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
