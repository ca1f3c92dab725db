"""The conditionally deep hybrid network: a quantised edge part with exits, and a cloud part.

Long, Chakraborty, Roy 2020 (arXiv 2005.10851).
"""

import torch
from torch import Tensor, nn

from . import quant
from .blocks import Block, Exit, PRelu, Project, Strided
from .extension import Extension
from .layout import Layout, channels_of
from .quant import LayoutError
from .ways import MixedBlock


def halved(size: int, stride: int) -> int:
    """The side of a map after a pool, or a convolution with this stride."""
    if size % stride:
        raise LayoutError(f"a map of {size}x{size} cannot be halved")
    return size // stride


class Edge(nn.Module):
    """Maps normalised pictures (N, 3, S, S) to (exit logits ..., split map on the quantiser's grid)."""

    def __init__(self, layout: Layout):
        super().__init__()
        self.input = quant.pixels(layout.bits)
        (channels, stride), *more = layout.stems()
        self.stem = quant.first_conv(layout.bits, 3, channels, stride)
        self.norm, self.act = nn.BatchNorm2d(channels), PRelu(channels)
        size, self.more = halved(layout.size, stride), nn.Sequential()
        for width, stride in more:
            self.more.append(Strided(layout.bits, channels, width, stride))
            channels, size = width, halved(size, stride)
        self.blocks, self.exits, self.order, self.exit_after = nn.ModuleList(), nn.ModuleList(), [], []
        self.pool = nn.MaxPool2d(2)
        for token in layout.edge.split():
            if token == "pool":
                self.order.append(self.pool)
                size = halved(size, 2)
            elif not token.startswith("exit"):
                self.blocks.append(self.block(layout, channels, channels_of(token)))
                self.order.append(self.blocks[-1])
                channels = channels_of(token)
            elif layout.bits != quant.FULL:  # the twin has none
                self.exits.append(Exit(channels, size, channels_of(token[4:] or "1"), layout.classes, layout.appeals))
                self.order.append(self.exits[-1])
                self.exit_after.append(len(self.blocks))
        if not self.exits and layout.bits != quant.FULL:
            raise LayoutError(f"the edge layout '{layout.edge}' has no exit")
        self.extension = Extension(layout, channels, size) if layout.extension and layout.bits != quant.FULL else None
        self.split = nn.Sequential(Project(layout.bits, channels, layout.split), quant.split(layout.bits))
        self.split_shape = (layout.split, size, size)

    def hard(self) -> list[int]:
        """The classes that the extension distinguishes; empty without one."""
        return self.extension.hard if self.extension else []

    def block(self, layout: Layout, inputs: int, outputs: int) -> nn.Module:
        """The next block. After the first exit, whose certainty decides, it may have several ways."""
        if not layout.ways or layout.bits == quant.FULL or not self.exits:
            return Block(layout.bits, inputs, outputs)
        if inputs != outputs:
            raise LayoutError(f"a block with --ways keeps its width, {inputs}, and cannot have {outputs}")
        return MixedBlock([int(bits) for bits in layout.ways.split()], inputs, Block)

    def first(self, picture: Tensor) -> Tensor:
        """The stem's map of the quantised picture."""
        return self.more(self.act(self.norm(self.stem(picture))))

    def run(self, x: Tensor, steps: list[nn.Module], way: int | Tensor) -> tuple[Tensor, list[Tensor]]:
        """Runs some of the layers; returns the map and the logits of the exits among them."""
        logits = []
        for step in steps:
            if isinstance(step, Exit):
                logits.append(step(x))
            else:
                x = step(x, way) if isinstance(step, MixedBlock) else step(x)
        return x, logits

    def trunk(self, x: Tensor, way: int | Tensor = 0) -> tuple[Tensor, list[Tensor]]:
        """The map that the split map is made of, and the logits of the exits."""
        picture = self.input(x)
        x, logits = self.run(self.first(picture), self.order, way)
        if self.extension:
            logits.append(self.extension(picture, x))
        return x, logits

    def forward(self, x: Tensor, way: int | Tensor = 0) -> tuple[Tensor, ...]:
        x, logits = self.trunk(x, way)
        return *logits, self.split(x)

    def forward_every_way(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The logits of the first exit, then those of each way's exits; the split map of each way. For training."""
        behind = self.order.index(self.exits[0]) + 1
        x, logits = self.run(self.first(self.input(x)), self.order[:behind], 0)
        each = [self.run(x, self.order[behind:], way) for way in range(len(self.blocks[-1].bits))]
        return logits + [exit_ for _, exits in each for exit_ in exits], [self.split(map_) for map_, _ in each]


class Residual(nn.Module):
    """A full-precision 3x3 convolution, batch-norm and ReLU, optionally around a shortcut."""

    def __init__(self, inputs: int, outputs: int, shortcut: bool):
        super().__init__()
        if shortcut and inputs != outputs:
            raise LayoutError(f"a shortcut needs equal widths, not {inputs} and {outputs}")
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        return torch.relu(x + y if self.shortcut else y)


class Cloud(nn.Module):
    """Maps the split map (N, C, S, S) to class logits, in full precision."""

    def __init__(self, layout: Layout, split_shape: tuple[int, int, int]):
        super().__init__()
        channels, layers = split_shape[0], []
        for token in layout.cloud.split():
            if token == "pool":
                layers.append(nn.MaxPool2d(2))
                continue
            width = channels_of(token.removesuffix("+"))
            layers.append(Residual(channels, width, token.endswith("+")))
            channels = width
        self.layers = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(channels, layout.classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.flatten(self.pool(self.layers(x))))


class Hybrid(nn.Module):
    """Edge and cloud, trained together; returns the logits of every exit, then of the final head.

    Blocks with several ways run ``way``. In training all ways run, and the cloud gets an equal part of the batch from each.
    """

    def __init__(self, layout: Layout):
        super().__init__()
        self.layout = layout
        self.edge = Edge(layout)
        self.cloud = Cloud(layout, self.edge.split_shape)
        self.way = 0
        self.exits_stay = False  # trains only the layers behind the exits

    def learning(self) -> list[nn.Module]:
        """The modules to train: with an extension or predictors only those, with several ways only the layers from the ways on."""
        if self.exits_stay:
            return [self.edge.split, self.cloud]
        if self.layout.appeals and self.edge.exits:
            return [exit_.appeal for exit_ in self.edge.exits]
        if self.edge.extension:
            return [self.edge.extension]
        if self.mixed():
            return [*self.edge.blocks[self.edge.exit_after[0]:], *self.edge.exits[1:], self.edge.split, self.cloud]
        return [self]

    def mixed(self) -> list[MixedBlock]:
        """The blocks with several ways."""
        return [block for block in self.edge.blocks if isinstance(block, MixedBlock)]

    def train(self, mode: bool = True) -> "Hybrid":
        """Sets the mode of the trained modules; the parameters and statistics of the others stay frozen."""
        learning = self.learning()
        super().train(mode and self in learning)
        # Here, because Brevitas recreates some parameters when weights are loaded.
        self.requires_grad_(self in learning)
        for part in learning:
            part.requires_grad_(True)
            nn.Module.train(part, mode)
        return self

    def kernels(self) -> list[tuple[nn.Parameter, bool]]:
        """The kernels of all convolutions but the first, for Muon, and whether they decay.

        Latent weights that are only the memory of signs do not: they must not drift to zero.
        """
        signs = {id(block.conv) for block in self.modules() if isinstance(block, Block | MixedBlock)} if self.layout.bits == 1 else set()
        stems = [self.edge.stem, self.edge.extension.stem if self.edge.extension else None]
        return [(m.weight, id(m) not in signs) for m in self.modules()
                if isinstance(m, nn.Conv2d) and m not in stems and m.weight.requires_grad]

    def shared(self) -> list[nn.Parameter]:
        """The kernels whose weights share values by hashing: those of the blocks, which hold most of the edge's bits."""
        return [block.conv.weight for block in self.edge.blocks] if self.layout.share > 1 else []

    def forward(self, x: Tensor) -> list[Tensor]:
        if self.cloud.training and self.mixed():
            logits, maps = self.edge.forward_every_way(x)
            part = -(-len(x) // len(maps))
            return [*logits, self.cloud(torch.cat([map_[way * part:(way + 1) * part] for way, map_ in enumerate(maps)]))]
        return self.behind(*self.edge.trunk(x, self.way))

    def behind(self, x: Tensor, exits: list[Tensor]) -> list[Tensor]:
        """All logits, from what ``Edge.trunk`` returns."""
        return [*exits, self.cloud(self.edge.split(x))]
