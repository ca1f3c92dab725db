"""The commands of ``python -m fogline_recipe``; __main__.py defines their arguments."""

import argparse
import json
import math
import re
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

from .data import DataError
from .layout import TINY, Layout
from .quant import FULL
from .runs import Schedule

LARGER = 1.25  # crops are taken from pictures of this many times the size
FEW = 500  # held-out pictures; with fewer, one share in twenty is off by more than four points


def take(arguments: argparse.Namespace, kind: type, **known):
    return kind(**{f.name: getattr(arguments, f.name) for f in fields(kind) if hasattr(arguments, f.name)} | known)


def schedule_of(arguments: argparse.Namespace, **known) -> Schedule:
    try:
        return take(arguments, Schedule, **known)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error


def target_of(arguments: argparse.Namespace):
    from .calibrate import Target

    try:
        return take(arguments, Target, thresholds=thresholds_of(arguments.thresholds_of) if arguments.thresholds_of else None)
    except ValueError as error:
        raise SystemExit(f"error: {error}") from error


def thresholds_of(pair: Path):
    """Temperatures and thresholds of a pair's exits."""
    from .calibrate import Known

    path = pair / "manifest.json"
    if not path.is_file():
        raise DataError(f"{path} does not exist: --thresholds-of needs a pair's folder")
    exits = [exit_ for exit_ in json.loads(path.read_text())["exits"] if "extends" not in exit_]
    every = set.intersection(*(set(exit_.get("thresholds", {})) for exit_ in exits))
    return Known([exit_["temperature"] for exit_ in exits], {policy: [exit_["thresholds"][policy] for exit_ in exits] for policy in every})


def train(arguments: argparse.Namespace) -> None:
    from . import data
    from .runs import load, parts
    from .start import start_from
    from .train import new
    from .train import train as run

    pictures = data.load(arguments.data, "train", arguments.size)
    layout, schedule = take(arguments, Layout, classes=len(pictures.names)), schedule_of(arguments)
    teachers = {folder: load(folder) for folder in arguments.teacher}
    for folder, teacher in teachers.items():
        if teacher.names != pictures.names:
            raise SystemExit(f"{folder} was trained on other classes than those of {arguments.data}")
    if layout.bits != FULL and (layout.ways or layout.extension or layout.appeals):  # the twin has none
        if not (arguments.start or arguments.resume):
            raise DataError("--ways, --extension and --appeals need a trained network: --start names the pair")
        if layout.extension and not layout.hard:
            found = load(arguments.out).net.layout.hard if arguments.resume else hard_classes(layout, schedule, arguments, pictures)
            layout = replace(layout, hard=found)
    if schedule.map_bytes and not (arguments.start or arguments.resume):
        raise DataError("--map-bytes needs a trained network: --start names the pair")
    if schedule.map_bytes and (layout.extension or layout.appeals):
        raise DataError("--map-bytes trains no exits, but --extension and --appeals do: train them first, each in a run of its own")
    net = new(layout, schedule)
    if schedule.shift >= layout.size:
        raise DataError(f"--shift {schedule.shift}: a picture of {layout.size} x {layout.size} is shifted by less than its side")
    ways = len(layout.ways.split()) if net.mixed() else 1  # the exits after the first one learn on each way
    exits = 1 + (len(net.edge.exits) - 1) * ways if net.edge.exits else 0
    if schedule.exit_weight * exits >= 1:
        raise DataError(f"--exit-weight {schedule.exit_weight} for {exits} exits leaves no weight for the final head")
    if arguments.start and not arguments.resume:
        start_from(net, arguments.start, parts(pictures, layout, schedule)[0])
    start = " ".join(arguments.start.resolve().parts[-2:]) if arguments.start else ""
    run(pictures, net, schedule, arguments.out, arguments.resume, [teacher.net for teacher in teachers.values()], start,
        larger(arguments, schedule))


def larger(arguments: argparse.Namespace, schedule: Schedule):
    """The training pictures at a larger size, if --crop takes windows out of them."""
    from . import data

    return data.load(arguments.data, "train", math.ceil(arguments.size * LARGER)) if schedule.crop < 1 else None


def hard_classes(layout: Layout, schedule: Schedule, arguments: argparse.Namespace, pictures) -> str:
    """The half of the classes that the last exit of the --start pair gets wrong most often on held-out pictures."""
    from .runs import logits, parts
    from .start import start_from
    from .train import new

    training, held = parts(pictures, layout, schedule)
    net = new(replace(layout, extension=""), schedule)
    start_from(net, arguments.start, training)
    right = logits(net, held.images)[-2].argmax(1) == held.labels
    share = [right[held.labels == label].float().mean().item() for label in range(layout.classes)]
    found = sorted(sorted(range(layout.classes), key=share.__getitem__)[:max(2, layout.classes // 2)])
    print("hard classes: " + ", ".join(f"{pictures.names[label]} ({share[label]:.1%})" for label in found))
    return " ".join(map(str, found))


def teacher(arguments: argparse.Namespace) -> None:
    from . import data
    from . import teacher as teachers
    from .train import train as run

    if arguments.weights and arguments.network == teachers.RESNET:
        raise DataError(f"--weights goes with --network {teachers.EFFICIENTNET}: {teachers.RESNET} is trained from nothing")
    pictures = data.load(arguments.data, "train", arguments.size)
    if arguments.network == teachers.RESNET:
        epochs = arguments.epochs or 33
        schedule = schedule_of(arguments, epochs=epochs, batch=256, cooldown=math.ceil(0.65 * epochs))
    else:
        epochs = arguments.epochs or 4
        schedule = schedule_of(arguments, epochs=epochs, batch=64, rate=1e-3, cooldown=epochs, shift=3, hole=0)
    net = teachers.new(teachers.Layout(len(pictures.names), arguments.size, arguments.network), schedule.seed, arguments.weights)
    run(pictures, net, schedule, arguments.out, arguments.resume, larger=larger(arguments, schedule))


def look(arguments: argparse.Namespace) -> None:
    from .look import look as run
    from .teach import layout

    layout(arguments.size, 1, 2)  # refuses sizes that no network has
    found = run(arguments.data, arguments.size)
    print(json.dumps(found.to_dict(), indent=2) if arguments.json else found)


def teach(arguments: argparse.Namespace, run: Callable[[list[str]], None]) -> None:
    from . import teach as teaching

    if not 0 < arguments.minutes < math.inf:
        raise DataError(f"--minutes {arguments.minutes}: a number above 0 is needed")
    if not 0 < arguments.edge_share < 1:
        raise DataError(f"--edge-share {arguments.edge_share}: a share between 0 and 1 is needed")
    checked_name(arguments)
    if arguments.weights and not arguments.weights.is_file():
        raise DataError(f"{arguments.weights} does not exist")
    if start := arguments.start or teaching.trunk():
        teaching.check_start(start)
    weights, start = (str(path.resolve()) if path else "" for path in (arguments.weights, start))
    plan = teaching.Plan(arguments.size, arguments.bits, weights, start, arguments.edge_share)
    teaching.layout(arguments.size, arguments.bits, 2)  # before anything is read
    pair = teaching.teach(arguments.folder, arguments.name, arguments.version, arguments.out, plan, arguments.minutes, run)
    print(f"exported {pair}")


def checked_name(arguments: argparse.Namespace) -> None:
    for what, text in (("name", arguments.name), ("version", arguments.version)):
        if not re.fullmatch("[0-9A-Za-z_][0-9A-Za-z_.-]*", text):
            raise DataError(f"--{what} '{text}' may only contain letters, digits, '-', '_' and '.', and must not begin with '-' or '.'")


def of_run(run, root: Path, part: str):
    """The pictures ``part``, train or test, of a run's data set."""
    from . import data

    pictures = data.load(root, part, run.net.layout.size)
    if pictures.names != run.names:
        raise SystemExit(f"{root}: the classes of its {part} pictures, {', '.join(pictures.names)}, are not those of the checkpoint, "
                         f"{', '.join(run.names)}")
    return pictures


def held_out(run, root: Path):
    """The pictures that were held out of a run's training."""
    from .runs import parts

    held = parts(of_run(run, root, "train"), run.net.layout, run.schedule)[1]
    warn_if_few(len(held))
    return held


def warn_if_few(count: int) -> None:
    if 0 < count < FEW:
        print(f"warning: only {count} pictures are held out; shares and accuracies measured on them may be off by {98 / math.sqrt(count):.0f} points. "
              "To hold out more, train with a smaller --hold-out-every", file=sys.stderr)


def manifest_of(run, pair: Path) -> dict:
    """The manifest of a pair that was exported from this run."""
    from . import energy

    path = pair / "manifest.json"
    if not path.is_file():
        raise DataError(f"{path} does not exist; recipe export writes it")
    manifest = json.loads(path.read_text())
    # Exits, split and layers all show in the parts.
    if (manifest["classes"], manifest["parts"]) != (run.names, energy.parts(run.net)):
        raise DataError(f"{path}: this pair was exported from another run: its classes or layers differ from the checkpoint's")
    return manifest


def every_way(run, images) -> list:
    """The logits of all heads, for each way of the network."""
    from .runs import logits

    net, every = run.net, []
    for way in range(len(net.mixed()[0].bits) if net.mixed() else 1):
        net.way = way
        every.append(logits(net, images))
    return every


def heads_of(run, images, exits: list[dict]) -> list:
    """The logits of all heads, on each picture's way."""
    from .controller import on_its_way

    return on_its_way(every_way(run, images), exits, len(run.names))


def write_manifest(path: Path, manifest: dict) -> None:
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(manifest, indent=2) + "\n")
    beside.replace(path)


def calibrated(run, every: list, labels, target, parts: list[dict], budget: float | None) -> tuple[list[dict], dict, dict]:
    """Exits, curves and report, chosen on the held-out pictures, whose logits for each way are ``every``."""
    from . import calibrate, controller

    if len(every) > 1:
        return controller.calibrated(every, labels, target, parts, budget)
    if budget is not None:
        raise DataError("--budget is for networks with several ways")
    return calibrate.calibrate(every[0], labels, target, parts, run.net.edge.hard())


def checked_budget(budget: float | None) -> None:
    if budget is not None and not budget > 0:
        raise DataError(f"--budget {budget}: microjoules above 0 are needed")


def evaluate(arguments: argparse.Namespace) -> None:
    from . import calibrate
    from .runs import load

    run = load(arguments.run_folder)
    manifest, test = manifest_of(run, arguments.pair), of_run(run, arguments.data, "test")
    if lacking := [exit_["name"] for exit_ in manifest["exits"] if arguments.policy not in exit_.get("thresholds", {}) and "extends" not in exit_]:
        raise DataError(f"{arguments.pair}: {lacking[0]} has no threshold for --policy {arguments.policy}")
    heads = heads_of(run, test.images, manifest["exits"])
    figures = calibrate.evaluate(heads, test.labels, manifest["exits"], arguments.policy, run.net.edge.hard())
    print(json.dumps(figures, indent=2))


def calibrate(arguments: argparse.Namespace) -> None:
    from . import normal
    from .runs import load

    run, target, path = load(arguments.run_folder), target_of(arguments), arguments.pair / "manifest.json"
    checked_budget(arguments.budget)
    manifest, held = manifest_of(run, arguments.pair), held_out(run, arguments.data)
    every = every_way(run, held.images)
    exits, curves, report = calibrated(run, every, held.labels, target, manifest["parts"], arguments.budget)
    if arguments.check_splits:
        report["promise"] = checked(run, held, of_run(run, arguments.data, "test"), target, exits, arguments.check_splits)
    for exit_, found in zip(manifest["exits"], exits, strict=False):
        exit_ |= found
    manifest["curves"] = curves
    manifest["normal"] = normal.of(every, manifest["exits"], manifest["policy"], len(run.names))
    write_manifest(path, manifest)
    print(json.dumps(report, indent=2))


def checked(run, held, test, target, exits: list[dict], splits: int) -> dict:
    """How often each policy's promise breaks on pictures that did not make it."""
    import torch

    from .answers import of_exits, policies
    from .promise import broken

    if target.max_exit_error is None:
        raise DataError("--check-splits checks the promise of --max-exit-error")
    logits = [torch.cat(heads) for heads in zip(heads_of(run, held.images, exits), heads_of(run, test.images, exits), strict=True)]
    labels, found = torch.cat([held.labels, test.labels]), {}
    for policy in policies(logits):
        said = of_exits(logits, labels, exits, policy, run.net.edge.hard())
        failed, refused, share = broken(said, target.max_exit_error, target.confidence, len(held), splits)
        found[policy] = {"splits": splits, "broken": failed, "refused": refused, "edge_share": round(share, 4)}
    return found


def export(arguments: argparse.Namespace) -> None:
    from . import calibrate, card, energy, golden, normal
    from . import export as files
    from .runs import load, twin_of

    out, target = arguments.out, target_of(arguments)
    checked_name(arguments)
    if out.resolve().parts[-2:] != (arguments.name, arguments.version):
        raise DataError(f"--out {out}: the folder must end in {arguments.name}/{arguments.version}")
    if (out / "manifest.json").exists():
        raise DataError(f"{out} already has a pair, which devices may be running: export another --version, or remove the folder first")
    run = load(arguments.run_folder)
    if run.net.layout.bits == FULL:
        raise DataError(f"{arguments.run_folder} is a full-precision twin, which has no exits: --run needs a quantised network; give this one as --twin")
    twin = twin_of(run, arguments.twin) if arguments.twin else None
    checked_budget(arguments.budget)
    held, test = held_out(run, arguments.data), of_run(run, arguments.data, "test")
    every = every_way(run, held.images)
    exits, curves, report = calibrated(run, every, held.labels, target, energy.parts(run.net), arguments.budget)
    figures = calibrate.evaluate(heads_of(run, test.images, exits), test.labels, exits, "entropy", run.net.edge.hard())
    measured = {"data": arguments.data_name, "samples": figures["samples"],
                "exits": figures["accuracy"]["exits"], "final": figures["accuracy"]["final"]}
    usual = normal.of(every, exits, files.policy(run.net), len(run.names))
    files.write_pair(run.net, run.names, arguments.name, arguments.version, exits, measured, out, curves, usual)
    if twin:
        files.write_twin(twin, out / "twin.onnx")
    golden.write(out, run.net)
    given = {name: getattr(arguments, name) for name in ("edge_share", "accuracy_loss", "energy", "max_exit_error", "budget")}
    if arguments.thresholds_of:
        given["thresholds_of"] = " ".join(arguments.thresholds_of.resolve().parts[-2:])
    elif arguments.max_exit_error:
        given["confidence"] = arguments.confidence
    else:
        given["margin"] = arguments.margin
    chosen = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in given.items() if value is not None)
    card.write(run, arguments.name, arguments.version, arguments.data_name, arguments.twin is not None, len(held), chosen, report["exits"], out)
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


def coder(arguments: argparse.Namespace) -> None:
    import torch

    from . import coding, data
    from .invert import EdgeFile

    if arguments.pictures < 1:
        raise DataError(f"--pictures {arguments.pictures}: at least 1 is needed")
    edge = EdgeFile(arguments.pair)
    maps = {}
    for part, count in (("train", arguments.pictures), ("test", max(100, arguments.pictures // 10))):
        images = data.load(arguments.data, part, edge.size).images
        maps[part] = edge.levels(images[torch.linspace(0, len(images) - 1, min(count, len(images))).long()])
    context = coding.fit(maps["train"], edge.bits, edge.signed)
    shape = tuple(maps["train"].shape[1:])
    plain, coded = math.prod(shape) * edge.bits / 8, coding.mean_bytes(context, maps["test"], edge.signed)
    found = f"maps of {plain:.0f} bytes take {coded:.0f} on the mean of {len(maps['test'])} test pictures"
    file = arguments.pair / "split.coder"
    if coded >= plain:
        file.unlink(missing_ok=True)
        print(f"coded {found}: packed maps are smaller, so the pair has no coder; next: cargo xtask pack {arguments.pair / 'edge.qonnx'}")
        return
    file.write_bytes(coding.written(context, shape, edge.signed))
    print(f"wrote {file}: {found}; next: cargo xtask pack {arguments.pair / 'edge.qonnx'}")


def normal(arguments: argparse.Namespace) -> None:
    from .normal import of_pair

    manifest = of_pair(arguments.pair, arguments.data, arguments.hold_out_every)
    found = manifest["normal"]
    warn_if_few(found["pictures"])
    write_manifest(arguments.pair / "manifest.json", manifest)
    print(json.dumps({"pictures": found["pictures"], "limits": [each["limit"] for each in (*found["exits"], found["classes"])]}, indent=2))


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


def plot_rate(arguments: argparse.Namespace) -> None:
    from . import plots

    plots.rate(arguments.json, arguments.out)


def time_cloud(arguments: argparse.Namespace) -> None:
    from . import peers as models

    print(json.dumps(models.time_cloud(arguments.onnx, arguments.batches)))
