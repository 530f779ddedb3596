"""Where a trunk's last maps are, and how to read them: what Grad-CAM needs of any architecture."""

from typing import Any

from torch import Tensor, nn

from facecrop.errors import ConfigError


def grad_cam_layer(trunk: nn.Module) -> nn.Module:
    """Return the layer whose output says where a trunk saw what, last before places are mixed.

    Convolutional trunks and Swin: the last stage. Transformers whose answer is read from a class
    token: the norm before the last block's attention, since what its other tokens become after
    that is never read, and has no gradient.

    Args:
        trunk: Of `Model.trunks`; `spatial` reads what the layer says.

    Raises:
        ConfigError: The trunk says no place.

    Source:
        Selvaraju et al. 2017, "Grad-CAM", section 3, arXiv:1610.02391, which takes the last
        convolutional layer.
    """
    blocks: Any = getattr(trunk, "blocks", None)
    if hasattr(trunk, "num_prefix_tokens") and blocks is not None:
        norm: nn.Module = blocks[-1].norm1
        return norm
    stages: Any = getattr(trunk, "feature_info", None)
    if not stages:
        raise ConfigError(f"{type(trunk).__name__} has no maps that Grad-CAM could show")
    return trunk.get_submodule(stages[-1]["module"])


def spatial(trunk: nn.Module, activation: Tensor) -> Tensor:
    """Return what `grad_cam_layer` says, or its gradient, as maps (N, C, H, W).

    Args:
        trunk: It was said by.
        activation: (N, C, H, W); (N, H, W, C) as Swin's are; or tokens (N, L, C), of which those
            that stand for no place are left out.
    """
    if activation.ndim == 3:  # noqa: PLR2004 - tokens
        patches: Any = getattr(trunk, "patch_embed", None)
        height, width = patches.grid_size
        places = activation[:, -height * width :].transpose(1, 2)
        return places.reshape(*places.shape[:2], height, width)
    if getattr(trunk, "output_fmt", "NCHW") == "NHWC":
        return activation.permute(0, 3, 1, 2)
    return activation
