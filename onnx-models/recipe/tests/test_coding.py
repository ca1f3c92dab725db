"""The context model of coded maps: what it learns, and the file that Rust reads."""

import math
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from fogline_recipe import coding, data, quant
from fogline_recipe.layout import Layout
from fogline_recipe.net import Hybrid

GOLDEN = Path(__file__).parents[3] / "shared/tests/golden"


def checked(channels: int = 4, count: int = 300) -> torch.Tensor:
    """Maps of signs: random rows, each repeated in all channels, in every other one inverted."""
    chances = torch.Generator().manual_seed(3)
    row = torch.randint(0, 2, (count, 1, 6, 6), generator=chances) * 2 - 1
    return (row * torch.tensor([1 - 2 * (c % 2) for c in range(channels)]).view(1, -1, 1, 1)).to(torch.int8)


def by_number(bits: int) -> coding.Context:
    """A context with weights that need no random numbers."""
    context = coding.Context(6, bits)
    numbers = torch.arange(context.weight.numel()).view(context.weight.shape)
    kept = (numbers * 7919 % 11 == 0) | (numbers % 54 < 0)
    context.weight.data = torch.where(kept, (numbers * 37 % 65 - 32) / 64, 0.0) / (1 if bits == 1 else 8)
    context.bias.data = torch.arange(6) / 8 - 0.25
    context.log_step.data = torch.full((6,), -1.0)
    return context


def test_a_channel_that_repeats_another_takes_next_to_nothing():
    maps = checked()
    context = coding.fit(maps, 1, steps=400, weights=8)
    # Of 144 bits, only the 36 of the first channel are a surprise.
    assert 4.4 < coding.mean_bytes(context, maps) < 7
    kept = (context.weight * context.known != 0).sum().item()
    assert kept <= 8 * 4


def test_levels_are_predicted_by_how_near_they_are():
    chances = torch.Generator().manual_seed(5)
    maps = (torch.randn(200, 3, 6, 6, generator=chances) * 1.5).round().clamp(-8, 7).to(torch.int8)
    entropy = math.log2(1.5 * math.sqrt(2 * math.pi * math.e)) * 3 * 36 / 8
    context = coding.fit(maps, 4, steps=400, weights=8)
    assert entropy * 0.98 < coding.mean_bytes(context, maps) < entropy * 1.04


def test_every_value_has_a_probability():
    for bits in (1, 2, 4, 8):
        context = by_number(bits)
        n = 2**bits
        rest = torch.randint(0, n, (1, 6, 3, 3), generator=torch.Generator().manual_seed(1)) * 2.0 + 1 - n
        all_ = rest.repeat(n, 1, 1, 1)
        all_[:, 4, 1, 1] = torch.arange(n) * 2.0 + 1 - n
        shares = torch.exp2(-context.information(all_)[:, 4, 1, 1])
        assert abs(shares.sum().item() - 1) < 1e-4


def test_the_file_is_the_one_that_rust_reads():
    for bits in (1, 4):
        assert coding.written(by_number(bits), (6, 5, 7)) == (GOLDEN / f"coder-{bits}.coder").read_bytes()
        # Rust coded this map with that file; as many bytes as the probabilities say.
        packed, coded = ((GOLDEN / f"map-{bits}.{kind}").read_bytes() for kind in ("packed", "coded"))
        numbers = torch.tensor(list(packed))[:, None] >> torch.arange(0, 8, bits) & 2**bits - 1
        values = numbers.flatten()[:210].view(1, 6, 5, 7)
        levels = values * 2 - 1 if bits == 1 else torch.where(values > 7, values - 16, values)
        assert abs(coding.mean_bytes(by_number(bits), levels) - len(coded)) < 1 + 0.02 * len(coded)


class Tiny(nn.Module):
    """An edge without exits, of 4 channels of signs."""

    def __init__(self):
        super().__init__()
        self.split = nn.Sequential(nn.Conv2d(3, 4, 1), quant.split(1))

    def forward(self, x):
        return (self.split(x),)


def test_a_price_brings_maps_to_their_target():
    torch.manual_seed(1)
    net = SimpleNamespace(layout=SimpleNamespace(bits=1), edge=Tiny())
    images = torch.randint(256, (40, 3, 6, 6), dtype=torch.uint8)
    rate = coding.Rate(net, 3.0, images)
    # The first context was fitted: fewer than a bit a sign.
    mean = rate.mean.item()
    assert 3 < mean < 18
    before = rate.price.item()
    net.edge(data.normalise(images))
    cost = rate.cost([torch.randn(40, 5)])
    assert cost.item() > before * mean and rate.price.item() > before
    rate.target = 1e9
    net.edge(data.normalise(images))
    higher = rate.price.item()
    rate.cost([torch.randn(40, 5)])
    assert rate.price.item() < higher and not rate.maps


def test_a_price_is_of_the_levels_that_are_sent():
    torch.manual_seed(1)
    net = Hybrid(Layout(classes=3, bits=4, size=16, stem="8", edge="16 pool 16 exit2", split=16, cloud="16 pool 16+"))
    images = torch.randint(256, (40, 3, 16, 16), dtype=torch.uint8)
    for number, quantiser in enumerate(part for part in net.edge.split.modules() if isinstance(part, quant.Levels)):
        quantiser.log_scale.data.fill_(-1.3 - number)
    rate = coding.Rate(net.eval(), 3.0, images)
    levels = rate.levels(net.edge(data.normalise(images))[-1])
    assert torch.allclose(levels, levels.round(), atol=1e-3) and len(levels.round().unique()) > 3
    assert not {id(parameter) for parameter in rate.parameters()} & {id(parameter) for parameter in net.parameters()}
