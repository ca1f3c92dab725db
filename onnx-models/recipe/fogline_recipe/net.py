"""The conditionally deep hybrid network: a quantised edge part with exits, and a cloud part.

Long, Chakraborty, Roy 2020 (arXiv 2005.10851). The edge block follows ReActNet: a learned
shift in front of the sign, and a real-valued shortcut around every convolution.

A *layout* is two short texts. Edge: ``128`` is a block of 128 channels, ``exit4`` an exit on a
4x4 grid of averages, ``pool`` a 2x2 maximum. Cloud: ``256`` is a convolution, ``256+`` one with
a shortcut. With 32 bits the same layout is the full-precision *twin*: no quantisers and no exits.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import brevitas.nn as qnn
import torch
from torch import Tensor, nn

from . import appeal, quant
from .quant import LayoutError
from .ways import MixedBlock


def channels_of(token: str) -> int:
    """The number in a layout's token."""
    if not token.isdecimal() or int(token) == 0:
        raise LayoutError(f"'{token}' in a layout is neither a number of channels nor pool nor, at the edge, exitGRID")
    return int(token)


@dataclass(frozen=True)
class Layout:
    """Everything that decides a network's shape; stored in every checkpoint."""

    classes: int = 10
    bits: int = 1
    size: int = 32
    stem: int = 32
    edge: str = "64 pool 128 128 exit2 pool 128 128 128 exit4"
    split: int = 128
    cloud: str = "256 pool 256+ 256+ 256+"
    appeals: bool = False
    share: int = 1
    ways: str = ""
    extension: str = ""
    hard: str = ""

    def __post_init__(self):
        for name in ("size", "stem", "split", "share"):
            if getattr(self, name) < 1:
                raise LayoutError(f"--{name} {getattr(self, name)}: at least 1 is needed")

    def to_dict(self) -> dict:
        return asdict(self)


TINY = Layout(classes=5, size=16, stem=8, edge="16 pool 16 exit2 pool 32 exit2", split=16, cloud="16 pool 16+")


class Shift(nn.Module):
    """A learned offset per channel: the threshold of the sign behind it."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.to(x.dtype)  # fp32 would promote the whole map under autocast


class _PReluSteps(torch.autograd.Function):
    """PyTorch's PReLU with a backward pass in vectorised steps: in bf16 on a CPU its own takes five times as long."""

    @staticmethod
    def forward(ctx, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return nn.functional.prelu(x, slope)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor]:
        x, slope = ctx.saved_tensors
        above = torch.ops.aten.threshold_backward(gradient, x, 0)
        below = gradient - above
        to_slope = (below * x).sum((0, 2, 3))
        return above.addcmul_(below, slope.view(1, -1, 1, 1)), to_slope


class PRelu(nn.PReLU):
    """A slope per channel for negative values."""

    def forward(self, x: Tensor) -> Tensor:
        slope = self.weight.to(x.dtype)
        return _PReluSteps.apply(x, slope) if self.training else nn.functional.prelu(x, slope)


class Project(nn.Sequential):
    """Another number of channels for a real-valued map: a 1x1 convolution of eight bits (the paper's is of 32), batch-norm."""

    def __init__(self, bits: int, inputs: int, outputs: int):
        wide = max(bits, 8)
        super().__init__(quant.activation(wide), quant.conv(wide, inputs, outputs, 1), nn.BatchNorm2d(outputs))


class Block(nn.Module):
    """Shift, quantise, 3x3 convolution, batch-norm; plus the shortcut; then PReLU.

    The shortcut stays real-valued; it is projected where the channels change. Without its ``own`` convolution it is given one.
    """

    def __init__(self, bits: int, inputs: int, outputs: int, own: bool = True):
        super().__init__()
        self.shift = Shift(inputs)
        self.quant = quant.activation(bits)
        self.conv = quant.conv(bits, inputs, outputs, 3) if own else None
        self.norm = nn.BatchNorm2d(outputs)
        self.project = Project(bits, inputs, outputs) if outputs != inputs else nn.Identity()
        self.act = PRelu(outputs)

    def forward(self, x: Tensor, conv: Callable[[Tensor], Tensor] | None = None) -> Tensor:
        return self.act(self.norm((self.conv or conv)(self.quant(self.shift(x)))) + self.project(x))


class Exit(nn.Module):
    """Averages on a coarse grid, then one linear layer with 8-bit weights; with ``appeals`` one score more, of its own answer."""

    def __init__(self, channels: int, size: int, grid: int, classes: int, appeals: bool = False):
        super().__init__()
        if size % grid:
            raise LayoutError(f"an exit's grid of {grid} does not divide a map of {size}x{size}")
        self.pool = nn.AvgPool2d(size // grid)
        self.flatten = nn.Flatten()
        self.linear = qnn.QuantLinear(channels * grid * grid, classes, bias=True, weight_quant=quant.HeadWeight)
        self.appeal = appeal.Predictor(classes) if appeals else None

    def forward(self, x: Tensor) -> Tensor:
        scores = self.linear(self.flatten(self.pool(x)))
        return torch.cat([scores, self.appeal(scores)], 1) if self.appeal else scores


class Extension(nn.Module):
    """Adaptive blocks over the picture, the sum with the trunk's map, more blocks, an exit for the hard classes alone.

    MEANet (Long et al. 2021, arXiv 2109.06440) joins the maps as channels; a sum needs no wider blocks. In the layout ``+`` stands
    for it: ``pool 64 pool 128 + 128 128 exit4``. The scores of the easy classes are constant, and so low that none is ever named.
    """

    NEVER = -30.0

    def __init__(self, layout: Layout, channels: int, size: int):
        super().__init__()
        adaptive, plus, rest = layout.extension.partition("+")
        if not plus or not rest.split() or not rest.split()[-1].startswith("exit"):
            raise LayoutError(f"--extension '{layout.extension}' is not ADAPTIVE + BLOCKS exitGRID")
        width = layout.stem // 2
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


class Edge(nn.Module):
    """Pictures (N, 3, S, S), normalised, to (exit logits ..., split map in the quantiser's grid)."""

    def __init__(self, layout: Layout):
        super().__init__()
        self.input = quant.pixels(layout.bits)
        self.stem = quant.first_conv(layout.bits, 3, layout.stem)
        self.norm, self.act = nn.BatchNorm2d(layout.stem), PRelu(layout.stem)
        self.blocks, self.exits, self.order, self.exit_after = nn.ModuleList(), nn.ModuleList(), [], []
        self.pool = nn.MaxPool2d(2)
        channels, size = layout.stem, layout.size
        for token in layout.edge.split():
            if token == "pool":
                if size % 2:
                    raise LayoutError(f"a map of {size}x{size} cannot be halved by pool")
                self.order.append(self.pool)
                size //= 2
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
        """The classes that an extension tells apart; none without one."""
        return self.extension.hard if self.extension else []

    def block(self, layout: Layout, inputs: int, outputs: int) -> nn.Module:
        """The next block: behind the first exit, whose certainty decides, it may have several ways."""
        if not layout.ways or layout.bits == quant.FULL or not self.exits:
            return Block(layout.bits, inputs, outputs)
        if inputs != outputs:
            raise LayoutError(f"a block with --ways keeps its width, {inputs}, and cannot have {outputs}")
        return MixedBlock([channels_of(bits) for bits in layout.ways.split()], inputs, Block)

    def run(self, x: Tensor, steps: list[nn.Module], way: int | Tensor) -> tuple[Tensor, list[Tensor]]:
        """The map behind some of the layers, and the logits of the exits among them."""
        logits = []
        for step in steps:
            if isinstance(step, Exit):
                logits.append(step(x))
            else:
                x = step(x, way) if isinstance(step, MixedBlock) else step(x)
        return x, logits

    def forward(self, x: Tensor, way: int | Tensor = 0) -> tuple[Tensor, ...]:
        picture = self.input(x)
        x, logits = self.run(self.act(self.norm(self.stem(picture))), self.order, way)
        if self.extension:
            logits.append(self.extension(picture, x))
        return *logits, self.split(x)

    def forward_every_way(self, x: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The logits of the first exit, then those of each way's exits; the split map of each way. For training."""
        behind = self.order.index(self.exits[0]) + 1
        x, logits = self.run(self.act(self.norm(self.stem(self.input(x)))), self.order[:behind], 0)
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
    """The split map (N, C, S, S) to class logits, in full precision."""

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
    """Edge and cloud, trained as one; returns the logits of every exit, then of the final head.

    Blocks with several ways run ``way``; while they are trained, all of them, and the cloud sees the map of one at random.
    """

    def __init__(self, layout: Layout):
        super().__init__()
        self.layout = layout
        self.edge = Edge(layout)
        self.cloud = Cloud(layout, self.edge.split_shape)
        self.way = 0

    def learning(self) -> list[nn.Module]:
        """What is trained: an extension goes with a network that has been, and so do several ways with the part before them."""
        if self.edge.extension:
            return [self.edge.extension]
        if self.mixed():
            return [*self.edge.blocks[self.edge.exit_after[0]:], *self.edge.exits[1:], self.edge.split, self.cloud]
        return [self]

    def mixed(self) -> list[MixedBlock]:
        """The blocks with several ways."""
        return [block for block in self.edge.blocks if isinstance(block, MixedBlock)]

    def train(self, mode: bool = True) -> "Hybrid":
        """Sets the mode of what learns; parameters and statistics of the rest stay as they are."""
        learning = self.learning()
        super().train(mode and self in learning)
        # Here, since Brevitas makes some parameters anew when weights are loaded.
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
        """The kernels whose weights share values by hashing: those of the blocks, in which most of the edge's bits are."""
        return [block.conv.weight for block in self.edge.blocks] if self.layout.share > 1 else []

    def forward(self, x: Tensor) -> list[Tensor]:
        if self.cloud.training and self.mixed():
            logits, maps = self.edge.forward_every_way(x)
            return [*logits, self.cloud(maps[int(torch.randint(len(maps), ()))])]
        *exits, split = self.edge(x, self.way)
        return [*exits, self.cloud(split)]
