"""The command line: ``python -m fogline_recipe train|teacher|export|calibrate|evaluate|binary|explore|invert|peers|plot-bench|plot-plan|plot-compare|time-cloud|tiny --help``."""

import argparse
import json
import math
import re
import sys
from dataclasses import fields, replace
from pathlib import Path

from .data import DataError
from .net import TINY, Layout, LayoutError
from .quant import FULL
from .runs import Schedule

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
    "appeals": "give each exit a score of whether its own answer will hold, for the policy appeal (AppealNet)",
    "share": "how many weights of the blocks' kernels share each value by hashing, for pack --share",
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
    "price": "AppealNet's price of asking the cloud, in nats: more keeps more pictures at the edge",
    "focus": "from 0 to 1, how much of the final head's loss goes by how unsure the exits are of a picture",
    "seed": "seed of weights, order and augmentation",
    "hold_out_every": "every n-th training picture of a class is kept out, for choosing thresholds",
}


FEW = 500  # held-out pictures: with fewer, a share of them is off by more than four points, one time in twenty


def add_fields(parser: argparse.ArgumentParser, defaults: Layout | Schedule) -> None:
    for field in fields(defaults):
        default = getattr(defaults, field.name)
        if text := HELP[field.name]:
            kind = {"action": argparse.BooleanOptionalAction} if field.type is bool else {"type": field.type}
            parser.add_argument("--" + field.name.replace("_", "-"), default=default, help=f"{text} (default {default!r})", **kind)


def take(arguments: argparse.Namespace, kind: type, **known):
    return kind(**{f.name: getattr(arguments, f.name) for f in fields(kind) if f.name not in known}, **known)


def schedule_of(arguments: argparse.Namespace) -> Schedule:
    try:
        return take(arguments, Schedule)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error


def train(arguments: argparse.Namespace) -> None:
    from . import data
    from .runs import load
    from .start import start_from
    from .train import new
    from .train import train as run

    pictures = data.load(arguments.data, "train", arguments.size)
    layout, schedule = take(arguments, Layout, classes=len(pictures.names)), schedule_of(arguments)
    teachers = {folder: load(folder) for folder in arguments.teacher}
    for folder, teacher in teachers.items():
        if teacher.names != pictures.names:
            raise SystemExit(f"{folder}: its classes are not those of {arguments.data}")
    if layout.extension and not layout.hard and not arguments.resume:
        layout = replace(layout, hard=hard_classes(layout, schedule, arguments, pictures))
    net = new(layout, schedule)
    if schedule.shift >= layout.size:
        raise DataError(f"--shift {schedule.shift}: a picture of {layout.size} x {layout.size} is shifted by less than its side")
    ways = len(layout.ways.split()) if net.mixed() else 1  # the exits behind the first one learn on each
    exits = 1 + (len(net.edge.exits) - 1) * ways if net.edge.exits else 0
    if schedule.exit_weight * exits >= 1:
        raise DataError(f"--exit-weight {schedule.exit_weight} for {exits} exits leaves no weight for the final head")
    if arguments.start and not arguments.resume:
        start_from(net, arguments.start, data.hold_out(pictures, schedule.hold_out_every)[0])
    start = " ".join(arguments.start.resolve().parts[-2:]) if arguments.start else ""
    run(pictures, net, schedule, arguments.out, arguments.resume, [teacher.net for teacher in teachers.values()], start)


def hard_classes(layout: Layout, schedule: Schedule, arguments: argparse.Namespace, pictures) -> str:
    """The half of the classes that the last exit of the pair to start from gets wrong most often, on held-out pictures."""
    from . import data
    from .runs import logits
    from .start import start_from
    from .train import new

    if not arguments.start:
        raise DataError("--extension goes with a trained network: --start names the pair, or --hard the classes")
    training, held = data.hold_out(pictures, schedule.hold_out_every)
    net = new(replace(layout, extension=""), schedule)
    start_from(net, arguments.start, training)
    right = logits(net, held.images)[-2].argmax(1) == held.labels
    share = [right[held.labels == label].float().mean().item() for label in range(layout.classes)]
    found = sorted(sorted(range(layout.classes), key=share.__getitem__)[:layout.classes // 2])
    print("hard classes: " + ", ".join(f"{pictures.names[label]} ({share[label]:.1%})" for label in found))
    return " ".join(map(str, found))


def teacher(arguments: argparse.Namespace) -> None:
    from . import data
    from .teacher import Layout as TeacherLayout
    from .teacher import pretrained
    from .train import train as run

    pictures = data.load(arguments.data, "train", arguments.size)
    schedule = Schedule(epochs=arguments.epochs, batch=64, rate=1e-3, cooldown=arguments.epochs, shift=3, hole=0)
    net = pretrained(TeacherLayout(len(pictures.names), arguments.size), schedule.seed, arguments.weights)
    run(pictures, net, schedule, arguments.out, arguments.resume)


def of_run(run, root: Path, part: str):
    """The pictures ``part``, train or test, of a run's data set."""
    from . import data

    pictures = data.load(root, part, run.net.layout.size)
    if pictures.names != run.names:
        raise SystemExit(f"{root}: the classes of its {part} pictures, {', '.join(pictures.names)}, are not those of the checkpoint, "
                         f"{', '.join(run.names)}")
    return pictures


def held_out(run, root: Path):
    """The pictures that a run was not trained on."""
    from . import data

    held = data.hold_out(of_run(run, root, "train"), run.schedule.hold_out_every)[1]
    if (count := len(held)) < FEW:
        print(f"warning: only {count} pictures are held out; what is chosen on them may be {98 / math.sqrt(count):.0f} points off. "
              "train --hold-out-every with a smaller number keeps more", file=sys.stderr)
    return held


def manifest_of(run, pair: Path) -> dict:
    """The manifest of a pair that was made of this run."""
    from . import energy

    path = pair / "manifest.json"
    if not path.is_file():
        raise DataError(f"{path}: not there; recipe export writes it")
    manifest = json.loads(path.read_text())
    # Exits, split and layers all show in the parts.
    if (manifest["classes"], manifest["parts"]) != (run.names, energy.parts(run.net)):
        raise DataError(f"{path}: this pair was made of another run: its classes or its layers are not the checkpoint's")
    return manifest


def every_way(run, images) -> list:
    """The logits of all heads, on each way that the network has."""
    from .runs import logits

    every = []
    for run.net.way in range(len(run.net.mixed()[0].bits) if run.net.mixed() else 1):
        every.append(logits(run.net, images))
    return every


def heads_of(run, images, exits: list[dict]) -> list:
    """The logits of all heads; where there are several ways, each picture's on the way that the manifest's exits send it."""
    from .controller import Rule, confidence, pick

    every = every_way(run, images)
    if len(every) == 1:
        return every[0]
    rule = Rule(tuple(to["from"] for to in exits[0]["ways"]), tuple(to["way"] for to in exits[0]["ways"]))
    return pick(every, rule.of(confidence(every[0][0], exits[0]["temperature"], every[0][-1].shape[1])))


def calibrated(run, held, target, parts: list[dict], budget: float | None) -> tuple[list[dict], dict, dict]:
    """Exits, curves and report, chosen on the held-out pictures."""
    from . import calibrate, controller

    every = every_way(run, held.images)
    if len(every) > 1:
        return controller.calibrated(every, held.labels, target, parts, budget)
    if budget is not None:
        raise DataError("--budget is for networks with several ways")
    return calibrate.calibrate(every[0], held.labels, target, parts, run.net.edge.hard())


def evaluate(arguments: argparse.Namespace) -> None:
    from . import calibrate
    from .runs import load

    run = load(arguments.run_folder)
    manifest, test = manifest_of(run, arguments.pair), of_run(run, arguments.data, "test")
    heads = heads_of(run, test.images, manifest["exits"])
    figures = calibrate.evaluate(heads, test.labels, manifest["exits"], arguments.policy, run.net.edge.hard())
    print(json.dumps(figures, indent=2))


def calibrate(arguments: argparse.Namespace) -> None:
    from .runs import load

    run, target, path = load(arguments.run_folder), target_of(arguments), arguments.pair / "manifest.json"
    manifest, held = manifest_of(run, arguments.pair), held_out(run, arguments.data)
    exits, curves, report = calibrated(run, held, target, manifest["parts"], arguments.budget)
    for exit_, found in zip(manifest["exits"], exits, strict=False):
        exit_ |= found
    manifest["curves"] = curves
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(manifest, indent=2) + "\n")
    beside.replace(path)
    print(json.dumps(report, indent=2))


def export(arguments: argparse.Namespace) -> None:
    from . import calibrate, card, energy, golden
    from . import export as files
    from .runs import load, twin_of

    run, out, target = load(arguments.run_folder), arguments.out, target_of(arguments)
    if run.net.layout.bits == FULL:
        raise DataError(f"{arguments.run_folder} is a full-precision twin, which has no exits: --run takes a quantised network, --twin this one")
    for what, text in (("name", arguments.name), ("version", arguments.version)):
        if not re.fullmatch("[0-9A-Za-z_-][0-9A-Za-z_.-]*", text):
            raise DataError(f"--{what} '{text}' is not of letters, digits, '-', '_' and '.' alone")
    if (out / "manifest.json").exists():
        raise DataError(f"{out} holds a pair already, and edges may run it: export another --version, or remove the folder first")
    twin = twin_of(run, arguments.twin) if arguments.twin else None
    held, test = held_out(run, arguments.data), of_run(run, arguments.data, "test")
    exits, curves, report = calibrated(run, held, target, energy.parts(run.net), arguments.budget)
    figures = calibrate.evaluate(heads_of(run, test.images, exits), test.labels, exits, "entropy", run.net.edge.hard())
    measured = {"data": arguments.data_name, "samples": figures["samples"],
                "exits": figures["accuracy"]["exits"], "final": figures["accuracy"]["final"]}
    files.write_pair(run.net, run.names, arguments.name, arguments.version, exits, measured, out, curves)
    if twin:
        files.write_twin(twin, out / "twin.onnx")
    golden.write(out, run.net.layout.size)
    card.write(run, arguments.name, arguments.version, arguments.data_name, arguments.twin is not None, len(held), report["exits"], out)
    print(json.dumps(report, indent=2))
    print(f"wrote {out}; next: cargo xtask pack {out / 'edge.qonnx'}")


def binary(arguments: argparse.Namespace) -> None:
    from . import data

    data.write_binary(data.load(arguments.data, "test"), arguments.out)
    print(f"wrote {arguments.out}")


def explore(arguments: argparse.Namespace) -> None:
    from .explore import explore as run

    run(arguments.data, arguments.out, arguments.bits, schedule_of(arguments), arguments.size, arguments.width)
    print(f"wrote {arguments.out}/points.csv, accuracy-energy.svg and accuracy-offload.svg")


def invert(arguments: argparse.Namespace) -> None:
    from .invert import invert as run

    found = run(arguments.pair, arguments.data, arguments.pictures, arguments.epochs, arguments.show, arguments.out)
    print(json.dumps(found, indent=2))
    print(f"wrote {arguments.out}")


def tiny(arguments: argparse.Namespace) -> None:
    from . import golden

    golden.tiny(arguments.out, take(arguments, Layout, classes=TINY.classes))


def peers(arguments: argparse.Namespace) -> None:
    from . import peers as models

    arguments.out.mkdir(parents=True, exist_ok=True)
    models.convolutions(arguments.out)
    models.edge(arguments.edge, arguments.out)
    if arguments.data:
        models.pictures(arguments.data, arguments.pictures, arguments.out)


def plot_bench(arguments: argparse.Namespace) -> None:
    from . import plots

    plots.bench(arguments.json, arguments.out)


def plot_plan(arguments: argparse.Namespace) -> None:
    from . import plots

    plots.plan(arguments.json, arguments.out)


def plot_compare(arguments: argparse.Namespace) -> None:
    from . import plots

    for measured in sorted(arguments.models.glob("*/*/compare.json")):
        plots.compare(measured, measured.with_suffix(".svg"))
        print(f"wrote {measured.with_suffix('.svg')}")


def time_cloud(arguments: argparse.Namespace) -> None:
    from . import peers as models

    print(json.dumps(models.time_cloud(arguments.onnx, arguments.batches)))


def add_target(command: argparse.ArgumentParser) -> None:
    target = command.add_mutually_exclusive_group(required=True)
    target.add_argument("--edge-share", type=float, help="share of the held-out pictures that end at the edge, such as 0.65")
    target.add_argument("--accuracy-loss", type=float,
                        help="as many at the edge as cost at most this accuracy against the final head, such as 0.005")
    target.add_argument("--energy", type=float, help="as few at the edge as make the twin cost this many times more, such as 5.5")
    command.add_argument("--budget", type=float, metavar="MICROJOULES",
                         help="of a network with several ways: the most computation a picture, on the mean, when its controller is chosen")


def target_of(arguments: argparse.Namespace):
    from .calibrate import Target

    try:
        return Target(arguments.edge_share, arguments.accuracy_loss, arguments.energy)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error


def main() -> None:
    parser = argparse.ArgumentParser(prog="fogline_recipe", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("train", help="train exits and final head together")
    command.add_argument("--data", type=Path, required=True, help="CIFAR's Python or binary folder, or DIR/train/CLASS/*.jpg; DIR/classes.txt, a line CLASS<TAB>NAME each, may name the classes")
    command.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT")
    command.add_argument("--start", type=Path, metavar="PAIR",
                         help="a pair's folder, NAME/VERSION: its weights are the first ones (of the twin, with --bits 32, its twin.onnx); same layout")
    command.add_argument("--teacher", type=Path, nargs="+", default=[], metavar="RUN",
                         help="folders of trained runs, whose scores, averaged, teach every head; of the twin's, the weights are the first ones")
    add_fields(command, Layout())
    add_fields(command, Schedule())
    command.set_defaults(run=train)

    command = commands.add_parser("teacher", help="fine-tune an EfficientNet-Lite0 that has seen ImageNet, for train --teacher")
    command.add_argument("--data", type=Path, required=True, help="the dataset, as for train; none whose test pictures may be ImageNet's")
    command.add_argument("--out", type=Path, required=True, help="folder of the checkpoint and the log")
    command.add_argument("--weights", type=Path, help="its state dict; without, timm fetches it")
    command.add_argument("--epochs", type=int, default=4, help="epochs in all (default 4)")
    command.add_argument("--size", type=int, default=32, help="pictures are SIZE x SIZE, and are enlarged four times (default 32)")
    command.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT")
    command.set_defaults(run=teacher)

    command = commands.add_parser("export", help="choose thresholds on held-out pictures and write the pair's files")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--data", type=Path, required=True, help="the dataset that it was trained on")
    command.add_argument("--data-name", required=True, help="what the manifest calls the dataset")
    command.add_argument("--name", required=True, help="the pair's name, for example cifar10-w1")
    command.add_argument("--version", required=True, help="the pair's version, for example 1.0.0")
    command.add_argument("--out", type=Path, required=True, help="folder for the files, onnx-models/NAME/VERSION")
    command.add_argument("--twin", type=Path, help="folder of the full-precision twin's run: writes twin.onnx, for eval to compare with")
    add_target(command)
    command.set_defaults(run=export)

    command = commands.add_parser("calibrate", help="choose temperatures and thresholds anew, for a target, into the manifest")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--pair", type=Path, required=True, help="folder of the packed pair")
    command.add_argument("--data", type=Path, required=True, help="the dataset that it was trained on")
    add_target(command)
    command.set_defaults(run=calibrate)

    command = commands.add_parser("evaluate", help="PyTorch's own figures on the test pictures, as JSON")
    command.add_argument("--run", dest="run_folder", type=Path, required=True, help="folder of the checkpoint")
    command.add_argument("--pair", type=Path, required=True, help="folder of the manifest with the thresholds")
    command.add_argument("--data", type=Path, required=True, help="the dataset")
    command.add_argument("--policy", default="entropy", choices=["entropy", "max_probability", "margin", "appeal"])
    command.set_defaults(run=evaluate)

    command = commands.add_parser("binary", help="write the test pictures, decoded, in CIFAR's binary layout: the same pixels for every program")
    command.add_argument("--data", type=Path, required=True, help="the dataset")
    command.add_argument("--out", type=Path, required=True, help="folder for the binary version")
    command.set_defaults(run=binary)

    command = commands.add_parser("explore", help="train a network a bit width and split, and plot what each can reach")
    command.add_argument("--data", type=Path, required=True, help="the dataset, as for train")
    command.add_argument("--out", type=Path, required=True, help="folder for the runs, points.csv and the plots; goes on from what it finds")
    command.add_argument("--bits", type=int, nargs="+", default=[1, 2, 4, 8], help="bits of the edge (default 1 2 4 8)")
    command.add_argument("--width", type=int, default=128, help="channels of the blocks; 64 ranks candidates in a quarter of the time (default 128)")
    command.add_argument("--size", type=int, default=32, help="pictures are SIZE x SIZE")
    add_fields(command, Schedule())
    command.set_defaults(run=explore)

    command = commands.add_parser("invert", help="measure what a split map gives away: decoders learn to draw the picture from it")
    command.add_argument("--pair", type=Path, required=True, help="the pair's folder, NAME/VERSION")
    command.add_argument("--data", type=Path, required=True, help="the dataset: its training pictures teach, its test pictures measure")
    command.add_argument("--pictures", type=int, default=20000, help="training pictures (default %(default)s)")
    command.add_argument("--epochs", type=int, default=3, help="how often each is seen (default %(default)s)")
    command.add_argument("--show", type=Path, metavar="DIR", help="folder of the pictures for the strip; without it, some test pictures")
    command.add_argument("--out", type=Path, required=True, help="the strip, a PNG file: pictures, drawn from real-valued maps, drawn from what is sent")
    command.set_defaults(run=invert)

    command = commands.add_parser("peers", help="write the models that cargo xtask bench edge times in other runtimes")
    command.add_argument("--edge", type=Path, required=True, help="edge.qonnx of a pair")
    command.add_argument("--out", type=Path, required=True, help="folder for the files")
    command.add_argument("--data", type=Path, help="a dataset: also writes test pictures, for our own edge")
    command.add_argument("--pictures", type=int, default=500, help="how many (default %(default)s)")
    command.set_defaults(run=peers)

    command = commands.add_parser("plot-bench", help="draw what cargo xtask bench edge measured")
    command.add_argument("--json", type=Path, required=True, help="its samples")
    command.add_argument("--out", type=Path, required=True, help="the SVG file")
    command.set_defaults(run=plot_bench)

    command = commands.add_parser("plot-plan", help="draw what cargo xtask plan reckoned")
    command.add_argument("--json", type=Path, required=True, help="its figures")
    command.add_argument("--out", type=Path, required=True, help="the SVG file")
    command.set_defaults(run=plot_plan)

    command = commands.add_parser("plot-compare", help="draw what cargo xtask compare --keep measured, beside each compare.json")
    command.add_argument("--models", type=Path, required=True, help="folder of pairs")
    command.set_defaults(run=plot_compare)

    command = commands.add_parser("time-cloud", help="time onnxruntime on a cloud.onnx for cargo xtask bench cloud")
    command.add_argument("--onnx", type=Path, required=True, help="cloud.onnx of a pair")
    command.add_argument("--batches", type=int, nargs="+", default=[1], metavar="SAMPLES", help="samples a run (%(default)s)")
    command.set_defaults(run=time_cloud)

    command = commands.add_parser("tiny", help="write the small untrained pair that the engine's tests use")
    command.add_argument("--out", type=Path, required=True, help="folder for the files")
    add_fields(command, TINY)
    command.set_defaults(run=tiny)
    arguments = parser.parse_args()
    try:
        arguments.run(arguments)
    except (DataError, LayoutError) as error:
        raise SystemExit(f"error: {error}") from error


if __name__ == "__main__":
    main()
