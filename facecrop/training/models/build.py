"""From settings to a network that is ready to be trained, or to be given its weights."""

from collections.abc import Mapping

from torch import Tensor, nn

from facecrop.training.models.heads import branch, hidden_layers
from facecrop.training.models.network import SHARED, Model, Network
from facecrop.training.models.start import first_state, load_trunk
from facecrop.training.models.trunks import build_trunk, features_width, input_size
from facecrop.training.settings.model import ModelSettings

__all__ = ["build_model", "input_size"]


def build_model(
    settings: ModelSettings,
    outputs: Mapping[str, int],
    size: tuple[int, int],
    *,
    warm_start: Mapping[str, Tensor] | None = None,
    start: bool = True,
) -> Model:
    """Build the network of a training, on the CPU; random weights come from torch's generator.

    Args:
        settings: Trunk and heads.
        outputs: Width of each output, by its name (`Task.outputs`).
        size: Height and width of the pictures it will see.
        warm_start: `Model.state_dict()` of the run that `settings.warm_start` names.
        start: Give the trunks their first weights; False: all stay random, as they are about to be
            loaded (resume, predict), and no file is looked for.

    Raises:
        ConfigError: There is no such backbone, it cannot have this size or setting, or the run of
            the warm start has another trunk.
        WeightsError: Weights were asked for that are not here, damaged, or of another network.
    """
    if start and settings.warm_start is not None and warm_start is None:
        raise ValueError("settings.warm_start needs the state of that run's model")
    alone = settings.heads == "separate"
    groups = {name: {name: width} for name, width in outputs.items()} if alone else {}
    first = first_state(settings) if start and settings.warm_start is None else None
    networks, origin = {}, first.origin if first else "random"
    for name, own in (groups or {SHARED: dict(outputs)}).items():
        trunk = build_trunk(settings, size, first.state if first else None)
        if start and warm_start is not None:
            origin = f"run {settings.warm_start}"
            load_trunk(trunk, warm_start, name, settings)
        networks[name] = _network(trunk, own, settings)
    model = Model(networks, origin)
    model.set_frozen(settings.freeze or settings.freeze_epochs > 0)
    return model


def _network(trunk: nn.Module, outputs: Mapping[str, int], settings: ModelSettings) -> Network:
    width = features_width(trunk)
    neck = hidden_layers(width, settings.neck, settings)
    width = settings.neck[-1] if settings.neck else width
    return Network(
        trunk,
        neck,
        {name: branch(name, width, outputs[name], settings) for name in outputs},
    )
