"""Where the first weights of a trunk come from: a file, timm's cache, or another run.

Nothing is ever fetched: a training that was started on a train, in a container or on a cluster node
must not wait for a network, and the same command must not give other weights tomorrow.
"""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import torch
from huggingface_hub import try_to_load_from_cache
from safetensors import SafetensorError
from timm.models import PretrainedCfg, load_state_dict
from torch import Tensor, nn

from facecrop.errors import ConfigError, WeightsError
from facecrop.training.models.network import SHARED
from facecrop.training.models.trunks import OWN, first_fault, timm_card
from facecrop.training.settings.model import ModelSettings

# What the hub's folder of a timm model holds, in the order in which timm prefers them.
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_DAMAGED = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    EOFError,
    pickle.UnpicklingError,
    SafetensorError,
)


@dataclass(frozen=True)
class First:
    """Weights that a trunk starts from.

    Args:
        origin: Where they came from, in words.
        state: As they were saved, before timm adapts them to the input size and our heads.
    """

    origin: str
    state: dict[str, Tensor]


def first_state(settings: ModelSettings) -> First | None:
    """Read the weights that settings ask for; None: none were, or nobody has trained this one.

    Raises:
        ConfigError: There is no such backbone.
        WeightsError: The file is missing or damaged, or timm's cache does not have them.
    """
    if settings.weights is not None:
        return First(f"file {settings.weights}", _read(Path(settings.weights)))
    if not settings.pretrained or settings.backbone in OWN:
        return None
    card = timm_card(settings.backbone)
    if not card.has_weights:
        return None
    file = cached(card)
    name = f"{card.architecture}.{card.tag}" if card.tag else card.architecture
    if file is None:
        raise WeightsError(
            f"no pretrained weights of {name!r} at hand: give a file (--set model.weights=FILE), "
            "or start from random ones (--no-pretrained), or fill timm's cache where there is a "
            f"network (python -c \"import timm; timm.create_model('{name}', pretrained=True)\")"
        )
    return First(f"timm {name}", _read(file))


def cached(card: PretrainedCfg) -> Path | None:
    """Return the file that timm would load, if it lies in one of its two caches already."""
    if card.hf_hub_id:
        for name in _HUB_FILES:
            found = try_to_load_from_cache(card.hf_hub_id, name)
            if isinstance(found, str):  # else: not there, or known not to exist
                return Path(found)
    if isinstance(card.url, str) and not card.custom_load:
        file = Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(card.url).path).name
        return file if card.url and file.is_file() else None
    return None


def load_trunk(
    trunk: nn.Module, run: Mapping[str, Tensor], network: str, settings: ModelSettings
) -> None:
    """Give a trunk the weights that the trunk of a run's model has.

    Args:
        trunk: What is about to be trained.
        run: `Model.state_dict()` of that run.
        network: Name of the trunk's network. A run with one network for all outputs gives its trunk
            to every network; one with a network for each gives each its own.
        settings: Names the run and the backbone, for messages.

    Raises:
        ConfigError: The run has another trunk, or none for this network.
    """
    names = {key.split(".")[1] for key in run}
    name = SHARED if SHARED in names else network
    if name not in names:
        raise ConfigError(
            f"model.warm_start: run {settings.warm_start!r} has networks for "
            f"{', '.join(sorted(names))}, none for {network}"
        )
    prefix = f"networks.{name}.trunk."
    state = {key.removeprefix(prefix): run[key] for key in run if key.startswith(prefix)}
    try:
        trunk.load_state_dict(state)
    except RuntimeError as error:
        raise ConfigError(
            f"model.warm_start: the trunk of run {settings.warm_start!r} is no "
            f"{settings.backbone} as it is set up here: {first_fault(error)}"
        ) from None


def _read(file: Path) -> dict[str, Tensor]:
    if not file.is_file():
        raise WeightsError(f"model.weights: there is no file {str(file)!r}")
    try:
        # Only tensors are read: a file of weights must not run code.
        state = load_state_dict(str(file), use_ema=True, device="cpu", weights_only=True)
    except _DAMAGED as error:
        raise WeightsError(
            f"{file} cannot be read as weights (safetensors or torch): {first_fault(error)}"
        ) from None
    tensors = {key: value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise WeightsError(f"{file} holds no tensors: it must be a state of a network")
    return tensors
