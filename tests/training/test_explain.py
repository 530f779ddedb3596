"""Where networks look: the maps, how heat is spread over face, person and background, the sheet."""

import csv
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from program import typed
from small_run import small_dataset, small_run
from torch import Tensor, nn

import facecrop
from facecrop.config import toml_text
from facecrop.errors import ConfigError, TableError
from facecrop.images.choose.plan import Plan
from facecrop.images.frames import Box
from facecrop.images.render import Render, Resize, render
from facecrop.index import INDEX_SCHEMA, read_table, write_table
from facecrop.labels.ages import OFFICIAL
from facecrop.training.crops import as_input
from facecrop.training.explain.gradcam import grad_cam, questions
from facecrop.training.explain.heat import Geometry, Places, cover
from facecrop.training.explain.sheet import Look, Shown, draw_sheet, overlay
from facecrop.training.models.build import build_model
from facecrop.training.models.network import Model, Network
from facecrop.training.settings import TrainSettings
from facecrop.training.task import Task

SIZE = (64, 32)
AXES = ("mask", "gender", "age_group")
BACKBONES = [
    "small",
    "plain-cnn",
    "resnet10t",
    "test_efficientnet",
    "test_convnext",
    "test_vit",
    "swin_tiny_patch4_window7_224",
]
HEADS = [
    ("one-way", "classes"),
    ("three-way", "classes"),
    ("three-way", "distribution"),
    ("three-way", "coral"),
    ("three-way", "regression"),
    ("separate", "classes"),
]


@cache
def asked(backbone: str, heads: str = "three-way", age: str = "classes") -> tuple[Model, Task]:
    torch.manual_seed(0)
    loss = {"regression": "smooth-l1", "coral": "ordinal"}.get(age)
    settings = TrainSettings.model_validate(
        {
            "model": {"backbone": backbone, "pretrained": False, "heads": heads, "age": age},
            "loss": {"age_group": [{"name": loss}]} if loss else {},
        }
    )
    task = Task(settings, OFFICIAL, AXES)
    model = build_model(settings.model, task.outputs, SIZE)
    return model.requires_grad_(requires_grad=False).eval(), task


def pictures(n: int = 2, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(n, 3, *size, generator=torch.Generator().manual_seed(1))


# The maps


class Lens(nn.Module):
    """A trunk whose maps are the picture itself, and whose features are their means."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Identity()
        self.feature_info = [{"module": "maps"}]

    def forward(self, images: Tensor) -> Tensor:
        means: Tensor = self.maps(images).mean(dim=(2, 3))
        return means


def lens(weight: Tensor, bias: Tensor | None = None) -> tuple[Model, Task]:
    """Return a network that tells gender from the mean colour by known weights, (2, 3)."""
    task = Task(TrainSettings(axes=("gender",)), OFFICIAL, ("gender",))
    head = nn.Linear(3, 2)
    with torch.no_grad():
        head.weight.copy_(weight)
        head.bias.copy_(torch.zeros(2) if bias is None else bias)
    return Model({"shared": Network(Lens(), nn.Sequential(), {"joint": head})}), task


def test_heat_is_where_the_channels_that_speak_for_the_answer_are_bright() -> None:
    """Selvaraju 2017, equations 1 and 2, where everything is known."""
    weight = torch.tensor([[0.0, 0.0, 0.0], [2.0, -1.0, 0.0]])
    model, task = lens(weight)
    images = torch.rand(4, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    heat, _ = grad_cam(model, task, images, "gender", torch.ones(4, dtype=torch.int64))
    expected = (2 * images[:, 0] - images[:, 1]).relu()
    torch.testing.assert_close(heat, expected / expected.sum(dim=(1, 2), keepdim=True))


def test_what_speaks_for_one_answer_speaks_against_the_other() -> None:
    model, task = lens(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]))
    images = torch.zeros(1, 3, 4, 4)
    images[0, 0, :2], images[0, 1, 2:] = 1, 1  # red above, green below
    male, _ = grad_cam(model, task, images, "gender", torch.tensor([0]))
    female, _ = grad_cam(model, task, images, "gender", torch.tensor([1]))
    assert male[0, :2].sum() == pytest.approx(1)
    assert female[0, 2:].sum() == pytest.approx(1)


def test_a_network_that_is_sure_still_has_heat_and_where_it_was() -> None:
    """The gradient of a probability would have vanished."""
    weight = torch.tensor([[0.0, 0.0, 0.0], [2.0, -1.0, 0.0]])
    images = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    one, other = (grad_cam(*lens(weight * scale), images, "gender")[0] for scale in (1, 1e4))
    torch.testing.assert_close(one, other)
    shifted, _ = grad_cam(*lens(weight, torch.tensor([1e3, 1e3])), images, "gender")
    torch.testing.assert_close(one, shifted)


def test_where_nothing_speaks_for_the_answer_there_is_no_heat() -> None:
    model, task = lens(torch.tensor([[0.0, 0, 0], [-1.0, -1, -1]]))
    heat, _ = grad_cam(model, task, torch.ones(1, 3, 4, 4), "gender", torch.tensor([1]))
    assert heat.abs().max() == 0


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_has_a_map_of_the_size_of_the_picture(backbone: str) -> None:
    model, task = asked(backbone)
    heat, answer = grad_cam(model, task, pictures(), "gender")
    assert heat.shape == (2, *SIZE)
    assert len(answer) == 2
    assert (heat >= 0).all()
    sums = heat.sum(dim=(1, 2))
    assert (((sums - 1).abs() < 1e-4) | (sums == 0)).all()
    # Of both answers one at least has heat: what speaks against one speaks for the other.
    both = [grad_cam(model, task, pictures(), "gender", torch.tensor([n] * 2))[0] for n in (0, 1)]
    assert (both[0] + both[1]).flatten(1).sum(dim=1).min() > 0.9


@pytest.mark.parametrize("backbone", BACKBONES)
def test_pictures_do_not_see_each_other(backbone: str) -> None:
    model, task = asked(backbone)
    together, _ = grad_cam(model, task, pictures(), "age_group")
    alone, _ = grad_cam(model, task, pictures()[1:], "age_group")
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize(("heads", "age"), HEADS, ids=["-".join(one) for one in HEADS])
def test_every_head_can_be_asked_about_each_label_and_all(heads: str, age: str) -> None:
    model, task = asked("small", heads, age)
    assert questions(task) == (*AXES, "class")
    for question in questions(task):
        words = 18 if question == "class" else len(dict(task.space.axes)[question])
        heats = [
            grad_cam(model, task, pictures(), question, torch.full((2,), number))[0]
            for number in range(words)
        ]
        assert all(heat.isfinite().all() for heat in heats)
        assert torch.stack(heats).sum(dim=(0, 2, 3)).min() > 0.9


def test_a_label_with_a_network_of_its_own_is_explained_by_that_alone() -> None:
    model, task = asked("small", "separate")
    images = pictures(2, (128, 160))  # so large that the last maps have several places
    before, _ = grad_cam(model, task, images, "gender")
    other, _ = asked.__wrapped__("small", "separate")
    with torch.no_grad():
        for name in ("mask", "age_group"):
            for values in other.networks[name].parameters():
                values.mul_(2)
    after, _ = grad_cam(other, task, images, "gender")
    torch.testing.assert_close(before, after)
    whole, _ = grad_cam(model, task, images, "class")
    assert not torch.allclose(before, whole)


def test_a_model_is_left_as_it_was() -> None:
    model, task = asked("small")
    images = pictures()
    with torch.no_grad():
        before = model(images)["gender"]
    model.train()
    grad_cam(model, task, images, "mask")
    assert model.training
    model.eval()
    with torch.no_grad():
        after = model(images)["gender"]
    assert torch.equal(before, after)
    assert all(values.grad is None for values in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())  # noqa: SLF001 - no public way to ask
    assert not images.requires_grad


def test_heat_lies_where_a_shortcut_was_planted() -> None:
    """A mark in a corner, far from the middle, tells the gender: a trained network looks there."""
    torch.manual_seed(0)
    task = Task(TrainSettings(axes=("gender",)), OFFICIAL, ("gender",))
    trunk = Lens()
    trunk.maps = nn.Sequential(nn.Conv2d(3, 16, 6, 4), nn.ReLU(), nn.Conv2d(16, 16, 1), nn.ReLU())
    model = Model({"shared": Network(trunk, nn.Sequential(), {"joint": nn.Linear(16, 2)})})
    optimiser = torch.optim.Adam(model.parameters(), 1e-2)
    mark = torch.zeros(48, 48)
    mark[36:46, 2:12] = 1
    for _ in range(40):
        images, gender = _marked(mark, 32)
        loss = nn.functional.cross_entropy(model(images)["joint"], gender)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    images, gender = _marked(mark, 32)
    heat, answer = grad_cam(model, task, images, "gender")
    assert (answer.joint == gender).float().mean() > 0.9
    near = cover(np.array([0, 0.65, 0.35, 1.0]), (48, 48))  # the mark, and as much as a map blurs
    shares = [Places(near, None).shares(one.numpy()) for one in heat[gender == 1]]
    assert np.mean([one["face"] for one in shares]) > 4 * near.mean()


def _marked(mark: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return noise, in half of which a mark was planted, and which half."""
    gender = torch.arange(count) % 2
    images = torch.randn(count, 3, *mark.shape)
    return images + 3 * mark * gender.view(-1, 1, 1, 1), gender


def test_an_unknown_question_is_refused() -> None:
    with pytest.raises(ConfigError, match="no label 'race' to explain; choose from: mask, gender"):
        grad_cam(*asked("small"), pictures(), "race")


# How heat is spread

maps = hnp.arrays(np.float32, (6, 5), elements=st.floats(0, 1, width=32))


@given(maps, maps, maps)
def test_shares_sum_to_one(
    heat: NDArray[np.float32], face: NDArray[np.float32], person: NDArray[np.float32]
) -> None:
    shares = Places(face, person).shares(heat)
    if heat.sum() == 0:
        assert shares == {}
        return
    assert list(shares) == ["face", "person", "background"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert min(shares.values()) >= -1e-5
    outside = Places(face, None).shares(heat)["outside"]
    assert outside == pytest.approx(shares["person"] + shares["background"], abs=1e-5)


def test_heat_counts_where_it_lies() -> None:
    face, person = np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32)
    face[:2], person[:3] = 1, 1  # the face is a part of the person
    places = Places(face, person)
    assert places.areas() == pytest.approx({"face": 0.5, "person": 0.25, "background": 0.25})
    for row, part in ((0, "face"), (2, "person"), (3, "background")):
        heat = np.zeros((4, 4), np.float32)
        heat[row, 1] = 0.3
        assert places.shares(heat)[part] == pytest.approx(1)


def test_where_the_face_is_unknown_nothing_is_said() -> None:
    places = Places(None, np.ones((2, 2), np.float32))
    assert (places.shares(np.ones((2, 2), np.float32)), places.areas()) == ({}, {})


@given(hnp.arrays(np.float64, 4, elements=st.floats(0, 1)))
def test_a_cover_has_the_area_of_its_box(box: NDArray[np.float64]) -> None:
    x0, x1, y0, y1 = sorted(box[:2]) + sorted(box[2:])
    covered = cover(np.array([x0, y0, x1, y1]), (7, 5))
    assert covered.mean() == pytest.approx((x1 - x0) * (y1 - y0), abs=1e-6)
    assert covered.max() <= 1 + 1e-6


CUTS = {
    "whole": (Box(0, 0, 90, 120), 0.0),
    "inside": (Box(20, 10, 70, 85), 0.0),
    "beyond": (Box(-20, -10, 100, 95), 0.0),
    "turned": (Box(15, 20, 75, 100), 17.0),
    "turned back": (Box(15, 20, 75, 100), -25.0),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("mode", ["none", "stretch", "fit-pad"])
@pytest.mark.parametrize("center", [None, (50, 40)], ids=["all", "centre"])
def test_an_alpha_is_laid_where_the_crop_shows_its_person(
    tmp_path: Path, cut: str, mode: str, center: tuple[int, int] | None
) -> None:
    """What is painted white in the source must be where the alpha, which is the same, comes to."""
    box, rotation = CUTS[cut]
    alpha = np.zeros((120, 90), np.uint8)
    cv2.ellipse(alpha, (48, 55), (22, 34), 20, 0, 360, 255, -1, cv2.LINE_AA)
    size = None if mode == "none" else Resize(size=(72, 64), mode=mode)
    settings = Render(resize=size)
    plan = Plan("ok", crop=box, rotation=rotation)
    crop = render(np.repeat(alpha[..., None], 3, axis=2), plan, None, settings)
    painted = as_input(crop, (48, 40), center)[..., 0] / 255
    row = {"width": 90, "height": 120, "rotation": rotation}
    row |= dict(
        zip(("crop_x0", "crop_y0", "crop_x1", "crop_y1"), map(int, box.corners), strict=True)
    )
    geometry = placed(tmp_path, row, settings, crop.shape[:2], (48, 40), center)
    laid = geometry.places(0, alpha).person
    assert laid is not None
    assert np.abs(laid - painted).mean() < 0.02
    assert np.abs(laid.sum() - painted.sum()) < 0.03 * painted.sum()
    smaller = cv2.resize(alpha, (45, 60), interpolation=cv2.INTER_AREA)
    at_half = geometry.places(0, np.asarray(smaller, np.uint8)).person
    assert at_half is not None
    assert np.abs(at_half - painted).mean() < 0.03


@pytest.mark.parametrize("mode", ["none", "stretch", "fit-pad"])
@pytest.mark.parametrize("center", [None, (50, 40)], ids=["all", "centre"])
def test_a_face_lies_where_the_crop_shows_it(
    tmp_path: Path, mode: str, center: tuple[int, int] | None
) -> None:
    face = Box(30, 25, 62, 70)
    image = np.zeros((120, 90, 3), np.uint8)
    image[25:70, 30:62] = 255
    settings = Render(resize=None if mode == "none" else Resize(size=(72, 64), mode=mode))
    crop = render(image, Plan("ok", crop=Box(10, 5, 80, 100)), None, settings)
    painted = as_input(crop, (48, 40), center)[..., 0] / 255
    row = {"width": 90, "height": 120, "rotation": 0.0}
    row |= {"crop_x0": 10, "crop_y0": 5, "crop_x1": 80, "crop_y1": 100}
    row |= {
        f"face_{side}": value
        for side, value in zip(("x0", "y0", "x1", "y1"), face.corners, strict=True)
    }
    covered = placed(tmp_path, row, settings, crop.shape[:2], (48, 40), center).places(0, None).face
    assert covered is not None
    assert np.abs(covered - painted).mean() < 0.02


def placed(  # noqa: PLR0917 - from the source to the input, in order
    out: Path,
    row: dict[str, float],
    settings: Render,
    crop: tuple[int, ...],
    size: tuple[int, int],
    center: tuple[int, int] | None,
) -> Geometry:
    resize = settings.resize
    card = (
        {} if resize is None else {"recipe": {"render": {"resize": resize.model_dump(mode="json")}}}
    )
    (out / "dataset.toml").write_text(toml_text(card))
    columns = {name: [row.get(name)] for name in INDEX_SCHEMA.names}
    index = pa.table(columns, schema=INDEX_SCHEMA)
    return Geometry(index, out, np.array([crop[:2]]), size, center)


# The sheet


def test_a_sheet_shows_each_record_with_each_of_its_maps() -> None:
    picture = np.full((40, 30, 3), 90, np.uint8)
    heat = np.zeros((40, 30), np.float32)
    heat[10:20, 10:20] = 1
    record = Shown(
        picture,
        np.array([0.2, 0.2, 0.8, 0.8], np.float32),
        ("a.jpg",),
        (Look(heat, ("x", "y")),) * 2,
    )
    one, two = draw_sheet([record], "title"), draw_sheet([record] * 2, "title")
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] > one.shape[0]
    wider = draw_sheet([Shown(picture, None, (), (Look(heat, ()),) * 3)], "title")
    assert wider.shape[1] > one.shape[1]


def test_heat_is_warm_and_its_absence_cold_or_gray() -> None:
    picture = np.full((4, 4, 3), 128, np.uint8)
    heat = np.zeros((4, 4), np.float32)
    heat[0, 0] = 2
    laid = overlay(picture, heat).astype(int)
    assert laid[0, 0, 0] > laid[0, 0, 2] + 30  # red above blue
    assert laid[3, 3, 2] > laid[3, 3, 0]
    assert (overlay(picture, np.zeros((4, 4), np.float32)) == 128).all()


# The command


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
