"""`small`: a compact residual network that learns from scratch on two cores."""

from typing import ClassVar

from timm.layers import DropPath
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions and a way past them; the first may halve height and width.

    Source:
        He et al. 2016, "Deep Residual Learning for Image Recognition", figure 5 left,
        arXiv:1512.03385; the way past a halving block is an average of 2x2 before its 1x1
        convolution, which drops no pixel (He et al. 2019, "Bag of Tricks", figure 2 c,
        arXiv:1812.01187). A block begins as its way past: the last norm's scale is 0 (Goyal et al.
        2017, section 5.1, arXiv:1706.02677).
    """

    def __init__(self, width_in: int, width: int, stride: int, drop_path: float) -> None:
        super().__init__()
        last = nn.BatchNorm2d(width)
        nn.init.zeros_(last.weight)
        self.convs = nn.Sequential(
            nn.Conv2d(width_in, width, 3, stride, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, 1, 1, bias=False),
            last,
        )
        self.past = nn.Sequential()
        if stride > 1:
            self.past.append(nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False))
        if width_in != width:
            self.past.append(nn.Conv2d(width_in, width, 1, bias=False))
            self.past.append(nn.BatchNorm2d(width))
        self.drop_path = DropPath(drop_path)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, width, H / stride, W / stride) of (N, width_in, H, W)."""
        out: Tensor = self.relu(self.past(maps) + self.drop_path(self.convs(maps)))
        return out


class SmallTrunk(nn.Module):
    """A stem to a quarter of the size, then stages of residual blocks: (N, D) features.

    At 112 px the stem leaves 28x28, the stages 28, 14, 7 and 4; 0.9 million weights, 51 million
    multiplications a picture.

    Args:
        drop_path: Share of a picture's residual branches that are dropped, at the last block;
            the first drops none.
        widths: Channels of each stage; the last is D. The first stage keeps the size, each other
            one halves it.
        depths: Blocks of each stage.
    """

    input_size: ClassVar[tuple[int, int]] = (112, 112)

    def __init__(
        self,
        drop_path: float = 0.0,
        widths: tuple[int, ...] = (32, 64, 128, 192),
        depths: tuple[int, ...] = (1, 1, 1, 1),
    ) -> None:
        super().__init__()
        half, whole = widths[0] // 2, widths[0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, half, 3, 2, 1, bias=False),
            nn.BatchNorm2d(half),
            nn.ReLU(inplace=True),
            nn.Conv2d(half, whole, 3, 2, 1, bias=False),
            nn.BatchNorm2d(whole),
            nn.ReLU(inplace=True),
        )
        self.stages = nn.Sequential()
        width_in, done, last = whole, 0, max(sum(depths) - 1, 1)
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            stage = nn.Sequential()
            for block in range(depth):
                stride = 2 if block == 0 and number > 0 else 1
                stage.append(Block(width_in, width, stride, drop_path * done / last))
                width_in, done = width, done + 1
            self.stages.append(stage)
        self.num_features = widths[-1]
        self.feature_info = [{"module": f"stages.{len(widths) - 1}"}]

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, D) of normalised pictures (N, 3, H, W) of any size."""
        features: Tensor = self.stages(self.stem(images)).mean(dim=(2, 3))
        return features
