"""The command line: ``python -m fogline_recipe --help`` names its commands."""

import argparse
from dataclasses import fields
from pathlib import Path

from . import commands
from .calibrate import RULES
from .data import DataError
from .layout import TINY, Layout
from .quant import LayoutError
from .runs import Schedule
from .teacher import EFFICIENTNET, RESNET

HELP = {
    "classes": None,  # read from the data
    "bits": "bits of the edge's weights and activations: 1, 2, 4 or 8; 32 trains the full-precision twin, without exits",
    "size": "pictures are SIZE x SIZE",
    "stem": "channels of the first layer",
    "edge": "edge layout: WIDTH a block, pool, exitGRID an exit",
    "split": "channels of the split map",
    "cloud": "cloud layout: WIDTH a convolution, WIDTH+ one with a shortcut, pool",
    "ways": "bits of the blocks behind the first exit, such as '1 2 4': one network whose precision is chosen a sample (USDN)",
    "extension": "ADAPTIVE + BLOCKS exitGRID, for the hard classes alone; goes with --start, and only it is trained (MEANet)",
    "hard": "the hard classes' numbers; without, the half of them that the pair to start from gets wrong most on held-out pictures",
    "appeals": "give each exit a score of whether its own answer will hold, for the policy appeal; goes with --start, and only that is "
               "trained, on half of the held-out pictures (AppealNet)",
    "share": "how many weights of the blocks' kernels share each value by hashing; pack then stores it once",
    "epochs": "epochs in all; may be changed on --resume",
    "batch": "pictures a step",
    "rate": "highest learning rate of AdamW, for all but the kernels",
    "kernel_rate": "highest learning rate of Muon, for the convolutions' kernels",
    "warmup": "epochs in which the rate rises",
    "cooldown": "last epochs, in which the rate falls to zero",
    "decay": "weight decay of the full-precision kernels",
    "smoothing": "label smoothing",
    "shift": "pixels by which a training picture is shifted at most",
    "hole": "side of the square that is greyed in each training picture",
    "exit_weight": "weight of each exit's loss; the final head has the rest",
    "distill": "how much of a loss is towards the teacher's scores; without --teacher the final head teaches the exits",
    "cutmix": "share of the batches in whose pictures a square is another picture's (CutMix)",
    "price": "AppealNet's price of asking the cloud, in nats: more keeps more pictures at the edge",
    "focus": "from 0 to 1, how much of the final head's loss goes by how unsure the exits are of a picture",
    "seed": "seed of weights, order and augmentation",
    "hold_out_every": "every n-th training picture of a class is kept out, for choosing thresholds",
}


def add_fields(parser: argparse.ArgumentParser, defaults: Layout | Schedule) -> None:
    for field in fields(defaults):
        default = getattr(defaults, field.name)
        if text := HELP[field.name]:
            kind = {"action": argparse.BooleanOptionalAction} if field.type is bool else {"type": field.type}
            parser.add_argument("--" + field.name.replace("_", "-"), default=default, help=f"{text} (default {default!r})", **kind)


def add_target(command: argparse.ArgumentParser) -> None:
    target = command.add_mutually_exclusive_group(required=True)
    target.add_argument("--edge-share", type=float, help="share of the pictures that end at the edge, such as 0.65")
    target.add_argument("--accuracy-loss", type=float,
                        help="as many at the edge as cost at most this accuracy against the final head, such as 0.005")
    target.add_argument("--energy", type=float, help="as few at the edge as make the twin cost this many times more, such as 5.5")
    command.add_argument("--margin", type=float, default=3.0, metavar="ERRORS",
                         help="what is chosen meets the target with this many standard errors of the held-out pictures to spare, so that "
                         "other pictures meet it too; 0: these do (default %(default)s)")
    command.add_argument("--budget", type=float, metavar="MICROJOULES",
                         help="of a network with several ways: the most computation a picture, on the mean, when its controller is chosen")


def main() -> None:
    parser = argparse.ArgumentParser(prog="fogline_recipe", description=__doc__)
    every = parser.add_subparsers(required=True)
    command = every.add_parser("train", help="train exits and final head together")
    command.add_argument("--data", type=Path, required=True,
                         help="CIFAR's Python or binary folder, or DIR/train/CLASS/*.jpg; DIR/classes.txt, a line CLASS<TAB>NAME each, may name the classes")
    command.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT")
    command.add_argument("--start", type=Path, metavar="PAIR",
                         help="a pair's folder, NAME/VERSION: its weights are the first ones (of the twin, with --bits 32, its twin.onnx); same layout")
    command.add_argument("--teacher", type=Path, nargs="+", default=[], metavar="RUN",
                         help="folders of trained runs, whose scores, averaged, teach every head; of the twin's, the weights are the first ones")
    add_fields(command, Layout())
    add_fields(command, Schedule())
    command.set_defaults(run=commands.train)

    command = every.add_parser("teacher", help="train a larger network on the data set, for train --teacher")
    command.add_argument("--data", type=Path, required=True, help="the dataset, as for train; for an EfficientNet none whose test pictures may be ImageNet's")
    command.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    command.add_argument("--network", choices=[RESNET, EFFICIENTNET], default=RESNET,
                         help=f"{RESNET}: from nothing; {EFFICIENTNET}: fine-tuned from ImageNet, on pictures enlarged four times (default {RESNET})")
    command.add_argument("--weights", type=Path, help="the EfficientNet's state dict; without, timm fetches it")
    command.add_argument("--epochs", type=int, help=f"epochs in all (default 33, of {EFFICIENTNET} 4)")
    command.add_argument("--cutmix", type=float, default=0.0, help=f"{HELP['cutmix']}; 0.5 where classes are many and pictures few (default 0)")
    command.add_argument("--size", type=int, default=32, help="pictures are SIZE x SIZE (default 32)")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT")
    command.set_defaults(run=commands.teacher)

    command = every.add_parser("export", help="choose thresholds on held-out pictures and write the pair's files")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--data", type=Path, required=True, help="the dataset that it was trained on")
    command.add_argument("--data-name", required=True, help="what the manifest calls the dataset")
    command.add_argument("--name", required=True, help="the pair's name, for example cifar10-w1")
    command.add_argument("--version", required=True, help="the pair's version, for example 1.0.0")
    command.add_argument("--out", type=Path, required=True, help="folder for the files, which must end in NAME/VERSION")
    command.add_argument("--twin", type=Path, help="folder of the full-precision twin's run: writes twin.onnx, for eval to compare with")
    add_target(command)
    command.set_defaults(run=commands.export)

    command = every.add_parser("calibrate", help="choose temperatures and thresholds anew, for a target, into the manifest")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--pair", type=Path, required=True, help="folder of the packed pair")
    command.add_argument("--data", type=Path, required=True, help="the dataset that it was trained on")
    add_target(command)
    command.set_defaults(run=commands.calibrate)

    command = every.add_parser("evaluate", help="PyTorch's own figures on the test pictures, as JSON")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--pair", type=Path, required=True, help="folder of the manifest with the thresholds")
    command.add_argument("--data", type=Path, required=True, help="the dataset")
    command.add_argument("--policy", default="entropy", choices=list(RULES))
    command.set_defaults(run=commands.evaluate)

    command = every.add_parser("binary", help="write the test pictures, decoded, in CIFAR's binary layout: the same pixels for every program")
    command.add_argument("--data", type=Path, required=True, help="the dataset")
    command.add_argument("--out", type=Path, required=True, help="folder for the binary version")
    command.set_defaults(run=commands.binary)

    command = every.add_parser("explore", help="train a network a bit width and split, and plot what each can reach")
    command.add_argument("--data", type=Path, required=True, help="the dataset, as for train")
    command.add_argument("--out", type=Path, required=True, help="folder for the runs, points.csv and the plots; goes on from what it finds")
    command.add_argument("--bits", type=int, nargs="+", default=[1, 2, 4, 8], help="bits of the edge (default 1 2 4 8)")
    command.add_argument("--width", type=int, default=128, help="channels of the blocks; 64 ranks candidates in a quarter of the time (default 128)")
    command.add_argument("--size", type=int, default=32, help="pictures are SIZE x SIZE")
    add_fields(command, Schedule())
    command.set_defaults(run=commands.explore)

    command = every.add_parser("invert", help="measure what a split map gives away: decoders learn to draw the picture from it")
    command.add_argument("--pair", type=Path, required=True, help="the pair's folder, NAME/VERSION")
    command.add_argument("--data", type=Path, required=True, help="the dataset: its training pictures teach, its test pictures measure")
    command.add_argument("--pictures", type=int, default=20000, help="training pictures (default %(default)s)")
    command.add_argument("--epochs", type=int, default=3, help="how often each is seen (default %(default)s)")
    command.add_argument("--show", type=Path, metavar="DIR", help="folder of the pictures for the strip; without it, some test pictures")
    command.add_argument("--out", type=Path, required=True, help="the strip, a PNG file: pictures, drawn from real-valued maps, drawn from what is sent")
    command.set_defaults(run=commands.invert)

    command = every.add_parser("peers", help="write the models that cargo xtask bench edge times in other runtimes")
    command.add_argument("--edge", type=Path, required=True, help="edge.qonnx of a pair")
    command.add_argument("--out", type=Path, required=True, help="folder for the files")
    command.add_argument("--data", type=Path, help="a dataset: also writes test pictures, for our own edge")
    command.add_argument("--pictures", type=int, default=500, help="how many (default %(default)s)")
    command.set_defaults(run=commands.peers)

    command = every.add_parser("plot-bench", help="draw what cargo xtask bench edge measured")
    command.add_argument("--json", type=Path, required=True, help="its samples")
    command.add_argument("--out", type=Path, required=True, help="the SVG file")
    command.set_defaults(run=commands.plot_bench)

    command = every.add_parser("plot-plan", help="draw what cargo xtask plan reckoned")
    command.add_argument("--json", type=Path, required=True, help="its figures")
    command.add_argument("--out", type=Path, required=True, help="the SVG file")
    command.set_defaults(run=commands.plot_plan)

    command = every.add_parser("plot-compare", help="draw what cargo xtask compare --keep measured, beside each compare.json")
    command.add_argument("--models", type=Path, required=True, help="folder of pairs")
    command.set_defaults(run=commands.plot_compare)

    command = every.add_parser("time-cloud", help="time onnxruntime on a cloud.onnx for cargo xtask bench cloud")
    command.add_argument("--onnx", type=Path, required=True, help="cloud.onnx of a pair")
    command.add_argument("--batches", type=int, nargs="+", default=[1], metavar="SAMPLES", help="samples a run (%(default)s)")
    command.set_defaults(run=commands.time_cloud)

    command = every.add_parser("tiny", help="write the small untrained pair that the engine's tests use")
    command.add_argument("--out", type=Path, required=True, help="folder for the files")
    add_fields(command, TINY)
    command.set_defaults(run=commands.tiny)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except (DataError, LayoutError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
