"""Grad-CAM: the maps of where networks look, of every backbone and head."""

from functools import cache

import numpy as np
import pytest
import torch
from made_tasks import AXES
from torch import Tensor, nn

from facecrop.errors import ConfigError
from facecrop.labels.ages import OFFICIAL
from facecrop.training.explain.gradcam import grad_cam, questions
from facecrop.training.explain.heat import Places, cover
from facecrop.training.models.build import build_model
from facecrop.training.models.network import Model, Network
from facecrop.training.settings import TrainSettings
from facecrop.training.task import Task

SIZE = (64, 32)

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
