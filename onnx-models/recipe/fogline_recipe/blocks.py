"""The building blocks of edges: quantised blocks after ReActNet, with a learned shift before the sign and a real-valued shortcut
around every convolution; and exits.
"""

from collections.abc import Callable

import brevitas.nn as qnn
import torch
from torch import Tensor, nn

from . import appeal, quant
from .quant import LayoutError


class Shift(nn.Module):
    """A learned offset per channel: the threshold of the sign that follows."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.to(x.dtype)  # fp32 would promote the whole map under autocast


class _PReluSteps(torch.autograd.Function):
    """PyTorch's PReLU with a vectorised backward pass, five times as fast in bf16 on a CPU."""

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
    """Projects a real-valued map to another number of channels: an 8-bit 1x1 convolution (32-bit in the paper) and batch-norm."""

    def __init__(self, bits: int, inputs: int, outputs: int):
        wide = max(bits, 8)
        super().__init__(quant.activation(wide), quant.conv(wide, inputs, outputs, 1), nn.BatchNorm2d(outputs))


class Strided(nn.Sequential):
    """A further convolution of the stem: 8-bit levels, 3x3 with 8-bit weights, batch-norm, PReLU."""

    def __init__(self, bits: int, inputs: int, outputs: int, stride: int):
        wide = max(bits, 8)
        super().__init__(quant.activation(wide), quant.conv(wide, inputs, outputs, 3, stride), nn.BatchNorm2d(outputs), PRelu(outputs))


class Block(nn.Module):
    """Shift, quantise, 3x3 convolution, batch-norm; plus the shortcut; then PReLU.

    The shortcut stays real-valued and is projected if the number of channels changes. Without its ``own`` convolution, pass one in.
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
    """An exit: averages on a coarse grid, then a linear layer with 8-bit weights; with ``appeals``, one extra score for its own answer."""

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
