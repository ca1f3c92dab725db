"""Brevitas quantisers of the edge layers, by bit width.

One bit means the sign: weights and activations in {-1, +1}, exported as QONNX
``BipolarQuant``. Two to eight bits mean a signed uniform grid, exported as QONNX
``Quant``. Gradients pass straight through, gated to the quantiser's range.
Thirty-two bits mean no quantiser: the full-precision twin.
"""

import brevitas.nn as qnn
import torch
from brevitas.core.restrict_val import FloatToIntImplType
from brevitas.core.zero_point import ZeroZeroPoint
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import (
    BitWidthImplType,
    QuantType,
    RestrictValueType,
    ScalingImplType,
)
from brevitas.quant.scaled_int import Int8WeightPerChannelFloat
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
from torch import nn


class _Fixed(ExtendedInjector):
    """A quantiser whose scale is a constant rather than learned."""

    bit_width_impl_type = BitWidthImplType.CONST
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP
    zero_point_impl = ZeroZeroPoint
    float_to_int_impl_type = FloatToIntImplType.ROUND
    scaling_per_output_channel = False
    narrow_range = False
    signed = True


class _SignThrough(torch.autograd.Function):
    """+1 where x >= 0, else -1; the gradient passes where |x| < 1."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign().add_(0.5).sign_()  # +1 at 0; on a CPU `where` is not vectorised in bf16

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, -1.0, 1.0)


class Sign(torch.nn.Module):
    """A Brevitas tensor quantiser: the sign, in the dtype of its input.

    Brevitas' own multiplies by a scale and clamps, which in bf16 training on a CPU takes
    longer than the convolutions do; a batch-norm follows, so that the scale is redundant.
    """

    def __init__(self):
        super().__init__()
        for name, value in (("scale", 1.0), ("zero_point", 0.0), ("bit_width", 1.0)):
            self.register_buffer(name, torch.tensor(value), persistent=False)

    def forward(self, x):
        return _SignThrough.apply(x), self.scale, self.zero_point, self.bit_width


class _LevelsThrough(torch.autograd.Function):
    """The nearest level times the scale; gradients as in LSQ (Esser et al. 2020, arXiv 1902.08153, equations 1 to 3)."""

    @staticmethod
    def forward(ctx, x, scale, low, high):
        ratio = x.div(scale)  # of no dimension, it leaves the dtype of x as it is
        levels = ratio.round().clamp_(low, high)
        ctx.save_for_backward(ratio, levels)
        ctx.range = (low - 0.5, high + 0.5)
        return levels.mul(scale)

    @staticmethod
    def backward(ctx, gradient):
        ratio, levels = ctx.saved_tensors
        to_x = torch.ops.aten.hardtanh_backward(gradient, ratio, *ctx.range)
        # Within the range the scale moves a value by its rounding error, outside by the whole level.
        to_scale = torch.addcmul(gradient * levels, to_x, ratio, value=-1).sum()
        return to_x, to_scale.float(), None, None


class Levels(torch.nn.Module):
    """A Brevitas tensor quantiser: signed levels with a learned scale, in the dtype of its input.

    Brevitas' own finds its scale by sorting and computes in fp32, which in bf16 training on a CPU takes twice as long as all convolutions.
    """

    def __init__(self, bit_width: int):
        super().__init__()
        self.low, self.high = -(2 ** (bit_width - 1)), 2 ** (bit_width - 1) - 1
        self.log_scale = nn.Parameter(torch.tensor(0.0))  # a logarithm: steps of the optimiser are then relative
        self.register_buffer("started", torch.tensor(False))
        self.register_buffer("zero_point", torch.tensor(0.0), persistent=False)
        self.register_buffer("bit_width", torch.tensor(float(bit_width)), persistent=False)
        self.asked = False  # a copy of `started` on the CPU: reading that would synchronise with the device

    @torch.no_grad()
    def start(self, x):
        """Finds the first scale, unless weights were loaded that have one."""
        self.asked = True
        if not self.started:
            self.log_scale.copy_((2 * x.float().abs().mean() / self.high**0.5).clamp_min(1e-6).log())
            self.started.fill_(True)

    def forward(self, x):
        if self.training and not self.asked:
            self.start(x)
        scale = self.log_scale.exp()
        return _LevelsThrough.apply(x, scale, self.low, self.high), scale, self.zero_point, self.bit_width


class SignWeight(_Fixed, WeightQuantSolver):
    """Weights in {-1, +1}."""

    quant_type = QuantType.BINARY
    bit_width = 1
    scaling_const = 1.0
    tensor_quant = Sign


class SignAct(_Fixed, ActQuantSolver):
    """Activations in {-1, +1}."""

    quant_type = QuantType.BINARY
    bit_width = 1
    min_val = -1.0
    max_val = 1.0
    tensor_quant = Sign


class LevelAct(_Fixed, ActQuantSolver):
    """Activations on a signed grid of ``bit_width`` bits."""

    quant_type = QuantType.INT
    bit_width = 8
    min_val = -1.0
    max_val = 1.0
    tensor_quant = Levels


class LevelWeight(Int8WeightPerChannelFloat):
    """Weights on a signed grid with one scale per output channel, initialised from the largest weight and learned as a logarithm."""

    scaling_impl_type = ScalingImplType.PARAMETER_FROM_STATS
    restrict_scaling_type = RestrictValueType.LOG_FP


class PixelAct(_Fixed, ActQuantSolver):
    """The input: with mean = std = 128/255 a byte p is exactly (p - 128) / 128, a signed byte."""

    quant_type = QuantType.INT
    bit_width = 8
    min_val = -1.0
    max_val = 127.0 / 128.0
    scaling_const = 1.0


class HeadWeight(Int8WeightPerChannelFloat):
    """Weights of the first convolution and of the exits' linear layers: eight bits."""


FULL = 32


class LayoutError(ValueError):
    """The layout is invalid; the message says which part of it."""


def check_bits(bits: int) -> None:
    """Raises LayoutError for a bit width without an edge kernel."""
    if bits not in (1, 2, 4, 8, FULL):
        raise LayoutError(f"edge layers of {bits} bits: the edge has kernels for 1, 2, 4 and 8 bits ({FULL}: the twin)")


def pixels(bits: int) -> nn.Module:
    """The quantiser of the picture."""
    return nn.Identity() if bits == FULL else qnn.QuantIdentity(act_quant=PixelAct)


def first_conv(bits: int, inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """The first convolution: eight-bit weights, however few bits the blocks have."""
    check_bits(bits)
    if bits == FULL:
        return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
    return qnn.QuantConv2d(inputs, outputs, 3, stride, padding=1, bias=False, weight_quant=HeadWeight)


def activation(bits: int) -> nn.Module:
    """The quantiser in front of a block's convolution."""
    check_bits(bits)
    if bits == FULL:
        return nn.Identity()
    if bits == 1:
        return qnn.QuantIdentity(act_quant=SignAct)
    return qnn.QuantIdentity(act_quant=LevelAct, bit_width=bits)


def split(bits: int) -> nn.Module:
    """The last operation before the split point: a quantiser, or in the twin the corresponding nonlinearity."""
    return nn.ReLU() if bits == FULL else activation(bits)


def conv(bits: int, inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution with quantised weights and zero padding; with a stride of 1 it keeps the map's size."""
    check_bits(bits)
    shape = {"kernel_size": kernel, "stride": stride, "padding": kernel // 2, "bias": False}
    if bits == FULL:
        return nn.Conv2d(inputs, outputs, **shape)
    weight = {"weight_quant": SignWeight} if bits == 1 else {
        "weight_quant": LevelWeight, "weight_bit_width": bits}
    return qnn.QuantConv2d(inputs, outputs, **shape, **weight)
