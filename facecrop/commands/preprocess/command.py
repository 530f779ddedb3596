"""`facecrop preprocess`: raw profile folders in, a clean cached dataset out."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from facecrop.commands.preprocess.home import Home
from facecrop.commands.preprocess.outcome import Estimate, PreprocessResult, Progress
from facecrop.commands.preprocess.parts import find_parts
from facecrop.commands.preprocess.run import Run
from facecrop.commands.preprocess.work import Means
from facecrop.errors import ConfigError, LimitError
from facecrop.images.output import KEEP
from facecrop.images.recipe import Recipe, load_recipe
from facecrop.index import Status
from facecrop.labels.shards import Shard
from facecrop.storage import check_shared, place
from facecrop.store import Store

__all__ = ["Estimate", "PreprocessResult", "Progress", "check_rejects", "preprocess", "stored_as"]


def preprocess(
    raw: Path | str,
    out: Path | str,
    *,
    recipe: str | Recipe = "embedded",
    settings: Sequence[str] = (),
    layout: str = "auto",
    workers: int | None = None,
    device: str = "auto",
    engine: str = "local",
    address: str | None = None,
    keep: Sequence[str] = (),
    store_as: str | None = None,
    shard_size: int | None = None,
    weights: Mapping[str, Path] | None = None,
    offline: bool = False,
    verify: bool = False,
    dry_run: bool = False,
    contact: bool = True,
    shard: str | None = None,
    report: Callable[[Progress], None] | None = None,
) -> PreprocessResult:
    """Turn raw profile folders into a clean, cached, explained dataset.

    Args:
        raw: Folder of raw profiles, or a table that names them, or the URL of one; never written.
        out: The dataset, or its URL; made if it is not there, brought up to date if it is.
        recipe: A shipped recipe, the path of a TOML file, or a `Recipe`.
        settings: Single settings of the recipe, `crop.margin=0.3`.
        layout: `profiles`, `flat`, `table`, `utkface`, or `auto` to tell by looking.
        workers: Worker processes; None for one a core, with `ray` one a CPU of the cluster.
        device: `auto`, `cpu`, `cuda`, or several as `cuda:0,cuda:1`.
        engine: What runs the work: `local`, `ray` or, in this very process, `serial`.
        address: Of the Ray cluster, `auto` or `host:6379`; None for that of RAY_ADDRESS, else for a
            Ray on this machine alone.
        keep: What to write beside the crops: `alpha`, `boxes`.
        store_as: `files` or, many together as tar files, `shards`; None: as the dataset has them,
            a new one as files. A dataset that has them otherwise is changed, without any model.
        shard_size: Crops of a tar at most; None: as the dataset has it, a new one 10,000.
        weights: Model files of one's own, by model name.
        offline: Fetch nothing.
        verify: Read every raw file and every crop again, whatever their times say.
        dry_run: Only say what would be done.
        contact: Draw the contact sheet.
        shard: Work only on the profiles of one part, `2/8`; `merge` makes one dataset of all parts.
        report: Called as the run goes on.

    Raises:
        FacecropError: Something the user can mend; what was done until then is kept.
    """
    started = time.perf_counter()
    means = Means(engine, workers, address, offline)
    if unknown := sorted(set(keep) - KEEP.keys()):
        raise ConfigError(f"cannot keep {unknown[0]!r}; choose from: {', '.join(KEEP)}")
    raw, out = place(raw), place(out)
    for one in (raw, out):
        check_shared(one, alone=engine == "serial")
    if engine == "ray":  # workers on other machines have another working directory
        raw, out = raw.absolute(), out.absolute()
    _check_folders(raw, out)
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe, settings)
    name = recipe if isinstance(recipe, str) else "custom"
    if "alpha" in keep and loaded.look.matte is None:
        raise ConfigError(f"cannot keep 'alpha': the recipe {name!r} has no look.matte")
    part = Shard.parse(shard) if shard is not None else None
    run = Run(raw, out, name=name, recipe=loaded, layout=layout, keep=frozenset(keep), shard=part)
    run.means = means
    run.home = run.home.asked(store_as, shard_size)
    run.resolve(device, dict(weights or {}), offline=offline)
    if dry_run:
        return run.look_ahead(verify=verify, started=started)
    store = Store(out / ".store")
    with store.locked() if part is None else store.shared(f"shard {part}"):
        return run.do(verify=verify, contact=contact, report=report, started=started)


def stored_as(out: Path | str) -> str:
    """Return how a dataset has its crops, or will have them unless it is asked otherwise.

    Args:
        out: The dataset, or its URL; it need not be there.

    Returns:
        `files` or `shards`.
    """
    out = place(out)
    return Home.known(out, [part.card for part in find_parts(out)]).store_as


def check_rejects(result: PreprocessResult, limit: int | None) -> None:
    """Raise if a dataset has more rejects than the user allows.

    Raises:
        LimitError: It has.
    """
    rejects = result.statuses.get(Status.REJECT, 0)
    if limit is not None and rejects > limit:
        raise LimitError(
            f"{rejects} rejects are more than --max-rejects {limit}; "
            f"see {result.contact or result.out}"
        )


def _check_folders(raw: Path, out: Path) -> None:
    if not raw.exists():
        return
    inside, outside = raw.resolve(), out.resolve()
    root = inside if inside.is_dir() else inside.parent
    if outside == root or (root in outside.parents and inside.is_dir()):
        raise ConfigError(
            f"OUT {str(out)!r} lies in RAW {str(raw)!r}, which is never written; choose another OUT"
        )
    if out.exists() and not out.is_dir():
        raise ConfigError(f"OUT {str(out)!r} is a file; choose a folder")
    if (
        out.is_dir()
        and not (out / ".store").exists()
        and not (out / "index.parquet").exists()
        and any(out.iterdir())
    ):
        raise ConfigError(
            f"OUT {str(out)!r} holds something that is not a facecrop dataset; "
            "choose an empty folder"
        )
