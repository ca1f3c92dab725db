"""Weights that share values by hashing, which makes the edge's download smaller (Chen et al. 2015, "HashedNets", arXiv 1504.04788).

Deflate-inflate (Nazir et al. 2021, doi 10.1002/cpe.6593) sends such models to devices, which expand them at run time. Weight i of
a tensor with ``size`` shared values takes value ``(i % size) * 2654435761 ** (i // size) % size``: Knuth's multiplicative hash, which
assigns equally many weights to every value. ``cargo xtask pack --share N`` stores each value once.
"""

from functools import cache

import torch
from torch import nn

from .quant import LayoutError

MULTIPLIER = 2654435761
CPU = torch.device("cpu")


@cache
def groups(count: int, share: int, where: torch.device = CPU) -> torch.Tensor:
    """The indices (share, count / share) of the weights that take each value, in the flattened tensor; on the device ``where``."""
    if count % share:
        raise LayoutError(f"{count} weights cannot share values by {share}")
    size = count // share
    places = torch.arange(count).view(share, size)
    return torch.stack([row[(torch.arange(size) * pow(MULTIPLIER, turn, size) % size).argsort()] for turn, row in enumerate(places)]).to(where)


@torch.no_grad()
def tie(kernels: list[nn.Parameter], share: int) -> None:
    """Sets the weights of every group to their mean: the nearest kernels with shared values. Called after each step."""
    for kernel in kernels:
        flat = kernel.flatten()
        together = groups(flat.numel(), share, flat.device)
        flat[together] = flat[together].mean(0, keepdim=True).expand(share, -1)
        kernel.copy_(flat.view(kernel.shape))
