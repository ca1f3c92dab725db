"""Joint training of the exits and the final head, with checkpoints and resume."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from . import appeal, data, hashing
from .coding import Rate
from .feed import Feed
from .graph import Graphed
from .layout import Layout
from .net import Hybrid
from .optimiser import Optimiser
from .runs import Schedule, device, fast, logits, machine, parts, save, state_of
from .start import take_weights


def rate_factor(epoch: float, schedule: Schedule) -> float:
    """The learning rate's factor: rises over the warm-up epochs, stays constant, and falls to zero over the cool-down epochs.

    During the constant phase, a resumed run may change its number of epochs without wasting any.
    """
    return max(0.0, min(1.0, (epoch + 0.05) / schedule.warmup, (schedule.epochs - epoch) / schedule.cooldown))


TEACHER_TEMPERATURE = 3.0


def focus(exits: list[torch.Tensor], amount: float) -> torch.Tensor:
    """The weight of each picture (N) in the final head's loss, with mean 1: a picture that an exit is sure of never gets there.

    Han et al. 2022 (arXiv 2209.08310) learn such weights; here they are the uncertainty of the surest exit.
    """
    unsure = 1 - torch.stack([exit_.detach().softmax(1).amax(1) for exit_ in exits]).amax(0)
    return 1 - amount + amount * unsure / unsure.mean()


def losses(outputs: list[torch.Tensor], targets: torch.Tensor, schedule: Schedule,
           teacher: torch.Tensor | None = None, weights: torch.Tensor | None = None) -> torch.Tensor:
    """Sum of w_i L_i over the exits, plus (1 - sum of w_i) L of the final head (2005.10851).

    ``targets`` (N, classes) are each class's share in a picture: 1 and 0, unless pictures were mixed. L is the mean over the
    pictures, for the final head weighted by ``focus``, of a head's cross-entropy, mixed with that against the softened
    scores of a teacher (Hinton et al. 2015, arXiv 1503.02531). Without a teacher the final head learns from the labels alone
    and teaches the exits (Zhang et al. 2019, "Be Your Own Teacher", arXiv 1905.08094). To that of an exit with a score of
    its own answer, AppealNet's is added. ``weights`` (classes) are the classes' own.
    """
    outputs = [output.float() for output in outputs]
    classes = outputs[-1].shape[1]
    appeals = [(output[:, :classes], output[:, classes]) for output in outputs[:-1] if output.shape[1] > classes]
    outputs = [output[:, :classes] for output in outputs]
    taught = outputs[:-1] if teacher is None else outputs
    scores = outputs[-1].detach() if teacher is None else teacher.float()
    soft = (scores / TEACHER_TEMPERATURE).softmax(1)
    loss = [cross_entropy(o, targets, label_smoothing=schedule.smoothing, reduction="none") for o in outputs]
    for i, output in enumerate(taught):
        from_teacher = cross_entropy(output / TEACHER_TEMPERATURE, soft, reduction="none") * TEACHER_TEMPERATURE**2
        loss[i] = (1 - schedule.distill) * loss[i] + schedule.distill * from_teacher
    if outputs[:-1]:
        loss[-1] = loss[-1] * focus(outputs[:-1], schedule.focus)
    if schedule.balance and weights is not None:
        of_picture = targets @ weights
        loss = [each * of_picture for each in loss]
    loss = [each.mean() for each in loss]
    for i, (exit_, score) in enumerate(appeals):
        loss[i] = loss[i] + appeal.loss(exit_, score, outputs[-1], targets, schedule.price)
    return schedule.exit_weight * sum(loss[:-1]) + (1 - schedule.exit_weight * len(loss[:-1])) * loss[-1]


SENT = 0.5  # of the training pictures, for the layers behind the exits


def unsure(net: Hybrid, images: torch.Tensor) -> torch.Tensor:
    """The indices of the pictures that the surest exit is least sure of, in no order: only such maps are sent."""
    exits = logits(net.edge, images, "finding the hard pictures")[:-1]
    certainty = torch.stack([exit_.softmax(1).amax(1) for exit_ in exits]).amax(0)
    return certainty.argsort()[:math.ceil(SENT * len(images))]


def new(layout: Layout, schedule: Schedule) -> Hybrid:
    """A network with random initial weights."""
    torch.manual_seed(schedule.seed)
    return Hybrid(layout)


def asked(teachers: Sequence[nn.Module], images: torch.Tensor) -> torch.Tensor | None:
    """The mean of the teachers' final logits (N, classes), for exactly the pictures that the student sees."""
    with torch.no_grad(), narrow(images.device):
        scores = [teacher(images)[-1].float() for teacher in teachers]
    return torch.stack(scores).mean(0) if scores else None


@torch.no_grad()
def before_split(net: Hybrid, images: torch.Tensor) -> list[torch.Tensor]:
    """The map before the split layer and the exits' logits, of layers that stay."""
    with narrow(images.device):
        trunk, exits = net.edge.trunk(images)
    return [trunk, *exits]


def class_weights(pictures: data.Pictures, balance: float) -> torch.Tensor:
    """Each class's weight in the loss: its number of pictures to the power of -``balance``, with a mean over the pictures of 1."""
    counts = pictures.labels.bincount(minlength=len(pictures.names)).clamp_min(1).float()
    weights = counts ** -balance
    return weights * counts.sum() / (weights * counts).sum()


def narrow(where: torch.device) -> torch.autocast:
    """Computes in bfloat16 where that is fast. Without a cache, which a CUDA graph must not capture."""
    kind = fast(where)
    return torch.autocast(where.type, dtype=kind, enabled=kind != torch.float32, cache_enabled=False)


def step_of(net: nn.Module, optimiser: Optimiser, schedule: Schedule, weights: torch.Tensor | None = None,
            rate: Rate | None = None) -> Graphed:
    """Runs one training step on pictures (N, 3, S, S), targets (N, classes) and, if there are any, the teachers' scores (N, classes);
    returns the loss before the step. ``weights`` (classes) are the classes' own. ``rate`` adds the price of the maps; then a step takes
    what ``before_split`` returns in place of pictures, with the exits' logits before the scores."""
    where = optimiser.parameters[0].device
    shared, hard = net.shared(), net.edge.hard() if isinstance(net, Hybrid) else []
    hard = torch.tensor(hard, device=where) if hard else None
    weights = weights if hard is None or weights is None else weights[hard]
    known = len(net.edge.exits) if rate else 0

    def step(images: torch.Tensor, targets: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        exits, scores = list(more[:known]), next(iter(more[known:]), None)
        optimiser.forget()
        with narrow(where):
            outputs = net.behind(images, exits) if rate else net(images)
        if hard is not None:  # an extension learns only from its hard classes
            outputs, targets = [output[:, hard] for output in outputs[-2:]], targets[:, hard]
            scores = None if scores is None else scores[:, hard]
        loss = losses(outputs, targets, schedule, scores, weights)
        if rate:
            loss = loss + rate.cost(outputs[:-1])
        loss.backward()
        optimiser.step()
        if shared:
            hashing.tie(shared, net.layout.share)
        return loss.detach()

    return Graphed(step, where)


def train(pictures: data.Pictures, net: nn.Module, schedule: Schedule, out: Path, resume: bool,
          teachers: Sequence[nn.Module] = (), start: str = "", larger: data.Pictures | None = None) -> None:
    """Trains ``net``, new or pretrained, on all but the held-out pictures; writes ``checkpoint.pt`` and ``log.jsonl`` to ``out``.

    ``larger`` are the same pictures at a larger size, from which ``--crop`` takes its windows.
    ``start`` is recorded in the checkpoint as the source of ``net``'s weights; without it, a twin among the teachers initialises them.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, log = out / "checkpoint.pt", out / "log.jsonl"
    where, layout = device(), net.layout.to_dict()
    training, held = parts(pictures, net.layout, schedule)
    weights = class_weights(training, schedule.balance).to(where)
    images = training.images
    if larger:
        training, _ = parts(larger, net.layout, schedule)
    if isinstance(net, Hybrid) and net.edge.hard():
        hard = torch.tensor(net.edge.hard())
        training, held = (part.take(torch.isin(part.labels, hard)) for part in (training, held))
    net, *teachers = (each.to(where, memory_format=torch.channels_last) for each in (net, *teachers))
    for teacher in teachers:
        teacher.eval()
    first, spent, taught_by = 0, 0.0, [teacher.layout.to_dict() for teacher in teachers]
    if checkpoint.is_file() and not resume:
        raise SystemExit(f"{checkpoint} already exists: continue from it with --resume, or train into another folder")
    if resume and not checkpoint.is_file():
        raise SystemExit(f"{checkpoint} does not exist: there is nothing to resume")
    if resume:
        state = state_of(checkpoint, where)
        planned = replace(Schedule(**state["schedule"]), epochs=schedule.epochs, cooldown=schedule.cooldown)
        if state["names"] != pictures.names:
            raise SystemExit(f"{checkpoint} knows the classes {', '.join(state['names'])}, but the pictures are of {', '.join(pictures.names)}")
        if (state["layout"], planned, state["teachers"]) != (layout, schedule, taught_by):
            raise SystemExit(f"{checkpoint} was made with another layout, schedule or teachers: train into another folder")
        net.load_state_dict(state["net"])
        first, spent = state["epoch"], state["seconds"]
        print(f"resuming after epoch {first} of {schedule.epochs}")
    for teacher in () if resume or start else teachers:
        if taken := take_weights(net, teacher):
            print(f"{taken} of {len(net.state_dict())} tensors initialised from a teacher")
    rate = None
    if schedule.map_bytes:
        sent = unsure(net, images)
        training, net.exits_stay = training.take(sent), True
        rate = Rate(net, schedule.map_bytes, images[sent]).to(where)
    # Brevitas recreates some parameters when weights are loaded, so create the optimiser afterwards.
    optimiser = Optimiser(net.train(), schedule, rate)
    if resume:
        optimiser.load_state_dict(state["optimiser"])
        if rate:
            rate.load_state_dict(state["rate"])
    torch.backends.cudnn.benchmark = True  # batches are of one size
    feed, step = Feed(training, schedule, where, net.layout.size), step_of(net, optimiser, schedule, weights, rate)
    ask, remembered = Graphed(partial(asked, teachers), where), {}
    for epoch in range(first, schedule.epochs):
        net.train()
        began, total = time.monotonic(), torch.zeros((), device=where)
        shown = began
        bar = tqdm(feed.epoch(epoch), desc=f"epoch {epoch + 1}/{schedule.epochs}", total=feed.steps, unit=" batches")
        for done, batch in enumerate(bar):
            optimiser.set_rates(rate_factor(epoch + done / feed.steps, schedule))
            images, targets = batch
            if (view := (feed.view(epoch), done)) not in remembered:
                remembered[view] = (before_split(net, images) if rate else []) + ([ask(images).clone()] if teachers else [])
            more = remembered[view]
            total += step(more[0], targets, *more[1:]) if rate else step(images, targets, *more)
            if not schedule.views:
                remembered.clear()
            if (now := time.monotonic()) > shown + 1:  # reading the loss synchronises with the device
                shown, left = now, (schedule.epochs - epoch - (done + 1) / feed.steps) * (now - began) * feed.steps / (done + 1)
                bar.set_postfix_str(f"loss {total.item() / (done + 1):.3f}, about {left / 60:.0f} min left")
        loss, seconds = total.item() / feed.steps, time.monotonic() - began
        spent += seconds
        line = {"epoch": epoch + 1, "loss": round(loss, 4), "seconds": round(seconds, 1), "left": round((schedule.epochs - epoch - 1) * seconds)}
        if epoch % 5 == 4 or epoch + 1 == schedule.epochs:
            heads = logits(net, held.images, "running the held-out pictures")
            line["held_out"] = [round((head[:, :len(held.names)].argmax(1) == held.labels).float().mean().item(), 4) for head in heads]
        if rate:
            line |= {"map_bytes": round(rate.mean.item()), "price": float(f"{rate.price.item():.3g}")}
        print(json.dumps(line), flush=True)
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        save(checkpoint, {"layout": layout, "schedule": asdict(schedule), "names": pictures.names,
                          "net": net.state_dict(), "optimiser": optimiser.state_dict(), "epoch": epoch + 1, "teachers": taught_by,
                          "start": start, "seconds": spent, "machine": machine(where),
                          "rate": rate and rate.state_dict()})
