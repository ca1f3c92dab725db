"""Train, calibrate and export pairs. COMMAND --help lists the options of a command."""

import argparse
from dataclasses import fields
from pathlib import Path

from . import commands
from .answers import RULES
from .data import DataError
from .layout import TINY, Layout
from .quant import LayoutError
from .runs import Schedule
from .teacher import EFFICIENTNET, RESNET

HELP = {
    "classes": None,  # read from the data
    "bits": "bits of the edge's weights and activations: 1, 2, 4 or 8; 32 trains the full-precision twin, without exits",
    "size": "pictures are SIZE x SIZE",
    "stem": "stem layout: WIDTH is a convolution, WIDTH/2 one that halves the map; '16/2 32/2' suits pictures of 128",
    "edge": "edge layout: WIDTH is a block, pool a 2x2 pooling, exitGRID an exit",
    "split": "channels of the split map",
    "cloud": "cloud layout: WIDTH is a convolution, WIDTH+ one with a shortcut, pool a 2x2 pooling",
    "ways": "bits of the blocks after the first exit, such as '1 2 4': one network that chooses its precision per picture (USDN)",
    "extension": "ADAPTIVE + BLOCKS exitGRID: extra layers for the hard classes (MEANet); needs --start and trains only them",
    "hard": "indices of the hard classes; by default the half that the --start pair gets wrong most often on held-out pictures",
    "appeals": "give each exit a score that predicts whether its answer is right, for the policy appeal (AppealNet); needs --start and "
               "trains only these scores, on half of the held-out pictures",
    "share": "number of weights of the blocks' kernels that share one value by hashing; pack then stores it once",
    "epochs": "total number of epochs; may be changed with --resume",
    "batch": "pictures per step",
    "rate": "peak learning rate of AdamW, for everything except the kernels",
    "kernel_rate": "peak learning rate of Muon, for the convolution kernels",
    "warmup": "first epochs, over which the learning rate rises",
    "cooldown": "last epochs, over which the learning rate falls to zero",
    "decay": "weight decay of the full-precision kernels",
    "smoothing": "label smoothing",
    "shift": "maximum random shift of a training picture, in pixels",
    "hole": "side of the square that is greyed out in each training picture (Cutout), in pixels",
    "exit_weight": "weight of each exit's loss; the final head gets the rest",
    "distill": "weight of distillation in each loss, from 0 to 1; without --teacher the final head teaches the exits",
    "cutmix": "share of the batches that are augmented with CutMix, from 0 to 1",
    "views": "after this many epochs the augmented pictures repeat, and teachers' answers, which are remembered, are not computed again; "
             "0: new ones in every epoch",
    "crop": "smallest share of its area that a random crop keeps of a training picture, with other proportions; 1 shifts pictures instead",
    "jitter": "maximum random change of brightness, contrast and saturation, from 0 to 1",
    "balance": "how strongly rare classes count more, from 0 (every picture alike) to 1 (every class alike)",
    "map_bytes": "mean size of the coded maps to train for, in bytes; needs --start and trains only the layers behind the exits. 0: any",
    "price": "AppealNet's price of asking the cloud, in nats: a higher price keeps more pictures at the edge",
    "focus": "how strongly the final head's loss is weighted by the exits' uncertainty, from 0 to 1",
    "seed": "seed for weights, order and augmentation",
    "hold_out_every": "hold out every n-th training picture of each class, for calibration",
}


FOLDER = "DIR/CLASS/*.jpg, which is split into training and test pictures, or DIR/train/CLASS/*.jpg and DIR/test/CLASS/*.jpg"


def add_fields(parser: argparse.ArgumentParser, defaults: Layout | Schedule) -> None:
    for field in fields(defaults):
        if HELP[field.name]:
            add_field(parser, field.name, getattr(defaults, field.name))


def add_field(parser: argparse.ArgumentParser, name: str, default: object) -> None:
    kind = {"action": argparse.BooleanOptionalAction} if isinstance(default, bool) else {"type": type(default)}
    parser.add_argument("--" + name.replace("_", "-"), default=default, help=f"{HELP[name]} (default {default!r})", **kind)


def add_target(command: argparse.ArgumentParser) -> None:
    target = command.add_mutually_exclusive_group(required=True)
    target.add_argument("--edge-share", type=float, help="answer this share of the pictures at the edge, such as 0.65")
    target.add_argument("--accuracy-loss", type=float,
                        help="answer as many pictures at the edge as this loss of accuracy against the final head allows, such as 0.005")
    target.add_argument("--energy", type=float, help="answer as few at the edge as still need this many times less energy than the twin, such as 5.5")
    target.add_argument("--max-exit-error", type=float, metavar="SHARE",
                        help="answer as many at the edge as keep this promise: of the answers at the edge, at most this share is wrong, such as 0.02")
    target.add_argument("--thresholds-of", type=Path, metavar="PAIR",
                        help="keep the thresholds of a pair with the same exits, such as the one that --map-bytes began with")
    command.add_argument("--confidence", type=float, default=0.95,
                         help="of the promise, over the draw of the held-out pictures (default %(default)s)")
    command.add_argument("--margin", type=float, default=3.0, metavar="ERRORS",
                         help="safety margin in standard errors of the held-out pictures, so that other pictures meet the target too; "
                              "with 0, only the held-out ones do (default %(default)s)")
    command.add_argument("--budget", type=float, metavar="MICROJOULES",
                         help="for a network with several ways: maximum mean computational energy per picture")


def main(words: list[str] | None = None) -> None:
    """Runs the command in ``words``, by default that of the command line."""
    parser = argparse.ArgumentParser(prog="fogline_recipe", description=__doc__)
    every = parser.add_subparsers(required=True)
    command = every.add_parser("look", help="look a folder of pictures over, as teach does first")
    command.add_argument("--data", type=Path, required=True, help=FOLDER)
    command.add_argument("--size", type=int, default=128, help="the size that pictures will have (default %(default)s)")
    command.add_argument("--json", action="store_true", help="print what was found as JSON")
    command.set_defaults(run=commands.look)

    command = every.add_parser("teach", help="from a folder of pictures to an exported pair; cargo xtask teach also packs and evaluates it")
    command.add_argument("folder", type=Path, metavar="DIR", help=FOLDER)
    command.add_argument("--name", required=True, help="the pair's name")
    command.add_argument("--version", default="1.0.0", help="the pair's version (default %(default)s)")
    command.add_argument("--out", type=Path, required=True, help="output folder for the plan, checkpoints and pair; work in it is continued")
    command.add_argument("--size", type=int, default=128, help="pictures are SIZE x SIZE: 32 to 224 (default %(default)s)")
    command.add_argument("--bits", type=int, default=1, help="bits of the edge: 1, 2, 4 or 8 (default %(default)s)")
    command.add_argument("--minutes", type=float, default=60.0, help="time for training, of which small folders need less (default %(default)s)")
    command.add_argument("--edge-share", type=float, default=0.65, help="answer this share of the pictures at the edge (default %(default)s)")
    command.add_argument("--weights", type=Path, help="state dict of EfficientNet-Lite0, trained on ImageNet: fine-tunes it first, as the teacher")
    command.add_argument("--start", type=Path, metavar="PAIR", help="pair whose trunk comes first (default: the latest tin100-w4)")
    command.set_defaults(run=lambda given: commands.teach(given, main))

    command = every.add_parser("train", help="train exits and final head together")
    command.add_argument("--data", type=Path, required=True,
                         help="folder of CIFAR's Python or binary version, or DIR with DIR/train/CLASS/*.jpg and DIR/test/CLASS/*.jpg; DIR/classes.txt "
                              "may name the classes, with a line FOLDER<TAB>NAME for each folder")
    command.add_argument("--out", type=Path, required=True, help="output folder for the checkpoint and the log")
    command.add_argument("--resume", action="store_true", help="continue from the checkpoint in OUT")
    command.add_argument("--start", type=Path, metavar="PAIR",
                         help="initialise the weights from a pair's folder, NAME/VERSION, of the same layout (with --bits 32, from its twin.onnx)")
    command.add_argument("--teacher", type=Path, nargs="+", default=[], metavar="RUN",
                         help="folders of trained runs whose averaged scores teach every head; a twin among them also initialises the weights")
    add_fields(command, Layout())
    add_fields(command, Schedule())
    command.set_defaults(run=commands.train)

    command = every.add_parser("teacher", help="train a larger network on the dataset, for train --teacher")
    command.add_argument("--data", type=Path, required=True, help="the dataset, as for train; for EfficientNet, its test pictures must not be in ImageNet")
    command.add_argument("--out", type=Path, required=True, help="output folder for the checkpoint and the log")
    command.add_argument("--network", choices=[RESNET, EFFICIENTNET], default=RESNET,
                         help=f"{RESNET}: trained from scratch; {EFFICIENTNET}: fine-tuned from ImageNet on pictures enlarged four times (default {RESNET})")
    command.add_argument("--weights", type=Path, help="state dict of the EfficientNet; by default timm downloads it")
    command.add_argument("--epochs", type=int, help=f"total number of epochs (default 33, for {EFFICIENTNET} 4)")
    command.add_argument("--cutmix", type=float, default=0.0, help=f"{HELP['cutmix']}; use 0.5 for many classes with few pictures (default 0)")
    for name in ("crop", "jitter", "balance", "hold_out_every"):
        add_field(command, name, getattr(Schedule(), name))
    command.add_argument("--size", type=int, default=32, help="pictures are SIZE x SIZE (default 32)")
    command.add_argument("--resume", action="store_true", help="continue from the checkpoint in OUT")
    command.set_defaults(run=commands.teacher)

    command = every.add_parser("export", help="calibrate on held-out pictures and write the pair's files")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--data", type=Path, required=True, help="the dataset that it was trained on")
    command.add_argument("--data-name", required=True, help="name of the dataset in the manifest")
    command.add_argument("--name", required=True, help="the pair's name, for example cifar10-w1")
    command.add_argument("--version", required=True, help="the pair's version, for example 1.0.0")
    command.add_argument("--out", type=Path, required=True, help="output folder, which must end in NAME/VERSION")
    command.add_argument("--twin", type=Path, help="folder of the full-precision twin's run; also writes twin.onnx, which eval compares with")
    add_target(command)
    command.set_defaults(run=commands.export)

    command = every.add_parser("calibrate", help="recalibrate a pair for another target and update its manifest")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--pair", type=Path, required=True, help="folder of the packed pair")
    command.add_argument("--data", type=Path, required=True, help="the dataset that it was trained on")
    add_target(command)
    command.add_argument("--check-splits", type=int, default=0, metavar="N",
                         help="also make the promise of --max-exit-error on N random draws from held-out and test pictures, and count how many break it "
                              "on the others (default %(default)s)")
    command.set_defaults(run=commands.calibrate)

    command = every.add_parser("evaluate", help="evaluate on the test pictures with PyTorch and print the figures as JSON")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--pair", type=Path, required=True, help="folder of the pair whose manifest has the thresholds")
    command.add_argument("--data", type=Path, required=True, help="the dataset")
    command.add_argument("--policy", default="entropy", choices=list(RULES),
                         help="the exit policy (default %(default)s)")
    command.set_defaults(run=commands.evaluate)

    command = every.add_parser("binary", help="write decoded test pictures in CIFAR's binary layout, so that every program gets the same pixels")
    command.add_argument("--data", type=Path, required=True, help="the dataset")
    command.add_argument("--out", type=Path, required=True, help="output folder")
    command.set_defaults(run=commands.binary)

    command = every.add_parser("explore", help="train one network per bit width and split point, and plot their accuracy and energy")
    command.add_argument("--data", type=Path, required=True, help="the dataset, as for train")
    command.add_argument("--out", type=Path, required=True, help="output folder for the runs, points.csv and the plots; finished runs are reused")
    command.add_argument("--bits", type=int, nargs="+", default=[1, 2, 4, 8], help="bits of the edge (default 1 2 4 8)")
    command.add_argument("--width", type=int, default=128, help="channels of the blocks; 64 takes a quarter of the time and ranks alike (default 128)")
    command.add_argument("--size", type=int, default=32, help="pictures are SIZE x SIZE")
    add_fields(command, Schedule())
    command.set_defaults(run=commands.explore)

    command = every.add_parser("invert", help="measure what a feature map reveals: train decoders that reconstruct the picture from it")
    command.add_argument("--pair", type=Path, required=True, help="the pair's folder, NAME/VERSION")
    command.add_argument("--data", type=Path, required=True, help="the dataset: trains on its training pictures, measures on its test pictures")
    command.add_argument("--pictures", type=int, default=20000, help="number of training pictures (default %(default)s)")
    command.add_argument("--epochs", type=int, default=3, help="number of epochs (default %(default)s)")
    command.add_argument("--show", type=Path, metavar="DIR", help="folder of pictures to show in OUT; by default some test pictures")
    command.add_argument("--out", type=Path, required=True,
                         help="PNG file with three rows: the pictures, their reconstructions from real-valued maps, and those from the maps that are sent")
    command.set_defaults(run=commands.invert)

    command = every.add_parser("coder", help="fit the coder of a pair's maps, with which its frames take fewer bytes; cargo xtask pack adds it to the pair")
    command.add_argument("--pair", type=Path, required=True, help="the pair's folder, NAME/VERSION, before it is published")
    command.add_argument("--data", type=Path, required=True, help="the dataset: fits to its training pictures, measures on its test pictures")
    command.add_argument("--pictures", type=int, default=12000, help="number of training pictures (default %(default)s)")
    command.set_defaults(run=commands.coder)

    command = every.add_parser("normal", help="add to a pair's manifest what is normal for it, with which a device notices drift; export and calibrate do, too")
    command.add_argument("--pair", type=Path, required=True, help="the pair's folder, NAME/VERSION, before it is published")
    command.add_argument("--data", type=Path, required=True, help="the dataset: measures on training pictures that were held out")
    command.add_argument("--hold-out-every", type=int, default=Schedule.hold_out_every, metavar="N",
                         help="as in training; 1 if none of DATA/train was trained on (default %(default)s)")
    command.set_defaults(run=commands.normal)

    command = every.add_parser("peers", help="write the models with which cargo xtask bench edge times other runtimes")
    command.add_argument("--edge", type=Path, required=True, help="edge.qonnx of a pair")
    command.add_argument("--out", type=Path, required=True, help="output folder")
    command.add_argument("--data", type=Path, help="a dataset; also writes test pictures, for Fogline's own edge")
    command.add_argument("--pictures", type=int, default=500, help="number of test pictures (default %(default)s)")
    command.set_defaults(run=commands.peers)

    command = every.add_parser("plot-bench", help="plot the results of cargo xtask bench edge")
    command.add_argument("--json", type=Path, required=True, help="its JSON file")
    command.add_argument("--out", type=Path, required=True, help="the SVG file")
    command.set_defaults(run=commands.plot_bench)

    command = every.add_parser("plot-plan", help="plot the results of cargo xtask plan")
    command.add_argument("--json", type=Path, required=True, help="its JSON file")
    command.add_argument("--out", type=Path, required=True, help="the SVG file")
    command.set_defaults(run=commands.plot_plan)

    command = every.add_parser("plot-compare", help="plot the results of cargo xtask compare --keep, next to each compare.json")
    command.add_argument("--models", type=Path, required=True, help="folder of pairs")
    command.set_defaults(run=commands.plot_compare)

    command = every.add_parser("plot-rate", help="plot the results of cargo xtask eval --rate-curve")
    command.add_argument("--json", type=Path, required=True, help="its JSON file, rate.json in the pair's folder")
    command.add_argument("--out", type=Path, required=True, help="the SVG file")
    command.set_defaults(run=commands.plot_rate)

    command = every.add_parser("time-cloud", help="time a cloud.onnx in onnxruntime, for cargo xtask bench cloud")
    command.add_argument("--onnx", type=Path, required=True, help="cloud.onnx of a pair")
    command.add_argument("--batches", type=int, nargs="+", default=[1], metavar="SAMPLES", help="samples per run (default %(default)s)")
    command.set_defaults(run=commands.time_cloud)

    command = every.add_parser("tiny", help="write the small untrained pair that the engine's tests use")
    command.add_argument("--out", type=Path, required=True, help="output folder")
    add_fields(command, TINY)
    command.set_defaults(run=commands.tiny)
    arguments = parser.parse_args(words)
    try:
        arguments.run(arguments)
    except (DataError, LayoutError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        raise SystemExit("stopped; what was trained is kept up to the last whole epoch") from None
