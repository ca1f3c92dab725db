"""Training batches of augmented pictures, made on the device that holds all pictures."""

import math
import random
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .data import GREY, Pictures, normalise
from .runs import Schedule


class Feed:
    """Epochs of batches, each of the same size: (pictures (N, 3, S, S), normalised, in channels-last memory; targets (N, classes)).

    The order and augmentation of an epoch depend only on its number, so that a resumed run sees the same as an uninterrupted one. The
    incomplete last batch is dropped, with other pictures each time. Nothing here synchronises with the device.

    Pictures are shifted, or with ``--crop`` cropped from larger ones, and scaled to ``size``.
    """

    def __init__(self, pictures: Pictures, schedule: Schedule, where: torch.device, size: int | None = None):
        self.schedule, self.where, self.size = schedule, where, size or pictures.images.shape[-1]
        self.batch = min(schedule.batch, len(pictures))
        self.steps = len(pictures) // self.batch
        self.padded = (pictures.images if schedule.crop < 1 else padded(pictures.images, schedule.shift)).to(where)
        self.targets = torch.eye(len(pictures.names))[pictures.labels].to(where)
        self.mirrored_first = torch.rand(len(pictures), generator=self.generator(-1), device=where) < 0.5

    def generator(self, number: int) -> torch.Generator:
        return torch.Generator(self.where).manual_seed(self.schedule.seed * 100_003 + number)

    def view(self, number: int) -> int:
        """The first epoch that is the same as epoch ``number``."""
        return number % self.schedule.views if self.schedule.views else number

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of epoch ``number``, counted from 0. Every second epoch mirrors the pictures that the one before did not."""
        number = self.view(number)
        chances, cuts = self.generator(number), random.Random(self.schedule.seed * 100_003 + number)
        order = torch.randperm(len(self.targets), generator=chances, device=self.where)
        for index in order[:self.steps * self.batch].view(self.steps, self.batch):
            mirrored = self.mirrored_first[index] ^ bool(number % 2)
            images, targets = self.images(index, mirrored, chances), self.targets[index]
            if self.schedule.jitter:
                images = jittered(images, chances, self.schedule.jitter)
            if cuts.random() < self.schedule.cutmix:
                images, targets = cutmix(images, targets, cuts)
            yield images.contiguous(memory_format=torch.channels_last), targets


    def images(self, index: Tensor, mirrored: Tensor, chances: torch.Generator) -> Tensor:
        """Normalised pictures, each with another window, mirrored or not, and with a hole."""
        if self.schedule.crop == 1:
            return normalise(augment(self.padded[index], mirrored, chances, self.schedule.shift, self.schedule.hole))
        images = cropped(self.padded[index], self.size, mirrored, chances, self.schedule.crop)
        return images.masked_fill_(holes(len(images), self.size, self.size, chances, self.schedule.hole), 0.0)


def cropped(images: Tensor, size: int, mirrored: Tensor, chances: torch.Generator, least: float) -> Tensor:
    """A random rectangle of each picture, of at least the share ``least`` of its area and from 3:4 to 4:3, scaled to ``size`` and
    normalised (Szegedy et al. 2014, arXiv 1409.4842)."""
    n, where = len(images), images.device

    def random_between(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(n, generator=chances, device=where)

    area, aspect = random_between(least, 1), torch.exp(random_between(-1, 1) * (math.log(4 / 3) / 2))
    # Halves of its sides, in units where a picture goes from -1 to 1.
    width, height = ((area * by).sqrt().clamp_max(1) for by in (aspect * aspect, 1 / (aspect * aspect)))
    x, y = ((1 - half) * random_between(-1, 1) for half in (width, height))
    window = torch.zeros(n, 2, 3, device=where)
    window[:, 0, 0], window[:, 0, 2] = torch.where(mirrored, -width, width), x
    window[:, 1, 1], window[:, 1, 2] = height, y
    places = nn.functional.affine_grid(window, [n, 3, size, size], align_corners=False)
    return nn.functional.grid_sample(normalise(images), places, mode="bilinear", padding_mode="border", align_corners=False)


def jittered(images: Tensor, chances: torch.Generator, strength: float) -> Tensor:
    """Normalised pictures with other brightness, contrast and saturation, each by a factor of up to 1 +- ``strength``."""
    def factor() -> Tensor:
        return 1 + strength * (2 * torch.rand(len(images), 1, 1, 1, generator=chances, device=images.device) - 1)

    images = (images + 1) * factor() - 1
    mean = images.mean((1, 2, 3), keepdim=True)
    images = mean + (images - mean) * factor()
    grey = images.mean(1, keepdim=True)
    return (grey + (images - grey) * factor()).clamp_(-1, 1)


def padded(images: Tensor, shift: int) -> Tensor:
    """Bytes with ``shift`` reflected pixels on each side."""
    def reflected(side: int) -> Tensor:
        return side - 1 - (side - 1 - torch.arange(-shift, side + shift).abs()).abs()

    return images[:, :, reflected(images.shape[2])][..., reflected(images.shape[3])]


def augment(images: Tensor, mirrored: Tensor, chances: torch.Generator, shift: int, hole: int) -> Tensor:
    """Takes a window out of each of the ``padded`` images, mirrors those where ``mirrored`` is true, and greys a square of
    ``hole`` pixels (DeVries, Taylor 2017, arXiv 1708.04552)."""
    n, where = len(images), images.device
    height, width = (side - 2 * shift for side in images.shape[2:])
    down, right = torch.arange(height, device=where), torch.arange(width, device=where)

    def places(low: int, high: int) -> Tensor:
        return torch.randint(low, high, (n, 1), generator=chances, device=where)

    rows = places(0, 2 * shift + 1) + down
    columns = places(0, 2 * shift + 1) + torch.where(mirrored.view(n, 1), right.flip(0), right)
    picture, channel = (torch.arange(count, device=where) for count in (n, 3))
    shifted = images[picture.view(n, 1, 1, 1), channel.view(1, 3, 1, 1), rows.view(n, 1, height, 1), columns.view(n, 1, 1, width)]
    return shifted.masked_fill_(holes(n, height, width, chances, hole), GREY)


def holes(n: int, height: int, width: int, chances: torch.Generator, side: int) -> Tensor:
    """Where each of ``n`` pictures has its hole: (N, 1, height, width)."""
    def inside(length: int) -> Tensor:
        first = torch.randint(1 - side, length, (n, 1), generator=chances, device=chances.device)
        place = torch.arange(length, device=chances.device) - first
        return (place >= 0) & (place < side)

    return inside(height)[:, None, :, None] & inside(width)[:, None, None, :]


def cutmix(images: Tensor, targets: Tensor, cuts: random.Random) -> tuple[Tensor, Tensor]:
    """Puts one square of each picture's neighbour in the batch into it, and its share into the target (Yun et al. 2019, arXiv
    1905.04899)."""
    height, width = images.shape[2:]
    side = int(min(height, width) * cuts.random() ** 0.5)  # so that the square's share is anything from 0 to 1 alike
    top, left = cuts.randint(0, height - side), cuts.randint(0, width - side)
    images[:, :, top:top + side, left:left + side] = images.roll(1, 0)[:, :, top:top + side, left:left + side]
    share = side * side / (height * width)
    return images, (1 - share) * targets + share * targets.roll(1, 0)
