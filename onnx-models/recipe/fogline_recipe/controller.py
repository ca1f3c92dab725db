"""Chooses the way of each sample by the confidence of the exit before the ways, under a budget (after USDN, Jeon et al. 2024, WACV).

A rule splits the exit's confidence into one or two ranges, each with a way; more ranges would overfit the held-out pictures. The rule
and the exits' thresholds are chosen together on held-out pictures: of all rules within the budget, the one with the best answers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch

from . import calibrate, energy
from .answers import Choice, answers, at_share, cooled, sign, temperature
from .data import DataError

# Candidate cuts, as shares of the pictures below them; pictures above the last usually exit anyway.
CUTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True)
class Rule:
    """The way and the lower bound of each range of confidence; the first bound is 0."""

    starts: tuple[float, ...]
    ways: tuple[int, ...]

    def of(self, confidence: torch.Tensor) -> torch.Tensor:
        """The way of each sample (N)."""
        return torch.tensor(self.ways)[torch.bucketize(confidence, torch.tensor(self.starts), right=True) - 1]

    def manifest(self) -> list[dict]:
        """The rule in the format of an exit's ``ways`` in the manifest."""
        return [{"from": start, "way": way} for start, way in zip(self.starts, self.ways, strict=True)]


def confidence(logits: torch.Tensor, temperature: float, classes: int) -> torch.Tensor:
    """The largest probability, in the precision that the engine compares in."""
    return (logits[:, :classes].double() / temperature).softmax(1).amax(1).float()


def pick(every: list[list[torch.Tensor]], ways: torch.Tensor) -> list[torch.Tensor]:
    """The logits of each sample on its own way, from those of all heads on every way."""
    rows = torch.arange(len(ways))
    return [torch.stack(head)[ways, rows] for head in zip(*every, strict=True)]


def on_its_way(every: list[list[torch.Tensor]], exits: list[dict], classes: int) -> list[torch.Tensor]:
    """The logits of each sample on the way that the manifest's ``exits`` send it, from those on every way; most networks have one."""
    if len(every) == 1:
        return every[0]
    if "ways" not in exits[0]:
        raise DataError("the manifest's exit-1 has no ways; recipe calibrate adds them")
    rule = Rule(tuple(to["from"] for to in exits[0]["ways"]), tuple(to["way"] for to in exits[0]["ways"]))
    return pick(every, rule.of(confidence(every[0][0], exits[0]["temperature"], classes)))


def rules(confidences: torch.Tensor, ways: int) -> list[Rule]:
    """All rules with one or two ranges; lower confidence gets more bits, that is, a later way."""
    at = [round(float(confidences.quantile(share)), 4) for share in CUTS]
    found = []
    for count in (1, 2):
        starts = [(0.0, *cut) for cut in product(at, repeat=count - 1) if list(cut) == sorted(set(cut))]
        chosen = [way for way in product(range(ways), repeat=count) if list(way) == sorted(set(way), reverse=True)]
        found += [Rule(*each) for each in product(starts, chosen)]
    return found


def shares_by_way(endings: torch.Tensor, taken: torch.Tensor, ways: int, exits: int) -> list[list[float]]:
    """For each way, the shares of all samples that took it and were answered at each exit, then in the cloud (index ``exits``).

    Samples answered at the exit before the ways count as the first way's.
    """
    taken = torch.where(endings == 0, 0, taken)
    return [[((endings == exit_) & (taken == way)).double().mean().item() for exit_ in range(exits + 1)] for way in range(ways)]


def endings(logits: list[torch.Tensor], labels: torch.Tensor, policy: str, cuts: Sequence[float]) -> torch.Tensor:
    """Index of the exit that answers each sample; the number of exits for the cloud."""
    said = answers(logits, labels, policy)
    ended = torch.full((len(labels),), len(cuts))
    for exit_ in reversed(range(len(cuts))):
        ended[said.sure[exit_] >= cuts[exit_]] = exit_
    return ended


def microjoules(parts: list[dict], by_way: list[list[float]]) -> float:
    """The system's mean computational energy per sample."""
    return sum(share * energy.of_sample(parts, ending, way) / 1e6
               for way, shares in enumerate(by_way) for ending, share in enumerate(shares))


def find(every: list[list[torch.Tensor]], labels: torch.Tensor, policy: str, edge_share: float, parts: list[dict],
         budget: float | None) -> tuple[Rule, Choice]:
    """The rule with the best answers at an edge share, within the budget in microjoules, and its thresholds.

    ``every`` are the logits of all heads on each way, those of the exits divided by their temperatures.
    """
    before = confidence(every[0][0], 1.0, every[0][-1].shape[1])
    best = None
    for rule in rules(before, len(every)):
        taken = rule.of(before)
        logits = pick(every, taken)
        choice = at_share(answers(logits, labels, policy), edge_share)
        by_way = shares_by_way(endings(logits, labels, policy, choice.cuts), taken, len(every), len(choice.cuts))
        cost = microjoules(parts, by_way)
        if (budget is None or cost <= budget) and (best is None or (choice.worth, -cost) > best[:2]):
            best = (choice.worth, -cost, rule, choice)
    if best is None:
        raise SystemExit(f"error: no rule spends at most {budget} µJ per picture on the held-out pictures: raise --budget or --edge-share")
    return best[2:]


def calibrated(every: list[list[torch.Tensor]], labels: torch.Tensor, target: calibrate.Target, parts: list[dict],
               budget: float | None) -> tuple[list[dict], dict, dict]:
    """Like ``calibrate.calibrate``, with the rule added to the exit before the ways and the shares of each way to the curves."""
    if target.edge_share is None:
        raise SystemExit("error: a network with several ways needs --edge-share and --budget")
    classes = every[0][-1].shape[1]
    together = [torch.cat(head) for head in zip(*every, strict=True)]
    many = labels.repeat(len(every))
    temperatures = [temperature(exit_[:, :classes], many) for exit_ in together[:-1]]
    scaled = [[cooled(exit_, t, classes) for exit_, t in zip(heads[:-1], temperatures, strict=True)] + heads[-1:] for heads in every]
    rule, _ = find(scaled, labels, "entropy", target.above(target.edge_share, len(labels)), parts, budget)
    taken = rule.of(confidence(every[0][0], temperatures[0], classes))
    exits, curves, report = calibrate.calibrate(pick(every, taken), labels, target, parts)
    exits[0]["ways"] = rule.manifest()
    for policy, points in curves.items():
        way = [cooled(exit_, found["temperature"], classes) for exit_, found in zip(pick(every, taken), exits, strict=False)]
        for point in points:
            cuts = [sign(policy) * cut for cut in point["thresholds"]]
            ended = endings([*way, every[0][-1]], labels, policy, cuts)
            point["ways"] = shares_by_way(ended, taken, len(every), len(cuts))
    report["rule"] = exits[0]["ways"]
    return exits, curves, report
