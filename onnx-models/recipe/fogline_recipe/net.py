"""The conditionally deep hybrid network: a quantised edge part with exits, and a cloud part.

Long, Chakraborty, Roy 2020 (arXiv 2005.10851). The edge block follows ReActNet: a learned
shift in front of the sign, and a real-valued shortcut around every convolution.

A *layout* is two short texts. Edge: ``128`` is a block of 128 channels, ``exit4`` an exit on a
4x4 grid of averages, ``pool`` a 2x2 maximum. Cloud: ``256`` is a convolution, ``256+`` one with
a shortcut. With 32 bits the same layout is the full-precision *twin*: no quantisers and no exits.
"""

from dataclasses import asdict, dataclass

import brevitas.nn as qnn
import torch
from torch import Tensor, nn

from . import quant
from .quant import LayoutError


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

    def __post_init__(self):
        for name in ("size", "stem", "split"):
            if getattr(self, name) < 1:
                raise LayoutError(f"--{name} {getattr(self, name)}: at least 1 is needed")

    def to_dict(self) -> dict:
        return asdict(self)


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

    The shortcut stays real-valued; it is projected where the channels change.
    """

    def __init__(self, bits: int, inputs: int, outputs: int):
        super().__init__()
        self.shift = Shift(inputs)
        self.quant = quant.activation(bits)
        self.conv = quant.conv(bits, inputs, outputs, 3)
        self.norm = nn.BatchNorm2d(outputs)
        self.project = Project(bits, inputs, outputs) if outputs != inputs else nn.Identity()
        self.act = PRelu(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(self.quant(self.shift(x)))) + self.project(x))


class Exit(nn.Module):
    """Averages on a coarse grid, then one linear layer with 8-bit weights."""

    def __init__(self, channels: int, size: int, grid: int, classes: int):
        super().__init__()
        if size % grid:
            raise LayoutError(f"an exit's grid of {grid} does not divide a map of {size}x{size}")
        self.pool = nn.AvgPool2d(size // grid)
        self.flatten = nn.Flatten()
        self.linear = qnn.QuantLinear(channels * grid * grid, classes, bias=True, weight_quant=quant.HeadWeight)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.flatten(self.pool(x)))


class Edge(nn.Module):
    """Pictures (N, 3, S, S), normalised, to (exit logits ..., split map in the quantiser's grid)."""

    def __init__(self, layout: Layout):
        super().__init__()
        self.input = quant.pixels(layout.bits)
        self.stem = quant.first_conv(layout.bits, 3, layout.stem)
        self.norm, self.act = nn.BatchNorm2d(layout.stem), PRelu(layout.stem)
        self.blocks, self.exits, self.order, self.exit_after = nn.ModuleList(), nn.ModuleList(), [], []
        channels, size = layout.stem, layout.size
        for token in layout.edge.split():
            if token == "pool":
                if size % 2:
                    raise LayoutError(f"a map of {size}x{size} cannot be halved by pool")
                self.order.append("pool")
                size //= 2
            elif not token.startswith("exit"):
                self.order.append("block")
                self.blocks.append(Block(layout.bits, channels, channels_of(token)))
                channels = channels_of(token)
            elif layout.bits != quant.FULL:  # the twin has none
                self.order.append("exit")
                self.exits.append(Exit(channels, size, channels_of(token[4:] or "1"), layout.classes))
                self.exit_after.append(len(self.blocks))
        if not self.exits and layout.bits != quant.FULL:
            raise LayoutError(f"the edge layout '{layout.edge}' has no exit")
        self.pool = nn.MaxPool2d(2)
        self.split = nn.Sequential(Project(layout.bits, channels, layout.split), quant.split(layout.bits))
        self.split_shape = (layout.split, size, size)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.act(self.norm(self.stem(self.input(x))))
        logits, blocks, exits = [], iter(self.blocks), iter(self.exits)
        for step in self.order:
            if step == "exit":
                logits.append(next(exits)(x))
            else:
                x = self.pool(x) if step == "pool" else next(blocks)(x)
        return *logits, self.split(x)


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
    """Edge and cloud, trained as one; returns the logits of every exit, then of the final head."""

    def __init__(self, layout: Layout):
        super().__init__()
        self.layout = layout
        self.edge = Edge(layout)
        self.cloud = Cloud(layout, self.edge.split_shape)

    def kernels(self) -> list[tuple[nn.Parameter, bool]]:
        """The kernels of all convolutions but the first, for Muon, and whether they decay.

        Latent weights that are only the memory of signs do not: they must not drift to zero.
        """
        signs = {id(block.conv) for block in self.edge.blocks} if self.layout.bits == 1 else set()
        return [(m.weight, id(m) not in signs) for m in self.modules() if isinstance(m, nn.Conv2d) and m is not self.edge.stem]

    def forward(self, x: Tensor) -> list[Tensor]:
        *exits, split = self.edge(x)
        return [*exits, self.cloud(split)]
