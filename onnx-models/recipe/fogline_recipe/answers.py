"""What a network answers for each place where a picture may exit, and what thresholds make of it.

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

RULES = {rule["name"]: rule for rule in json.loads((Path(__file__).parents[3] / "shared/policies.json").read_text())}
POLICIES = tuple(name for name, rule in RULES.items() if not rule["own_score"])


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
    def probability(self) -> list[torch.Tensor]:
        """The calibrated probability that each answer is right, for each exit and then the cloud."""
        *edge, cloud = [(head.double() / temperature(head, self.labels)).softmax(1).amax(1) for head in self.heads]
        return [*instead(edge, self.extended), cloud]

    @cached_property
    def worth(self) -> list[torch.Tensor]:
        """The value of each answer when thresholds are chosen, for each exit and then the cloud: the mean of whether it is right
        and its calibrated probability of being right.

        The probability is less noisy than a single label: a similar picture may be answered differently.
        """
        return [(right + probability) / 2 for right, probability in zip([*self.right, self.cloud], self.probability, strict=True)]

    def take(self, chosen: torch.Tensor) -> "Answers":
        """Those of some pictures, by mask or index."""
        def each(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
            return [tensor[chosen] for tensor in tensors]

        return Answers(each(self.sure), each(self.right), None if self.extended is None else each(self.extended),
                       self.cloud[chosen], each(self.heads), self.labels[chosen])

    def ended(self, cuts: list[float], of: list[torch.Tensor]) -> torch.Tensor:
        """What ``of`` has for each exit's pictures, of those that end at the edge with these thresholds."""
        open_, found = torch.ones_like(self.cloud), []
        for measure, each, cut in zip(self.sure, of, cuts, strict=False):
            found.append(each[open_ & (measure >= cut)])
            open_ &= measure < cut
        return torch.cat(found)


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


def of_exits(logits: list[torch.Tensor], labels: torch.Tensor, exits: list[dict], policy: str, hard: Sequence[int] = ()) -> Answers:
    """The answers of exits that are calibrated. ``exits`` are the manifest's."""
    classes, deciding = logits[-1].shape[1], len(logits) - (2 if hard else 1)
    scaled = [cooled(logit, exit_["temperature"], classes) for logit, exit_ in zip(logits[:deciding], exits, strict=False)]
    return answers(scaled + logits[deciding:], labels, policy, hard)


def at_cuts(found: Answers, cuts: list[float]) -> Choice:
    """The effect of these thresholds. An extension's answers count for the exit they replace."""
    count = len(found.cloud)
    *edge_worth, cloud_worth = found.worth
    extended = found.extended or [torch.zeros(count, dtype=torch.bool)] * len(found.sure)
    open_, right, worth = torch.ones(count, dtype=torch.bool), found.cloud.clone(), cloud_worth.clone()
    shares, went_on = [], 0
    for measure, hit, counts, goes_on, cut in zip(found.sure, found.right, edge_worth, extended, cuts, strict=True):
        ends = open_ & (measure >= cut)
        right[ends], worth[ends] = hit[ends], counts[ends]
        open_ = open_ & ~ends
        shares.append(int((ends & ~goes_on).sum()) / count)
        went_on += int((ends & goes_on).sum())
    if found.extended:
        shares.append(went_on / count)
    lost = found.cloud.double() - right.double()
    error = (lost.var(correction=0).item() / count) ** 0.5
    return Choice(cuts, shares, right.double().mean().item(), error, worth.mean().item())


def at_share(found: Answers, edge_share: float) -> Choice:
    """The thresholds with which ``edge_share`` of the pictures are answered at the edge, as accurately as possible.

    The first exit's share is searched on a grid for the best answers; among equals, the largest share wins, as it costs least. The
    next exit takes the surest of the rest, up to ``edge_share`` of all.
    """
    count, best = len(found.cloud), None
    for first in torch.linspace(0, edge_share, 21).tolist() if len(found.sure) > 1 else [edge_share]:
        open_, cuts = torch.ones(count, dtype=torch.bool), []
        for measure, share in zip(found.sure, [first] + [edge_share] * (len(found.sure) - 1), strict=True):
            take = round(share * count) - int((~open_).sum())
            ranked = measure[open_].sort(descending=True).values
            cuts.append(ranked[take - 1].item() if take > 0 else measure.max().item() + 1e-6)  # if none qualifies
            open_ &= measure < cuts[-1]
        choice = at_cuts(found, cuts)
        if best is None or choice.worth >= best.worth:
            best = choice
    return best


def threshold(policy: str, cut: float) -> float:
    """A certainty as the manifest's threshold, in the precision that the engine compares in."""
    return float(torch.tensor(sign(policy) * cut, dtype=torch.float32))
