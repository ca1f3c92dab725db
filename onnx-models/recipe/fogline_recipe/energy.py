"""The cost of a network's parts: MACs, elements read, and computational energy as in ``fogline::energy`` (arXiv 2005.10851)."""

from collections import Counter

import torch
from brevitas.nn import QuantConv2d
from torch import nn

from .net import Hybrid
from .ways import NestedConv

FULL_PRECISION_PJ = 3.2


def picojoules(macs: dict[str, int]) -> float:
    """MACs by bit width: 3.1 k / 32 + 0.1 pJ each (Horowitz 2014, 45 nm)."""
    return sum(n * (FULL_PRECISION_PJ if int(k) == 32 else 3.1 * int(k) / 32 + 0.1) for k, n in macs.items())


def of_sample(parts: list[dict], ending: int, way: int) -> float:
    """Energy in picojoules of a sample that takes ``way`` and is answered by exit ``ending``, from 0; the number of exits means the cloud."""
    passed, exit_ = 0.0, 0
    for part in parts:
        if part.get("way", way) == way:
            passed += picojoules(part["macs"])
        if part["role"] == "head":
            if exit_ == ending:
                break
            exit_ += 1
    return passed


def reduction(parts: list[dict], shares: list[float], extended: bool = False) -> float:
    """How many times less energy than the twin a picture needs, if ``shares`` of all pictures are answered at the exits.

    ``parts`` are the manifest's, in running order; if there are several ways, all pictures take the first. If ``extended``, the last
    exit is an extension, which runs only for the pictures that it answers.
    """
    system, open_, left = 0.0, 1.0, list(shares)
    for part in parts:
        if part.get("way", 0) == 0:
            system += (left[0] if extended and part["role"] == "head" and len(left) == 1 else open_) * picojoules(part["macs"])
        if part["role"] == "head":
            open_ -= left.pop(0)
    twin = sum(FULL_PRECISION_PJ * sum(part["macs"].values()) for part in parts if part["role"] != "head" and part.get("way", 0) == 0)
    return twin / system


def parts(net: Hybrid) -> list[dict]:
    """The manifest's ``parts``, counted while the network runs on one picture; a stage with several ways has one part per way."""
    runs = [_parts(net, way) for way in range(len(net.mixed()[0].bits) if net.mixed() else 1)]
    mixed = {f"trunk-{number}" for number, after in enumerate(net.edge.exit_after, 1)
             for block in net.edge.blocks[net.edge.exit_after[number - 2] if number > 1 else 0:after] if block in net.mixed()}
    return [found for each in zip(*runs, strict=True)
            for found in ([part | {"way": way} for way, part in enumerate(each)] if each[0]["name"] in mixed else each[:1])]


def _parts(net: Hybrid, way: int) -> list[dict]:
    found, macs, reads = [], Counter(), Counter()

    def count(module: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        # An exit's linear layer has weights of eight bits and real inputs: it counts in full.
        bits = 32
        if isinstance(module, NestedConv):
            bits = inputs[1]
        elif isinstance(module, QuantConv2d):
            bits = int(module.weight_quant.bit_width())
        macs[str(bits)] += output[0].numel() * module.weight[0].numel()
        reads[str(bits)] += module.weight.numel() + inputs[0][0].numel()

    def close(name: str, role: str) -> None:
        found.append({"name": name, "role": role, "macs": dict(macs)} | ({"reads": dict(reads)} if reads else {}))
        macs.clear()
        reads.clear()

    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    heads = [*net.edge.exits, *([net.edge.extension] if net.edge.extension else [])]
    for number, exit_ in enumerate(heads, 1):
        hooks.append(exit_.register_forward_pre_hook(lambda *_, n=number: close(f"trunk-{n}", "trunk")))
        hooks.append(exit_.register_forward_hook(lambda *_, n=number: close(f"exit-{n}", "head")))
    with torch.no_grad():
        split = net.eval().edge(torch.zeros(1, 3, net.layout.size, net.layout.size), way)[-1]
        close(f"trunk-{len(heads) + 1}", "trunk")
        net.cloud(split)
        close("cloud", "cloud")
    for hook in hooks:
        hook.remove()
    return found
