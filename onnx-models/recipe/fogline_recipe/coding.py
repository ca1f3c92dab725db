"""The context model of a pair's coded maps: it predicts each value of the split map from values that are coded before it.

Channels are coded one after the other. A value's prediction is a sum over its four neighbours before it in its own channel and over a
few values of earlier channels, within a pixel of its place. It is the centre of a logistic distribution, whose steps are as high as the
channel's values differ (the discretised logistic of Salimans et al. 2017, arXiv 1701.05517, equation 2). For signs this is a logistic
regression. shared/src/coding codes maps with the same model in integers.

A *centred* value is 2i + 1 - n for the i-th of n levels: -1 and +1 for signs, -15 to 15 for four bits.
"""

import math
import struct

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, logsigmoid
from tqdm import tqdm

from . import quant
from .runs import logits

FIRST = 2000  # maps for a first context
FEW = 4  # bits of a value that others are predicted from


def centred(map_: Tensor, bits: int, signed: bool = True) -> Tensor:
    """The centred values of a map of signs or levels."""
    if bits == 1:
        return map_
    return 2 * map_ + 1 if signed else 2 * map_ + 1 - 2**bits


def seen(values: Tensor, bits: int) -> Tensor:
    """Centred values as other values are predicted from them: their highest bits."""
    return (values / 2 ** (bits - FEW)).floor() if bits > FEW else values


class Context(nn.Module):
    """Predicts the values of maps (N, C, h, w) of ``bits`` bits."""

    def __init__(self, channels: int, bits: int):
        super().__init__()
        self.bits = bits
        self.weight = nn.Parameter(torch.zeros(channels, channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.log_step = nn.Parameter(torch.zeros(channels))
        earlier = torch.ones(channels, channels).tril(-1)[:, :, None, None].repeat(1, 1, 3, 3)
        earlier[range(channels), range(channels), 0] = 1
        earlier[range(channels), range(channels), 1, 0] = 1
        self.register_buffer("known", earlier)

    def information(self, values: Tensor) -> Tensor:
        """The bits of each centred value."""
        centre = conv2d(seen(values, self.bits), self.weight * self.known, self.bias, padding=1)
        most, step = 2**self.bits - 1, self.log_step.exp()[:, None, None]
        above, below = logsigmoid((values + 1) * step - centre), logsigmoid(centre - (values - 1) * step)
        within = torch.log1p(-torch.exp(-2 * step))
        nats = torch.where(values <= -most, above, torch.where(values >= most, below, above + below + within))
        return nats / -math.log(2)


class Rate(nn.Module):
    """Keeps the coded maps of a network in training at a mean of ``target`` bytes, by a price per byte that rises while they are larger.

    The mean is over the pictures that the exits are unsure of, since the others' maps are never sent. ``images`` are some of them.
    """

    def __init__(self, net: nn.Module, target: float, images: Tensor):
        super().__init__()
        self.bits, self.target = net.layout.bits, target
        # In a list: its scale is the network's to learn, not the coder's.
        self.quantisers = [part for part in net.edge.split[-1].modules() if isinstance(part, quant.Levels)]
        chosen = images[torch.randperm(len(images), generator=torch.Generator().manual_seed(1))[:FIRST]]
        maps = self.levels(logits(net.edge, chosen, "running the edge")[-1]).detach().round()
        # Without a first context, the price would rise until one is learned.
        self.context = fit(maps, self.bits, steps=STEPS, weights=9 * maps.shape[1])
        self.register_buffer("price", torch.tensor(2e-4))
        self.register_buffer("mean", torch.tensor(mean_bytes(self.context, maps)))
        self.maps = []
        net.edge.split.register_forward_hook(lambda *found: self.maps.append(found[-1]))

    def levels(self, map_: Tensor) -> Tensor:
        """The levels of a map as the network has it."""
        return map_ / self.quantisers[0].log_scale.exp() if self.quantisers else map_

    def cost(self, exits: list[Tensor]) -> Tensor:
        """The price of the maps of the last batch, and the next price."""
        levels = self.levels(self.maps.pop().float())
        self.maps.clear()
        unsure = 1 - torch.stack([exit_.detach().softmax(1).amax(1) for exit_ in exits]).amax(0)
        bytes_ = self.context.information(centred(levels, self.bits)).sum((1, 2, 3)) / 8
        mean = (bytes_ * unsure).sum() / unsure.sum().clamp_min(1e-6)
        with torch.no_grad():
            self.mean.lerp_(mean, 0.05)
            over = (self.mean / self.target - 1).clamp(-1, 1)
            price = self.price * torch.exp(3 * over)
            self.price *= torch.exp(0.03 * over)
        return price * mean


SMALLEST, LARGEST = 5, 8  # a logit is 2^SMALLEST to 2^LARGEST in the file
MOST = 2**15 - 1  # of a sum of a prediction


def written(context: Context, shape: tuple[int, int, int], signed: bool = True) -> bytes:
    """The file split.coder of a fitted context, rounded to integers; docs/protocol.md describes it."""
    channels = shape[0]
    weight, bias, step = (context.weight * context.known).detach(), context.bias.detach(), context.log_step.detach().exp()
    most = 2 ** min(context.bits, FEW)
    sums = most * weight.abs().sum((1, 2, 3)) + bias.abs()
    units = [unit for unit in range(LARGEST, SMALLEST - 1, -1)
             if weight.abs().max() * 2**unit <= 127 and max(sums.max(), step.max()) * 2**unit * 1.02 <= MOST]
    unit = units[0] if units else SMALLEST
    whole = (weight * 2**unit).round().clamp(-127, 127).to(torch.int8).numpy()
    own = [[whole[c, c, 0, 0], whole[c, c, 0, 1], whole[c, c, 0, 2], whole[c, c, 1, 0]] for c in range(channels)]
    places, weights, counts = [], [], []
    for c in range(channels):
        earlier = whole[c, :c].reshape(-1)
        found = earlier.nonzero()[0]
        counts.append(len(found))
        places.extend(np.diff(found, prepend=0))
        weights.extend(earlier[found])
    places = np.array(places, dtype=np.uint16)
    signs = bias * 2**unit
    header = struct.pack("<4sBBBB3HI", b"FOGC", 1, context.bits, int(signed), unit, *shape, len(places))
    lists = [np.arange(channels, dtype="<u2"), signs.round().clamp(-MOST, MOST).numpy().astype("<i2"),
             (step * 2**unit).round().clamp(0, MOST).numpy().astype("<u2"), np.array(own, dtype=np.int8), np.array(counts, dtype="<u2"),
             (places & 255).astype(np.uint8), (places >> 8).astype(np.uint8), np.array(weights, dtype=np.int8)]
    return header + b"".join(part.tobytes() for part in lists)


WEIGHTS = 36  # of each channel on the mean: more take more bytes at the edge than they save
FINEST = 2**-4  # weights of earlier channels are multiples of it: the file then compresses by a tenth more, and a map grows by 0.2%
STEPS = 1200  # for many maps; for fewer, one for every ten, and at least a hundred


def fit(maps: Tensor, bits: int, signed: bool = True, steps: int = 0, weights: int = WEIGHTS, seed: int = 1) -> Context:
    """Fits a context to maps (N, C, h, w) of signs or levels. The smallest weights are dropped in steps, until ``weights`` are left."""
    channels, steps = maps.shape[1], steps or min(STEPS, max(100, len(maps) // 10))
    chances = torch.Generator().manual_seed(seed)
    context = Context(channels, bits)
    values = centred(maps[:2000].float(), bits, signed)
    context.log_step.data = torch.log(2 / values.std((0, 2, 3)).clamp_min(0.1))
    own = torch.zeros_like(context.known, dtype=torch.bool)
    own[range(channels), range(channels)] = True
    optimiser = torch.optim.Adam(context.parameters())
    fewer = [part for part in (8 * weights, 4 * weights, 2 * weights, weights) if part < 9 * channels]
    stages = [None, *fewer]
    bar = tqdm(total=len(stages) * steps // 5, desc="fitting the coder", unit=" steps", leave=False)
    for keep in stages:
        if keep is not None:
            worth = context.weight.detach().abs() * context.known + own * context.known * 1e6
            least = worth.flatten().topk(min(worth.numel(), keep * channels)).values[-1]
            context.known *= worth >= least
        for step in range(steps // 5):
            for group in optimiser.param_groups:
                group["lr"] = 0.01 * (1 - step / (steps // 5)) ** 0.5
            chosen = centred(maps[torch.randint(len(maps), (100,), generator=chances)].float(), bits, signed)
            optimiser.zero_grad()
            context.information(chosen).mean().backward()
            optimiser.step()
            bar.update()
    bar.close()
    weight = context.weight.data
    context.weight.data = torch.where(own, weight, (weight / FINEST).round() * FINEST)
    return context


@torch.no_grad()
def mean_bytes(context: Context, maps: Tensor, signed: bool = True) -> float:
    """The mean bytes of a coded map, as its probabilities say."""
    parts = [context.information(centred(part.float(), context.bits, signed)).sum().item() for part in maps.split(200)]
    return sum(parts) / 8 / len(maps)
