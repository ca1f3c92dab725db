"""Temperatures and thresholds of the exits, chosen on pictures that were held out of training.

A temperature calibrates an exit's confidence (Guo et al. 2017, arXiv 1706.04599). The thresholds then
meet a target: a share of pictures answered at the edge, a loss of accuracy against sending everything
to the cloud, or a reduction of computational energy against the twin.

``logits`` are those of the exits in order, of an extension if ``hard`` names its classes, and of the final head. For the policy
``appeal``, an exit has one extra score, for its own answer.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from . import energy

RULES = {rule["name"]: rule for rule in json.loads((Path(__file__).parents[3] / "shared/policies.json").read_text())}
POLICIES = tuple(name for name, rule in RULES.items() if not rule["own_score"])
BINS = 15
CURVE = range(0, 101, 5)


@dataclass(frozen=True)
class Target:
    """The target of calibration: exactly one of the three, and the safety margin in standard errors of the held-out pictures."""

    edge_share: float | None = None
    accuracy_loss: float | None = None
    energy: float | None = None
    margin: float = 0.0

    def __post_init__(self):
        if sum(value is not None for value in (self.edge_share, self.accuracy_loss, self.energy)) != 1:
            raise ValueError("give exactly one target: an edge share, an accuracy loss or an energy reduction")
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


@dataclass(frozen=True)
class Choice:
    """Thresholds as certainties (higher is surer), and their effect on the held-out pictures: the share that each exit answers."""

    cuts: list[float]
    shares: list[float]
    accuracy: float
    error: float  # the standard error of how much that is below the cloud's
    worth: float  # of an answer, on the mean


def temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The temperature that minimises the negative log-likelihood, to about one percent.

    The likelihood is convex in 1 / t and so has one minimum; every twentieth value of the grid finds its neighbourhood.
    """
    grid, logits = torch.logspace(-1, 1, 401, dtype=torch.float64), logits.double()

    def best(places: range) -> int:
        return min(places, key=lambda place: cross_entropy(logits / grid[place], labels).item())

    near = best(range(0, 401, 20))
    return float(grid[best(range(max(0, near - 19), min(401, near + 20)))].float())


def calibration_error(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The expected calibration error: mean gap between confidence and accuracy over 15 equal bins."""
    top, label = logits.double().softmax(1).max(1)
    bins = (top * BINS).long().clamp(max=BINS - 1)
    right = (label == labels).double()
    gaps = [(top[bins == b] - right[bins == b]).sum().abs() for b in range(BINS)]
    return float(sum(gaps) / len(labels))


def sign(policy: str) -> int:
    """-1 for policies where less is surer, such as entropy: converts thresholds to certainties and back."""
    return -1 if RULES[policy]["sure"] == "at_most" else 1


def certainty(logits: torch.Tensor, policy: str, classes: int) -> torch.Tensor:
    """The policy's measure, negated if necessary so that higher is surer."""
    return sign(policy) * MEASURES[policy](logits[:, :classes].double().softmax(1), logits[:, classes:].double())


def lead(p: torch.Tensor) -> torch.Tensor:
    """The largest less the second largest probability."""
    first, second = p.topk(2, dim=1).values.T
    return first - second


# Functions of the probabilities and, if the exit has one, its own score.
MEASURES = {
    "entropy": lambda p, _: -(p * p.clamp_min(1e-300).log()).sum(1),
    "max_probability": lambda p, _: p.amax(1),
    "margin": lambda p, _: lead(p),
    "appeal": lambda _, score: score[:, 0].sigmoid(),
}


def cooled(logits: torch.Tensor, temperature: float, classes: int) -> torch.Tensor:
    """An exit's logits divided by its temperature; its score of its own answer is no logit of a class."""
    return torch.cat([logits[:, :classes] / temperature, logits[:, classes:]], 1)


def policies(logits: list[torch.Tensor]) -> list[str]:
    """The policies that these exits support."""
    return list(RULES if logits[0].shape[1] > logits[-1].shape[1] else POLICIES)


@dataclass(frozen=True)
class Answers:
    """Of each exit that decides how sure it is, whether the edge is right if the picture ends there, and whether the
    extension would answer in its place; whether the cloud is right. ``heads`` are the logits of the classes they come from."""

    sure: list[torch.Tensor]
    right: list[torch.Tensor]
    extended: list[torch.Tensor] | None
    cloud: torch.Tensor
    heads: list[torch.Tensor]
    labels: torch.Tensor

    @cached_property
    def worth(self) -> list[torch.Tensor]:
        """The value of each answer when thresholds are chosen, for each exit and then the cloud: the mean of whether it is right
        and its calibrated probability of being right.

        The probability is less noisy than a single label: a similar picture may be answered differently.
        """
        *edge, cloud = [((head.argmax(1) == self.labels) + (head.double() / temperature(head, self.labels)).softmax(1).amax(1)) / 2
                        for head in self.heads]
        return [*instead(edge, self.extended), cloud]


def instead(edge: list[torch.Tensor], extended: list[torch.Tensor] | None) -> list[torch.Tensor]:
    """Statistics of each exit's answers; where the extension (the last) answers instead, of the extension's."""
    if extended is None:
        return edge
    return [torch.where(goes_on, edge[-1], own) for goes_on, own in zip(extended, edge[:-1], strict=True)]


def answers(logits: list[torch.Tensor], labels: torch.Tensor, policy: str, hard: Sequence[int] = ()) -> Answers:
    """The system's answer for each place where a picture may exit."""
    classes = logits[-1].shape[1]
    heads = [head[:, :classes] for head in logits]
    said = [head.argmax(1) for head in heads]
    *right, cloud = [label == labels for label in said]
    deciding, extended = logits[:-1], None
    if hard:
        *deciding, _ = deciding
        extended = [torch.isin(label, torch.tensor(hard)) for label in said[:-2]]
    sure = [certainty(exit_, policy, classes) for exit_ in deciding]
    return Answers(sure, instead(right, extended), extended, cloud, heads, labels)


def at_share(found: Answers, edge_share: float) -> Choice:
    """The thresholds with which ``edge_share`` of the pictures are answered at the edge, as accurately as possible.

    The first exit's share is searched on a grid for the best answers; among equals, the largest share wins, as it costs least. The
    next exit takes the surest of the rest, up to ``edge_share`` of all. An extension's answers count for the exit they replace.
    """
    count, best = len(found.cloud), None
    *edge_worth, cloud_worth = found.worth
    extended = found.extended or [torch.zeros(count, dtype=torch.bool)] * len(found.sure)
    for first in torch.linspace(0, edge_share, 21).tolist() if len(found.sure) > 1 else [edge_share]:
        shares = [first] + [edge_share] * (len(found.sure) - 1)
        open_, right, counted = torch.ones(count, dtype=torch.bool), found.cloud.clone(), cloud_worth.clone()
        cuts, ended, went_on = [], [], 0
        for measure, hit, counts, goes_on, share in zip(found.sure, found.right, edge_worth, extended, shares, strict=True):
            take = round(share * count) - int((~open_).sum())
            ranked = measure[open_].sort(descending=True).values
            cut = ranked[take - 1].item() if take > 0 else measure.max().item() + 1e-6  # if none qualifies
            ends = open_ & (measure >= cut)
            right[ends], counted[ends] = hit[ends], counts[ends]
            open_ = open_ & ~ends
            cuts.append(cut)
            ended.append(int((ends & ~goes_on).sum()) / count)
            went_on += int((ends & goes_on).sum())
        if found.extended:
            ended.append(went_on / count)
        if best is None or counted.mean().item() >= best.worth:
            lost = found.cloud.double() - right.double()
            best = Choice(cuts, ended, right.double().mean().item(), (lost.var(correction=0).item() / count) ** 0.5, counted.mean().item())
    return best


def choose(logits: list[torch.Tensor], labels: torch.Tensor, policy: str, target: Target,
           parts: list[dict] | None = None, hard: Sequence[int] = ()) -> Choice:
    """Thresholds of one policy that meet the target, with its margin. ``parts``, for energy, are the manifest's."""
    said, count = answers(logits, labels, policy, hard), len(labels)
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
    temperatures = [temperature(exit_[:, :classes], labels) for exit_ in deciding]
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


def threshold(policy: str, cut: float) -> float:
    """A certainty as the manifest's threshold, in the precision that the engine compares in."""
    return float(torch.tensor(sign(policy) * cut, dtype=torch.float32))


def evaluate(logits: list[torch.Tensor], labels: torch.Tensor, exits: list[dict], policy: str, hard: Sequence[int] = ()) -> dict:
    """The figures that ``cargo xtask eval`` prints, computed with PyTorch. ``exits`` are the manifest's."""
    open_, right, shares = torch.ones(len(labels), dtype=torch.bool), torch.zeros(len(labels), dtype=torch.bool), []
    classes, deciding = logits[-1].shape[1], len(logits) - (2 if hard else 1)
    scaled = [cooled(logit, exit_["temperature"], classes) for logit, exit_ in zip(logits[:deciding], exits, strict=False)]
    said = answers(scaled + logits[deciding:], labels, policy, hard)
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
