"""Families of ordinary networks, tiny. Each function returns an edge with two exits."""

import torch
from torch import Tensor, nn

from .edge import Edge
from .layers import act, block, conv, head, linear, picture


class Sum(nn.Module):
    """A branch and a shortcut, then an activation."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, after: nn.Module) -> None:
        super().__init__()
        self.branch, self.shortcut, self.after = branch, shortcut, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.branch(x) + self.shortcut(x))


class Join(nn.Module):
    """The channels of several branches behind one another."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def pool(kind: str, channels: int, bits: int, kind_of_act: str) -> list[nn.Module]:
    """What halves a map."""
    match kind:
        case "max":
            return [nn.MaxPool2d(2)]
        case "max3":
            return [nn.MaxPool2d(3, stride=2, padding=1)]
        case "average":
            return [nn.AvgPool2d(2), act(kind_of_act, channels)]
        case "average3":
            return [nn.AvgPool2d(3, stride=2, padding=1), act(kind_of_act, channels)]
        case "stride":
            return block(channels, channels, 3, bits, kind_of_act, stride=2)
    raise ValueError(kind)


def vgg(bits: int = 4, kind: str = "relu4", pools: str = "max", heads: tuple[str, str] = ("gap", "flat"), read: str = "plain",
        real_pools: bool = False, **options) -> Edge:
    """Convolutions of 3x3 with pools between: of what the activations gave or, with ``real_pools``, of what they read."""
    def stage(inputs: int, outputs: int) -> list[nn.Module]:
        one, two = block(inputs, outputs, 3, bits, kind, **options), block(outputs, outputs, 3, bits, kind, **options)
        half = pool(pools, outputs, bits, kind)
        return [*one, two[0], half[0], *two[1:]] if real_pools else [*one, *two, *half]

    first = nn.Sequential(picture(read), *block(3, 8, 3, 8, kind), *stage(8, 12))
    return Edge(first, head(heads[0], 12, 12), nn.Sequential(*stage(12, 16)), head(heads[1], 16, 6))


def plain_bias(bits: int = 4, kind: str = "relu4", bias: str = "float") -> Edge:
    """Convolutions with biases and no batch-norm; the biases are quantised by the scale of input and weights, or not at all."""
    from brevitas import nn as qnn
    from brevitas import quant

    options = {"bias": True} | ({"bias_quant": quant.Int16Bias} if bias == "int16" else {})

    def layer(inputs: int, outputs: int) -> list[nn.Module]:
        return [conv(inputs, outputs, 3, bits, **options), qnn.QuantReLU(bit_width=int(kind[4:]), return_quant_tensor=True)]

    first = nn.Sequential(qnn.QuantIdentity(bit_width=8, return_quant_tensor=True), *layer(3, 8), *layer(8, 8))
    return Edge(first, head("mean", 8, 24), nn.Sequential(*layer(8, 8), nn.MaxPool2d(2)), head("gap", 8, 12))


def stem(kind: str, outputs: int, kind_of_act: str, read: str) -> list[nn.Module]:
    """The first layers: of CIFAR's ResNets, or of ImageNet's with a pool of 3x3."""
    if kind == "cifar":
        return [picture(read), *block(3, outputs, 3, 8, kind_of_act)]
    return [picture(read), *block(3, outputs, 7, 8, kind_of_act, stride=2), nn.MaxPool2d(3, stride=2, padding=1)]


def basic(inputs: int, outputs: int, stride: int, bits: int, kind: str, levels: str | None) -> nn.Module:
    """ResNet's basic block. With ``levels``, both summands pass that quantiser first."""
    branch = [*block(inputs, outputs, 3, bits, kind, stride=stride), conv(outputs, outputs, 3, bits), nn.BatchNorm2d(outputs)]
    shortcut = [] if stride == 1 and inputs == outputs else [conv(inputs, outputs, 1, bits, stride=stride, pad=0), nn.BatchNorm2d(outputs)]
    if levels:
        branch, shortcut = [*branch, act(levels)], [*shortcut, act(levels)]
    return Sum(nn.Sequential(*branch), nn.Sequential(*shortcut), act(kind, outputs))


def bottleneck(inputs: int, outputs: int, stride: int, bits: int, kind: str, levels: str | None) -> nn.Module:
    """ResNet's bottleneck, a quarter as wide inside."""
    inner = outputs // 4
    branch = [*block(inputs, inner, 1, bits, kind), *block(inner, inner, 3, bits, kind, stride=stride), conv(inner, outputs, 1, bits), nn.BatchNorm2d(outputs)]
    shortcut = [] if stride == 1 and inputs == outputs else [conv(inputs, outputs, 1, bits, stride=stride, pad=0), nn.BatchNorm2d(outputs)]
    if levels:
        branch, shortcut = [*branch, act(levels)], [*shortcut, act(levels)]
    return Sum(nn.Sequential(*branch), nn.Sequential(*shortcut), act(kind, outputs))


def averaged(inputs: int, outputs: int, stride: int, bits: int, kind: str, levels: str | None) -> nn.Module:
    """ResNet-D's block: its shortcut averages, then convolves."""
    branch = [*block(inputs, outputs, 3, bits, kind, stride=stride), conv(outputs, outputs, 3, bits), nn.BatchNorm2d(outputs)]
    pooled = [nn.AvgPool2d(2), act(levels or "levels8")] if stride == 2 else []
    shortcut = [*pooled, conv(inputs, outputs, 1, bits), nn.BatchNorm2d(outputs)]
    return Sum(nn.Sequential(*branch), nn.Sequential(*shortcut), act(kind, outputs))


def real(inputs: int, outputs: int, stride: int, bits: int, kind: str, levels: str | None) -> nn.Module:
    """A block whose sum stays real and is quantised by the next one, as Bi-Real Net's."""
    branch = [act(kind, inputs), conv(inputs, outputs, 3, bits, stride=stride), nn.BatchNorm2d(outputs)]
    pooled = [nn.AvgPool2d(2)] if stride == 2 else []
    shortcut = [] if stride == 1 and inputs == outputs else [*pooled, act("levels8"), conv(inputs, outputs, 1, 8), nn.BatchNorm2d(outputs)]
    return Sum(nn.Sequential(*branch), nn.Sequential(*shortcut), nn.Identity())


def resnet(bits: int = 4, kind: str = "relu4", first: str = "cifar", blocks=basic, levels: str | None = None, heads: tuple[str, str] = ("gap", "gap"),
           read: str = "plain", early: bool = False) -> Edge:
    """Three blocks, two of them of stride 2. Blocks with real sums end in a quantiser for the split."""
    side = 12 if first == "cifar" else 4
    one = nn.Sequential(*stem(first, 8, kind, read), blocks(8, 8, 1, bits, kind, levels), blocks(8, 16, 2, bits, kind, levels))
    two = nn.Sequential(blocks(16, 16, 1, bits, kind, levels), blocks(16, 24, 2, bits, kind, levels))
    float_heads = blocks is real
    return Edge(one, head("gap" if float_heads else heads[0], 16, side), two, head("gap" if float_heads else heads[1], 24, side // 2),
                act("sign" if bits == 1 else "levels4") if float_heads else None, early)


def dense(bits: int = 4, kind: str = "relu4", levels: bool = False, heads: tuple[str, str] = ("gap", "gap"), shrink: str = "average") -> Edge:
    """DenseNet: each layer reads all before it, as real numbers that it quantises itself, or as levels of one quantiser."""
    after = (lambda channels: [act(kind, channels)]) if levels else (lambda channels: [])
    before = (lambda channels: []) if levels else (lambda channels: [nn.BatchNorm2d(channels), act(kind, channels)])

    def norm(channels: int) -> list[nn.Module]:
        return [nn.BatchNorm2d(channels)] if levels else []

    def layers(channels: int, count: int) -> list[nn.Module]:
        widths = range(channels, channels + 4 * count, 4)
        return [Join(nn.Identity(), nn.Sequential(*before(width), conv(width, 4, 3, bits), *norm(4), *after(4))) for width in widths]

    first = nn.Sequential(picture(), conv(3, 8, 3, 8), nn.BatchNorm2d(8), *after(8), *layers(8, 2))
    pooled = nn.AvgPool2d(2) if shrink == "average" else nn.MaxPool2d(2)
    second = nn.Sequential(*before(16), conv(16, 12, 1, bits), *norm(12), *after(12), pooled,
                           *([act(kind)] if levels and shrink == "average" else []), *layers(12, 2), *before(20), *([act(kind)] if levels else []))
    return Edge(first, head(heads[0], 16, 24), second, head(heads[1], 20, 12))


def fire(bits: int = 4, kind: str = "relu4", heads: tuple[str, str] = ("gap", "nin"), pooled: str = "max", bypass: bool = False, shared: bool = False) -> Edge:
    """SqueezeNet: a squeeze of 1x1, then expansions of 1x1 and 3x3 that are joined; ``shared`` quantises them behind the joint."""
    def module(inputs: int, outputs: int) -> nn.Module:
        tail = (lambda n: []) if shared else (lambda n: [act(kind, n)])
        expand = [nn.Sequential(conv(outputs // 4, outputs // 2, k, bits), nn.BatchNorm2d(outputs // 2), *tail(outputs // 2)) for k in (1, 3)]
        layers = nn.Sequential(*block(inputs, outputs // 4, 1, bits, kind), Join(*expand), *([act(kind)] if shared else []))
        return Sum(layers, nn.Identity(), act(kind)) if bypass and inputs == outputs else layers

    down = {"max": nn.MaxPool2d(2), "max3": nn.MaxPool2d(3, stride=2, padding=1), "ceil": nn.MaxPool2d(3, stride=2, ceil_mode=True)}[pooled]
    first = nn.Sequential(picture(), *block(3, 8, 3, 8, kind), down, module(8, 16))
    return Edge(first, head(heads[0], 16, 12), nn.Sequential(module(16, 16), module(16, 24)), head(heads[1], 24, 12))


class Blur(nn.Module):
    """Max pool, then a fixed depthwise filter of stride 2: pools without aliasing. Its input may be real."""

    def __init__(self, channels: int, quantise: str | None = None) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.quantise = act(quantise) if quantise else None
        row = torch.tensor([1.0, 2.0, 1.0]) / 4
        self.register_buffer("filter", (row[:, None] * row)[None, None].repeat(channels, 1, 1, 1))
        self.blur = conv(channels, channels, 3, 8, stride=2, groups=channels) if quantise else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(x)
        if self.quantise:
            return self.blur(self.quantise(x))
        return nn.functional.conv2d(x, self.filter, stride=2, padding=1, groups=len(self.filter))


def quicknet(kind: str = "sign", blurred: str | None = None, stem_kind: str = "thin", relu: bool = True) -> Edge:
    """QuickNet: 1-bit convolutions with real shortcuts, and transitions that pool with blur."""
    def residual(channels: int) -> nn.Module:
        rest = [nn.ReLU()] if relu else []
        return Sum(nn.Sequential(act(kind), conv(channels, channels, 3, 1), *rest, nn.BatchNorm2d(channels)), nn.Identity(), nn.Identity())

    def transition(inputs: int, outputs: int) -> list[nn.Module]:
        return [nn.ReLU(), Blur(inputs, blurred), act("levels8"), conv(inputs, outputs, 1, 8), nn.BatchNorm2d(outputs)]

    thin = [conv(3, 8, 3, 8, stride=2), nn.BatchNorm2d(8), nn.ReLU(), act("relu8"), conv(8, 8, 3, 8, groups=8), nn.BatchNorm2d(8), act("levels8"),
            conv(8, 16, 1, 8), nn.BatchNorm2d(16)]
    whole = [conv(3, 16, 3, 8), nn.BatchNorm2d(16), nn.MaxPool2d(3, stride=2, padding=1)]
    first = nn.Sequential(picture(), *(thin if stem_kind == "thin" else whole), residual(16), residual(16))
    second = nn.Sequential(*transition(16, 24), residual(24), residual(24))
    return Edge(first, head("gap", 16, 12), second, nn.Sequential(nn.ReLU(), head("gap", 24, 6)), act("sign"))


def mobilenet(bits: int = 4, kind: str = "relu4", version: int = 1, heads: tuple[str, str] = ("gap", "mean"), read: str = "plain",
              groups: int = 0) -> Edge:
    """Depthwise and pointwise convolutions; version 2 widens first and sums; with ``groups``, those replace one group per channel."""
    def separable(inputs: int, outputs: int, stride: int) -> nn.Module:
        if version == 1:
            return nn.Sequential(*block(inputs, inputs, 3, bits, kind, stride=stride, groups=groups or inputs), *block(inputs, outputs, 1, bits, kind))
        wide = 2 * inputs
        layers = nn.Sequential(*block(inputs, wide, 1, bits, kind), *block(wide, wide, 3, bits, kind, stride=stride, groups=wide), conv(wide, outputs, 1, bits),
                               nn.BatchNorm2d(outputs), act(f"levels{bits}"))
        return Sum(layers, nn.Identity(), act(f"levels{bits}")) if stride == 1 and inputs == outputs else layers

    first = nn.Sequential(picture(read), *block(3, 8, 3, 8, kind, stride=2), separable(8, 16, 1), separable(16, 16, 1))
    return Edge(first, head(heads[0], 16, 12), nn.Sequential(separable(16, 24, 2), separable(24, 24, 1)), head(heads[1], 24, 6))


def mlp(bits: int = 1, kind: str = "sign", read: str = "plain", classes: int = 5) -> Edge:
    """Linear layers over all pixels; the split is a row."""
    def layer(inputs: int, outputs: int) -> list[nn.Module]:
        return [linear(inputs, outputs, bits, bias=False), nn.BatchNorm1d(outputs), act(kind), nn.Dropout(0.2)]

    first = nn.Sequential(picture(read), nn.Flatten(), *layer(3 * 12 * 12, 32))
    return Edge(first, linear(32, classes, 8), nn.Sequential(*layer(32, 24)), nn.Sequential(*layer(24, 24), linear(24, classes, bits)))


def nin(bits: int = 4, kind: str = "relu4", heads: tuple[str, str] = ("nin", "nin"), pooled: str = "max") -> Edge:
    """Network in network: convolutions of 5x5 with two of 1x1 behind each, and a convolution to the classes as head."""
    def stage(inputs: int, outputs: int) -> list[nn.Module]:
        return [*block(inputs, outputs, 5, bits, kind), *block(outputs, outputs, 1, bits, kind), *block(outputs, outputs, 1, bits, kind)]

    first = nn.Sequential(picture(), *stage(3, 12), *pool(pooled, 12, bits, kind))
    return Edge(first, head(heads[0], 12, 12), nn.Sequential(*stage(12, 16), *pool(pooled, 16, bits, kind)), head(heads[1], 16, 6))


def xnor(bits: int = 1, kind: str = "sign", heads: tuple[str, str] = ("gap", "gap"), pooled: str = "max") -> Edge:
    """As XNOR-Net orders its layers: norm, activation, convolution, ReLU, pool. The exits read real maps, the split is their levels."""
    def layer(inputs: int, outputs: int) -> list[nn.Module]:
        down = nn.MaxPool2d(2) if pooled == "max" else nn.AvgPool2d(2)
        return [nn.BatchNorm2d(inputs), act(kind, inputs), conv(inputs, outputs, 3, bits), nn.ReLU(), down]

    first = nn.Sequential(picture(), conv(3, 8, 3, 8), nn.ReLU(), *layer(8, 16))
    return Edge(first, head(heads[0], 16, 12), nn.Sequential(*layer(16, 24)), head(heads[1], 24, 6), nn.Sequential(nn.BatchNorm2d(24), act(kind)))
