"""Joint training of the exits and the final head, with checkpoints and resume."""

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy
from tqdm import tqdm

from . import appeal, data, hashing
from .layout import Layout
from .net import Hybrid
from .runs import Schedule, device, logits, save


def rate_factor(epoch: float, schedule: Schedule) -> float:
    """A trapezoid: up over the warm-up epochs, level, down to zero over the cool-down epochs.

    While it is level, a resumed run may change its number of epochs without having wasted any.
    """
    return max(0.0, min(1.0, (epoch + 0.05) / schedule.warmup, (schedule.epochs - epoch) / schedule.cooldown))


def matrix(kernel: torch.Tensor) -> torch.Tensor:
    """A kernel (outputs, inputs, k, k) in channels-last memory, or its gradient, as (outputs, k * k * inputs)."""
    return kernel.detach().permute(0, 2, 3, 1).flatten(1)


class Optimiser:
    """Muon for the kernels of all convolutions but the first, AdamW for everything else.

    Muon (Jordan et al. 2024) makes every step an orthogonal matrix. In a tenth of the epochs of this recipe it brought
    a 1-bit network five points further than AdamW did. PyTorch's takes matrices only, so it is given views.
    """

    def __init__(self, net: nn.Module, schedule: Schedule):
        kernels = net.kernels()
        mine = {id(kernel) for kernel, _ in kernels}
        others = [parameter for parameter in net.parameters() if parameter.requires_grad and id(parameter) not in mine]
        self.views = [(kernel, nn.Parameter(matrix(kernel)), schedule.decay if decays else 0.0) for kernel, decays in kernels]
        if any(view.data_ptr() != kernel.data_ptr() for kernel, view, _ in self.views):
            raise ValueError("the network is not in channels-last memory: its kernels cannot be seen as matrices")
        muon = [{"params": [view], "weight_decay": decay} for _, view, decay in self.views]
        adamw = [{"params": [p for p in others if p.ndim == 2], "weight_decay": schedule.decay},
                 {"params": [p for p in others if p.ndim != 2], "weight_decay": 0.0}]
        self.parts = {"adamw": torch.optim.AdamW(adamw, lr=schedule.rate, fused=True)}
        if muon:
            self.parts["muon"] = torch.optim.Muon(muon, lr=schedule.kernel_rate, momentum=0.9, ns_steps=3, adjust_lr_fn="match_rms_adamw")
        self.rates = {"muon": schedule.kernel_rate, "adamw": schedule.rate}

    def step(self, factor: float) -> None:
        """One step with the gradients that are there, at ``factor`` of the highest rates; then forgets them."""
        for kernel, view, _ in self.views:
            view.grad, kernel.grad = matrix(kernel.grad), None
        for name, part in self.parts.items():
            for group in part.param_groups:
                group["lr"] = self.rates[name] * factor
            part.step()
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def load_state_dict(self, state: dict) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])


TEACHER_TEMPERATURE = 3.0


def focus(exits: list[torch.Tensor], amount: float) -> torch.Tensor:
    """How much each picture (N) counts for the final head, 1 on the mean: one that an exit is sure of never gets there.

    Han et al. 2022 (arXiv 2209.08310) learn such weights; here they are how far the surest exit is from being certain.
    """
    unsure = 1 - torch.stack([exit_.detach().softmax(1).amax(1) for exit_ in exits]).amax(0)
    return 1 - amount + amount * unsure / unsure.mean()


def losses(outputs: list[torch.Tensor], labels: torch.Tensor, schedule: Schedule,
           teacher: torch.Tensor | None = None) -> torch.Tensor:
    """Sum of w_i L_i over the exits, plus (1 - sum of w_i) L of the final head (2005.10851).

    L is the mean over the pictures, for the final head weighted by ``focus``, of a head's cross-entropy, mixed
    with that against the softened scores of a teacher (Hinton et al. 2015, arXiv 1503.02531). Without a teacher the
    final head learns from the labels alone and teaches the exits (Zhang et al. 2019, "Be Your Own Teacher", arXiv
    1905.08094). To that of an exit with a score of its own answer, AppealNet's is added.
    """
    outputs = [output.float() for output in outputs]
    classes = outputs[-1].shape[1]
    appeals = [(output[:, :classes], output[:, classes]) for output in outputs[:-1] if output.shape[1] > classes]
    outputs = [output[:, :classes] for output in outputs]
    taught = outputs[:-1] if teacher is None else outputs
    scores = outputs[-1].detach() if teacher is None else teacher.float()
    soft = (scores / TEACHER_TEMPERATURE).softmax(1)
    loss = [cross_entropy(o, labels, label_smoothing=schedule.smoothing, reduction="none") for o in outputs]
    for i, output in enumerate(taught):
        from_teacher = cross_entropy(output / TEACHER_TEMPERATURE, soft, reduction="none") * TEACHER_TEMPERATURE**2
        loss[i] = (1 - schedule.distill) * loss[i] + schedule.distill * from_teacher
    if outputs[:-1]:
        loss[-1] = loss[-1] * focus(outputs[:-1], schedule.focus)
    loss = [each.mean() for each in loss]
    for i, (exit_, score) in enumerate(appeals):
        loss[i] = loss[i] + appeal.loss(exit_, score, outputs[-1], labels, schedule.price)
    return schedule.exit_weight * sum(loss[:-1]) + (1 - schedule.exit_weight * len(loss[:-1])) * loss[-1]


def new(layout: Layout, schedule: Schedule) -> Hybrid:
    """A network with random first weights."""
    torch.manual_seed(schedule.seed)
    return Hybrid(layout)


def take_weights(net: nn.Module, teacher: nn.Module) -> int:
    """Gives ``net`` the weights of a teacher wherever name and shape agree; returns how many. All of them are the twin's."""
    there = net.state_dict()
    same = {k: v for k, v in teacher.state_dict().items() if k in there and there[k].shape == v.shape}
    net.load_state_dict(same, strict=False)
    return len(same)


def scores_of(teachers: list[nn.Module], pictures: data.Pictures) -> torch.Tensor:
    """The mean over teachers of their final heads' logits (2, N, classes) for every picture and for its mirror image.

    They also serve for the shifted picture and the one with a hole: asking the teachers anew in
    every step would take a third of the time.
    """
    both = (pictures.images, pictures.images.flip(3))
    each = [torch.stack([logits(teacher, images, "asking a teacher", quick=True)[-1] for images in both]) for teacher in teachers]
    return torch.stack(each).mean(0)


def train(pictures: data.Pictures, net: nn.Module, schedule: Schedule, out: Path, resume: bool,
          teachers: Sequence[nn.Module] = (), start: str = "") -> None:
    """Trains ``net``, new or pretrained, on all but the held-out pictures; writes ``checkpoint.pt`` and ``log.jsonl`` to ``out``.

    ``start``, for the checkpoint, says whose weights ``net`` has; without it, those of the twin among the teachers become the first.
    """
    out.mkdir(parents=True, exist_ok=True)
    checkpoint, log = out / "checkpoint.pt", out / "log.jsonl"
    where, layout = device(), net.layout.to_dict()
    training, held = data.hold_out(pictures, schedule.hold_out_every)
    extension = net.edge.extension if isinstance(net, Hybrid) else None
    hard = torch.tensor(extension.hard) if extension else None
    if extension:  # it learns to tell the hard classes apart, and nothing else learns
        training, held = (part.take(torch.isin(part.labels, hard)) for part in (training, held))
    net = net.to(where, memory_format=torch.channels_last)
    steps = math.ceil(len(training) / schedule.batch)
    first, taught_by = 0, [teacher.layout.to_dict() for teacher in teachers]
    if checkpoint.is_file() and not resume:
        raise SystemExit(f"{checkpoint} is there already: go on from it with --resume, or train into another folder")
    if resume and not checkpoint.is_file():
        raise SystemExit(f"{checkpoint} is not there: nothing to resume")
    if resume:
        state = torch.load(checkpoint, map_location=where, weights_only=True)
        fixed = {"epochs": schedule.epochs, "cooldown": schedule.cooldown}
        made = (state["layout"], state["schedule"] | fixed, state["teachers"])
        if state["names"] != pictures.names:
            raise SystemExit(f"{checkpoint} knows the classes {', '.join(state['names'])}, the pictures are of {', '.join(pictures.names)}")
        if made != (layout, asdict(schedule), taught_by):
            raise SystemExit(f"{checkpoint} was made with another layout, schedule or teachers: train into another folder")
        net.load_state_dict(state["net"])
        first = state["epoch"]
        print(f"resuming after epoch {first} of {schedule.epochs}")
    for teacher in () if resume or start else teachers:
        taken = take_weights(net, teacher)
        print(f"{taken} of {len(net.state_dict())} tensors start as a teacher's")
    # Brevitas makes some parameters anew when weights are loaded, so the optimiser comes after.
    optimiser = Optimiser(net.train(), schedule)
    if resume:
        optimiser.load_state_dict(state["optimiser"])
    shared = net.shared()
    taught = scores_of(teachers, training) if teachers else None
    parity = torch.rand(len(training), generator=torch.Generator().manual_seed(schedule.seed)) < 0.5
    for epoch in range(first, schedule.epochs):
        # A generator per epoch makes a resumed run see what an uninterrupted one would.
        random = torch.Generator().manual_seed(schedule.seed * 100_003 + epoch)
        order = torch.randperm(len(training), generator=random)
        net.train()
        began, total = time.monotonic(), 0.0
        bar = tqdm(range(steps), desc=f"epoch {epoch + 1}/{schedule.epochs}", unit=" batches")
        for step in bar:
            index = order[step * schedule.batch:(step + 1) * schedule.batch]
            flip = parity[index] ^ bool(epoch % 2)
            images = data.normalise(data.augment(training.images[index], flip, random, schedule.shift, schedule.hole))
            images = images.to(where).contiguous(memory_format=torch.channels_last)
            with torch.autocast(where.type, dtype=torch.bfloat16):
                outputs = net(images)
            scores = taught[flip.long(), index].to(where) if taught is not None else None
            labels = training.labels[index].to(where)
            if extension:
                outputs, labels = [output[:, hard] for output in outputs[-2:]], torch.searchsorted(hard, labels)
                scores = scores[:, hard] if scores is not None else None
            loss = losses(outputs, labels, schedule, scores)
            loss.backward()
            optimiser.step(rate_factor(epoch + step / steps, schedule))
            if shared:
                hashing.tie(shared, net.layout.share)
            total += loss.item()
            if step % 10 == 9:
                left = (schedule.epochs - epoch - (step + 1) / steps) * (time.monotonic() - began) * steps / (step + 1)
                bar.set_postfix_str(f"loss {total / (step + 1):.3f}, all done in {left / 60:.0f} min")
        line = {"epoch": epoch + 1, "loss": round(total / steps, 4), "seconds": round(time.monotonic() - began)}
        if epoch % 5 == 4 or epoch + 1 == schedule.epochs:
            heads = logits(net, held.images, "asking the held-out pictures")
            line["held_out"] = [round((head[:, :len(held.names)].argmax(1) == held.labels).float().mean().item(), 4) for head in heads]
        print(json.dumps(line), flush=True)
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        save(checkpoint, {"layout": layout, "schedule": asdict(schedule), "names": pictures.names,
                          "net": net.state_dict(), "optimiser": optimiser.state_dict(), "epoch": epoch + 1, "teachers": taught_by,
                          "start": start})
