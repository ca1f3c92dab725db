"""What makes an edge of a network: exits and the split map as outputs, and statistics as after training."""

from dataclasses import dataclass

import torch
from brevitas.quant_tensor import QuantTensor
from torch import Tensor, nn


@dataclass(frozen=True)
class Pictures:
    """The pictures of a network: side, channels, and the mean and std of what it reads."""

    size: int = 24
    channels: int = 3
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def read(self, rgb) -> Tensor:
        """What the network reads of uint8 pictures of shape (N, S, S, 3): float32, (N, C, S, S)."""
        pixels = torch.from_numpy(rgb).double() / 255
        normalised = (pixels - torch.tensor(self.mean).double()) / torch.tensor(self.std).double()
        return normalised.float().permute(0, 3, 1, 2)[:, : self.channels].contiguous()


def plain(x: Tensor | QuantTensor) -> Tensor:
    """The numbers of a tensor of Brevitas."""
    return x.value if isinstance(x, QuantTensor) else x


class Edge(nn.Module):
    """Two parts of a network with an exit behind each.

    The split is the second part's map, quantised by ``split`` if it is real; or the first part's, if it is ``early``.
    """

    def __init__(self, first: nn.Module, exit1: nn.Module, second: nn.Module, exit2: nn.Module | None = None,
                 split: nn.Module | None = None, early: bool = False) -> None:
        super().__init__()
        self.first, self.second, self.early = first, second, early
        self.exit1, self.exit2 = exit1, exit2 or nn.Identity()
        self.split = split or nn.Identity()

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        a = self.first(picture)
        b = self.second(a)
        return plain(self.exit1(plain(a))), plain(self.exit2(b)), plain(self.split(a if self.early else b))


def settle(net: nn.Module, batches: list[Tensor]) -> nn.Module:
    """Gives batch-norms random factors and terms, then them and the quantisers the statistics of these pictures.

    Some factors are negative, as in trained networks.
    """
    with torch.no_grad():
        for norm in net.modules():
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                norm.momentum = None  # the mean over all batches
            if hasattr(norm, "running_mean"):  # also Brevitas's TensorNorm
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                norm.weight[torch.rand_like(norm.weight) < 0.1] *= -1
                nn.init.normal_(norm.bias, 0, 0.3)
        net.train()
        for batch in batches:
            net(batch)
    return net.eval()
