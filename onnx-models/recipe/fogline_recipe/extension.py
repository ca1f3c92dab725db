"""MEANet's extension, which answers when an exit is sure of a hard class (Long et al. 2021, arXiv 2109.06440)."""

import torch
from torch import Tensor, nn

from . import quant
from .blocks import Block, Exit, PRelu
from .layout import Layout, channels_of
from .quant import LayoutError


class Extension(nn.Module):
    """Adaptive blocks on the picture, added to the trunk's map, then more blocks and an exit for the hard classes only.

    MEANet concatenates the maps; adding them needs no wider blocks. The layout writes the addition as ``+``, as in
    ``pool 64 pool 128 + 128 128 exit4``. The scores of the easy classes are constant and so low that none is ever chosen.
    """

    NEVER = -30.0

    def __init__(self, layout: Layout, channels: int, size: int):
        super().__init__()
        adaptive, plus, rest = layout.extension.partition("+")
        if not plus or not rest.split() or not rest.split()[-1].startswith("exit"):
            raise LayoutError(f"--extension '{layout.extension}' is not ADAPTIVE + BLOCKS exitGRID")
        (channels_of_stem, _), *more = layout.stems()
        if more:
            raise LayoutError("--extension: its own stem is one convolution, so the layout's has to be one too")
        width = channels_of_stem // 2
        self.stem = quant.first_conv(layout.bits, 3, width)
        self.norm, self.act = nn.BatchNorm2d(width), PRelu(width)
        self.adaptive, *found = self.blocks(adaptive.split(), layout, width, layout.size)
        if found != [channels, size]:
            raise LayoutError(f"--extension: its adaptive blocks end in {found[0]}x{found[1]}x{found[1]}, the trunk in {channels}x{size}x{size}")
        self.rest, width, size = self.blocks(rest.split()[:-1], layout, channels, size)
        self.exit = Exit(width, size, channels_of(rest.split()[-1][4:] or "1"), layout.classes)
        self.hard = [int(index) for index in layout.hard.split()]
        easy = [index for index in range(layout.classes) if index not in self.hard]
        with torch.no_grad():
            self.exit.linear.weight[easy] = 0
            self.exit.linear.bias[easy] = self.NEVER

    @staticmethod
    def blocks(tokens: list[str], layout: Layout, channels: int, size: int) -> tuple[nn.Module, int, int]:
        """Blocks and pools, and the shape of what they give."""
        found = []
        for token in tokens:
            if token == "pool":
                found.append(nn.MaxPool2d(2))
                size //= 2
            else:
                found.append(Block(layout.bits, channels, channels_of(token)))
                channels = channels_of(token)
        return nn.Sequential(*found), channels, size

    def forward(self, picture: Tensor, x: Tensor) -> Tensor:
        return self.exit(self.rest(self.adaptive(self.act(self.norm(self.stem(picture)))) + x))
