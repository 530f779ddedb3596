"""`plain-cnn`: the network that a course builds first."""

from typing import ClassVar

from torch import Tensor, nn

_WIDTHS = (32, 64, 128, 256)


class PlainCnn(nn.Module):
    """Four 3x3 convolutions, each with norm, ReLU and a maximum of 2x2, then the mean: (N, 256).

    It stands for the custom network of report 001, whose layers were not published: depth, widths
    and input size are ours.
    """

    input_size: ClassVar[tuple[int, int]] = (128, 96)

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential()
        width_in = 3
        for width in _WIDTHS:
            block = nn.Sequential(
                nn.Conv2d(width_in, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
                nn.MaxPool2d(2),
            )
            self.blocks.append(block)
            width_in = width
        self.num_features = _WIDTHS[-1]
        self.feature_info = [{"module": f"blocks.{len(_WIDTHS) - 1}"}]

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, 256) of normalised pictures (N, 3, H, W), at least 16 x 16."""
        features: Tensor = self.blocks(images).mean(dim=(2, 3))
        return features
