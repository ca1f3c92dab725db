"""MACs of a network's parts, and their energy in the paper's form (2005.10851), as ``fogline::energy`` has it."""

from collections import Counter

import torch
from torch import nn

from .net import Exit, Hybrid

FULL_PRECISION_PJ = 3.2
STEM_BITS = 8


def picojoules(macs: dict[str, int]) -> float:
    """MACs by bit width: 3.1 k / 32 + 0.1 pJ each (Horowitz 2014, 45 nm)."""
    return sum(n * (FULL_PRECISION_PJ if int(k) == 32 else 3.1 * int(k) / 32 + 0.1) for k, n in macs.items())


def reduction(parts: list[dict], shares: list[float]) -> float:
    """How many times less than the twin a picture costs, where ``shares`` of all end at the exits.

    ``parts`` are the manifest's, in the order in which a picture meets them.
    """
    system, open_, left = 0.0, 1.0, list(shares)
    for part in parts:
        system += open_ * picojoules(part["macs"])
        if part["role"] == "head":
            open_ -= left.pop(0)
    twin = sum(FULL_PRECISION_PJ * sum(part["macs"].values()) for part in parts if part["role"] != "head")
    return twin / system


def parts(net: Hybrid) -> list[dict]:
    """The manifest's ``parts``, counted while the network runs on one picture."""
    found, macs = [], Counter()

    def count(module: nn.Module, _: tuple, output: torch.Tensor) -> None:
        bits = STEM_BITS if module is net.edge.stem else net.layout.bits if module in edge else 32
        macs[str(bits)] += output[0].numel() * module.weight[0].numel()

    def close(name: str, role: str) -> None:
        found.append({"name": name, "role": role, "macs": dict(macs)})
        macs.clear()

    exits = [layer for layer in net.edge.layers if isinstance(layer, Exit)]
    edge = {module for module in net.edge.modules() if isinstance(module, nn.Conv2d)}
    hooks = [m.register_forward_hook(count) for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    for number, exit_ in enumerate(exits, 1):
        hooks.append(exit_.register_forward_pre_hook(lambda *_, n=number: close(f"trunk-{n}", "trunk")))
        hooks.append(exit_.register_forward_hook(lambda *_, n=number: close(f"exit-{n}", "head")))
    with torch.no_grad():
        split = net.eval().edge(torch.zeros(1, 3, net.layout.size, net.layout.size))[-1]
        close(f"trunk-{len(exits) + 1}", "trunk")
        net.cloud(split)
        close("cloud", "cloud")
    for hook in hooks:
        hook.remove()
    return found
