"""What every network must do, whatever its trunk and heads."""

from functools import cache

import pytest
import torch
from torch import nn

from facecrop.errors import ConfigError
from facecrop.training.models.build import build_model, input_size
from facecrop.training.models.heat import grad_cam_layer, spatial
from facecrop.training.models.network import SHARED, Model
from facecrop.training.models.trunks import OWN, features_width
from facecrop.training.settings.model import ModelSettings

AXES = {"mask": 3, "gender": 2, "age_group": 3}
SIZE = (64, 32)

# One of each family of the presets, as small as timm has it.
BACKBONES = [
    *OWN,
    "resnet10t",
    "test_efficientnet",
    "test_convnext",
    "test_vit",
    "swin_tiny_patch4_window7_224",
]


@cache
def a_model(backbone: str, heads: str = "three-way") -> Model:
    torch.manual_seed(0)
    settings = ModelSettings(backbone=backbone, pretrained=False, heads=heads, hidden=(8,))
    return build_model(settings, AXES if heads != "one-way" else {"joint": 18}, SIZE)


@pytest.fixture(params=BACKBONES)
def model(request: pytest.FixtureRequest) -> Model:
    made = a_model(request.param)
    made.set_frozen(False)
    return made.eval()


def pictures(n: int = 3) -> torch.Tensor:
    return torch.randn(n, 3, *SIZE, generator=torch.Generator().manual_seed(1))


def test_every_head_says_its_width_for_each_picture(model: Model) -> None:
    with torch.no_grad():
        said = model(pictures())
    assert {name: tuple(output.shape) for name, output in said.items()} == {
        name: (3, width) for name, width in AXES.items()
    }
    assert all(output.isfinite().all() for output in said.values())


def test_pictures_do_not_see_each_other_when_evaluated(model: Model) -> None:
    with torch.no_grad():
        together, alone = model(pictures()), model(pictures()[1:2])
    for name in AXES:
        torch.testing.assert_close(together[name][1:2], alone[name], rtol=1e-3, atol=1e-5)
        assert (together[name][0] - together[name][1]).abs().max() > 0


def test_features_are_as_wide_as_the_heads_believe(model: Model) -> None:
    trunk = model.trunks[SHARED]
    with torch.no_grad():
        assert trunk(pictures(1)).shape == (1, features_width(trunk))


def test_the_last_maps_have_places_and_a_gradient_at_each(model: Model) -> None:
    trunk, seen = model.trunks[SHARED], []
    handle = grad_cam_layer(trunk).register_forward_hook(lambda _, __, out: seen.append(out))
    said = model(pictures())
    handle.remove()
    asked = sum(values[:, 0].sum() for values in said.values())
    slope = torch.autograd.grad(asked, seen[0])[0]
    maps, slopes = spatial(trunk, seen[0]), spatial(trunk, slope)
    assert maps.shape == slopes.shape
    assert maps.shape[0] == 3
    assert maps.shape[2] == 2 * maps.shape[3], "maps are as the picture is, twice as high as wide"
    assert (slopes.abs().sum(dim=1) > 0).all()


def test_tokens_become_maps_row_by_row_without_the_class_token() -> None:
    trunk = a_model("test_vit").trunks[SHARED]
    tokens = torch.tensor([-1.0, *range(4 * 2)]).view(1, 9, 1)
    assert spatial(trunk, tokens).tolist() == [[[[0, 1], [2, 3], [4, 5], [6, 7]]]]


def test_swins_channels_come_first() -> None:
    trunk = a_model("swin_tiny_patch4_window7_224").trunks[SHARED]
    assert spatial(trunk, torch.zeros(1, 4, 2, 5)).shape == (1, 5, 4, 2)


def test_a_trunk_without_places_has_nothing_to_show() -> None:
    with pytest.raises(ConfigError, match="Linear has no maps that Grad-CAM could show"):
        grad_cam_layer(nn.Linear(2, 2))


def test_a_frozen_trunk_neither_learns_nor_follows_the_batch(model: Model) -> None:
    model.set_frozen(True)
    model.train()
    before = {key: value.clone() for key, value in model.trunks[SHARED].state_dict().items()}
    sum(output.square().sum() for output in model(pictures(4)).values()).backward()
    after = model.trunks[SHARED].state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert all(parameter.grad is None for parameter in model.trunks[SHARED].parameters())
    heads = model.networks[SHARED].heads
    assert all(parameter.grad is not None for parameter in heads.parameters())
    assert heads.training
    assert not any(module.training for module in model.trunks[SHARED].modules())
    model.zero_grad()


def test_a_trunk_learns_again_when_it_is_let(model: Model) -> None:
    model.set_frozen(True)
    model.set_frozen(False)
    model.train()
    sum(output.square().sum() for output in model(pictures(4)).values()).backward()
    trunk = model.trunks[SHARED]
    assert trunk.training
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in trunk.parameters())
    model.zero_grad()


def test_separate_heads_are_whole_networks_that_share_nothing() -> None:
    model = a_model("small", "separate")
    assert list(model.trunks) == list(AXES)
    model.train()
    model(pictures(4))["gender"].square().sum().backward()
    learnt = {name.split(".")[1] for name, p in model.named_parameters() if p.grad is not None}
    assert learnt == {"gender"}
    model.zero_grad()


def test_one_way_is_one_linear_layer_behind_the_trunk() -> None:
    settings = ModelSettings(pretrained=False)
    model = build_model(settings, {"joint": 18}, SIZE)
    head = model.networks[SHARED].heads["joint"]
    assert [type(layer) for layer in head] == [nn.Linear]
    assert model(pictures())["joint"].shape == (3, 18)


def test_heads_have_the_layers_that_report_003_describes() -> None:
    settings = ModelSettings(pretrained=False, heads="three-way", hidden=(512,), dropout=0.5)
    model = build_model(settings, AXES, SIZE)
    for name, width in AXES.items():
        linear, norm, relu, dropout, last = model.networks[SHARED].heads[name]
        assert isinstance(norm, nn.BatchNorm1d)
        assert isinstance(relu, nn.ReLU)
        assert isinstance(dropout, nn.Dropout)
        assert dropout.p == 0.5
        assert (linear.out_features, last.in_features, last.out_features) == (512, 512, width)


def test_a_neck_is_shared_and_heads_begin_where_it_ends() -> None:
    settings = ModelSettings(pretrained=False, heads="three-way", neck=(32, 16), hidden=(8,))
    network = build_model(settings, AXES, SIZE).networks[SHARED]
    assert [layer.out_features for layer in network.neck if isinstance(layer, nn.Linear)] == [
        32,
        16,
    ]
    assert all(head[0].in_features == 16 for head in network.heads.values())


def test_without_norm_there_is_none_and_linear_layers_have_biases() -> None:
    settings = ModelSettings(
        pretrained=False, heads="three-way", hidden=(500, 100), norm=False, dropout=0
    )
    head = build_model(settings, AXES, SIZE).networks[SHARED].heads["mask"]
    kinds = [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert [type(layer) for layer in head] == kinds
    assert head[0].bias is not None


@pytest.mark.parametrize(
    ("neck", "hidden", "dropouts"), [((), (), 1), ((8,), (), 1), ((), (8, 8), 2)]
)
def test_dropout_is_never_twice_in_a_row(
    neck: tuple[int, ...], hidden: tuple[int, ...], dropouts: int
) -> None:
    settings = ModelSettings(pretrained=False, neck=neck, hidden=hidden, dropout=0.3)
    network = build_model(settings, {"joint": 18}, SIZE).networks[SHARED]
    way = [*network.neck, *network.heads["joint"]]
    assert sum(isinstance(layer, nn.Dropout) for layer in way) == dropouts
    assert isinstance(way[-2], nn.Dropout)


def test_freeze_settings_begin_frozen() -> None:
    outputs = {"joint": 18}
    for settings in (ModelSettings(freeze=True), ModelSettings(freeze_epochs=2)):
        assert build_model(settings, outputs, SIZE).frozen
    assert not build_model(ModelSettings(), outputs, SIZE).frozen


@pytest.mark.parametrize(
    ("backbone", "size"),
    [
        ("small", (112, 112)),
        ("plain-cnn", (128, 96)),
        ("vit_base_patch16_384", (384, 384)),
        ("swin_large_patch4_window7_224", (224, 224)),
        ("swin_large_patch4_window12_384", (384, 384)),
        ("efficientnet_b4", (320, 320)),
        ("tf_efficientnet_b4", (380, 380)),
        ("convnext_small.fb_in22k", (224, 224)),
    ],
)
def test_the_size_is_the_backbones_own(backbone: str, size: tuple[int, int]) -> None:
    assert input_size(ModelSettings(backbone=backbone)) == size


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (
            "efficientnet_b44",
            "no backbone named 'efficientnet_b44'. Did you mean 'efficientnet_b4'?",
        ),
        ("smal", "Did you mean 'small'?"),
        ("hf-hub:timm/resnet18.a1_in1k", "no backbone named 'hf-hub:timm/resnet18.a1_in1k'"),
        ("resnet18.nobody", "timm has no weights 'nobody' of 'resnet18': choose from: a1_in1k"),
    ],
)
def test_an_unknown_backbone_is_refused_with_what_is_near(backbone: str, message: str) -> None:
    settings = ModelSettings(backbone=backbone, pretrained=False)
    for refused in (lambda: input_size(settings), lambda: build_model(settings, AXES, SIZE)):
        with pytest.raises(ConfigError) as error:
            refused()
        assert message in str(error.value)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("backbone", ["plain-cnn", "densenet121"])
def test_stochastic_depth_is_refused_where_there_is_none(backbone: str) -> None:
    settings = ModelSettings(backbone=backbone, pretrained=False, drop_path=0.1)
    with pytest.raises(ConfigError, match=f"{backbone} has no stochastic depth"):
        build_model(settings, AXES, SIZE)


@pytest.mark.parametrize("backbone", ["small", "test_vit"])
def test_stochastic_depth_drops_in_training_alone(backbone: str) -> None:
    torch.manual_seed(3)
    settings = ModelSettings(backbone=backbone, pretrained=False, drop_path=0.9)
    trunk = build_model(settings, {"joint": 18}, SIZE).trunks[SHARED]
    for name, parameter in trunk.named_parameters():
        if name.endswith("convs.4.weight"):  # blocks of `small` begin as their way past
            nn.init.ones_(parameter)
    # In evaluation mode but for the drops, so that batch norm makes no difference.
    trunk.eval()
    whole = trunk(pictures())
    drops = [module for module in trunk.modules() if "DropPath" in type(module).__name__]
    assert drops
    for module in drops:
        module.train()
    torch.manual_seed(4)
    assert not torch.allclose(trunk(pictures()), whole)


def test_the_same_seed_gives_the_same_random_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(build_model(ModelSettings(), {"joint": 18}, SIZE).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
