"""Training batches of augmented pictures, made on the device that holds all pictures."""

import random
from collections.abc import Iterator

import torch
from torch import Tensor

from .data import GREY, Pictures, normalise
from .runs import Schedule


class Feed:
    """Epochs of batches, each of the same size: (pictures (N, 3, S, S), normalised, in channels-last memory; targets (N, classes)).

    The order and augmentation of an epoch depend only on its number, so that a resumed run sees the same as an uninterrupted one. The
    incomplete last batch is dropped, with other pictures each time. Nothing here synchronises with the device.
    """

    def __init__(self, pictures: Pictures, schedule: Schedule, where: torch.device):
        self.schedule, self.where = schedule, where
        self.batch = min(schedule.batch, len(pictures))
        self.steps = len(pictures) // self.batch
        self.padded = padded(pictures.images, schedule.shift).to(where)
        self.targets = torch.eye(len(pictures.names))[pictures.labels].to(where)
        self.mirrored_first = torch.rand(len(pictures), generator=self.generator(-1), device=where) < 0.5

    def generator(self, number: int) -> torch.Generator:
        return torch.Generator(self.where).manual_seed(self.schedule.seed * 100_003 + number)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The batches of epoch ``number``, counted from 0. Every second epoch mirrors the pictures that the one before did not."""
        chances, cuts = self.generator(number), random.Random(self.schedule.seed * 100_003 + number)
        order = torch.randperm(len(self.targets), generator=chances, device=self.where)
        for index in order[:self.steps * self.batch].view(self.steps, self.batch):
            mirrored = self.mirrored_first[index] ^ bool(number % 2)
            images = augment(self.padded[index], mirrored, chances, self.schedule.shift, self.schedule.hole)
            images, targets = normalise(images), self.targets[index]
            if cuts.random() < self.schedule.cutmix:
                images, targets = cutmix(images, targets, cuts)
            yield images.contiguous(memory_format=torch.channels_last), targets


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
    row, column = down - places(1 - hole, height), right - places(1 - hole, width)
    inside = ((row >= 0) & (row < hole))[:, None, :, None] & ((column >= 0) & (column < hole))[:, None, None, :]
    return shifted.masked_fill_(inside, GREY)


def cutmix(images: Tensor, targets: Tensor, cuts: random.Random) -> tuple[Tensor, Tensor]:
    """Puts one square of each picture's neighbour in the batch into it, and its share into the target (Yun et al. 2019, arXiv
    1905.04899)."""
    height, width = images.shape[2:]
    side = int(min(height, width) * cuts.random() ** 0.5)  # so that the square's share is anything from 0 to 1 alike
    top, left = cuts.randint(0, height - side), cuts.randint(0, width - side)
    images[:, :, top:top + side, left:left + side] = images.roll(1, 0)[:, :, top:top + side, left:left + side]
    share = side * side / (height * width)
    return images, (1 - share) * targets + share * targets.roll(1, 0)
