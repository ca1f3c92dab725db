"""Blocks whose precision is chosen for every sample (after USDN, Jeon et al. 2024, WACV).

Each *way* runs the same kernels at another bit width. They are stored once, at the largest width, on a grid without zero,
``(q + 1/2) * step``; the highest k bits of q are the k-bit kernel, and the highest bit is its sign. Each way has its own small
parameters: the shifts, the quantisers of the maps, the batch-norms and the slopes.
"""

import torch
from torch import Tensor, nn


class _HighestBits(torch.autograd.Function):
    """(q + 1/2) * step, where q are the highest ``bits`` of the levels; the gradient passes within the grid."""

    @staticmethod
    def forward(ctx, weight: Tensor, step: float | Tensor, bits: int) -> Tensor:
        half = 2 ** (bits - 1)
        ratio = weight / step
        ctx.save_for_backward(ratio)
        ctx.half = half
        return (ratio.floor().clamp_(-half, half - 1) + 0.5) * step

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None, None]:
        (ratio,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, ratio, -ctx.half, ctx.half), None, None

    @staticmethod
    def symbolic(g, weight, step, bits: int):
        def constant(number: float):
            return g.op("Constant", value_t=torch.tensor(number))

        if bits == 1:
            return g.op("qonnx.custom_op.general::BipolarQuant", weight, constant(step / 2)).setType(weight.type())
        grid = constant(step), constant(-0.5), constant(float(bits))
        return g.op("qonnx.custom_op.general::Quant", weight, *grid, signed_i=1, narrow_i=0, rounding_mode_s="ROUND").setType(weight.type())


class NestedConv(nn.Conv2d):
    """A 3x3 convolution whose narrow kernels are the highest bits of its wide ones."""

    def __init__(self, channels: int, widest: int):
        super().__init__(channels, channels, 3, padding=1, bias=False)
        self.widest = widest
        self.register_buffer("step", torch.tensor(0.0))

    @torch.no_grad()
    def find_step(self) -> None:
        """The step with which the widest grid spans 2.8 times the mean weight: between the best of four bits and of two."""
        self.step.copy_(2.8 * self.weight.abs().mean() / 2 ** (self.widest - 1))

    @torch.no_grad()
    def settle(self) -> None:
        """Moves weights off the borders between levels. QONNX rounds ``weight / step - 1/2`` in fp32, so on a border two widths may round
        differently, and the narrow kernel would no longer be the highest bits of the wide one."""
        level = (ratio := self.weight / self.step).floor()
        self.weight.copy_((level + (ratio - level).clamp(1e-5, 1 - 1e-5)) * self.step)

    def forward(self, x: Tensor, bits: int) -> Tensor:
        widest = self.step if self.training else self.step.item()  # in a graph it is a number; reading a tensor would synchronise with the device
        step = 2.0 if bits == 1 else widest * 2 ** (self.widest - bits)  # a batch-norm follows, so the scale of a sign does not matter
        kernel = _HighestBits.apply(self.weight, step, bits)
        return nn.functional.conv2d(x, kernel, padding=1)


class MixedBlock(nn.Module):
    """A block that runs at one of several bit widths: ``way`` is its index or, for export, a one-hot tensor."""

    def __init__(self, bits: list[int], channels: int, block: type[nn.Module]):
        super().__init__()
        self.bits = bits
        self.conv = NestedConv(channels, max(bits))
        self.ways = nn.ModuleList(block(each, channels, channels, own=False) for each in bits)

    def forward(self, x: Tensor, way: int | Tensor) -> Tensor:
        def run(index: int) -> Tensor:
            return self.ways[index](x, lambda map_: self.conv(map_, self.bits[index]))

        if isinstance(way, int):
            return run(way)
        return sum(run(index) * way[index] for index in range(len(self.bits)))

    def spread(self) -> None:
        """Copies the first way's parameters to the others, which training did not start with."""
        self.conv.find_step()
        for way in self.ways[1:]:
            for part in ("shift", "norm", "act"):
                getattr(way, part).load_state_dict(getattr(self.ways[0], part).state_dict())
