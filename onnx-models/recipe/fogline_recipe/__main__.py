"""The command line: ``python -m fogline_recipe train|evaluate|export|golden --help``."""

import argparse
from dataclasses import fields
from pathlib import Path

from .net import Layout
from .train import Schedule

HELP = {
    "classes": None,  # read from the data
    "bits": "bits of the edge's weights and activations: 1, 2, 4 or 8",
    "size": "pictures are SIZE x SIZE",
    "stem": "channels of the first layer",
    "edge": "edge layout: WIDTH[/STRIDE] a block, exitGRID an exit",
    "split": "channels of the split map",
    "cloud": "cloud layout: WIDTH a convolution, WIDTH+ one with a shortcut, pool",
    "epochs": "epochs in all; may be changed on --resume",
    "batch": "pictures a step",
    "rate": "highest learning rate",
    "warmup": "epochs in which the rate rises",
    "cooldown": "last epochs, in which the rate falls to zero",
    "decay": "weight decay of the full-precision kernels",
    "smoothing": "label smoothing",
    "exit_weight": "weight of each exit's loss; the final head has the rest",
    "seed": "seed of weights, order and augmentation",
    "hold_out_every": "every n-th training picture of a class is kept out, for choosing thresholds",
}


def add_fields(parser: argparse.ArgumentParser, kind: type) -> None:
    for field in fields(kind):
        if text := HELP[field.name]:
            parser.add_argument("--" + field.name.replace("_", "-"), type=field.type, default=field.default,
                                help=f"{text} (default {field.default!r})")


def take(arguments: argparse.Namespace, kind: type, **known):
    return kind(**{f.name: getattr(arguments, f.name) for f in fields(kind) if f.name not in known}, **known)


def train(arguments: argparse.Namespace) -> None:
    from . import data
    from .train import train as run

    pictures = data.load(arguments.data, "train", arguments.size)
    layout = take(arguments, Layout, classes=len(pictures.names))
    run(pictures, layout, take(arguments, Schedule), arguments.out, arguments.resume)


def main() -> None:
    parser = argparse.ArgumentParser(prog="fogline_recipe", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train", help="train exits and final head together")
    command.add_argument("--data", type=Path, required=True, help="CIFAR's Python or binary folder, or DIR/train/CLASS/*.jpg")
    command.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT")
    add_fields(command, Layout)
    add_fields(command, Schedule)
    command.set_defaults(run=train)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
