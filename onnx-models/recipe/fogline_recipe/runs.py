"""Trained networks on disk, and their logits for pictures."""

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn
from tqdm import tqdm

from . import data, teacher
from .layout import Layout
from .net import Hybrid
from .quant import FULL


@dataclass
class Schedule:
    """The hyperparameters of training."""

    epochs: int = 34
    batch: int = 128
    rate: float = 2e-3
    kernel_rate: float = 1e-2
    warmup: int = 1
    cooldown: int = 22
    decay: float = 0.05
    smoothing: float = 0.1
    shift: int = 4
    hole: int = 8
    exit_weight: float = 0.25
    distill: float = 0.5
    focus: float = 0.0
    price: float = 0.1
    cutmix: float = 0.0
    views: int = 0
    crop: float = 1.0
    jitter: float = 0.0
    balance: float = 0.0
    map_bytes: float = 0.0
    seed: int = 1
    hold_out_every: int = 20

    def __post_init__(self):
        limits = {"epochs": 1, "batch": 1, "hold_out_every": 2, "shift": 0, "hole": 0, "decay": 0, "price": 0, "views": 0, "map_bytes": 0}
        for name, least in limits.items():
            if not least <= getattr(self, name) < float("inf"):
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)}: at least {least} is needed")
        if not 0 < self.crop <= 1:
            raise ValueError(f"--crop {self.crop}: a share above 0, and at most 1, is needed")
        for name in ("rate", "kernel_rate", "warmup", "cooldown"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)}: a number above 0 is needed")
        for name in ("focus", "distill", "smoothing", "exit_weight", "cutmix", "jitter", "balance"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)}: a number from 0 to 1 is needed")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast(where: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it, else float32: a CPU that emulates it takes a hundred times as long."""
    native = where.type == "cuda" or any(there for name, there in torch.cpu.get_capabilities().items() if "bf16" in name)
    return torch.bfloat16 if native else torch.float32


def machine(where: torch.device) -> str:
    """The device's name for the model card."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    return "one CPU core" if (threads := torch.get_num_threads()) == 1 else f"{threads} CPU cores"


def parts(pictures: data.Pictures, layout: Layout | teacher.Layout, schedule: Schedule) -> tuple[data.Pictures, data.Pictures]:
    """The pictures to train on, and those held out for calibration."""
    training, held = data.hold_out(pictures, schedule.hold_out_every)
    return data.hold_out(held, 2) if isinstance(layout, Layout) and layout.appeals else (training, held)


@dataclass
class Run:
    """A trained network and how it was trained."""

    net: Hybrid | teacher.Teacher
    names: list[str]
    schedule: Schedule
    teachers: list[dict]
    start: str  # the pair that the weights were initialised from
    seconds: float  # that training took
    machine: str


def state_of(path: Path, where: torch.device) -> dict:
    """What ``save`` wrote to ``path``, with its tensors on ``where``."""
    try:
        return torch.load(path, map_location=where, weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise data.DataError(f"{path}: the checkpoint is damaged: {error}") from error


def load(folder: Path) -> Run:
    """Loads the run whose checkpoint is in ``folder``."""
    path = folder / "checkpoint.pt"
    if not path.is_file():
        raise data.DataError(f"{path} does not exist; train with --out {folder} first")
    state = state_of(path, torch.device("cpu"))
    layout = state["layout"]
    found = teacher.build(teacher.Layout(**layout)) if "backbone" in layout else Hybrid(Layout(**layout))
    found.load_state_dict(state["net"])
    return Run(found.eval().to(memory_format=torch.channels_last), state["names"], Schedule(**state["schedule"]),
               *(state[name] for name in ("teachers", "start", "seconds", "machine")))


def twin_of(run: Run, folder: Path) -> Hybrid:
    """Loads the network in ``folder``, which must be the full-precision twin of ``run``'s."""
    twin = load(folder)
    if not isinstance(twin.net, Hybrid) or twin.net.layout != replace(run.net.layout, bits=FULL):
        raise data.DataError(f"{folder} is not the twin: that has the run's layout with --bits {FULL}")
    if twin.names != run.names:
        raise data.DataError(f"{folder}: its classes, {', '.join(twin.names)}, are not the run's, {', '.join(run.names)}")
    return twin.net


def save(path: Path, state: dict) -> None:
    """Writes a temporary file and renames it: an interrupted save leaves the old checkpoint intact."""
    beside = path.with_suffix(".partial")
    try:
        torch.save(state, beside)
    except (OSError, RuntimeError) as error:
        beside.unlink(missing_ok=True)
        raise data.DataError(f"{path}: cannot be written: {error}; is the disk full? An earlier checkpoint is kept") from error
    beside.replace(path)


@torch.no_grad()
def logits(net: nn.Module, images: torch.Tensor, name: str = "running the network", batch: int = 500) -> list[torch.Tensor]:
    """Logits (N, classes) of every head for uint8 pictures (N, 3, S, S), in fp32. If ``net`` is not on the fastest device, a copy of it
    runs there; moving ``net`` itself would affect its owner."""
    where = device()
    if next(net.parameters()).device.type != where.type:
        net = copy.deepcopy(net).to(where, memory_format=torch.channels_last)
    net, heads = net.eval(), []
    for start in tqdm(range(0, len(images), batch), desc=name, unit=" batches", leave=False):
        part = data.normalise(images[start:start + batch].to(where)).contiguous(memory_format=torch.channels_last)
        heads.append([head.float().cpu() for head in net(part)])
    return [torch.cat(head) for head in zip(*heads, strict=True)]
