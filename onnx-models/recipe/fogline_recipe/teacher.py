"""A teacher that has seen more than the data set at hand: EfficientNet-Lite0 (Tan, Le 2019, arXiv 1905.11946), trained on
ImageNet by its authors, fine-tuned here on enlarged pictures.

The kernels of its first stages stay as they are: they work on the largest maps, and their gradients would take most of the
time. Their batch-norms follow the statistics of the enlarged pictures.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from .data import DataError

FROZEN = 3


@dataclass(frozen=True)
class Layout:
    """What decides the teacher's shape."""

    classes: int
    size: int = 32
    enlarge: int = 4
    backbone: str = "tf_efficientnet_lite0"

    def to_dict(self) -> dict:
        return asdict(self)


class Teacher(nn.Module):
    """Pictures (N, 3, S, S), normalised, to [logits (N, classes)]."""

    def __init__(self, layout: Layout, pretrained: bool = False):
        super().__init__()
        import timm  # most runs have no such teacher

        self.layout = layout
        self.net = timm.create_model(layout.backbone, pretrained=pretrained, num_classes=1000)
        self.net.reset_classifier(layout.classes)
        for part in self.frozen():
            part.requires_grad_(False)

    def frozen(self) -> list[nn.Module]:
        return [self.net.conv_stem, self.net.bn1, *self.net.blocks[:FROZEN]]

    def kernels(self) -> list[tuple[nn.Parameter, bool]]:
        """None are for Muon: those of depthwise convolutions are no matrices, and few epochs shall not move the others far."""
        return []

    def shared(self) -> list[nn.Parameter]:
        """None of its weights share values."""
        return []

    def forward(self, x: Tensor) -> list[Tensor]:
        with torch.no_grad():
            x = nn.functional.interpolate(x, scale_factor=float(self.layout.enlarge), mode="bilinear")
            for part in self.frozen():
                x = part(x.contiguous(memory_format=torch.channels_last))
        # In bf16 the gradients of depthwise convolutions take twice the time on a CPU.
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            for part in self.net.blocks[FROZEN:]:
                x = part(x)
            return [self.net.forward_head(self.net.bn2(self.net.conv_head(x)))]


def pretrained(layout: Layout, seed: int, weights: Path | None) -> Teacher:
    """The backbone with ImageNet's weights, from timm's hub or a file, and a new head."""
    torch.manual_seed(seed)
    if weights is None:
        return Teacher(layout, pretrained=True)
    teacher = Teacher(layout)
    there = {name: tensor for name, tensor in teacher.net.state_dict().items() if not name.startswith("classifier")}
    found = torch.load(weights, map_location="cpu", weights_only=True)
    names = [name for name in there if "num_batches" not in name]
    # Other implementations name the same tensors otherwise, in the same order.
    given = [tensor for name, tensor in found.items() if "num_batches" not in name][:len(names)]
    if [tensor.shape for tensor in given] != [there[name].shape for name in names]:
        raise DataError(f"{weights}: not the weights of {layout.backbone}: tensors of other shapes, or in another order")
    teacher.net.load_state_dict(dict(zip(names, given, strict=True)), strict=False)
    return teacher
