"""The command `explain`: which records it shows, and what its table says of their heat."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_tasks import AXES
from program import typed
from small_run import small_dataset, small_run

import facecrop
from facecrop.errors import ConfigError, TableError
from facecrop.index import read_table, write_table


class Place:
    """A dataset whose index knows faces and whose alphas were kept, and a run trained on it."""

    def __init__(self, folder: Path) -> None:
        _, self.out = small_dataset(folder)
        self.run = small_run(self.out, "tiny", "input.size=[96,96]")
        index = read_table(self.out / "index.parquet")
        for side, value in {"x0": 16.0, "y0": 20.0, "x1": 48.0, "y1": 60.0}.items():
            column = index.schema.get_field_index(f"face_{side}")
            values = pa.array([value] * index.num_rows, pa.float32())
            index = index.set_column(column, index.schema.field(column), values)
        write_table(index, self.out / "index.parquet")
        self.paths = index["path"].to_pylist()

    def keep_alphas(self) -> None:
        alpha = np.zeros((96, 64), np.uint8)
        alpha[16:, 8:56] = 255
        for path in self.paths:
            file = (self.out / "alpha" / path).with_suffix(".png")
            file.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(file), alpha)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(tmp_path_factory.mktemp("explain"))


def rows(file: Path) -> list[dict[str, str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_the_most_wrong_validation_records_are_shown_by_default(
    place: Place, tmp_path: Path
) -> None:
    result = facecrop.explain(place.run.folder, wrong=2, sample=0, out=tmp_path)
    said = pq.read_table(place.run.predictions_file)
    losses = {row["path"]: row["loss"] for row in said.to_pylist() if row["part"] == "val"}
    assert list(result.shown) == sorted(losses, key=lambda path: -losses[path])[:2]
    assert cv2.imread(str(result.sheet)).shape[0] > 400
    assert [row["path"] for row in rows(result.table)] == [result.shown[0]] * 3 + [
        result.shown[1]
    ] * 3


def test_without_alphas_there_is_face_and_outside(place: Place, tmp_path: Path) -> None:
    ended = typed("explain", place.run.folder, "--wrong", 0, "--out", tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "person and background cannot be told apart" in ended.stdout
    result = facecrop.explain(place.run.folder, wrong=0, labels=[*AXES, "class"], out=tmp_path)
    warm = [spread for spread in result.spreads if spread.records]
    assert warm  # a network that has hardly learnt may have no heat for one label, not for all
    for spread in warm:
        # A center crop of 60 x 80 from the 64 x 96 source; the face is 32 x 40 of that.
        assert spread.chance == pytest.approx(
            {"face": 1280 / 4800, "outside": 3520 / 4800}, abs=1e-4
        )
        assert sum(spread.heat.values()) == pytest.approx(1, abs=1e-4)
    assert not (tmp_path / "sheet.png").exists()


def test_with_alphas_heat_is_told_apart_and_set_against_chance(
    place: Place, tmp_path: Path
) -> None:
    place.keep_alphas()
    result = facecrop.explain(
        place.run.folder, records=place.paths[:1], labels=["gender", "class"], out=tmp_path
    )
    assert result.shown == (place.paths[0],)
    assert [spread.question for spread in result.spreads] == ["gender", "class"]
    warm = [spread for spread in result.spreads if spread.records]
    assert warm
    for spread in warm:
        # Of 4,800 pixels 1,280 are face, 48 x 72 person, the face among them.
        chance = {"face": 1280 / 4800, "person": (48 * 72 - 1280) / 4800}
        assert {part: spread.chance[part] for part in chance} == pytest.approx(chance, abs=2e-3)
        assert sum(spread.heat.values()) == pytest.approx(1, abs=1e-4)
    table = rows(result.table)
    assert {row["label"] for row in table} == {"gender", "class"}
    assert sum(row["chosen"] == "True" for row in table) == 2
    for row in table:
        if row["heat_face"]:
            parts = [float(row[f"heat_{part}"]) for part in ("face", "person", "background")]
            assert sum(parts) == pytest.approx(1, abs=1e-4)
            assert row["heat_outside"] == ""


def test_the_same_records_are_drawn_each_time(place: Place, tmp_path: Path) -> None:
    one, other = (
        facecrop.explain(place.run.folder, wrong=0, sample=3, out=tmp_path / name)
        for name in ("a", "b")
    )
    assert one.table.read_bytes() == other.table.read_bytes()


def test_another_dataset_can_be_looked_at(place: Place, tmp_path: Path) -> None:
    result = facecrop.explain(place.run.folder, place.out, wrong=1, sample=100, out=tmp_path)
    assert {row["path"] for row in rows(result.table)} == set(place.paths)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"records": ["nobody.jpg"]}, TableError, "has no record 'nobody.jpg' with a crop"),
        ({"labels": ["race"]}, ConfigError, "no label to explain named 'race'"),
        ({"wrong": 0, "sample": 0}, ConfigError, "nothing to explain"),
    ],
)
def test_what_cannot_be_explained_says_why(
    place: Place, tmp_path: Path, options: dict[str, object], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        facecrop.explain(place.run.folder, out=tmp_path, **options)


def test_a_run_whose_dataset_is_gone_says_so(place: Place, tmp_path: Path) -> None:
    import shutil  # noqa: PLC0415 - this test alone

    alone = tmp_path / "runs" / "tiny"
    shutil.copytree(place.run.folder, alone)
    with pytest.raises(ConfigError, match="is not here any more"):
        facecrop.explain(alone)
