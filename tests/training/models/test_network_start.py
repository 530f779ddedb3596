"""Where first weights come from, and what is said when they are not there."""

from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from facecrop.errors import ConfigError, WeightsError
from facecrop.training.models.build import build_model
from facecrop.training.models.network import SHARED
from facecrop.training.models.trunks import timm_card
from facecrop.training.settings.model import ModelSettings

JOINT = {"joint": 18}
SIZE = (64, 64)


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give each test empty caches of its own; return the hub's."""
    folder = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return folder


def whole(backbone: str) -> dict[str, Tensor]:
    """Return the state of a trained network, with its classifier, as timm's files have it."""
    torch.manual_seed(7)
    model = timm.create_model(backbone, pretrained=False)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return {key: value.contiguous() for key, value in model.state_dict().items()}


def put_in_hub(hub: Path, repository: str, name: str) -> Path:
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("abc")
    snapshot = folder / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    return snapshot / name


def assert_has(trunk: nn.Module, state: dict[str, Tensor]) -> None:
    ours = trunk.state_dict()
    assert ours
    assert all(torch.equal(ours[key], state[key]) for key in ours)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_convnext", "test_vit"])
def test_a_file_of_weights_is_taken_without_its_classifier(
    backbone: str, suffix: str, tmp_path: Path
) -> None:
    state, file = whole(backbone), tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save({"state_dict": state}, file)
    else:
        save_file(state, file)
    settings = ModelSettings(backbone=backbone, weights=str(file))
    size = (160, 160) if backbone == "test_vit" else SIZE
    model = build_model(settings, JOINT, size)
    assert_has(model.trunks[SHARED], state)
    assert model.start == f"file {file}"
    assert "state_dict" not in model.trunks[SHARED].pretrained_cfg, "no second copy is kept"


def test_a_file_for_another_size_has_its_positions_stretched(tmp_path: Path) -> None:
    state, file = whole("test_vit"), tmp_path / "weights.safetensors"
    save_file(state, file)
    settings = ModelSettings(backbone="test_vit", weights=str(file))
    model = build_model(settings, JOINT, (96, 64))
    trunk = model.trunks[SHARED].state_dict()
    assert torch.equal(trunk["blocks.0.attn.qkv.weight"], state["blocks.0.attn.qkv.weight"])
    assert trunk["pos_embed"].shape[1] == 6 * 4 + 1
    assert model(torch.randn(2, 3, 96, 64))["joint"].shape == (2, 18)


def test_a_file_may_have_heads_that_nobody_here_knows(tmp_path: Path) -> None:
    state = whole("test_efficientnet")
    file = tmp_path / "weights.safetensors"
    save_file(state | {"projector.0.weight": torch.ones(3)}, file)
    settings = ModelSettings(backbone="test_efficientnet", weights=str(file))
    assert_has(build_model(settings, JOINT, SIZE).trunks[SHARED], state)


@pytest.mark.parametrize("backbone", ["test_convnext", "small"])
def test_a_file_of_another_network_is_refused(backbone: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(whole("test_efficientnet"), file)
    settings = ModelSettings(backbone=backbone, weights=str(file))
    with pytest.raises(
        WeightsError, match=rf"weights.safetensors is not for {backbone}: "
    ) as error:
        build_model(settings, JOINT, SIZE)
    assert "\n" not in str(error.value)


def test_a_file_that_lacks_a_layer_is_refused(tmp_path: Path) -> None:
    state, file = whole("test_efficientnet"), tmp_path / "weights.safetensors"
    del state["blocks.1.0.conv_exp.weight"]
    save_file(state, file)
    settings = ModelSettings(backbone="test_efficientnet", weights=str(file))
    with pytest.raises(WeightsError, match=r"Missing key.*blocks\.1\.0\.conv_exp\.weight"):
        build_model(settings, JOINT, SIZE)


def test_our_own_trunks_take_files_too(tmp_path: Path) -> None:
    trunk = build_model(ModelSettings(), JOINT, SIZE).trunks[SHARED]
    file = tmp_path / "small.pth"
    torch.save(trunk.state_dict(), file)
    model = build_model(ModelSettings(weights=str(file)), JOINT, SIZE)
    assert_has(model.trunks[SHARED], trunk.state_dict())


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth", "weights.bin"])
@pytest.mark.parametrize("content", [b"", b"not weights at all", b"PK\x03\x04 half a zip"])
def test_a_damaged_file_is_named(name: str, content: bytes, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    settings = ModelSettings(backbone="test_efficientnet", weights=str(file))
    with pytest.raises(WeightsError, match=f"{name} cannot be read as weights") as error:
        build_model(settings, JOINT, SIZE)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], torch.ones(3)], ids=str)
def test_a_file_without_tensors_by_name_is_refused(content: object, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    torch.save(content, file)
    settings = ModelSettings(backbone="test_efficientnet", weights=str(file))
    with pytest.raises(WeightsError, match=r"weights\.pth (holds no tensors|cannot be read)"):
        build_model(settings, JOINT, SIZE)


class Evil:
    """Something that runs when it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("touched-by-weights"),)


def test_a_file_that_would_run_code_is_refused_unrun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": Evil()}, tmp_path / "evil.pth")
    settings = ModelSettings(backbone="test_efficientnet", weights="evil.pth")
    with pytest.raises(WeightsError, match=r"evil\.pth cannot be read as weights"):
        build_model(settings, JOINT, SIZE)
    assert not (tmp_path / "touched-by-weights").exists()


def test_a_missing_file_is_named() -> None:
    with pytest.raises(WeightsError, match=r"there is no file 'nowhere\.pth'"):
        build_model(ModelSettings(weights="nowhere.pth"), JOINT, SIZE)


def test_weights_that_are_not_at_hand_are_said_to_be_missing_with_three_cures() -> None:
    with pytest.raises(WeightsError) as error:
        build_model(ModelSettings(backbone="test_vit"), JOINT, SIZE)
    said = str(error.value)
    assert "no pretrained weights of 'test_vit.r160_in1k' at hand" in said
    for cure in ("model.weights=FILE", "--no-pretrained", "timm.create_model"):
        assert cure in said
    assert "\n" not in said


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_hubs_cache_is_found_offline(hub: Path, name: str) -> None:
    state = whole("test_efficientnet")
    file = put_in_hub(hub, "timm/test_efficientnet.r160_in1k", name)
    save_file(state, file) if name.endswith("tensors") else torch.save(state, file)
    model = build_model(ModelSettings(backbone="test_efficientnet"), JOINT, SIZE)
    assert_has(model.trunks[SHARED], state)
    assert model.start == "timm test_efficientnet.r160_in1k"


def test_torchs_cache_is_found_offline(tmp_path: Path) -> None:
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    state = whole("resnet10t")
    torch.save(state, folder / "resnet10t_176_c3-f3215ab1.pth")
    model = build_model(ModelSettings(backbone="resnet10t"), JOINT, SIZE)
    assert_has(model.trunks[SHARED], state)


def test_nothing_is_looked_for_when_weights_are_about_to_be_loaded() -> None:
    for settings in (
        ModelSettings(backbone="test_vit"),
        ModelSettings(backbone="test_vit", weights="nowhere.pth"),
        ModelSettings(backbone="test_vit", warm_start="gone"),
    ):
        assert build_model(settings, JOINT, SIZE, start=False).start == "random"


def test_a_backbone_that_nobody_trained_starts_at_random() -> None:
    settings = ModelSettings(backbone="test_efficientnet", pretrained=False)
    assert build_model(settings, JOINT, SIZE).start == "random"
    assert not timm_card("efficientnet_b6").has_weights
    assert build_model(ModelSettings(backbone="small"), JOINT, SIZE).start == "random"


def test_a_warm_start_takes_the_trunk_and_leaves_the_heads() -> None:
    run = build_model(ModelSettings(), JOINT, SIZE)
    settings = ModelSettings(
        heads="three-way", neck=(16,), hidden=(8,), freeze=True, warm_start="a"
    )
    model = build_model(settings, {"mask": 3, "gender": 2}, SIZE, warm_start=run.state_dict())
    assert_has(model.trunks[SHARED], run.trunks[SHARED].state_dict())
    assert model.start == "run a"
    assert model.frozen


def test_a_warm_start_of_one_trunk_starts_every_network() -> None:
    run = build_model(ModelSettings(), JOINT, SIZE)
    settings = ModelSettings(heads="separate", warm_start="a")
    model = build_model(settings, {"mask": 3, "gender": 2}, SIZE, warm_start=run.state_dict())
    for trunk in model.trunks.values():
        assert_has(trunk, run.trunks[SHARED].state_dict())


def test_a_warm_start_of_separate_networks_gives_each_its_own() -> None:
    settings = ModelSettings(heads="separate")
    run = build_model(settings, {"mask": 3, "gender": 2}, SIZE)
    warm = settings.model_copy(update={"warm_start": "a"})
    model = build_model(warm, {"gender": 2}, SIZE, warm_start=run.state_dict())
    assert_has(model.trunks["gender"], run.trunks["gender"].state_dict())
    with pytest.raises(ConfigError, match="'a' has networks for gender, mask, none for age_group"):
        build_model(warm, {"age_group": 3}, SIZE, warm_start=run.state_dict())


def test_a_warm_start_from_another_trunk_is_refused() -> None:
    run = build_model(ModelSettings(backbone="plain-cnn"), JOINT, SIZE)
    settings = ModelSettings(warm_start="a")
    with pytest.raises(ConfigError, match="the trunk of run 'a' is no small") as error:
        build_model(settings, JOINT, SIZE, warm_start=run.state_dict())
    assert "\n" not in str(error.value)
