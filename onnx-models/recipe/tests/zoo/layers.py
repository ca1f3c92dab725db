"""Layers as an engineer writes them with Brevitas."""

import torch
from brevitas import nn as qnn
from brevitas import quant
from torch import Tensor, nn


def weights(bits: int, per_channel: bool = True) -> dict:
    """The options that quantise a layer's weights."""
    if bits == 1:
        return {"weight_quant": quant.SignedBinaryWeightPerTensorConst}
    kind = quant.Int8WeightPerChannelFloat if per_channel else quant.Int8WeightPerTensorFloat
    return {"weight_quant": kind, "weight_bit_width": bits}


def conv(inputs: int, outputs: int, k: int = 3, bits: int = 4, *, stride: int = 1, pad: int | None = None, per_channel: bool = True,
         **options) -> nn.Module:
    """A convolution without bias, padded to keep the size at stride 1."""
    options = {"bias": False, **weights(bits, per_channel), **options}
    return qnn.QuantConv2d(inputs, outputs, k, stride=stride, padding=k // 2 if pad is None else pad, **options)


def linear(inputs: int, outputs: int, bits: int = 8, *, bias: bool = True, **options) -> nn.Module:
    return qnn.QuantLinear(inputs, outputs, bias, **weights(bits, per_channel=False), **options)


def act(kind: str, channels: int = 1) -> nn.Module:
    """An activation that ends in a quantiser, such as ``relu4`` with 4 bits."""
    name, bits = kind.rstrip("0123456789"), int(kind.lstrip("abcdefghijklmnopqrstuvwxyz_") or 1)
    levels = {"bit_width": bits}
    match name:
        case "relu":
            return qnn.QuantReLU(**levels)
        case "relu_six_":  # bounded by the quantiser
            return qnn.QuantReLU(act_quant=quant.Uint8ActPerTensorFloatMaxInit, max_val=6.0, **levels)
        case "clip_six_":  # bounded by its own layer
            return nn.Sequential(nn.ReLU6(), qnn.QuantIdentity(act_quant=quant.Uint8ActPerTensorFloat, **levels))
        case "hardtanh":
            return nn.Sequential(nn.Hardtanh(), qnn.QuantIdentity(**levels))
        case "quant_hardtanh":
            return qnn.QuantHardTanh(min_val=-1.0, max_val=1.0, act_quant=quant.Int8ActPerTensorFloatMinMaxInit, **levels)
        case "prelu":
            return nn.Sequential(nn.PReLU(channels), qnn.QuantIdentity(**levels))
        case "leaky":
            return nn.Sequential(nn.LeakyReLU(0.1), qnn.QuantIdentity(**levels))
        case "levels":
            return qnn.QuantIdentity(**levels)
        case "sign":
            return qnn.QuantIdentity(act_quant=quant.SignedBinaryActPerTensorConst, scaling_init=1.0)
        case "relu_per_channel_":
            return qnn.QuantReLU(scaling_per_output_channel=True, per_channel_broadcastable_shape=(1, channels, 1, 1),
                                 scaling_stats_permute_dims=(1, 0, 2, 3), **levels)
    raise ValueError(kind)


def block(inputs: int, outputs: int, k: int = 3, bits: int = 4, kind: str = "relu4", **options) -> list[nn.Module]:
    """Convolution, batch-norm, activation."""
    return [conv(inputs, outputs, k, bits, **options), nn.BatchNorm2d(outputs), act(kind, outputs)]


class Scaled(nn.Module):
    """Pixels in 0..1 to -1..1, as Brevitas's examples do it."""

    def forward(self, x: Tensor) -> Tensor:
        return 2.0 * x - torch.tensor([1.0])


class Normalised(nn.Module):
    """(x - mean) / std with one of each per colour."""

    def __init__(self) -> None:
        super().__init__()
        for name, values in (("mean", [0.485, 0.456, 0.406]), ("std", [0.229, 0.224, 0.225])):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.std


def picture(kind: str = "plain", bits: int = 8) -> nn.Module:
    """The quantiser of pictures."""
    match kind:
        case "none":
            return nn.Identity()
        case "plain":
            return qnn.QuantIdentity(bit_width=bits)
        case "unsigned":
            return qnn.QuantIdentity(act_quant=quant.Uint8ActPerTensorFloat, bit_width=bits)
        case "scaled":
            return nn.Sequential(Scaled(), qnn.QuantIdentity(bit_width=bits))
        case "normalised":
            return nn.Sequential(Normalised(), qnn.QuantIdentity(bit_width=bits))
    raise ValueError(kind)


class Mean(nn.Module):
    """x.mean([2, 3])."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean([2, 3])


class View(nn.Module):
    """x.view(len(x), -1)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], -1)


def head(kind: str, channels: int, side: int, classes: int = 5) -> nn.Module:
    """An exit's layers over a map of ``channels`` and ``side``."""
    pooled, whole = channels, channels * side * side
    match kind:
        case "gap":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(pooled, classes))
        case "mean":
            return nn.Sequential(Mean(), linear(pooled, classes))
        case "view":
            return nn.Sequential(nn.AdaptiveAvgPool2d(1), View(), linear(pooled, classes, bias=False))
        case "pool":
            return nn.Sequential(nn.AvgPool2d(side), nn.Flatten(), linear(pooled, classes))
        case "flat":
            return nn.Sequential(nn.Flatten(), linear(whole, classes, 4))
        case "flat_float":
            return nn.Sequential(nn.Flatten(), nn.Linear(whole, classes))
        case "flat_sign":
            return nn.Sequential(nn.Flatten(), linear(whole, classes, 1, bias=False), nn.BatchNorm1d(classes))
        case "mlp":
            return nn.Sequential(nn.Flatten(), linear(whole, 16, 4, bias=False), nn.BatchNorm1d(16), act("relu4"), nn.Dropout(), linear(16, classes, 4))
        case "nin":
            return nn.Sequential(conv(channels, classes, 1, 8, bias=True), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        case "nin_mean":
            return nn.Sequential(conv(channels, classes, 1, 4), nn.BatchNorm2d(classes), Mean())
        case "fcn":  # the classes' map is 1x1
            return nn.Sequential(conv(channels, classes, side, 4, pad=0, bias=True), nn.Flatten())
    raise ValueError(kind)
