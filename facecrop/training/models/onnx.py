"""Export: the network and its normalisation in one ONNX file that reads bytes."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from facecrop.errors import StoreError
from facecrop.training.models.network import Model

INPUT = "images"


class FromBytes(nn.Module):
    """A model that takes pictures as they are decoded, and normalises them itself.

    Args:
        model: Takes normalised pictures (N, 3, H, W).
        mean: Of each channel, in [0, 1].
        std: Of each channel, in [0, 1].
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, model: Model, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.model = model
        # (byte / 255 - mean) / std as one product and one sum.
        scale = 1 / (255 * torch.tensor(std, dtype=torch.float64))
        shift = -torch.tensor(mean, dtype=torch.float64) / torch.tensor(std, dtype=torch.float64)
        self.register_buffer("scale", scale.float().view(1, 3, 1, 1))
        self.register_buffer("shift", shift.float().view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the logits in the order of the model's outputs, of bytes (N, H, W, 3), RGB."""
        pixels = images.permute(0, 3, 1, 2).float() * self.scale + self.shift
        outputs: dict[str, Tensor] = self.model(pixels)
        return tuple(outputs.values())


def export(
    model: Model,
    path: Path,
    *,
    mean: Sequence[float],
    std: Sequence[float],
    size: tuple[int, int],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write a model as ONNX: `images` uint8 (N, H, W, 3) RGB in, logits by output name out.

    N is free, H and W are fixed. The file appears whole or not at all. The model is left alone.

    Args:
        model: Weights on any device, in any mode; evaluation mode is what is exported.
        path: File to write.
        mean: Of each channel, in [0, 1]; part of the network from here on.
        std: Of each channel, in [0, 1].
        size: H and W, of the pictures that the model was trained on.
        metadata: Notes that go into the file: classes, age policy, version.

    Raises:
        StoreError: The folder cannot be written.
    """
    whole = FromBytes(deepcopy(model).cpu().float(), mean, std).eval()
    images = torch.zeros(2, *size, 3, dtype=torch.uint8)
    with torch.no_grad():
        names = list(whole.model(torch.zeros(2, 3, *size)))
    program = torch.onnx.export(
        whole,
        (images,),
        input_names=[INPUT],
        output_names=names,
        dynamic_shapes=({0: torch.export.Dim("n")},),
        dynamo=True,
        verbose=False,
    )
    if program is None:  # only without dynamo
        raise AssertionError("torch exported nothing")
    program.model.metadata_props.update(metadata or {})
    try:
        with TemporaryDirectory(dir=path.parent) as folder:
            part = Path(folder) / path.name
            program.save(part, external_data=False)
            part.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror or error}") from None
