"""Show where a trained model looks, as pictures and as numbers."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from facecrop.commands.explain.alphas import open_alphas
from facecrop.commands.explain.choice import (
    drawn_by_chance,
    losses_of,
    most_wrong,
    named,
    own_dataset,
    with_crops,
)
from facecrop.commands.train.command import check_installed
from facecrop.errors import ConfigError, StoreError
from facecrop.images.codec import encode
from facecrop.index import LABELS_FILE, read_table, write_atomic
from facecrop.labels.space import WORDS
from facecrop.registry import no_such
from facecrop.storage import local
from facecrop.training.prediction_files import write_rows

if TYPE_CHECKING:
    from facecrop.training.explain.looking import Looked
    from facecrop.training.trained import Trained

_SHEET, _TABLE = "sheet.png", "heat.csv"
_PARTS = ("face", "person", "background", "outside")


@dataclass(frozen=True, slots=True)
class Spread:
    """Where the heat of one question lies, on the average of records drawn by chance.

    Args:
        question: A label, or `class`.
        heat: Share of the heat by part: face, person (apart from the face) and background; or face
            and outside, where no alphas were kept.
        chance: Share of the area: what heat that falls anywhere alike would give.
        records: That were counted.
        left_out: Without any heat, or whose face or alpha is not known.
    """

    question: str
    heat: Mapping[str, float]
    chance: Mapping[str, float]
    records: int
    left_out: int


@dataclass(frozen=True, slots=True)
class ExplainResult:
    """What was found out.

    Args:
        sheet: PNG of the chosen records.
        table: CSV with a row for each record and question.
        shown: Paths of the chosen records.
        spreads: One for each question.
    """

    sheet: Path
    table: Path
    shown: tuple[str, ...]
    spreads: tuple[Spread, ...]


def explain(
    run: Path | str,
    data: Path | str | None = None,
    *,
    records: Sequence[str] = (),
    wrong: int = 12,
    sample: int = 200,
    labels: Sequence[str] = (),
    out: Path | None = None,
    device: str = "auto",
    batch_size: int = 16,
    report: Callable[[int, int], None] | None = None,
) -> ExplainResult:
    """Show where a trained model looks, as pictures and as numbers.

    Writes a sheet of heat maps (Grad-CAM) of some records and, of records drawn by chance, how much
    of the heat lies on the face, the rest of the person and the background, by the face boxes of
    the index and the alphas that preprocess kept (`--keep alpha`, or in the store).

    Args:
        run: `OUT/runs/<name>`, a single training.
        data: Another dataset, made by the same recipe; None: the validation records of the run.
        records: Paths of the records to show; none: the most wrong ones.
        wrong: How many of these.
        sample: How many records the numbers are of; drawn by chance, the same ones each time.
        labels: What is asked: labels, or `class` for all together; none: each label.
        out: Folder to write to; None: `explain` in the run.
        device: `auto`, `cpu` or `cuda`.
        batch_size: Pictures at a time.
        report: Called with pictures done and all.

    Raises:
        FacecropError: Something the user can mend.
    """
    run, data = local(run), None if data is None else local(data)
    check_installed()
    from facecrop.training.explain.gradcam import questions  # noqa: PLC0415 - torch
    from facecrop.training.hardware import resolve_device  # noqa: PLC0415 - likewise
    from facecrop.training.trained import load_run  # noqa: PLC0415 - likewise

    trained = load_run(run, resolve_device(device))
    known = questions(trained.task)
    if unknown := [label for label in labels if label not in known]:
        raise no_such("label to explain", unknown[0], list(known))
    asked = tuple(labels) or trained.task.axes
    dataset = own_dataset(trained.run) if data is None else data
    index = with_crops(dataset)
    losses = losses_of(trained, dataset, index, own=data is None)
    shown = named(records, index, dataset) if records else most_wrong(losses, wrong)
    drawn = drawn_by_chance(losses, sample)
    rows = list(dict.fromkeys([*shown, *drawn]))
    if not rows:
        raise ConfigError("nothing to explain: no record is chosen, and none is drawn")
    view = _View(trained, dataset, index.take(pa.array(rows)), asked, batch_size)
    looked = dict(zip(rows, view.looked(report), strict=True))
    place = {row: number for number, row in enumerate(rows)}
    out = _folder(out or run / "explain")
    if shown:
        _write_png(view.sheet([place[row] for row in shown], [looked[row] for row in shown]), out)
    paths = index["path"].to_pylist()
    write_rows(_table(paths, looked, set(shown)), out / _TABLE)
    return ExplainResult(
        out / _SHEET,
        out / _TABLE,
        tuple(paths[row] for row in shown),
        tuple(_spread(q, [looked[row][n] for row in drawn]) for n, q in enumerate(asked)),
    )


class _View:
    """The pictures as the network sees them, and what is where in each.

    Args:
        trained: The model.
        dataset: The dataset.
        index: (M,) rows with crops.
        asked: The questions.
        batch_size: Pictures at a time.
    """

    def __init__(
        self,
        trained: "Trained",
        dataset: Path,
        index: pa.Table,
        asked: tuple[str, ...],
        batch_size: int,
    ) -> None:
        from facecrop.training.crops import as_input, read_crop  # noqa: PLC0415 - likewise
        from facecrop.training.explain.heat import Geometry  # noqa: PLC0415 - cv2

        self._trained, self._dataset, self._index = trained, dataset, index
        self._asked, self._batch_size = asked, batch_size
        size, center = trained.size, trained.center_crop
        self._pictures, sizes = [], []
        for image, digest in zip(
            index["image"].to_pylist(), index["image_sha256"].to_pylist(), strict=True
        ):
            crop = read_crop(dataset, image, digest)
            sizes.append(crop.shape[:2])
            self._pictures.append(as_input(crop, size, center))
        self._geometry = Geometry(index, dataset, np.array(sizes, np.int64), size, center)

    def looked(self, report: Callable[[int, int], None] | None) -> "Iterator[tuple[Looked, ...]]":
        """Yield what was said and seen of each record."""
        from facecrop.training.explain.looking import look  # noqa: PLC0415 - torch

        with open_alphas(self._dataset, self._index) as alpha:
            count = len(self._pictures)
            for start in range(0, count, self._batch_size):
                rows = range(start, min(start + self._batch_size, count))
                places = [self._geometry.places(row, alpha(row)) for row in rows]
                pictures = [self._pictures[row] for row in rows]
                yield from look(self._trained, pictures, places, self._asked)
                if report is not None:
                    report(rows[-1] + 1, count)

    def sheet(self, rows: Sequence[int], looked: "Sequence[tuple[Looked, ...]]") -> NDArray[Any]:
        """Draw some of the records."""
        from facecrop.training.explain.sheet import Look, Shown, draw_sheet  # noqa: PLC0415 - cv2

        truth = _truth(self._dataset, self._index.take(pa.array(rows)))
        paths = self._index["path"].to_pylist()
        tiles = [
            Shown(
                self._pictures[row],
                self._geometry.face(row),
                (paths[row], " ".join(str(true[axis]) for axis in true if true[axis])),
                tuple(
                    Look(
                        one.heat,
                        (
                            f"{one.question}: {one.answer} {one.probability:.2f}",
                            ", ".join(
                                f"{part} {100 * share:.0f}" for part, share in one.shares.items()
                            )
                            + " %"
                            if one.shares
                            else "no heat, or face unknown",
                        ),
                    )
                    for one in seen
                ),
            )
            for row, true, seen in zip(rows, truth, looked, strict=True)
        ]
        return draw_sheet(tiles, f"{self._trained.run.name}: where it looks")


def _truth(dataset: Path, index: pa.Table) -> list[dict[str, str | None]]:
    labels = read_table(dataset / LABELS_FILE, ["path", *WORDS])
    rows = pc.index_in(index["path"], value_set=labels["path"].combine_chunks())
    found: list[dict[str, str | None]] = labels.take(rows).select(list(WORDS)).to_pylist()
    return found


def _spread(question: str, looked: "Sequence[Looked]") -> Spread:
    """Average over the records whose parts are known; those with an alpha, if any has one."""
    best = max((len(one.shares) for one in looked), default=0)
    counted = [one for one in looked if one.shares and len(one.shares) == best]
    sums: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for one in counted:
        for part, share in one.shares.items():
            sums[part].append((share, one.areas[part]))
    means = {part: np.mean(pairs, axis=0) for part, pairs in sums.items()}
    return Spread(
        question,
        {part: float(mean[0]) for part, mean in means.items()},
        {part: float(mean[1]) for part, mean in means.items()},
        len(counted),
        len(looked) - len(counted),
    )


def _table(
    paths: Sequence[str], looked: "Mapping[int, tuple[Looked, ...]]", shown: set[int]
) -> pa.Table:
    rows = [
        {
            "path": paths[row],
            "chosen": row in shown,
            "label": one.question,
            "answer": one.answer,
            "probability": one.probability,
            **{f"heat_{part}": one.shares.get(part) for part in _PARTS},
            **{f"area_{part}": one.areas.get(part) for part in _PARTS},
        }
        for row, answers in looked.items()
        for one in answers
    ]
    return pa.Table.from_pylist(rows)


def _folder(out: Path) -> Path:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{out} cannot be made: {error.strerror}") from None
    return out


def _write_png(sheet: NDArray[Any], out: Path) -> None:
    data = encode(sheet, "png", 0)
    write_atomic(out / _SHEET, lambda temporary: temporary.write_bytes(data))
