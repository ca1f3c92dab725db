"""The command line: ``python -m fogline_recipe train|export|calibrate|evaluate|explore|tiny --help``."""

import argparse
from dataclasses import fields
from pathlib import Path

from .data import DataError
from .net import Layout
from .train import Schedule

HELP = {
    "classes": None,  # read from the data
    "bits": "bits of the edge's weights and activations: 1, 2, 4 or 8; 32 trains the full-precision twin, without exits",
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
    "distill": "how much of a loss is towards the teacher's scores; without --teacher the final head teaches the exits",
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
    teacher = None
    if arguments.teacher:
        teacher, names, _ = load_checkpoint(arguments.teacher)
        if names != pictures.names:
            raise SystemExit(f"{arguments.teacher}: its classes are not those of {arguments.data}")
    run(pictures, layout, take(arguments, Schedule), arguments.out, arguments.resume, teacher)


def load_checkpoint(run: Path):
    from .train import load_network

    path = run / "checkpoint.pt"
    if not path.is_file():
        raise SystemExit(f"{path}: no checkpoint there; train with --out {run} first")
    return load_network(path)


def evaluate(arguments: argparse.Namespace) -> None:
    import json

    from . import calibrate, data

    net, _, _ = load_checkpoint(arguments.run_folder)
    manifest = json.loads((arguments.pair / "manifest.json").read_text())
    test = data.load(arguments.data, "test", net.layout.size)
    figures = calibrate.evaluate(calibrate.all_logits(net, test), test.labels, manifest["exits"], arguments.policy)
    print(json.dumps(figures, indent=2))


def calibrate(arguments: argparse.Namespace) -> None:
    import json

    from . import calibrate as chosen
    from . import data

    net, _, schedule = load_checkpoint(arguments.run_folder)
    path = arguments.pair / "manifest.json"
    manifest = json.loads(path.read_text())
    _, held = data.hold_out(data.load(arguments.data, "train", net.layout.size), schedule.hold_out_every)
    target = chosen.Target(arguments.edge_share, arguments.accuracy_loss, arguments.energy)
    exits, report = chosen.calibrate(chosen.all_logits(net, held), held.labels, target, manifest["parts"])
    for exit_, found in zip(manifest["exits"], exits, strict=True):
        exit_ |= found
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(manifest, indent=2) + "\n")
    beside.replace(path)
    print(json.dumps(report, indent=2))


def export(arguments: argparse.Namespace) -> None:
    from . import calibrate, data, golden
    from . import export as files

    net, names, schedule = load_checkpoint(arguments.run_folder)
    training = data.load(arguments.data, "train", net.layout.size)
    if training.names != names:
        raise SystemExit(f"{arguments.data}: its classes are not those of the checkpoint, {', '.join(names)}")
    _, held = data.hold_out(training, schedule.hold_out_every)
    target = calibrate.Target(edge_share=arguments.edge_share)
    exits, _ = calibrate.calibrate(calibrate.all_logits(net, held), held.labels, target)
    test = data.load(arguments.data, "test", net.layout.size)
    figures = calibrate.evaluate(calibrate.all_logits(net, test), test.labels, exits, "entropy")
    measured = {"data": arguments.data_name, "samples": figures["samples"],
                "exits": figures["accuracy"]["exits"], "final": figures["accuracy"]["final"]}
    files.write_pair(net, names, arguments.name, arguments.version, exits, measured, arguments.out)
    golden.write(arguments.out, net.layout.size)
    print(f"wrote {arguments.out}; next: cargo xtask pack {arguments.out / 'edge.qonnx'}")


def explore(arguments: argparse.Namespace) -> None:
    from .explore import explore as run

    run(arguments.data, arguments.out, arguments.widths, arguments.splits, take(arguments, Schedule), arguments.size)
    print(f"wrote {arguments.out}/points.csv, accuracy-energy.svg and accuracy-offload.svg")


def tiny(arguments: argparse.Namespace) -> None:
    from . import golden

    golden.tiny(arguments.out, arguments.bits)


def main() -> None:
    parser = argparse.ArgumentParser(prog="fogline_recipe", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train", help="train exits and final head together")
    command.add_argument("--data", type=Path, required=True, help="CIFAR's Python or binary folder, or DIR/train/CLASS/*.jpg")
    command.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT")
    command.add_argument("--teacher", type=Path, help="folder of a trained run, such as the twin's, that teaches every head")
    add_fields(command, Layout)
    add_fields(command, Schedule)
    command.set_defaults(run=train)

    command = commands.add_parser("export", help="choose thresholds on held-out pictures and write the pair's files")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--data", type=Path, required=True, help="the dataset that it was trained on")
    command.add_argument("--data-name", required=True, help="what the manifest calls the dataset")
    command.add_argument("--name", required=True, help="the pair's name, for example cifar10-w1")
    command.add_argument("--version", required=True, help="the pair's version, for example 1.0.0")
    command.add_argument("--out", type=Path, required=True, help="folder for the files, onnx-models/NAME/VERSION")
    command.add_argument("--edge-share", type=float, default=0.45,
                         help="share of the held-out pictures that should end at the edge (default 0.45)")
    command.set_defaults(run=export)

    command = commands.add_parser("calibrate", help="choose temperatures and thresholds anew, for a target, into the manifest")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--pair", type=Path, required=True, help="folder of the packed pair")
    command.add_argument("--data", type=Path, required=True, help="the dataset that it was trained on")
    target = command.add_mutually_exclusive_group(required=True)
    target.add_argument("--edge-share", type=float, help="share of the held-out pictures that end at the edge, such as 0.65")
    target.add_argument("--accuracy-loss", type=float,
                        help="as many at the edge as cost at most this accuracy against the final head, such as 0.005")
    target.add_argument("--energy", type=float, help="as few at the edge as make the twin cost this many times more, such as 5.5")
    command.set_defaults(run=calibrate)

    command = commands.add_parser("evaluate", help="PyTorch's own figures on the test pictures, as JSON")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--pair", type=Path, required=True, help="folder of the manifest with the thresholds")
    command.add_argument("--data", type=Path, required=True, help="the dataset")
    command.add_argument("--policy", default="entropy", choices=["entropy", "max_probability", "margin"])
    command.set_defaults(run=evaluate)

    command = commands.add_parser("explore", help="train a network a bit width and split, and plot what each can reach")
    command.add_argument("--data", type=Path, required=True, help="the dataset, as for train")
    command.add_argument("--out", type=Path, required=True, help="folder for the runs, points.csv and the plots; goes on from what it finds")
    command.add_argument("--widths", type=int, nargs="+", default=[1, 2, 4, 8], help="bits of the edge (default 1 2 4 8)")
    command.add_argument("--splits", nargs="+", default=["early", "middle", "late"], choices=["early", "middle", "late"])
    command.add_argument("--size", type=int, default=32, help="pictures are SIZE x SIZE")
    add_fields(command, Schedule)
    command.set_defaults(run=explore)

    command = commands.add_parser("tiny", help="write the small untrained pair that the engine's tests use")
    command.add_argument("--out", type=Path, required=True, help="folder for the files")
    command.add_argument("--bits", type=int, default=1, help="bits of its edge (default 1)")
    command.set_defaults(run=tiny)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except DataError as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
