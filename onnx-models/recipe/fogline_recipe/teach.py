"""From a folder of pictures to an exported pair: looks the folder over, plans, trains the twin and the pair, calibrates and exports.

The work is done by the recipe's other commands, which are printed before they run. Whoever stops it and gives the same command again
goes on where it stopped, an epoch at the most before.
"""

import fcntl
import hashlib
import json
import math
import shlex
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import torch

from .data import DataError
from .layout import Layout
from .look import Look, lay_out, look
from .quant import FULL, LayoutError
from .runs import Schedule, state_of
from .teacher import EFFICIENTNET

MODELS = Path(__file__).parents[2]
TRUNK = "tin100-w4"  # whose trunk a new pair starts with: of all published ones it has learned the most classes
EDGE, CLOUD = "64 pool 128 128 exit2 pool 128 128 128 exit{grid}", "pool 256 256+ 256+"
SPLIT = {1: 128, 2: 64, 4: 32, 8: 16}  # channels by bits: 16 bytes for each place of the split map
# Sizes up to a limit: the stem, and the factor by which it makes the map smaller. It stays between 16x16 and 40x40.
STEMS = [(63, "32", 1), (95, "32/2", 2), (160, "16/2 32/2", 4), (224, "16/2 32/2 32/2", 8)]
MOST_EPOCHS = {"twin": 60, "pair": 90}
LEAST_EPOCHS = 6
VIEWS = 8  # of each picture, that teachers are asked about
TWIN_TIME = 0.4  # share of the minutes for the twin
TEACHER_EPOCHS = 6
TEACHER_COST = 22  # of training a teacher, and asking it about the views of two networks, in epochs of the twin
FREE = 500 << 20  # bytes on disk: checkpoints, and the pair with its twin


@dataclass(frozen=True)
class Plan:
    """What is trained, and for how long; kept in plan.json, so that a resumed run follows it."""

    size: int
    bits: int
    weights: str
    start: str
    edge_share: float
    pictures: str = ""  # digest of their names and contents
    hold_out_every: int = 0
    batch: int = 0
    twin_epochs: int = 0
    pair_epochs: int = 0

    def differences(self, other: "Plan") -> list[str]:
        """What was asked for differently and training depends on. The numbers of epochs were not asked for."""
        names = [field.name for field in fields(self) if not field.name.endswith(("_epochs", "edge_share"))]
        return [name.replace("_", " ") for name in names if getattr(self, name) != getattr(other, name)]


def layout(size: int, bits: int, classes: int) -> Layout:
    """The layout for pictures of ``size``: the map behind the stem is 16x16 to 40x40 whatever the size."""
    if not 32 <= size <= 224:
        raise LayoutError(f"--size {size}: from 32 to 224 pixels")
    if bits not in SPLIT:
        raise LayoutError(f"--bits {bits}: 1, 2, 4 or 8")
    _, stem, factor = next(each for each in STEMS if size <= each[0])
    step = 4 * factor  # two pools follow
    if size % step:
        lower = size // step * step
        raise LayoutError(f"--size {size}: the map is halved until a side is odd; take {lower} or {lower + step}")
    last = size // step
    grid = min((d for d in range(1, last + 1) if last % d == 0), key=lambda d: (abs(d - 4), -d))
    return Layout(classes=classes, bits=bits, size=size, stem=stem, edge=EDGE.format(grid=grid), split=SPLIT[bits], cloud=CLOUD)


def digest(found: Look) -> str:
    """Of all pictures that are trained on or tested with, and of their parts and classes."""
    lines = sorted(f"{p.part} {p.folder.name} {p.path.relative_to(p.folder)} {p.digest}" for p in found.pictures)
    return hashlib.sha256("\n".join([*found.names, *lines]).encode()).hexdigest()


def seconds_per_picture(of: Layout, batch: int) -> float:
    """Time of a training step here, by two steps on random pictures."""
    from .optimiser import Optimiser
    from .runs import device
    from .train import new, step_of

    schedule, where = Schedule(), device()
    net = new(of, schedule).to(where, memory_format=torch.channels_last).train()
    images = torch.rand(batch, 3, of.size, of.size).to(where, memory_format=torch.channels_last)
    step, targets = step_of(net, Optimiser(net, schedule), schedule), torch.eye(of.classes)[torch.arange(batch) % of.classes].to(where)
    step(images, targets).item()
    began = time.monotonic()
    for _ in range(2):
        step(images, targets).item()
    return (time.monotonic() - began) / (2 * batch)


def epochs(plan: Plan, found: Look, minutes: float) -> Plan:
    """The plan, with as many epochs as the minutes allow."""
    of = layout(plan.size, plan.bits, len(found.names))
    count = sum(found.counts["train"]) * (1 - 1 / plan.hold_out_every)
    twin, pair = (count * seconds_per_picture(each, plan.batch) for each in (replace(of, bits=FULL), of))
    seconds = 60 * minutes
    if plan.weights:
        seconds -= TEACHER_COST * twin
    share = TWIN_TIME * seconds, (1 - TWIN_TIME) * seconds
    number = [max(LEAST_EPOCHS, min(most, math.floor(each / cost)))
              for each, cost, most in zip(share, (twin, pair), MOST_EPOCHS.values(), strict=True)]
    needed = (number[0] * twin + number[1] * pair + 60 * minutes - seconds) / 60
    print(f"an epoch takes about {twin:.0f} s for the twin and {pair:.0f} s for the pair here: {number[0]} and {number[1]} epochs, about "
          f"{max(1, round(needed))} minutes")
    if needed > 1.2 * minutes:
        print(f"--minutes {minutes:g} is too short for these pictures: {LEAST_EPOCHS} epochs of each are the least that is worth it")
    return replace(plan, twin_epochs=number[0], pair_epochs=number[1])


def planned(path: Path, plan: Plan, found: Look, minutes: float) -> Plan:
    """The plan that was begun in ``path``, or a new one."""
    if path.is_file() and any(path.parent.glob("*/checkpoint.pt")):
        try:
            begun = Plan(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise DataError(f"{path} is damaged: remove the folder {path.parent} to begin again") from error
        if differ := begun.differences(plan):
            raise DataError(f"{path.parent} was begun with other {' and '.join(differ)}: take another --name or --version, or remove the folder "
                            f"{path.parent} to begin again")
        print(f"goes on with {path}: {begun.twin_epochs} epochs for the twin, {begun.pair_epochs} for the pair")
        return replace(begun, edge_share=plan.edge_share)
    plan = epochs(plan, found, minutes)
    beside = path.with_suffix(".partial")
    beside.write_text(json.dumps(asdict(plan), indent=2) + "\n")
    beside.replace(path)
    return plan


def check_out(out: Path, folder: Path) -> None:
    """Refuses an output folder in which something of the user's might be replaced."""
    out, folder = out.resolve(), folder.resolve()
    if out == folder or out in folder.parents or folder in out.parents:
        raise DataError(f"--out {out} and the pictures' folder {folder} must lie apart")
    if out.exists() and not out.is_dir():
        raise DataError(f"--out {out} is not a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / "plan.json").is_file() and {path.name for path in out.iterdir()} != {"lock"}:
        raise DataError(f"--out {out} holds something else: give an empty or a new folder")


def check_start(pair: Path) -> None:
    for file in ("manifest.json", "MODEL.md", "twin.onnx"):
        if not (pair / file).is_file():
            raise DataError(f"--start {pair}: {pair / file} does not exist; give the folder NAME/VERSION of a pair that has it")


def trunk() -> Path | None:
    """The pair whose trunk a new one starts with, if it is there."""
    versions = sorted((MODELS / TRUNK).glob("*/twin.onnx"), key=lambda path: [int(n) for n in path.parent.name.split(".") if n.isdigit()])
    return versions[-1].parent if versions else None


def done(run: Path, epochs: int) -> bool:
    path = run / "checkpoint.pt"
    try:
        return path.is_file() and state_of(path, torch.device("cpu"))["epoch"] >= epochs
    except DataError as error:
        raise DataError(f"{path} is damaged: remove the folder {run} to train this part again") from error


def teach(folder: Path, name: str, version: str, out: Path, plan: Plan, minutes: float, run: Callable[[list[str]], None]) -> Path:
    """Does everything up to the exported pair in ``out``/pair/NAME/VERSION, and returns its folder. ``run`` runs a command of the recipe."""
    check_out(out, folder)
    found = look(folder, plan.size)
    print(found, flush=True)
    out.mkdir(parents=True, exist_ok=True)
    lock = (out / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise DataError(f"another run is at work in {out}") from error
    if (free := shutil.disk_usage(out).free) < FREE:
        raise DataError(f"{out}: {free >> 20} MiB are free on this disk, {FREE >> 20} MiB are needed for checkpoints and the pair")
    plan = planned(out / "plan.json", replace(plan, pictures=digest(found), **sizes(sum(found.counts["train"]))), found, minutes)
    lay_out(found, out / "data")
    of = layout(plan.size, plan.bits, len(found.names))
    common = ["--data", str(out / "data"), "--size", str(of.size), "--hold-out-every", str(plan.hold_out_every), "--crop", "0.4",
              "--jitter", "0.3", "--balance", "0.5"]
    teachers = []
    if plan.weights:
        teachers = [out / "teacher"]
        command(run, teachers[0], TEACHER_EPOCHS, ["teacher", *common, "--network", EFFICIENTNET, "--weights", plan.weights])
    shape = ["--stem", of.stem, "--edge", of.edge, "--split", str(of.split), "--cloud", of.cloud, "--batch", str(plan.batch), "--distill", "0.75",
             "--smoothing", "0" if teachers else "0.1", "--hole", str(of.size // 4)]
    start = ["--start", plan.start] if plan.start else []
    train = ["train", *common, *shape]
    command(run, out / "twin", plan.twin_epochs, [*train, "--bits", str(FULL), *start, *taught(teachers)])
    command(run, out / "run", plan.pair_epochs, [*train, "--bits", str(of.bits), *taught([out / "twin", *teachers])])
    pair = out / "pair" / name / version
    shutil.rmtree(out / "pair", ignore_errors=True)
    export = ["export", "--run", str(out / "run"), "--twin", str(out / "twin"), "--data", str(out / "data"), f"--data-name={folder.resolve().name}",
              "--name", name, "--version", version, "--edge-share", str(plan.edge_share), "--margin", "1", "--out", str(pair)]
    for words in (export, ["coder", "--pair", str(pair), "--data", str(out / "data")]):
        shown(words)
        run(words)
    return pair


def sizes(count: int) -> dict:
    """How many pictures are held out, and how many are in a batch, of ``count`` training pictures."""
    return {"hold_out_every": 5 if count < 1000 else 10 if count < 10_000 else 20, "batch": 16 if count < 500 else 64}


def taught(teachers: list[Path]) -> list[str]:
    return ["--teacher", *map(str, teachers)] if teachers else []


def command(run: Callable[[list[str]], None], out: Path, epochs: int, words: list[str]) -> None:
    """Trains to ``out``, from its checkpoint if there is one."""
    if done(out, epochs):
        return
    words = [*words, "--epochs", str(epochs), "--out", str(out)]
    if words[0] == "train":
        words += ["--cooldown", str(max(1, round(0.7 * epochs))), "--views", str(VIEWS) if epochs >= 2 * VIEWS and "--teacher" in words else "0"]
    if (out / "checkpoint.pt").is_file():
        words.append("--resume")
    shown(words)
    run(words)


def shown(words: list[str]) -> None:
    print(f"\n> python -m fogline_recipe {shlex.join(words)}", flush=True)
