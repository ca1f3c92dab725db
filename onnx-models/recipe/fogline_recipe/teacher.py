"""Teacher networks, which are larger than the pair or pretrained on more data."""

from dataclasses import asdict, dataclass
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

from .data import DataError

FROZEN, SEEN = 3, 128  # number of frozen stages; smaller pictures are enlarged to this side
EFFICIENTNET, RESNET = "tf_efficientnet_lite0", "resnet18"


def timm():
    """Imports timm on demand: most runs do not need it, and importing it takes seconds."""
    import timm as library

    return library


@dataclass(frozen=True)
class Layout:
    """What decides a teacher's shape."""

    classes: int
    size: int = 32
    backbone: str = EFFICIENTNET

    def to_dict(self) -> dict:
        return asdict(self)


class Teacher(nn.Module):
    """Pictures (N, 3, S, S), normalised, to [logits (N, classes)]."""

    layout: Layout
    net: nn.Module

    def kernels(self) -> list[tuple[nn.Parameter, bool]]:
        """The kernels for Muon, and whether they decay."""
        return []

    def shared(self) -> list[nn.Parameter]:
        """Empty: no weights of a teacher share values."""
        return []


class ResNet18(Teacher):
    """ResNet-18 (He et al. 2015, arXiv 1512.03385) for small pictures: a first convolution of 3x3 at full size and no pool behind it.
    Trained from scratch, on the same pictures as the student."""

    def __init__(self, layout: Layout):
        super().__init__()
        self.layout, self.net = layout, timm().create_model(layout.backbone, num_classes=layout.classes)
        self.net.conv1, self.net.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()

    def kernels(self) -> list[tuple[nn.Parameter, bool]]:
        return [(m.weight, True) for m in self.net.modules() if isinstance(m, nn.Conv2d) and m is not self.net.conv1]

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.net(x)]


class EfficientNet(Teacher):
    """EfficientNet-Lite0 (Tan, Le 2019, arXiv 1905.11946), trained on ImageNet by its authors, fine-tuned here; small pictures are enlarged.

    The kernels of its first stages stay as they are: they work on the largest maps, and their gradients would take most of the
    time. Their batch-norms follow the statistics of the enlarged pictures. None are for Muon: those of depthwise convolutions are
    no matrices, and few epochs shall not move the others far.
    """

    def __init__(self, layout: Layout, pretrained: bool = False):
        super().__init__()
        self.layout, self.net = layout, timm().create_model(layout.backbone, pretrained=pretrained, num_classes=1000)
        self.net.reset_classifier(layout.classes)
        for part in self.frozen():
            part.requires_grad_(False)

    def frozen(self) -> list[nn.Module]:
        return [self.net.conv_stem, self.net.bn1, *self.net.blocks[:FROZEN]]

    def forward(self, x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            if x.shape[-1] < SEEN:
                x = nn.functional.interpolate(x, size=(SEEN, SEEN), mode="bilinear")
            for part in self.frozen():
                x = part(x.contiguous(memory_format=torch.channels_last))
        # In bf16 the gradients of depthwise convolutions take twice the time on a CPU.
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            for part in self.net.blocks[FROZEN:]:
                x = part(x)
            return [self.net.forward_head(self.net.bn2(self.net.conv_head(x)))]


def build(layout: Layout) -> Teacher:
    """The network of this layout, with random weights."""
    return ResNet18(layout) if layout.backbone == RESNET else EfficientNet(layout)


def new(layout: Layout, seed: int, weights: Path | None = None) -> Teacher:
    """A teacher with initial weights: random for the ResNet, from ImageNet (timm's hub or a file) for the EfficientNet."""
    torch.manual_seed(seed)
    if layout.backbone == EFFICIENTNET and weights is None:
        return EfficientNet(layout, pretrained=True)
    teacher = build(layout)
    if weights is None:
        return teacher
    there = {name: tensor for name, tensor in teacher.net.state_dict().items() if not name.startswith("classifier")}
    try:
        found = dict(torch.load(weights, map_location="cpu", weights_only=True))
    except (RuntimeError, EOFError, UnpicklingError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{weights}: not a state dict that PyTorch saved") from error
    names = [name for name in there if "num_batches" not in name]
    # Other implementations use other names for the same tensors, in the same order.
    given = [tensor for name, tensor in found.items() if "num_batches" not in str(name)][:len(names)]
    if not all(isinstance(tensor, Tensor) for tensor in given) or [tensor.shape for tensor in given] != [there[name].shape for name in names]:
        raise DataError(f"{weights}: not the weights of {layout.backbone}: tensors of other shapes, or in another order")
    teacher.net.load_state_dict(dict(zip(names, given, strict=True)), strict=False)
    return teacher
