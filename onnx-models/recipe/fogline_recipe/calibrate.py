"""Temperatures and thresholds of the exits, chosen on pictures that were held out of training.

A temperature calibrates an exit's confidence (Guo et al. 2017, arXiv 1706.04599). The thresholds then
meet a target: a share of pictures answered at the edge, a loss of accuracy against sending everything
to the cloud, or a reduction of computational energy against the twin.

``logits`` are as in answers.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from . import energy, promise
from .answers import Choice, answers, at_cuts, at_share, cooled, of_exits, policies, sign, temperature, threshold

BINS = 15
CURVE = range(0, 101, 5)


@dataclass(frozen=True)
class Known:
    """Exits that are calibrated already: their temperatures and, by policy, their thresholds."""

    temperatures: list[float]
    thresholds: dict[str, list[float]]


@dataclass(frozen=True)
class Target:
    """The target of calibration: exactly one of the five. ``margin`` is the safety margin of the first three, in standard errors of the
    held-out pictures; ``confidence`` that of ``max_exit_error``, which is a promise (see promise.py); ``thresholds`` are those of known
    exits."""

    edge_share: float | None = None
    accuracy_loss: float | None = None
    energy: float | None = None
    margin: float = 0.0
    max_exit_error: float | None = None
    confidence: float = 0.95
    thresholds: "Known | None" = None

    def __post_init__(self):
        if sum(value is not None for value in (self.edge_share, self.accuracy_loss, self.energy, self.max_exit_error, self.thresholds)) != 1:
            raise ValueError("give exactly one target: an edge share, an accuracy loss, an energy reduction, a largest error or thresholds")
        if self.max_exit_error is not None and not 0 < self.max_exit_error < 1:
            raise ValueError(f"--max-exit-error {self.max_exit_error}: a share between 0 and 1 is needed; 0.02 is two in a hundred")
        if not 0 < self.confidence < 1:
            raise ValueError(f"--confidence {self.confidence}: a number between 0 and 1 is needed, such as 0.95")
        if self.edge_share is not None and not 0 <= self.edge_share <= 1:
            raise ValueError(f"--edge-share {self.edge_share}: a share from 0 to 1 is needed")
        if self.accuracy_loss is not None and not 0 <= self.accuracy_loss <= 1:
            raise ValueError(f"--accuracy-loss {self.accuracy_loss}: a number from 0 to 1 is needed; 0.005 is half a point")
        if self.energy is not None and not 0 < self.energy < float("inf"):
            raise ValueError(f"--energy {self.energy}: a factor above 0 is needed")
        if not 0 <= self.margin < float("inf"):
            raise ValueError(f"--margin {self.margin}: at least 0 is needed")

    def above(self, share: float, count: int) -> float:
        """The share of ``count`` held-out pictures that ensures ``share`` on others: the standard error is sqrt(p (1 - p) / n)."""
        return min(1.0, share + self.margin * (share * (1 - share) / count) ** 0.5)


def calibration_error(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The expected calibration error: mean gap between confidence and accuracy over 15 equal bins."""
    top, label = logits.double().softmax(1).max(1)
    bins = (top * BINS).long().clamp(max=BINS - 1)
    right = (label == labels).double()
    gaps = [(top[bins == b] - right[bins == b]).sum().abs() for b in range(BINS)]
    return float(sum(gaps) / len(labels))


def choose(logits: list[torch.Tensor], labels: torch.Tensor, policy: str, target: Target,
           parts: list[dict] | None = None, hard: Sequence[int] = ()) -> Choice:
    """Thresholds of one policy that meet the target, with its margin. ``parts``, for energy, are the manifest's."""
    said, count = answers(logits, labels, policy, hard), len(labels)
    if target.thresholds is not None:
        return at_cuts(said, [sign(policy) * threshold for threshold in target.thresholds.thresholds[policy]])
    if target.max_exit_error is not None:
        return promise.promised(said, target.max_exit_error, target.confidence, policy)
    if target.edge_share is not None:
        return at_share(said, target.above(target.edge_share, count))
    final = said.cloud.double().mean().item()
    if target.accuracy_loss is not None:  # as many at the edge as the target allows
        for percent in range(99, 0, -1):
            found = at_share(said, percent / 100)
            if final - found.accuracy + target.margin * found.error <= target.accuracy_loss:
                return found
        raise SystemExit(f"no thresholds of '{policy}' lose at most {target.accuracy_loss} on the held-out pictures")
    for percent in range(1, 100):  # as few at the edge as the target needs
        reached = energy.reduction(parts, at_share(said, percent / 100).shares, bool(hard))
        if reached >= target.energy:
            return at_share(said, target.above(percent / 100, count))
    raise SystemExit(f"no thresholds of '{policy}' cost {target.energy} times less on the held-out pictures: with 99% at the edge it "
                     f"is {reached:.2f} times")


def curve(logits: list[torch.Tensor], labels: torch.Tensor, policy: str, chosen: Choice, hard: Sequence[int] = ()) -> list[dict]:
    """The effect of thresholds from all pictures in the cloud to all at the edge, including the chosen ones."""
    said = answers(logits, labels, policy, hard)
    points = [chosen, *(at_share(said, percent / 100) for percent in CURVE)]
    return [{"thresholds": [threshold(policy, cut) for cut in point.cuts], "shares": point.shares,
             "accuracy": point.accuracy} for point in sorted(points, key=lambda point: sum(point.shares))]


def calibrate(logits: list[torch.Tensor], labels: torch.Tensor, target: Target,
              parts: list[dict] | None = None, hard: Sequence[int] = ()) -> tuple[list[dict], dict, dict]:
    """Temperature and thresholds of every exit that decides, and every policy's curve, as the manifest has them; how good they are."""
    classes, deciding = logits[-1].shape[1], logits[:-2] if hard else logits[:-1]
    if target.thresholds is None:
        # A promise holds for thresholds that know nothing of the pictures that test it, and they depend on the temperatures.
        known = torch.ones_like(labels, dtype=torch.bool) if target.max_exit_error is None else promise.proposing(len(labels))
        temperatures = [temperature(exit_[known, :classes], labels[known]) for exit_ in deciding]
    else:
        temperatures = target.thresholds.temperatures
        for policy in policies(logits):
            if len(target.thresholds.thresholds.get(policy, [])) != len(deciding):
                raise SystemExit(f"--thresholds-of: that pair has no thresholds of '{policy}' for each of these {len(deciding)} exits")
    scaled = [cooled(exit_, t, classes) for exit_, t in zip(deciding, temperatures, strict=True)]
    scaled += logits[len(deciding):]
    found = {policy: choose(scaled, labels, policy, target, parts, hard) for policy in policies(logits)}
    exits = [{"temperature": t, "thresholds": {policy: threshold(policy, choice.cuts[i])
                                               for policy, choice in found.items()}}
             for i, t in enumerate(temperatures)]
    report = {
        "exits": [{"temperature": round(t, 4), "ece_before": calibration_error(exit_[:, :classes], labels),
                   "ece_after": calibration_error(exit_[:, :classes] / t, labels)}
                  for exit_, t in zip(deciding, temperatures, strict=True)],
        "policies": {policy: {"share": choice.shares, "accuracy": choice.accuracy} for policy, choice in found.items()},
    }
    curves = {policy: curve(scaled, labels, policy, choice, hard) for policy, choice in found.items()}
    return exits, curves, report


def evaluate(logits: list[torch.Tensor], labels: torch.Tensor, exits: list[dict], policy: str, hard: Sequence[int] = ()) -> dict:
    """The figures that ``cargo xtask eval`` prints, computed with PyTorch. ``exits`` are the manifest's."""
    open_, right, shares = torch.ones(len(labels), dtype=torch.bool), torch.zeros(len(labels), dtype=torch.bool), []
    classes, said = logits[-1].shape[1], of_exits(logits, labels, exits, policy, hard)
    went_on = torch.zeros(len(labels), dtype=torch.bool)
    for i, (measure, hit) in enumerate(zip(said.sure, said.right, strict=True)):
        ends = open_ & (measure >= sign(policy) * exits[i]["thresholds"][policy])
        right |= ends & hit
        open_ &= ~ends
        if said.extended:
            went_on |= ends & said.extended[i]
        shares.append((ends & ~went_on).double().mean().item())
    if said.extended:
        shares.append(went_on.double().mean().item())
    right |= open_ & said.cloud
    accuracy = [(head[:, :classes].argmax(1) == labels).double().mean().item() for head in logits]
    return {"samples": len(labels),
            "accuracy": {"system": right.double().mean().item(), "final": accuracy[-1], "exits": accuracy[:-1]},
            "share": {"exits": shares, "cloud": open_.double().mean().item()}}
