"""Trunks: our own by name, and every model of timm, without its classifier."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

import timm
from timm.models import PretrainedCfg, get_pretrained_cfg, is_model, split_model_name_tag
from torch import Tensor, nn

from facecrop.errors import ConfigError, WeightsError
from facecrop.training.models.plain_cnn import PlainCnn
from facecrop.training.models.small import SmallTrunk
from facecrop.training.settings.model import ModelSettings

OWN: dict[str, type[SmallTrunk] | type[PlainCnn]] = {
    "small": SmallTrunk,
    "plain-cnn": PlainCnn,
}

_LINE = 160


def input_size(settings: ModelSettings) -> tuple[int, int]:
    """Return the height and width that the backbone was made for, without building it.

    Raises:
        ConfigError: There is no such backbone.
    """
    own = OWN.get(settings.backbone)
    if own is not None:
        return own.input_size
    _, height, width = timm_card(settings.backbone).input_size
    return height, width


def timm_card(name: str) -> PretrainedCfg:
    """Return what timm knows of a model: input size, weights, name of its classifier.

    Args:
        name: `efficientnet_b4`, or with the tag of its weights, `convnext_small.fb_in22k`.

    Raises:
        ConfigError: timm has no such model, or no such weights of it.
    """
    architecture, tag = split_model_name_tag(name)
    if ":" in name or "/" in name or not is_model(architecture):
        near = get_close_matches(architecture, [*OWN, *timm.list_models()], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ConfigError(
            f"no backbone named {name!r}.{hint} Choose {', '.join(OWN)}, or any model of timm: "
            'python -c "import timm; print(timm.list_models())"'
        )
    try:
        card = get_pretrained_cfg(name)
    except RuntimeError:
        tags = [n.partition(".")[2] for n in timm.list_pretrained(f"{architecture}.*")]
        known = f"choose from: {', '.join(tags)}" if tags else "leave the tag out"
        raise ConfigError(f"timm has no weights {tag!r} of {architecture!r}: {known}") from None
    # A handful of timm's models have no card: they get timm's defaults.
    return card if card is not None else PretrainedCfg(architecture=architecture)


def build_trunk(
    settings: ModelSettings, size: tuple[int, int], state: Mapping[str, Tensor] | None
) -> nn.Module:
    """Build a trunk: normalised pictures (N, 3, H, W) to features (N, D).

    Args:
        settings: Backbone and stochastic depth.
        size: Height and width of the pictures; transformers are built for one size.
        state: First weights, as they were saved; None: random ones.

    Raises:
        ConfigError: There is no such backbone, or it cannot have this size or setting.
        WeightsError: The weights are those of another network.
    """
    own = OWN.get(settings.backbone)
    if own is None:
        return _timm_trunk(settings, size, state)
    trunk = _own_trunk(own, settings)
    if state is not None:
        try:
            trunk.load_state_dict(state)
        except RuntimeError as error:
            raise _misfit(settings, error) from None
    return trunk


def features_width(trunk: nn.Module) -> int:
    """Return D, the width of what a trunk says of a picture."""
    # Some of timm's models have a layer between the pooled maps and the classifier.
    width: Any = getattr(trunk, "head_hidden_size", None) or trunk.num_features
    return int(width)


def _own_trunk(own: type[SmallTrunk] | type[PlainCnn], settings: ModelSettings) -> nn.Module:
    if issubclass(own, SmallTrunk):
        return own(settings.drop_path)
    if settings.drop_path:
        raise _no_depth(settings)
    return own()


def _no_depth(settings: ModelSettings) -> ConfigError:
    return ConfigError(f"{settings.backbone} has no stochastic depth: leave out model.drop_path")


def _misfit(settings: ModelSettings, error: Exception) -> WeightsError:
    place = settings.weights or "the file in timm's cache"
    return WeightsError(f"{place} is not for {settings.backbone}: {first_fault(error)}")


def first_fault(error: Exception) -> str:
    """Return the first thing that an error complains of; torch's list all, over many lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = lines[1] if len(lines) > 1 and lines[0].endswith(":") else "".join(lines[:1])
    return told if len(told) <= _LINE else f"{told[:_LINE]} ..."


def _timm_trunk(
    settings: ModelSettings, size: tuple[int, int], state: Mapping[str, Tensor] | None
) -> nn.Module:
    card = timm_card(settings.backbone)
    if state is None:
        return _create(settings, size, card, None)
    classifiers = (card.classifier,) if isinstance(card.classifier, str) else card.classifier or ()
    dropped = {f"{name}.{part}" for name in classifiers for part in ("weight", "bias")}
    kept = {key: value for key, value in state.items() if key not in dropped}
    # timm loads strictly where it believes that file and model have as many classes, here none;
    # else a file of another network would be taken in silence, and nothing of it used.
    try:
        return _create(settings, size, card, {"state_dict": kept, "num_classes": 0})
    except RuntimeError as error:
        if "Missing key" in str(error) or "size mismatch" in str(error):
            raise _misfit(settings, error) from None
    except (KeyError, AttributeError, IndexError) as error:
        # timm's translators of old files stumble over what they do not know.
        raise _misfit(settings, error) from None
    # All that the trunk needs was there; the file has more: heads under other names.
    return _create(settings, size, card, {"state_dict": kept, "num_classes": -1})


def _create(
    settings: ModelSettings,
    size: tuple[int, int],
    card: PretrainedCfg,
    overlay: dict[str, Any] | None,
) -> nn.Module:
    options: dict[str, Any] = {}
    if card.fixed_input_size:
        options["img_size"] = size
    if settings.drop_path:
        options["drop_path_rate"] = settings.drop_path
    try:
        trunk = timm.create_model(
            settings.backbone,
            pretrained=overlay is not None,
            pretrained_cfg_overlay=overlay,
            num_classes=0,
            **options,
        )
    except TypeError as error:  # an option that this architecture does not know
        if "'drop_path_rate'" not in str(error):
            raise
        raise _no_depth(settings) from None
    except (AssertionError, ValueError) as error:
        raise ConfigError(
            f"{settings.backbone} cannot have pictures of {size[0]}x{size[1]}: {error}"
        ) from None
    # timm keeps the weights that it was given in the card, a second copy of them all.
    held: Any = trunk.pretrained_cfg
    held.pop("state_dict", None)
    return trunk
