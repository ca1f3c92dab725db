"""Trained networks on disk, and what they say of pictures."""

from dataclasses import dataclass, replace
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import nn
from tqdm import tqdm

from . import data
from .layout import Layout
from .net import Hybrid
from .quant import FULL
from .teacher import Layout as TeacherLayout
from .teacher import Teacher


@dataclass
class Schedule:
    """How a network is trained."""

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
    seed: int = 1
    hold_out_every: int = 20

    def __post_init__(self):
        limits = {"epochs": 1, "batch": 1, "hold_out_every": 2, "shift": 0, "hole": 0, "decay": 0, "price": 0}
        for name, least in limits.items():
            if not least <= getattr(self, name) < float("inf"):
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)}: at least {least} is needed")
        for name in ("rate", "kernel_rate", "warmup", "cooldown"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)}: a number above 0 is needed")
        for name in ("focus", "distill", "smoothing", "exit_weight"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"--{name.replace('_', '-')} {getattr(self, name)}: it goes from 0 to 1")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass
class Run:
    """A trained network, and how it came about."""

    net: Hybrid | Teacher
    names: list[str]
    schedule: Schedule
    teachers: list[dict]
    start: str  # the pair whose weights were the first ones


def load(folder: Path) -> Run:
    """The run whose checkpoint lies in ``folder``."""
    path = folder / "checkpoint.pt"
    if not path.is_file():
        raise data.DataError(f"{path}: no checkpoint there; train with --out {folder} first")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise data.DataError(f"{path}: no whole checkpoint: {error}") from error
    layout = state["layout"]
    found = Teacher(TeacherLayout(**layout)) if "backbone" in layout else Hybrid(Layout(**layout))
    found.load_state_dict(state["net"])
    return Run(found.eval(), state["names"], Schedule(**state["schedule"]), state["teachers"], state["start"])


def twin_of(run: Run, folder: Path) -> Hybrid:
    """The network in ``folder``, which must be the full-precision twin of ``run``'s."""
    twin = load(folder)
    if not isinstance(twin.net, Hybrid) or twin.net.layout != replace(run.net.layout, bits=FULL):
        raise data.DataError(f"{folder}: not the twin, whose layout is the run's own with --bits {FULL}")
    if twin.names != run.names:
        raise data.DataError(f"{folder}: its classes, {', '.join(twin.names)}, are not the run's, {', '.join(run.names)}")
    return twin.net


def save(path: Path, state: dict) -> None:
    """Writes beside, then renames: an interrupted save leaves the old checkpoint whole."""
    beside = path.with_suffix(".partial")
    torch.save(state, beside)
    beside.replace(path)


@torch.no_grad()
def logits(net: nn.Module, images: torch.Tensor, name: str = "asking the network", quick: bool = False, batch: int = 500) -> list[torch.Tensor]:
    """Logits (N, classes) of every head for uint8 pictures (N, 3, S, S), in fp32; ``quick`` computes in bf16."""
    where = device()
    net, heads = net.eval().to(where, memory_format=torch.channels_last), []
    for start in tqdm(range(0, len(images), batch), desc=name, unit=" batches", leave=False):
        part = data.normalise(images[start:start + batch].to(where)).contiguous(memory_format=torch.channels_last)
        with torch.autocast(where.type, dtype=torch.bfloat16, enabled=quick):
            heads.append([head.float().cpu() for head in net(part)])
    return [torch.cat(head) for head in zip(*heads, strict=True)]
